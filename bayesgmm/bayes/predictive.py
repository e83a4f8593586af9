"""What the posterior says of rows, fitted or new: with bands, and how unusual each row is."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from bayesgmm.bayes.posterior import Posterior
from bayesgmm.bayes.simulation import replicates
from bayesgmm.data.errors import InputError
from bayesgmm.gaussian.arrays import Array
from bayesgmm.ml.memberships import interval_ends

MOST_DRAWS = 1000  # behind the ends of a band
SIMULATED_ROWS = 4000  # that a row is compared with


class Band(NamedTuple):
    """A quantity of each row: its value over all draws, and the ends of its interval."""

    value: Float[np.ndarray, "n *k"]
    low: Float[np.ndarray, "n *k"]
    high: Float[np.ndarray, "n *k"]


class Bands(NamedTuple):
    """Of each row: its log density, (n,), and its probability of each component, (n, k)."""

    log_density: Band
    membership: Band


def bands(posterior: Posterior, X: Float[Array, "n d"], level: float) -> Bands:
    """Posterior means of memberships and densities, and equal-tailed intervals of both.

    The value of a log density is the log of the mean density, which is the posterior predictive
    one; the intervals rest on `MOST_DRAWS` draws.

    Raises:
        InputError: a level that is not between 0 and 1; as `Posterior.predict`.
    """
    ends, mean = interval_ends(level), posterior.predict(X)
    found = Bands(*(Band(part, *np.empty((2, *part.shape))) for part in mean))
    for places, draws in posterior.by_draw(X, MOST_DRAWS):
        for band, part in zip(found, draws, strict=True):
            band.low[places], band.high[places] = np.quantile(part, ends, axis=0)
    return found


def tail_probability(posterior: Posterior, X: Float[Array, "n d"]) -> Float[np.ndarray, " n"]:
    """The probability that a new row is no more likely than this one: P(p(x_new) <= p(x)).

    p is the posterior predictive density, and x_new is drawn from it `SIMULATED_ROWS` times. The
    row itself counts as one of them, so that no probability is 0. Rows of the model have uniform
    tail probabilities; for one normal component it is the upper tail of the chi-square distribution
    at the row's squared Mahalanobis distance (Box 1980, for the idea). The same posterior gives the
    same answer.

    Raises:
        InputError: the program's parameters differ from row to row; as `Posterior.predict`.
    """
    if posterior.structure.by_row:
        raise InputError(
            "this program's parameters differ from row to row, so that its rows cannot be compared "
            "with each other; look at score_samples()."
        )
    log_density = posterior.predict(X).log_density
    rng = np.random.default_rng(0)
    chosen = rng.integers(posterior.margin[posterior.kept].size, size=SIMULATED_ROWS)
    simulated = replicates(posterior, chosen, 1, rng).X[:, 0]
    others = np.sort(posterior.predict(simulated).log_density)
    below = np.searchsorted(others, log_density, side="right")
    return (below + 1) / (SIMULATED_ROWS + 1)


def background_probability(posterior: Posterior, X: Float[Array, "n d"]) -> Float[np.ndarray, " n"]:
    """The posterior probability that a row belongs to the background.

    Raises:
        InputError: the program has no background; as `Posterior.predict`.
    """
    if not posterior.structure.background:
        raise InputError(
            "this program has no background to which a row could belong; fit "
            "model='gaussian_noise', or look at tail_probability(X)."
        )
    return posterior.predict(X).membership[:, -1]
