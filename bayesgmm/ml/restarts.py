"""Many starts, one answer: the best admissible optimum, and what the other starts found."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from bayesgmm.data.errors import InputError, unknown
from bayesgmm.data.scalars import whole
from bayesgmm.data.table import Table
from bayesgmm.gaussian.families import family, is_short
from bayesgmm.gaussian.mixture import Mixture, full, uncorrelated
from bayesgmm.ml import seeding
from bayesgmm.ml.admissible import refusals
from bayesgmm.ml.driver import EMResult
from bayesgmm.ml.em import Data
from bayesgmm.ml.optima import MaximumLikelihood, summarise
from bayesgmm.ml.problem import Problem, check_components, conjugate_prior
from bayesgmm.ml.race import Heat, Track, climb, improved, raced
from bayesgmm.ml.threads import single_threaded_blas
from bayesgmm.ml.warnings import DegenerateFitWarning, NotConvergedWarning, warn

RESCUE_FLOOR = 1e-6
ON_COLLAPSE = ("restart", "raise", "prior", "floor")


@dataclass(frozen=True)
class Settings:
    """Choices of an EM fit; `GaussianMixture` documents them.

    `finalists` is how many starts run to their end after a race; None for all of them, or for a few
    where there are many rows.
    """

    n_init: int = 60
    tol: float = 1e-9
    max_iter: int = 3000
    reg_covar: float = 0.0
    init_params: str = "mixed"
    equal_weights: bool = False
    on_collapse: str = "restart"
    finalists: int | None = None

    def __post_init__(self) -> None:
        whole("n_init", self.n_init)
        if self.on_collapse not in ON_COLLAPSE:
            raise unknown("on_collapse", self.on_collapse, ON_COLLAPSE)

    def track(self, problem: Problem, k: int, reg_covar: float | None = None) -> Track:
        """What EM climbs on; a floor or a prior only where they are asked for."""
        share = reg_covar or self.reg_covar or (RESCUE_FLOOR if self.on_collapse == "floor" else 0)
        floor = share * np.square(problem.frame.scale)
        prior = conjugate_prior(problem, k) if self.on_collapse == "prior" else None
        data = Data(problem.X, problem.row_weights, problem.frame, floor, prior)
        return Track(data, self.tol, self.max_iter, problem.rows_per_weight)


def fit(
    table: Table,
    k: int,
    covariance_type: str,
    rng: Generator,
    settings: Settings = Settings(),
    first: Mixture | None = None,
) -> MaximumLikelihood:
    """The maximum-likelihood mixture of k components.

    Args:
        table: the data.
        k: number of components.
        covariance_type: a family's name.
        rng: source of the starts.
        settings: number of starts, tolerance and so on.
        first: a mixture to start from, alone, instead of seeded starts.

    Raises:
        InputError: k is below 1 or above the number of rows of positive weight.
    """
    (result,) = fit_range(table, [k], covariance_type, rng, settings, first)
    return result


def fit_range(
    table: Table,
    ks: Sequence[int],
    covariance_type: str,
    rng: Generator,
    settings: Settings = Settings(),
    first: Mixture | None = None,
    *,
    quiet: bool = False,
) -> list[MaximumLikelihood]:
    """One maximum-likelihood fit for every k; arguments are those of `fit` and `fit_cells`."""
    cells = [(covariance_type, k) for k in ks]
    return fit_cells(table, cells, rng, settings, first, quiet=quiet)


@single_threaded_blas
def fit_cells(
    table: Table,
    cells: Sequence[tuple[str, int]],
    rng: Generator,
    settings: Settings = Settings(),
    first: Mixture | None = None,
    *,
    quiet: bool = False,
) -> list[MaximumLikelihood]:
    """One maximum-likelihood fit for every family and k, all starts of all cells run together.

    Args:
        table: the data.
        cells: names of families and numbers of components.
        rng: source of the starts; the families of one k share theirs.
        settings: number of starts, tolerance and so on.
        first: a mixture to start from, alone, instead of seeded starts.
        quiet: whether it is left to the caller to tell of fits that are not admissible or did not
            converge.

    Raises:
        InputError: k is below 1 or above the number of rows of positive weight; a component
            collapsed, and `settings.on_collapse` is "raise".
    """
    problem = Problem.of(table)
    for k in dict.fromkeys(k for _, k in cells):
        check_components(k, problem)
    heats = _heats(problem, cells, rng, settings, first)
    fitted = _fitted(problem, heats, settings, rng, keep_order=first is not None)
    if not quiet:
        for each in fitted:
            _warn(each, settings)
    return fitted


def _heats(
    problem: Problem,
    cells: Sequence[tuple[str, int]],
    rng: Generator,
    settings: Settings,
    first: Mixture | None,
) -> list[Heat]:
    """The starts of every cell; families of one k and one form share theirs."""
    kinds = []
    for name, k in cells:
        member = family(name, settings.equal_weights)
        kinds.append((member, k, is_short(member, problem.X.shape[1])))
    needed = dict.fromkeys((k, short) for _, k, short in kinds)
    seeds = {kind: _starts(problem, *kind, rng, settings, first) for kind in needed}
    return [Heat(member, seeds[k, short]) for member, k, short in kinds]


def _fitted(
    problem: Problem, heats: Sequence[Heat], settings: Settings, rng: Generator, *, keep_order: bool
) -> list[MaximumLikelihood]:
    found: dict[int, MaximumLikelihood] = {}
    for numbers in _together(heats, settings):
        some = [heats[i] for i in numbers]
        track = settings.track(problem, some[0].starts.n_components)
        ends = improved(some, raced(some, track, settings.finalists, rng), track)
        for i, heat, result in zip(numbers, some, ends, strict=True):
            fitted = summarise(problem, heat, result, track, keep_order=keep_order)
            if len(result.history) < heat.size and not (fitted and fitted.optima[0].admissible):
                (result,) = climb([heat], track)  # none of the finalists will do
                fitted = summarise(problem, heat, result, track, keep_order=keep_order)
            if settings.on_collapse == "raise":
                _raise_collapse(problem, heat, result)
            found[i] = fitted or _rescue(problem, heat, settings)
    return [found[i] for i in range(len(heats))]


def _together(heats: Sequence[Heat], settings: Settings) -> list[list[int]]:
    """Cells that can climb together: those of one form, unless each k has a prior of its own."""
    if settings.on_collapse == "prior":
        return [[i] for i in range(len(heats))]
    groups: dict[bool, list[int]] = {}
    for i, heat in enumerate(heats):
        groups.setdefault(heat.starts.is_diagonal, []).append(i)
    return list(groups.values())


def _starts(
    problem: Problem,
    k: int,
    short: bool,
    rng: Generator,
    settings: Settings,
    first: Mixture | None,
) -> Mixture:
    if first is not None:
        only = uncorrelated(first) if short else full(first)
        return Mixture(*(np.asarray(part)[None] for part in only))
    n_starts = settings.n_init if k > 1 else 1
    rows = (problem.X, problem.row_weights, problem.frame)
    return seeding.starts(*rows, k, n_starts, rng, settings.init_params, correlated=not short)


def _raise_collapse(problem: Problem, heat: Heat, result: EMResult) -> None:
    for i in np.flatnonzero(result.state.collapsed):
        reason = refusals(heat.family, *_only(result, i), np.array([False]))[0]
        raise InputError(
            f"X in {problem.table.name}: with {heat.starts.n_components} {heat.family.name} "
            f"components, {reason}; use fewer components, or another on_collapse than 'raise'."
        )


def _only(result: EMResult, i: np.intp) -> tuple[Mixture, np.ndarray]:
    return Mixture(*(part[i : i + 1] for part in result.state.mixture)), result.counts[i : i + 1]


def _rescue(problem: Problem, heat: Heat, settings: Settings) -> MaximumLikelihood:
    """A fit with a small variance floor, for data that nothing else describes."""
    k, member = heat.starts.n_components, heat.family
    track = settings.track(problem, k, RESCUE_FLOOR)
    (result,) = climb([heat], track)
    fitted = summarise(problem, heat, result, track, keep_order=False)
    if fitted is None:
        raise InputError(
            f"X in {problem.table.name} cannot be described by {k} {member.name} components, even "
            "with a variance floor; use fewer components, drop constant or duplicate columns, or "
            "set reg_covar."
        )
    reason = "every start collapsed, and a variance floor had to be used"
    optima = tuple(replace(optimum, reason=reason) for optimum in fitted.optima)
    return replace(fitted, optima=optima)


def _warn(fitted: MaximumLikelihood, settings: Settings) -> None:
    best = fitted.optima[0]
    if not best.admissible:
        warn(
            f"no admissible fit with {fitted.n_components} {fitted.family.name} components was "
            f"found: {best.reason}. Use fewer components, a simpler covariance_type, or set "
            "reg_covar.",
            DegenerateFitWarning,
        )
    elif not fitted.converged:
        warn(
            f"EM with {fitted.n_components} components did not converge in "
            f"max_iter={settings.max_iter} maps; increase max_iter or tol.",
            NotConvergedWarning,
        )
