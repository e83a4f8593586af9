"""Leave-one-out prediction of rows by the mixture density, which does not depend on labels."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from arviz_stats.base import array_stats  # type: ignore[attr-defined]
from jaxtyping import Float
from scipy.special import logsumexp

BLOCK_BYTES = 2**23  # of log densities at a time


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
        p_pointwise: effective number of parameters by row, shape (n,).
    """

    elpd: float
    se: float
    p_loo: float
    pointwise: Float[np.ndarray, " n"]
    pareto_k: Float[np.ndarray, " n"]
    good_k: float
    p_pointwise: Float[np.ndarray, " n"]

    @property
    def n_bad(self) -> int:
        """Rows whose value is not reliable."""
        return int((~(self.pareto_k <= self.good_k)).sum())


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
            parts.append(_smoothed(by_row, relative_ess))
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
) -> Loo:
    """The sums of what LOO says of every row."""
    n = row_weights.sum()
    total = float(row_weights @ elpd)
    spread = float(row_weights @ np.square(elpd - total / n)) / max(n - 1, 1)
    return Loo(
        elpd=total,
        se=float(np.sqrt(n * spread)),
        p_loo=float(row_weights @ p),
        pointwise=elpd,
        pareto_k=pareto_k,
        good_k=min(1 - 1 / np.log10(n_draws), 0.7),
        p_pointwise=p,
    )


def _smoothed(
    by_row: Float[np.ndarray, "b c s"], relative_ess: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ArviZ's; where draws stand still and no tail can be smoothed, raw weights, not reliable."""
    try:
        return array_stats.loo(by_row, r_eff=relative_ess, chain_axis=1, draw_axis=2)
    except ValueError:  # all values of some tail are the same
        if len(by_row) > 1:
            each = [_smoothed(row[None], relative_ess) for row in by_row]
            elpd, k, p = (np.concatenate(part) for part in zip(*each, strict=True))
            return elpd, k, p
        flat = by_row.reshape(1, -1)
        log_size = np.log(flat.size)
        elpd = log_size - logsumexp(-flat, axis=1)
        return elpd, np.array([np.inf]), logsumexp(flat, axis=1) - log_size - elpd


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
