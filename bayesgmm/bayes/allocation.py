"""Which row belongs where, and how sure that is: intervals, pairs of rows, a point partition."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from bayesgmm.bayes.partition import LOSSES, Partition, point_partition
from bayesgmm.bayes.posterior import Posterior
from bayesgmm.data.errors import unknown
from bayesgmm.ml.memberships import check_pairs, entropy, interval_ends

MOST_DRAWS = 1000
PARTITION_DRAWS = 400
LEAST_DRAWS, MOST_NUMBERS = 100, 10_000_000  # of a co-clustering matrix


class Memberships(NamedTuple):
    """Each row's probability of each component, all (n, k), and its entropy, (n,)."""

    mean: Float[np.ndarray, "n k"]
    low: Float[np.ndarray, "n k"]
    high: Float[np.ndarray, "n k"]
    entropy: Float[np.ndarray, " n"]


def memberships(posterior: Posterior, level: float) -> Memberships:
    """Posterior means, and the ends of equal-tailed intervals over `MOST_DRAWS` draws.

    The entropy is that of the mean, in nats: what is not known of a row's component, for whatever
    reason.

    Raises:
        InputError: a level that is not between 0 and 1; as `Posterior.predict`.
    """
    ends, mean = interval_ends(level), posterior.membership
    low, high = np.empty_like(mean), np.empty_like(mean)
    for places, resp in posterior.memberships(MOST_DRAWS):
        low[places], high[places] = np.quantile(resp, ends, axis=0)
    return Memberships(mean, low, high, entropy(mean))


def co_clustering(posterior: Posterior) -> Float[np.ndarray, "n n"]:
    """The probability that two rows belong to one component, whatever its label.

    A background counts as a component.

    Raises:
        InputError: there are too many rows for a matrix of them; as `Posterior.predict`.
    """
    n, k = posterior.membership.shape
    most = int(np.clip(MOST_NUMBERS // (n * k), LEAST_DRAWS, MOST_DRAWS))
    check_pairs(n)
    resp = np.concatenate([part for _, part in posterior.memberships(most)], axis=1)
    flat = np.moveaxis(resp, 1, 0).reshape(n, -1)
    together = flat @ flat.T / len(resp)
    np.fill_diagonal(together, 1.0)
    return together


def allocations(posterior: Posterior, most: int) -> Int[np.ndarray, "s n"]:
    """Each row's component, drawn from its membership in that many draws at most.

    The same posterior gives the same allocations.
    """
    rng, parts = np.random.default_rng(0), []
    for _, resp in posterior.memberships(most):
        uniform = rng.random(resp.shape[:2])[..., None]
        drawn = (np.cumsum(resp[..., :-1], -1) < uniform).sum(-1)
        parts.append(drawn.astype(np.int16))
    return np.concatenate(parts, axis=1)


def partition(posterior: Posterior, loss: str) -> Partition:
    """The partition nearest to the posterior's, by `PARTITION_DRAWS` drawn allocations.

    Raises:
        InputError: an unknown loss; as `Posterior.predict`.
    """
    if loss not in LOSSES:
        raise unknown("loss", loss, LOSSES)
    drawn = allocations(posterior, PARTITION_DRAWS)
    likeliest = posterior.membership.argmax(1)[None]
    return point_partition(drawn, posterior.row_weights, loss, likeliest)
