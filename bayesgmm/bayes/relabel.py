"""Put labels right: the permutation of every draw's components that agrees best with a pivot.

The posterior of a mixture does not know its labels. A method says what of a draw's memberships is
compared with what of a pivot's; the cost of every permutation is then a sum of entries of a small
table, one for each draw, and the least of them is found by linear assignment. The pivot is that of
the EM fit, or the average of the relabelled draws themselves, until nothing changes any more. No
draw is dropped.
"""

from collections.abc import Callable, Iterable
from functools import reduce
from itertools import permutations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

ENUMERATED = 6
MOST_ROUNDS = 100


class Relabelling(NamedTuple):
    """For each of s draws, the component to put in each place, and how clear the choice was.

    Attributes:
        order: shape (s, k); `order[i, j]` is the component of draw i that is the pivot's j.
        margin: cost of the second-best permutation less that of the best, shape (s,); it grows
            with the number of rows, so that it says nothing of probabilities.
    """

    order: Int[np.ndarray, "s k"]
    margin: Float[np.ndarray, " s"]


def relabel(cost: Float[np.ndarray, "s k k"]) -> Relabelling:
    """The best permutation of every draw.

    Args:
        cost: `cost[i, a, b]`, what it costs draw i to call its component a the pivot's component b.
    """
    k = cost.shape[-1]
    if k == 1:
        return Relabelling(np.zeros(cost.shape[:2], int), np.full(len(cost), np.inf))
    return _enumerate(cost) if k <= ENUMERATED else _assign(cost)


def _enumerate(cost: np.ndarray) -> Relabelling:
    orders = np.array(list(permutations(range(cost.shape[-1]))))
    totals = reduce(np.add, (cost[:, places, b] for b, places in enumerate(orders.T)))
    best = totals.argmin(1)
    two = np.partition(totals, 1, axis=1)
    return Relabelling(orders[best], two[:, 1] - two[:, 0])


def _assign(cost: np.ndarray) -> Relabelling:
    finite = np.isfinite(cost).all((1, 2))
    safe = np.where(finite[:, None, None], cost, 0.0)
    orders = np.array([linear_sum_assignment(one.T)[1] for one in safe])
    margins = np.array(
        [least_margin(one.T, order) for one, order in zip(safe, orders, strict=True)]
    )
    return Relabelling(orders, np.where(finite, margins, np.nan))


def least_margin(cost: np.ndarray, order: np.ndarray) -> float:
    """Second best: the cheapest assignment that changes at least one of the best's pairs."""
    places = np.arange(len(order))
    best = cost[places, order].sum()
    forbidden = cost.max() - cost.min() + 1
    seconds = []
    for place in places:
        changed = cost.copy()
        changed[place, order[place]] += len(order) * forbidden
        rows, columns = linear_sum_assignment(changed)
        seconds.append(cost[rows, columns].sum())
    return float(min(seconds) - best)


def reorder(values: np.ndarray, order: Int[np.ndarray, "*s k"], axis: int) -> np.ndarray:
    """Values whose leading axes are the draws', with the components on `axis` (from the end)."""
    moved = np.moveaxis(values, axis, order.ndim - 1)
    index = order.reshape(order.shape + (1,) * (moved.ndim - order.ndim))
    return np.moveaxis(np.take_along_axis(moved, index, order.ndim - 1), order.ndim - 1, axis)


class Cost(NamedTuple):
    """What is compared: the cost of calling a the pivot's b is the product of both, over rows.

    Attributes:
        of_draws: of the draws' memberships (s, b, k), of b rows.
        of_pivot: of the pivot's memberships (b, k).
    """

    of_draws: Callable[[np.ndarray], np.ndarray]
    of_pivot: Callable[[np.ndarray], np.ndarray]


def _itself(resp: np.ndarray) -> np.ndarray:
    return resp


def _likeliest(resp: np.ndarray) -> np.ndarray:
    """One for the most probable component of every row, zero for the others."""
    return (np.arange(resp.shape[-1]) == resp.argmax(-1)[..., None]).astype(float)


KULLBACK_LEIBLER = Cost(_itself, lambda pivot: -np.log(np.maximum(pivot, np.finfo(float).tiny)))
"""Divergence from the pivot, up to what no permutation changes (Stephens 2000)."""
ALLOCATED = Cost(_likeliest, lambda pivot: -_likeliest(pivot))
"""Rows whose most probable component is the pivot's, counted (ECR; Papastamoulis and Iliopoulos
2010)."""
EXPECTED = Cost(_itself, lambda pivot: -_likeliest(pivot))
"""The same, expected over the draw's memberships."""

type Blocks = Iterable[tuple[slice, Float[np.ndarray, "s _b k"]]]
"""Places of rows, and their memberships in every draw."""


def settle(
    blocks: Callable[[], Blocks],
    row_weights: Float[np.ndarray, " n"],
    cost: Cost,
    order: Int[np.ndarray, "s k"],
) -> Relabelling:
    """A fixed point: every draw agrees best with the average of all draws as they are relabelled.

    Every round lowers the sum of all costs or ends, so that it ends.

    Args:
        blocks: gives the memberships anew in every round.
        row_weights: shape (n,).
        cost: what is compared.
        order: where to begin.
    """

    def average(_: slice, values: np.ndarray) -> np.ndarray:
        return mean_of(values, order)

    for _ in range(MOST_ROUNDS):
        found = match(blocks(), row_weights, cost, average)
        if np.array_equal(found.order, order):
            break
        order = found.order
    return found


def mean_of(
    values: Float[np.ndarray, "s b k"], order: Int[np.ndarray, "s k"]
) -> Float[np.ndarray, "b k"]:
    """The average of draws in that order; what is not finite counts for nothing."""
    return np.nan_to_num(reorder(values, order, -1)).mean(0)


def match(
    blocks: Blocks,
    row_weights: Float[np.ndarray, " n"],
    cost: Cost,
    pivot: Callable[[slice, Float[np.ndarray, "s _b k"]], Float[np.ndarray, "_b k"]],
) -> Relabelling:
    """The best permutation of every draw, given the pivot's memberships at some rows."""
    total = np.zeros(())
    for places, resp in blocks:
        values = cost.of_draws(resp)
        goal = row_weights[places, None] * cost.of_pivot(pivot(places, values))
        total = total + np.swapaxes(values, 1, 2) @ goal
    return relabel(total)
