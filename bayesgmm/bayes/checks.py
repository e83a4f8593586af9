"""Data replicated by the model beside the data: predictive checks (Gelman, Meng and Stern 1996)."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from bayesgmm.bayes.posterior import Posterior, known_program
from bayesgmm.bayes.simulation import prior_draws, replicates
from bayesgmm.bayes.structure import WEIGHTS
from bayesgmm.data.errors import InputError

LEAST_DRAWS, MOST_DRAWS, MOST_NUMBERS = 400, 1000, 40_000_000  # of rows x columns
BLOCK_NUMBERS = 2**21
PRIOR_DRAWS = 4000
NEAR = 3.0  # ranges of the data

type Statistic = Callable[[Float[np.ndarray, "*s n d"]], Float[np.ndarray, "*s d"]]

STATISTICS: dict[str, Statistic] = {
    "min": lambda X: X.min(-2),
    "max": lambda X: X.max(-2),
    "sd": lambda X: X.std(-2),
    "skewness": lambda X: np.asarray(stats.skew(X, axis=-2)),
    "kurtosis": lambda X: np.asarray(stats.kurtosis(X, axis=-2)),
}


class Checked(NamedTuple):
    """Statistics of every column: of the data, (t, d), and of s replicated ones, (s, t, d)."""

    observed: Float[np.ndarray, "t d"]
    replicated: Float[np.ndarray, "s t d"]

    @property
    def above(self) -> Float[np.ndarray, "t d"]:
        """The probability that a replicated statistic is at least the observed one."""
        return (1 + (self.replicated >= self.observed).sum(0)) / (1 + len(self.replicated))

    @property
    def tails(self) -> Float[np.ndarray, "t d"]:
        """Twice the probability of a statistic at least as far out on the nearer side."""
        below = (1 + (self.replicated <= self.observed).sum(0)) / (1 + len(self.replicated))
        return np.minimum(1.0, 2 * np.minimum(self.above, below))


def units(posterior: Posterior) -> Float[np.ndarray, "m d"]:
    """The data with one row for each unit that a count stands for."""
    return np.repeat(posterior.X, posterior.row_weights.astype(int), axis=0)


def check(posterior: Posterior) -> Checked:
    """`STATISTICS` of the data, and of data sets as large that the posterior predicts.

    The same posterior gives the same answer.

    Raises:
        InputError: as `replicates`.
    """
    X, rng = units(posterior), np.random.default_rng(0)
    most = int(np.clip(MOST_NUMBERS // X.size, LEAST_DRAWS, MOST_DRAWS))
    chosen = evenly(posterior, most).ravel()
    parts = [_statistics(block) for block in _replicated(posterior, chosen, len(X), rng)]
    return Checked(_statistics(X), np.concatenate(parts))


def evenly(posterior: Posterior, most: int) -> Int[np.ndarray, "c s"]:
    """Numbers of about so many draws, of every chain that is kept as many, evenly spaced."""
    c, s = posterior.margin[posterior.kept].shape
    places = np.unique(np.linspace(0, s - 1, -(-most // c)).astype(int))
    return np.arange(c)[:, None] * s + places


def _replicated(
    posterior: Posterior, chosen: Int[np.ndarray, " s"], n: int, rng: np.random.Generator
) -> Iterator[Float[np.ndarray, "_b n d"]]:
    """The replicated data sets, a few at a time."""
    size = max(1, BLOCK_NUMBERS // (n * posterior.X.shape[1]))
    for begin in range(0, len(chosen), size):
        yield replicates(posterior, chosen[begin : begin + size], n, rng).X


def _statistics(X: Float[np.ndarray, "*s n d"]) -> Float[np.ndarray, "*s t d"]:
    return np.stack([statistic(X) for statistic in STATISTICS.values()], axis=-2)


def share_near(X: Float[np.ndarray, "*s n d"], data: Float[np.ndarray, "m d"]) -> float:
    """The share of rows X in a box about the data, `NEAR` of their ranges wide in each column."""
    low, high = data.min(0), data.max(0)
    inside = np.abs(X - (low + high) / 2) <= NEAR * (high - low) / 2
    return float(inside.all(-1).mean())


class Occupied(NamedTuple):
    """Probabilities that 1, ..., k components hold rows, by the prior and by the posterior."""

    prior: Float[np.ndarray, " k"]
    posterior: Float[np.ndarray, " k"]


def occupied(posterior: Posterior) -> Occupied:
    """How many components hold rows: under `PRIOR_DRAWS` draws of the prior, and the posterior.

    A background is not counted. For Dirichlet(1) weights the prior gives j of k components, with n
    rows, the probability C(k, j) C(n - 1, j - 1) / C(n + k - 1, n).

    Raises:
        InputError: the fit was loaded without its program; its prior cannot be drawn, or gives each
            row weights of its own.
    """
    (target, data), structure = known_program(posterior), posterior.structure
    if structure.by_row:
        raise InputError(
            "this program's rows have parameters of their own, so that their components cannot be "
            "drawn from the weights; read n_occupied in posterior_['sample_stats']."
        )
    rng = np.random.default_rng(0)
    weights = np.asarray(prior_draws(target, data, PRIOR_DRAWS, 1, rng).sites[WEIGHTS])
    n = int(posterior.row_weights.sum())
    counts = rng.multinomial(n, weights / weights.sum(-1, keepdims=True))
    k, by_prior = structure.k, (counts[:, : structure.k] > 0).sum(1)
    return Occupied(_shares(by_prior, k), occupied_after(posterior))


def occupied_after(posterior: Posterior) -> Float[np.ndarray, " k"]:
    """Posterior probabilities that 1, ..., k components hold rows."""
    return _shares(posterior.n_occupied[posterior.kept].ravel(), posterior.structure.k)


def _shares(n_occupied: Int[np.ndarray, " s"], k: int) -> Float[np.ndarray, " k"]:
    """Where a background holds every row, one cluster counts as occupied."""
    return np.bincount(np.maximum(n_occupied, 1), minlength=k + 1)[1:] / len(n_occupied)
