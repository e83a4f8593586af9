"""One row per parameter: the maximum-likelihood estimate beside the posterior."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from bayesgmm.bayes.diagnose import ess
from bayesgmm.comparison.both import Both
from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.ml.places import Place, places
from bayesgmm.ml.quantities import quantities

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
        boot_low, boot_high: 95 % percentile interval of the maximum-likelihood estimate.
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
    boot_low: float = float("nan")
    boot_high: float = float("nan")

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
    drawn, estimates = quantities(draws), quantities(both.ml.mixture)
    errors, ends = both.errors.values, both.boot_ends
    columns, k = both.problem.table.columns, both.n_components
    for place in places(both.ml.family, k, columns, free=not both.same_likelihood):
        ml, se = float(place.of(estimates)), float(place.of(errors))
        row = _row(place, ml, se, place.of(drawn))
        if ends is not None:
            low, high = (float(place.of(end)) for end in ends)
            row = replace(row, boot_low=low, boot_high=high)
        yield row


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
                place = Place(j + 1, entry, "", "", ())
                yield _row(place, ml, se, flat[:, :, e])


def _row(place: Place, ml: float, se: float, draws: Float[np.ndarray, "c s"]) -> Parameter:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    constant = bool(np.ptp(draws) == 0)
    return Parameter(
        place.component,
        place.name,
        place.column,
        float(ml),
        float(se),
        float(draws.mean()),
        float(draws.std()),
        float(low),
        float(high),
        float("nan") if constant else float(ess(draws, "bulk")),
    )
