"""Are ranks uniform? What bends them, and how surely.

Of independent uniform ranks every p-value here is uniform or larger, whatever the sample's size.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

LEAST_EXPECTED = 5
MOST_BINS = 20


@dataclass(frozen=True)
class Uniformity:
    """How uniform the ranks of one quantity are.

    Attributes:
        mean: of the ranks as a share; below 0.5 the truth lies lower than the draws.
        spread: their standard deviation over that of uniform ranks; above 1 the posterior is too
            narrow, below 1 too wide.
        chi_square: p-value over bins of equal size.
        ecdf: p-value of their distribution function, wherever it departs most.
    """

    mean: float
    spread: float
    chi_square: float
    ecdf: float

    @property
    def p(self) -> float:
        """The smaller of the two, doubled."""
        return min(1.0, 2 * min(self.chi_square, self.ecdf))


def uniformity(ranks: Int[np.ndarray, " m"], n_draws: int) -> Uniformity:
    """How uniform m ranks from 0 to `n_draws` are."""
    share = shares(ranks, n_draws)
    return Uniformity(
        float(share.mean()),
        float(share.std() * np.sqrt(12)),
        _chi_square(ranks, n_draws),
        _ecdf(share),
    )


def shares(ranks: Int[np.ndarray, " m"], n_draws: int) -> Float[np.ndarray, " m"]:
    """Ranks as numbers between 0 and 1, exactly uniform where ranks are.

    The place within a rank is drawn, always the same for the same number of ranks.
    """
    within = np.random.default_rng(len(ranks)).uniform(size=len(ranks))
    return (ranks + within) / (n_draws + 1)


def _chi_square(ranks: Int[np.ndarray, " m"], n_draws: int) -> float:
    """Pearson's test over as many bins as leave each with `LEAST_EXPECTED` ranks."""
    most = max(2, min(MOST_BINS, len(ranks) // LEAST_EXPECTED))
    bins = max(b for b in range(1, most + 1) if (n_draws + 1) % b == 0)
    counts = np.bincount(ranks * bins // (n_draws + 1), minlength=bins)
    return float(stats.chisquare(counts).pvalue) if bins > 1 else 1.0


def _ecdf(share: Float[np.ndarray, " m"]) -> float:
    """The smallest binomial tail over the places i / m, times their number and two sides.

    Source: Sailynoja, Buerkner and Vehtari (2022), equation 10, with Bonferroni's bound where they
        simulate.
    """
    m = len(share)
    places = np.arange(1, m) / m
    counts = np.searchsorted(np.sort(share), places, side="right")
    tails = np.minimum(stats.binom.cdf(counts, m, places), stats.binom.sf(counts - 1, m, places))
    return min(1.0, 2 * max(1, len(places)) * float(tails.min(initial=1.0)))
