"""Leave-one-out prediction of rows by the mixture density, which does not depend on labels."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from arviz_stats.base import array_stats  # type: ignore[attr-defined]
from jaxtyping import Bool, Float, Int
from scipy.special import logsumexp

BLOCK_BYTES = 2**23  # of log densities at a time
MOST_STEPS, STACKING_TOL = 2000, 1e-10  # of the mean log score
PSIS, MATCHED, REFITTED = range(3)
"""How a row was left out: by smoothed importance weights alone, after moment matching, or by a
refit without it."""


@dataclass(frozen=True, repr=False)
class Loo:
    """Expected log predictive density of one row left out, summed over rows.

    With frequency weights one unit of a row's count is left out, and rows are summed by counts.

    Attributes:
        elpd: the sum.
        se: its standard error.
        p_loo: effective number of parameters.
        pointwise: for each row, shape (n,).
        pareto_k: reliability of each row, shape (n,); above `good_k` it is not reliable.
        good_k: min(1 - 1 / log10(draws), 0.7).
        p_pointwise: effective number of parameters by row, shape (n,).
        how: how each row was left out, `PSIS`, `MATCHED` or `REFITTED`, shape (n,).
    """

    elpd: float
    se: float
    p_loo: float
    pointwise: Float[np.ndarray, " n"]
    pareto_k: Float[np.ndarray, " n"]
    good_k: float
    p_pointwise: Float[np.ndarray, " n"]
    how: Int[np.ndarray, " n"]

    def __repr__(self) -> str:
        told = f"elpd {self.elpd:.1f} +- {self.se:.1f}, p_loo {self.p_loo:.1f}"
        return f"<{told}, {self.n_bad} of {len(self.how)} rows unreliable>"

    @property
    def bad(self) -> Bool[np.ndarray, " n"]:
        """Whether a row's value is not reliable."""
        return ~(self.pareto_k <= self.good_k)

    @property
    def n_bad(self) -> int:
        """Rows whose value is not reliable."""
        return int(self.bad.sum())

    @property
    def n_matched(self) -> int:
        """Rows that smoothed importance weights could not leave out, and moment matching could."""
        return int((~self.bad & (self.how == MATCHED)).sum())

    @property
    def n_refitted(self) -> int:
        """Rows that were left out by a refit."""
        return int((self.how == REFITTED).sum())


type LogDensities = Callable[[slice], Float[np.ndarray, "c s _b"]]
"""From a slice of the rows to the log mixture density of every draw at them."""


def loo(
    log_densities: LogDensities,
    row_weights: Float[np.ndarray, " n"],
    relative_ess: float,
    log_posterior: Float[np.ndarray, "c s"],
    log_approximation: Float[np.ndarray, "c s"] | None,
) -> Loo:
    """PSIS-LOO (Vehtari, Gelman and Gabry 2017), by ArviZ, block of rows after block.

    Args:
        log_densities: of every draw at a slice of the rows.
        row_weights: counts of the rows, shape (n,).
        relative_ess: effective draws over draws, which sets the length of the smoothed tail.
        log_posterior: unnormalised log posterior of the draws.
        log_approximation: log density that they were drawn from, where that is an approximation;
            the importance ratios are then corrected for it.
    """
    n_rows, draws = len(row_weights), log_posterior.size
    size = max(1, BLOCK_BYTES // (8 * draws))
    parts = []
    for begin in range(0, n_rows, size):
        by_row = np.moveaxis(log_densities(slice(begin, min(begin + size, n_rows))), -1, 0)
        if log_approximation is None:
            parts.append(_plain(by_row, relative_ess))
        else:
            parts.append(_approximate(by_row, log_posterior, log_approximation))
    elpd, k, p = (np.concatenate(part) for part in zip(*parts, strict=True))
    return assembled(elpd, k, p, row_weights, draws)


def assembled(
    elpd: Float[np.ndarray, " n"],
    pareto_k: Float[np.ndarray, " n"],
    p: Float[np.ndarray, " n"],
    row_weights: Float[np.ndarray, " n"],
    n_draws: int,
    how: Int[np.ndarray, " n"] | None = None,
) -> Loo:
    """The sums of what LOO says of every row; by default all are of smoothed weights."""
    total, se = summed(elpd, row_weights)
    return Loo(
        elpd=total,
        se=se,
        p_loo=float(row_weights @ p),
        pointwise=elpd,
        pareto_k=pareto_k,
        good_k=good_k(n_draws),
        p_pointwise=p,
        how=np.full(len(elpd), PSIS) if how is None else how,
    )


def good_k(n_draws: int) -> float:
    """Up to where a k-hat of so many draws is good (Vehtari et al. 2024)."""
    return float(min(1 - 1 / np.log10(n_draws), 0.7))


def summed(
    pointwise: Float[np.ndarray, " n"], row_weights: Float[np.ndarray, " n"]
) -> tuple[float, float]:
    """The sum over all units of the rows, and its standard error."""
    n = row_weights.sum()
    total = float(row_weights @ pointwise)
    spread = float(row_weights @ np.square(pointwise - total / n)) / max(n - 1, 1)
    return total, float(np.sqrt(n * spread))


def replaced(
    found: Loo,
    places: Int[np.ndarray, " m"],
    elpd: Float[np.ndarray, " m"],
    pareto_k: Float[np.ndarray, " m"],
    row_weights: Float[np.ndarray, " n"],
    how: int,
) -> Loo:
    """The same with other predictive densities of some rows.

    Args:
        found: what LOO says of every row.
        places: which rows.
        elpd: their log predictive densities when they are left out.
        pareto_k: how reliable these are; 0 where they are exact.
        row_weights: counts of the rows.
        how: they were left out.
    """
    pointwise, k, each = found.pointwise.copy(), found.pareto_k.copy(), found.how.copy()
    pointwise[places], k[places], each[places] = elpd, pareto_k, how
    p = found.p_pointwise + found.pointwise - pointwise
    total, se = summed(pointwise, row_weights)
    return Loo(total, se, float(row_weights @ p), pointwise, k, found.good_k, p, each)


def smoothed(
    log_ratio: Float[np.ndarray, " s"], relative_ess: float
) -> tuple[Float[np.ndarray, " s"], float]:
    """Normalised log weights, their tail smoothed, and k-hat; infinity where none can be told."""
    log_ratio = np.where(np.isnan(log_ratio), -np.inf, log_ratio)
    if log_ratio.max() in (np.inf, -np.inf):
        return np.full(len(log_ratio), -np.log(len(log_ratio))), np.inf
    try:
        log_weights, k = array_stats.psislw(-log_ratio, r_eff=relative_ess)
    except ValueError:  # the tail holds one value, or too few
        return log_ratio - logsumexp(log_ratio), np.inf
    return log_weights, float(k) if np.isfinite(k) else np.inf


def _plain(
    by_row: Float[np.ndarray, "b c s"], relative_ess: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ArviZ's; row by row where draws stand still, so that some tail cannot be smoothed."""
    try:
        return array_stats.loo(by_row, r_eff=relative_ess, chain_axis=1, draw_axis=2)
    except ValueError:  # all values of some tail are the same
        flat = by_row.reshape(len(by_row), -1)
        weighed = [smoothed(-row, relative_ess) for row in flat]
        elpd = np.array(
            [logsumexp(weights + row) for (weights, _), row in zip(weighed, flat, strict=True)]
        )
        k = np.array([k for _, k in weighed])
        return elpd, k, logsumexp(flat, axis=1) - np.log(flat.shape[1]) - elpd


def _approximate(
    by_row: np.ndarray, log_p: np.ndarray, log_q: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    results = [array_stats.loo_approximate_posterior(row, log_p, log_q) for row in by_row]
    elpd, k, p = (np.array(part, dtype=float) for part in zip(*results, strict=True))
    return elpd, k, p


def difference(a: Loo, b: Loo, row_weights: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """elpd of a less that of b, and the standard error of the difference, row by row."""
    each = a.pointwise - b.pointwise
    n = row_weights.sum()
    total = float(row_weights @ each)
    return total, float(np.sqrt(row_weights @ np.square(each - total / n)))


def stacking(
    pointwise: Float[np.ndarray, "m n"], row_weights: Float[np.ndarray, " n"]
) -> np.ndarray:
    """Weights of m predictive densities that predict best together (Yao et al. 2018), by EM."""
    weights = np.full(len(pointwise), 1 / len(pointwise))
    density = np.exp(pointwise - pointwise.max(0))
    for _ in range(MOST_STEPS):
        gain = (density / (weights @ density)) @ row_weights / row_weights.sum()
        weights *= gain
        if gain.max() < 1 + STACKING_TOL:  # which bounds what is still to be gained
            break
    return weights
