"""Put labels right: every draw's components in the order of EM's.

The posterior of a mixture does not know its labels. Each draw is matched to the EM fit by the
permutation of least Kullback-Leibler cost between its memberships and EM's (Stephens 2000, with
EM's as the pivot), found by linear assignment. No draw is dropped. How clear the labels are is a
question to the relabelled draws themselves: whether another labelling of a draw would have looked
plausible among them.
"""

from itertools import permutations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import solve_triangular
from scipy.optimize import linear_sum_assignment

ENUMERATED = 6
TAILS = 4.0  # degrees of freedom: relabelled components are skewed where labels are not clear


class Relabelling(NamedTuple):
    """For each of s draws, the component to put in each place, and how clear the choice was.

    Attributes:
        order: shape (s, k); `order[i, j]` is the component of draw i that is EM's component j.
        margin: cost of the second-best permutation less that of the best, shape (s,); it grows
            with the number of rows, so that it says nothing of probabilities.
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


def clarity(features: Float[np.ndarray, "s k q"]) -> Float[np.ndarray, " s"]:
    """How much more plausible a draw's labels are than the best others: a difference of logs.

    The relabelled draws of each component are taken for a multivariate t distribution with `TAILS`
    degrees of freedom, and each draw's components are judged by it under every labelling (Sperrin,
    Jaki and Wit 2010, for the idea). Below log 19 another labelling has more than 5 % of the two's
    probability; a negative number prefers another labelling.

    Args:
        features: what describes a component, of relabelled draws, such as its log weight, means and
            log standard deviations.
    """
    s, k, _ = features.shape
    if k == 1 or not np.isfinite(features).all():
        return np.full(s, np.inf if k == 1 else np.nan)
    cost = np.stack([_cost_of(features, features[:, b]) for b in range(k)], axis=-1)
    if k > ENUMERATED:
        return np.array([_margin(one.T, np.arange(k)) for one in cost])
    given, *others = permutations(range(k))
    totals = [cost[:, order, np.arange(k)].sum(-1) for order in others]
    return np.min(totals, axis=0) - cost[:, given, np.arange(k)].sum(-1)


def _cost_of(
    features: Float[np.ndarray, "s k q"], component: Float[np.ndarray, "s q"]
) -> Float[np.ndarray, "s k"]:
    """What it costs every component of every draw to be called that one: minus a log density.

    Correlations are shrunk, so that few draws of many features do for them.
    """
    centre, sd = component.mean(0), component.std(0)
    moving = sd > 1e-12 * (1 + np.abs(centre))
    u = (features - centre)[..., moving] / sd[moving]
    own = (component - centre)[:, moving] / sd[moving]
    s, q = own.shape
    trust = s / (s + q)
    correlation = trust * own.T @ own / s + (1 - trust) * np.eye(q)
    root = np.linalg.cholesky(correlation + 1e-9 * np.eye(q))
    white = solve_triangular(root, u.reshape(-1, len(root)).T, lower=True)
    distance = np.square(white).sum(0).reshape(u.shape[:-1])
    log_det = np.log(np.diagonal(root)).sum() + np.log(sd[moving]).sum()
    return (TAILS + q) / 2 * np.log1p(distance / TAILS) + log_det
