"""One row per parameter: the maximum-likelihood estimate beside the posterior."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from bayesgmm.bayes.diagnose import ess
from bayesgmm.bayes.structure import WEIGHTS
from bayesgmm.comparison.both import Both
from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.ml.places import SHARED, Place, places
from bayesgmm.ml.quantities import Quantities, quantities

LEVEL = 0.95
NAN = float("nan")


@dataclass(frozen=True)
class Parameter:
    """A parameter in the user's units; NaN where a value does not exist.

    Attributes:
        component: 1 to k, k + 1 for a background, or 0 for a parameter that all components share.
        name: "weight", "mean", "sd", "corr", or the entry of a program's own site.
        column: the data's column, or "".
        ml: maximum-likelihood estimate.
        se: its standard error from the observed information.
        mean, sd: of the posterior.
        low, high: 95 % equal-tailed interval.
        ess: bulk effective sample size.
        boot_low, boot_high: 95 % percentile interval of the maximum-likelihood estimate.
        map: the value at the posterior's mode, in the coordinates that are sampled.
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
    boot_low: float = NAN
    boot_high: float = NAN
    map: float = NAN

    @property
    def shift(self) -> float:
        """(posterior mean - ML) / standard error."""
        return (self.mean - self.ml) / self.se if self.se > 0 else NAN

    @property
    def label(self) -> str:
        return f"{self.name} {self.column}".strip()


class Drawn(NamedTuple):
    """A parameter's draws, and what maximum likelihood says of it; NaN where it says nothing.

    Attributes:
        place: which parameter.
        draws: in the user's units, of the chains that are kept.
        ml: maximum-likelihood estimate.
        se: its standard error.
        boot: ends of its bootstrap interval.
        map: the value at the posterior's mode.
    """

    place: Place
    draws: Float[np.ndarray, "c s"]
    ml: float = NAN
    se: float = NAN
    boot: tuple[float, float] = (NAN, NAN)
    map: float = NAN


def parameters(both: Both) -> list[Parameter]:
    """All parameters, component by component, weights first."""
    return [_row(drawn) for drawn in drawn_parameters(both)]


def drawn_parameters(both: Both) -> Iterator[Drawn]:
    """Their draws, in the same order."""
    posterior = both.posterior
    if posterior.mixture is None:
        return _of_program(both)
    return _of_gaussian(both, Mixture(*(part[posterior.kept] for part in posterior.mixture)))


def _of_gaussian(both: Both, draws: Mixture) -> Iterator[Drawn]:
    drawn, estimates = _drawn(draws), quantities(both.ml.mixture)
    errors, ends = both.errors.values, both.boot_ends
    columns, k, peak = both.problem.table.columns, both.n_components, _peak(both)
    for place in places(both.ml.family, k, columns, free=not both.same_likelihood):
        ml, se = float(place.of(estimates)), float(place.of(errors))
        boot = (NAN, NAN) if ends is None else (float(place.of(ends[0])), float(place.of(ends[1])))
        at = NAN if peak is None else float(place.of(peak))
        yield Drawn(place, place.of(drawn), ml, se, boot, at)


def _peak(both: Both) -> Quantities | None:
    """The quantities at the posterior's mode, where it is known."""
    peak = both.posterior.map
    if peak is None or peak.mixture is None:
        return None
    return _drawn(Mixture(*(part[0, 0] for part in peak.mixture)))


def _drawn(draws: Mixture) -> Quantities:
    """The quantities of draws; where they have no correlations, no matrices are made."""
    if not draws.is_diagonal:
        return quantities(draws)
    d = draws.means.shape[-1]
    shape = (*draws.means.shape, d)
    unit, unknown = np.broadcast_to(np.eye(d), shape), np.broadcast_to(np.nan, shape)
    return Quantities(draws.weights, draws.means, draws.scale_tril, unit, unknown)


def _of_program(both: Both) -> Iterator[Drawn]:
    """A program of another family: its own sites; only the weights have a Gaussian counterpart."""
    posterior, k, columns = both.posterior, both.n_components, both.problem.table.columns
    axes = dict(posterior.structure.cluster_axes)
    draws = {name: values[posterior.kept] for name, values in posterior.sites.items()}
    peak = {name: np.full((1, 1, *values.shape[2:]), NAN) for name, values in draws.items()}
    peak |= posterior.map.sites if posterior.map else {}

    def part(name: str, j: int, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """A cluster's draws, and its value at the mode."""
        at = np.take(peak[name], j, axis=axis)[0, 0]
        return np.take(draws[name], j, axis=axis), np.asarray(at)

    for j in range(k):
        for name, axis in axes.items():
            values, at = part(name, j, axis)
            if name == WEIGHTS:
                ml, se = float(both.ml.mixture.weights[j]), float(both.errors.weights[j])
                yield Drawn(Place(j + 1, "weight", "", "", ()), values, ml, se, map=float(at))
            else:
                yield from _entries(Place(j + 1, name, "", "", ()), values, columns, at)
    if posterior.structure.background:
        weight, at = part(WEIGHTS, k, -1)
        yield Drawn(Place(k + 1, "weight", "", "", ()), weight, map=float(at))
    for name in posterior.structure.shared:
        at = np.asarray(peak[name][0, 0])
        yield from _entries(Place(SHARED, name, "", "", ()), draws[name], columns, at)


def _entries(
    place: Place,
    values: Float[np.ndarray, "c s *rest"],
    columns: Sequence[str],
    peak: Float[np.ndarray, "*rest"],
) -> Iterator[Drawn]:
    """A row for each entry of a site that the program does not fix."""
    shape = values.shape[2:]
    for entry in np.ndindex(shape):
        drawn = values[(..., *entry)]
        if np.ptp(drawn) == 0 and values.size > drawn.size:
            continue
        if shape == (len(columns),):
            own = place._replace(column=columns[entry[0]] if len(columns) > 1 else "")
        else:
            index = f"[{', '.join(str(i + 1) for i in entry)}]" if entry else ""
            own = place._replace(name=place.name + index)
        yield Drawn(own, drawn, map=float(peak[entry]))


def _row(drawn: Drawn) -> Parameter:
    place, draws = drawn.place, drawn.draws
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    constant = bool(np.ptp(draws) == 0)
    return Parameter(
        place.component,
        place.name,
        place.column,
        drawn.ml,
        drawn.se,
        float(draws.mean()),
        float(draws.std()),
        float(low),
        float(high),
        NAN if constant else float(ess(draws, "bulk")),
        *drawn.boot,
        drawn.map,
    )
