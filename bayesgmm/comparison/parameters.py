"""One row per parameter: the maximum-likelihood estimate beside the posterior."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float

from bayesgmm.bayes.diagnose import ess
from bayesgmm.comparison.both import Both
from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.ml.quantities import quantities

SHARED = 0
LEVEL = 0.95


@dataclass(frozen=True)
class Parameter:
    """A parameter in the user's units; NaN where a value does not exist.

    Attributes:
        component: 1 to k, or 0 for a parameter that all components share.
        name: "weight", "mean", "sd", "corr", or the entry of a program's own site.
        column: the data's column, or "".
        ml: maximum-likelihood estimate.
        se: its standard error from the observed information.
        mean, sd: of the posterior.
        low, high: 95 % equal-tailed interval.
        ess: bulk effective sample size.
    """

    component: int
    name: str
    column: str
    ml: float
    se: float
    mean: float
    sd: float
    low: float
    high: float
    ess: float

    @property
    def shift(self) -> float:
        """(posterior mean - ML) / standard error."""
        return (self.mean - self.ml) / self.se if self.se > 0 else float("nan")

    @property
    def label(self) -> str:
        return f"{self.name} {self.column}".strip()


def parameters(both: Both) -> list[Parameter]:
    """All parameters, component by component, weights first."""
    posterior = both.posterior
    if posterior.mixture is None:
        return list(_of_program(both))
    kept = Mixture(*(part[posterior.kept] for part in posterior.mixture))
    return list(_of_gaussian(both, kept))


def _of_gaussian(both: Both, draws: Mixture) -> Iterator[Parameter]:
    k, d = both.ml.mixture.means.shape
    columns, errors = both.problem.table.columns, both.errors
    tied = both.ml.family.name == "EEE" and both.same_likelihood
    correlated = both.ml.family.name in ("VVV", "EEE") or not both.same_likelihood
    drawn, ml_values = quantities(draws), quantities(both.ml.mixture)
    sds, ml_sds = drawn.sds, ml_values.sds
    corrs, ml_corrs = drawn.correlations, ml_values.correlations

    def sd(j: int, a: int, component: int) -> Parameter:
        ml, se = ml_sds[j, a], errors.sds[j, a]
        return _row(component, "sd", columns[a], ml, se, sds[:, :, j, a])

    def corr(j: int, component: int) -> Iterator[Parameter]:
        for a, b in combinations(range(d if correlated else 0), 2):
            ml, se = ml_corrs[j, a, b], errors.correlations[j, a, b]
            pair = f"{columns[a]}, {columns[b]}"
            yield _row(component, "corr", pair, ml, se, corrs[:, :, j, a, b])

    for j in range(k):
        weights = draws.weights[:, :, j]
        yield _row(j + 1, "weight", "", both.ml.mixture.weights[j], errors.weights[j], weights)
        for a in range(d):
            ml, se = both.ml.mixture.means[j, a], errors.means[j, a]
            yield _row(j + 1, "mean", columns[a], ml, se, draws.means[:, :, j, a])
            if not tied:
                yield sd(j, a, j + 1)
        if not tied:
            yield from corr(j, j + 1)
    if tied:
        yield from (sd(0, a, SHARED) for a in range(d))
        yield from corr(0, SHARED)


def _of_program(both: Both) -> Iterator[Parameter]:
    """A program of another family: its own sites; only the weights have a Gaussian counterpart."""
    posterior = both.posterior
    axes = dict(posterior.structure.cluster_axes)
    for j in range(both.n_components):
        for name, axis in axes.items():
            values = np.take(posterior.sites[name][posterior.kept], j, axis=axis)
            flat = values.reshape(*values.shape[:2], -1)
            for e in range(flat.shape[-1]):
                is_weight = name == "weights"
                ml = both.ml.mixture.weights[j] if is_weight else np.nan
                se = both.errors.weights[j] if is_weight else np.nan
                entry = "weight" if is_weight else name + (f"[{e}]" if flat.shape[-1] > 1 else "")
                yield _row(j + 1, entry, "", ml, se, flat[:, :, e])


def _row(
    component: int,
    name: str,
    column: str,
    ml: float,
    se: float,
    draws: Float[np.ndarray, "c s"],
) -> Parameter:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    constant = bool(np.ptp(draws) == 0)
    return Parameter(
        component,
        name,
        column,
        float(ml),
        float(se),
        float(draws.mean()),
        float(draws.std()),
        float(low),
        float(high),
        float("nan") if constant else float(ess(draws, "bulk")),
    )
