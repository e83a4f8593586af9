"""Put labels right: every draw's components in the order of EM's.

The posterior of a mixture does not know its labels. Each draw is matched to the EM fit by the
permutation of least Kullback-Leibler cost between its memberships and EM's (Stephens 2000, with
EM's as the pivot), found by linear assignment. No draw is dropped.
"""

from itertools import permutations
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment

ENUMERATED = 6


class Relabelling(NamedTuple):
    """For each of s draws, the component to put in each place, and how clear the choice was.

    Attributes:
        order: shape (s, k); `order[i, j]` is the component of draw i that is EM's component j.
        margin: cost of the second-best permutation less that of the best, shape (s,); a margin
            below log 19 leaves the second more than 5 % of the two's probability.
    """

    order: Int[np.ndarray, "s k"]
    margin: Float[np.ndarray, " s"]


def relabel(cost: Float[np.ndarray, "s k k"]) -> Relabelling:
    """The best permutation of every draw.

    Args:
        cost: `cost[i, a, b]`, what it costs draw i to call its component a EM's component b.
    """
    k = cost.shape[-1]
    if k == 1:
        return Relabelling(np.zeros(cost.shape[:2], int), np.full(len(cost), np.inf))
    return _enumerate(cost) if k <= ENUMERATED else _assign(cost)


def _enumerate(cost: np.ndarray) -> Relabelling:
    k = cost.shape[-1]
    orders = np.array(list(permutations(range(k))))
    totals = cost[:, orders, np.arange(k)].sum(-1)
    best = totals.argmin(1)
    two = np.partition(totals, 1, axis=1)
    return Relabelling(orders[best], two[:, 1] - two[:, 0])


def _assign(cost: np.ndarray) -> Relabelling:
    finite = np.isfinite(cost).all((1, 2))
    safe = np.where(finite[:, None, None], cost, 0.0)
    orders = np.array([linear_sum_assignment(one.T)[1] for one in safe])
    margins = np.array([_margin(one.T, order) for one, order in zip(safe, orders, strict=True)])
    return Relabelling(orders, np.where(finite, margins, np.nan))


def _margin(cost: np.ndarray, order: np.ndarray) -> float:
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


def ambiguous(margin: Float[np.ndarray, "*s"], odds: float) -> Bool[np.ndarray, "*s"]:
    """Draws whose second-best permutation is within log(odds) of the best."""
    return margin < np.log(odds)
