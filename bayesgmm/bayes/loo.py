"""Leave-one-out prediction of rows by the mixture density, which does not depend on labels."""

from dataclasses import dataclass

import numpy as np
from arviz_stats.base import array_stats  # type: ignore[attr-defined]
from jaxtyping import Float


@dataclass(frozen=True)
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
    """

    elpd: float
    se: float
    p_loo: float
    pointwise: Float[np.ndarray, " n"]
    pareto_k: Float[np.ndarray, " n"]
    good_k: float

    @property
    def n_bad(self) -> int:
        """Rows whose value is not reliable."""
        return int((~(self.pareto_k <= self.good_k)).sum())


def loo(
    log_likelihood: Float[np.ndarray, "c s n"],
    row_weights: Float[np.ndarray, " n"],
    relative_ess: float,
    log_posterior: Float[np.ndarray, "c s"],
    log_approximation: Float[np.ndarray, "c s"] | None,
) -> Loo:
    """PSIS-LOO (Vehtari, Gelman and Gabry 2017), by ArviZ.

    Args:
        log_likelihood: log mixture density of each draw and row.
        row_weights: counts of the rows, shape (n,).
        relative_ess: effective draws over draws, which sets the length of the smoothed tail.
        log_posterior: unnormalised log posterior of the draws.
        log_approximation: log density that they were drawn from, where that is an approximation;
            the importance ratios are then corrected for it.
    """
    by_row = np.moveaxis(log_likelihood, -1, 0)
    axes = {"chain_axis": 1, "draw_axis": 2}
    if log_approximation is None:
        elpd, k, p = array_stats.loo(by_row, r_eff=relative_ess, **axes)
    else:
        elpd, k, p = _approximate(by_row, log_posterior, log_approximation)
    n = row_weights.sum()
    total = float(row_weights @ elpd)
    spread = float(row_weights @ np.square(elpd - total / n)) / max(n - 1, 1)
    draws = log_likelihood.shape[0] * log_likelihood.shape[1]
    return Loo(
        elpd=total,
        se=float(np.sqrt(n * spread)),
        p_loo=float(row_weights @ p),
        pointwise=elpd,
        pareto_k=k,
        good_k=min(1 - 1 / np.log10(draws), 0.7),
    )


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
    for _ in range(500):
        share = weights[:, None] * density
        weights = (share / share.sum(0)) @ row_weights / row_weights.sum()
    return weights
