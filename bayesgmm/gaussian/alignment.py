"""Put the components of many mixtures in the order of one."""

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from bayesgmm.gaussian.mixture import Mixture, full, half_log_det, whitener

BLOCK = 2**26  # bytes


def divergences(one: Mixture, others: Mixture) -> Float[np.ndarray, "b k k"]:
    """What it costs to call component a of another mixture the component j of the one.

    w_j (log(w_j / w_a) + KL(N_j || N_a)): the sum over a matching bounds the Kullback-Leibler
    divergence of the two mixtures.

    Returns:
        Shape (b, a, j).

    Source: Do (2003), theorem 1; Runnalls (2007), section IV.
    """
    k, d = one.means.shape
    most = max(1, BLOCK // (8 * (k * d) ** 2))
    parts = [
        _divergences(full(one), full(Mixture(*(part[i : i + most] for part in others))))
        for i in range(0, len(others.weights), most)
    ]
    return np.concatenate(parts)


def _divergences(one: Mixture, others: Mixture) -> np.ndarray:
    white = whitener(others.scale_tril)[:, :, None]
    spread = np.square(white @ one.scale_tril).sum((-2, -1))
    apart = (one.means - others.means[:, :, None])[..., None]
    distance = np.square(white @ apart).sum((-2, -1))
    volumes = half_log_det(others.scale_tril)[:, :, None] - half_log_det(one.scale_tril)
    divergence = volumes + (spread + distance - one.means.shape[-1]) / 2
    with np.errstate(divide="ignore"):
        ratio = np.log(one.weights) - np.log(others.weights)[:, :, None]
    return one.weights * (ratio + divergence)


def assignments(cost: Float[np.ndarray, "b k k"]) -> Int[np.ndarray, "b k"]:
    """For each place j the component a that takes it, at the least cost in all.

    Args:
        cost: `cost[i, a, j]`.
    """
    cost = np.nan_to_num(cost, posinf=1e300)
    order = cost.argmin(1)  # where that is a permutation, nothing costs less
    for i in np.flatnonzero((np.sort(order) != np.arange(cost.shape[-1])).any(1)):
        order[i] = linear_sum_assignment(cost[i].T)[1]
    return order
