"""Many starts, one answer: the best admissible optimum, and what the other starts found."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Int
from numpy.random import Generator

from bayesgmm.data.errors import InputError, unknown
from bayesgmm.data.table import Table
from bayesgmm.gaussian.families import Family, family
from bayesgmm.gaussian.mixture import Mixture, permute, responsibilities
from bayesgmm.gaussian.sweep import Frame, frame_of
from bayesgmm.ml import criteria, em, seeding
from bayesgmm.ml.admissible import refusals, relative_eigenvalues
from bayesgmm.ml.race import Heat, Track, climb, improved, raced
from bayesgmm.ml.threads import single_threaded_blas

SAME_OPTIMUM = 1e-4
RESCUE_FLOOR = 1e-6
PRIOR_SHRINKAGE = 0.01
ON_COLLAPSE = ("restart", "raise", "prior", "floor")


class DegenerateFitWarning(UserWarning):
    """No admissible fit was found; the best of the others is returned."""


class NotConvergedWarning(UserWarning):
    """EM stopped at `max_iter` before its tolerance was met."""


@dataclass(frozen=True)
class Optimum:
    """A distinct stationary point: its value, how many starts ended there, and why it was refused.

    `reason` is empty for an admissible optimum.
    """

    log_likelihood: float
    hits: int
    mixture: Mixture
    reason: str

    @property
    def admissible(self) -> bool:
        return not self.reason


@dataclass(frozen=True)
class MaximumLikelihood:
    """A maximum-likelihood fit and everything that its starts taught.

    Attributes:
        mixture: the best admissible optimum, in the user's units, NumPy arrays.
        family: its covariance family.
        log_likelihood: total, weighted by the row weights.
        n: sum of the row weights.
        n_iter: EM maps that the winning start took.
        converged: whether its tolerance was met.
        history: its log-likelihoods, one each `em.MAPS_PER_CYCLE` EM maps.
        histories: those of every start.
        optima: distinct optima, best admissible first, then by log-likelihood.
        n_starts: starts that ran to their end.
        n_raced: starts that a race was held among, to find those.
        aic, aicc, bic, icl: criteria, smaller is better; NaN where the weights are not frequencies.
        smallest_eigenvalue: the smallest of inv(W) Sigma_k over components.
    """

    mixture: Mixture
    family: Family
    log_likelihood: float
    n: float
    n_iter: int
    converged: bool
    history: Float[np.ndarray, " steps"]
    histories: tuple[Float[np.ndarray, " _"], ...] = field(repr=False)
    optima: tuple[Optimum, ...] = field(repr=False)
    n_starts: int
    n_raced: int
    aic: float
    aicc: float
    bic: float
    icl: float
    smallest_eigenvalue: float

    @property
    def n_components(self) -> int:
        return self.mixture.n_components

    @property
    def d(self) -> int:
        """Columns of the data."""
        return int(self.mixture.means.shape[-1])

    @property
    def n_parameters(self) -> int:
        return self.family.n_parameters(self.n_components, self.d)

    @property
    def hits(self) -> int:
        """How many starts reached the best admissible optimum."""
        return self.optima[0].hits

    @property
    def counts(self) -> Float[np.ndarray, " k"]:
        """Expected rows of each component."""
        return self.n * np.asarray(self.mixture.weights)

    @property
    def second_gap(self) -> float:
        """How far below the best admissible optimum the next lies; infinity if none was seen."""
        others = [o.log_likelihood for o in self.optima[1:] if o.admissible]
        return self.log_likelihood - max(others) if others else float("inf")


@dataclass(frozen=True)
class Problem:
    """What every fit of one table shares: the rows, their weights, and the sweep's frame."""

    table: Table
    X: Float[np.ndarray, "n d"]
    row_weights: Float[np.ndarray, " n"]
    frame: Frame

    @classmethod
    def of(cls, table: Table) -> "Problem":
        row_weights = np.ones(len(table.X)) if table.row_weights is None else table.row_weights
        return cls(table, table.X, row_weights, frame_of(table.X, row_weights))


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
        if self.on_collapse not in ON_COLLAPSE:
            raise unknown("on_collapse", self.on_collapse, ON_COLLAPSE)

    def track(self, problem: Problem, k: int, reg_covar: float | None = None) -> Track:
        """What EM climbs on; a floor or a prior only where they are asked for."""
        share = reg_covar or self.reg_covar or (RESCUE_FLOOR if self.on_collapse == "floor" else 0)
        return Track(
            problem.X,
            problem.row_weights,
            problem.frame,
            share * np.square(problem.frame.scale),
            conjugate_prior(problem, k) if self.on_collapse == "prior" else None,
            self.tol,
            self.max_iter,
        )


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
    for k in (ks := dict.fromkeys(k for _, k in cells)):
        check_components(k, problem)
    seeds = {k: _starts(problem, k, rng, settings, first) for k in ks}
    heats = [Heat(family(name, settings.equal_weights), seeds[k]) for name, k in cells]
    fitted = _fitted(problem, heats, settings, rng, keep_order=first is not None)
    if not quiet:
        for each in fitted:
            _warn(each, settings)
    return fitted


def _fitted(
    problem: Problem, heats: Sequence[Heat], settings: Settings, rng: Generator, *, keep_order: bool
) -> list[MaximumLikelihood]:
    found = []
    for some, track in _by_track(problem, heats, settings):
        ends = improved(some, raced(some, track, settings.finalists, rng), track)
        for heat, result in zip(some, ends, strict=True):
            fitted = _summarise(problem, heat, result, keep_order=keep_order)
            if len(result.history) < heat.size and not (fitted and fitted.optima[0].admissible):
                (result,) = climb([heat], track)  # none of the finalists will do
                fitted = _summarise(problem, heat, result, keep_order=keep_order)
            if settings.on_collapse == "raise":
                _raise_collapse(problem, heat, result)
            found.append(fitted or _rescue(problem, heat, settings))
    return found


def _by_track(
    problem: Problem, heats: Sequence[Heat], settings: Settings
) -> list[tuple[Sequence[Heat], Track]]:
    """Cells that can climb together: all, unless each k has a prior of its own."""
    if settings.on_collapse != "prior":
        return [(heats, settings.track(problem, 0))]
    return [([heat], settings.track(problem, heat.starts.n_components)) for heat in heats]


def conjugate_prior(problem: Problem, k: int) -> em.Prior:
    """The default prior of Fraley and Raftery (2007), section 3."""
    X, d = problem.X, problem.X.shape[1]
    covariance = np.atleast_2d(np.cov(X.T, aweights=problem.row_weights))
    return em.Prior(problem.frame.shift, PRIOR_SHRINKAGE, d + 2.0, covariance / k ** (2 / d))


def check_components(k: int, problem: Problem) -> None:
    """Raise an InputError unless k components can be fitted to the rows."""
    if k < 1:
        raise InputError(f"n_components={k} must be at least 1; choose a positive number.")
    usable = int((problem.row_weights > 0).sum())
    if usable < k:
        raise InputError(
            f"n_components={k} needs at least {k} rows, but n_samples = {usable} (of positive "
            f"weight) in {problem.table.name}; use fewer components or more rows."
        )


def _starts(
    problem: Problem,
    k: int,
    rng: Generator,
    settings: Settings,
    first: Mixture | None,
) -> Mixture:
    if first is not None:
        return Mixture(*(np.asarray(part)[None] for part in first))
    n_starts = settings.n_init if k > 1 else 1
    return seeding.starts(
        problem.X, problem.row_weights, problem.frame, k, n_starts, rng, settings.init_params
    )


def _summarise(
    problem: Problem, heat: Heat, result: em.EMResult, *, keep_order: bool
) -> MaximumLikelihood | None:
    state, mixtures = result.state, result.state.mixture
    regular = np.isfinite(state.log_likelihood) & ~state.collapsed
    reasons = refusals(heat.family, mixtures, result.counts, regular)
    order = sorted(
        (i for i in range(len(reasons)) if np.isfinite(state.log_likelihood[i])),
        key=lambda i: (bool(reasons[i]), -state.log_likelihood[i]),
    )
    if not order or state.collapsed[order[0]]:
        return None
    if not keep_order:
        mixtures = permute(mixtures, _by_position(mixtures.means))
    optima = _distinct(mixtures, state.log_likelihood, reasons, order)
    return _result(problem, heat, optima[0].mixture, result, order[0], optima)


def _by_position(means: Float[np.ndarray, "s k d"]) -> Int[np.ndarray, "s k"]:
    """The order of components by their means, first column first."""
    return np.stack([np.lexsort(each.T[::-1]) for each in means])


def _result(
    problem: Problem,
    heat: Heat,
    mixture: Mixture,
    result: em.EMResult,
    best: int,
    optima: tuple[Optimum, ...],
) -> MaximumLikelihood:
    value = float(result.state.log_likelihood[best])
    n, df = float(problem.row_weights.sum()), heat.family.n_parameters(*mixture.means.shape)
    frequency = problem.table.frequency
    resp = responsibilities(mixture, problem.X)
    histories = tuple(row[np.isfinite(row)] for row in np.asarray(result.history))
    return MaximumLikelihood(
        mixture=mixture,
        family=heat.family,
        log_likelihood=value,
        n=n,
        n_iter=int(result.state.n_maps[best]),
        converged=bool(result.state.converged[best]),
        history=np.append(histories[best], value),
        histories=histories,
        optima=optima,
        n_starts=len(histories),
        n_raced=heat.size,
        aic=criteria.aic(value, df),
        aicc=criteria.aicc(value, df, n) if frequency else float("nan"),
        bic=criteria.bic(value, df, n) if frequency else float("nan"),
        icl=criteria.icl(value, df, resp, problem.row_weights) if frequency else float("nan"),
        smallest_eigenvalue=float(relative_eigenvalues(mixture).min()),
    )


def _distinct(
    mixtures: Mixture, values: np.ndarray, reasons: Sequence[str], order: Sequence[int]
) -> tuple[Optimum, ...]:
    groups: list[list[int]] = []
    for i in order:
        leader = groups[-1][0] if groups else None
        same = (
            leader is not None
            and abs(values[leader] - values[i]) < SAME_OPTIMUM
            and bool(reasons[leader]) == bool(reasons[i])
        )
        groups[-1].append(i) if same else groups.append([i])
    return tuple(
        Optimum(
            float(values[g[0]]),
            len(g),
            Mixture(*(part[g[0]] for part in mixtures)),
            reasons[g[0]],
        )
        for g in groups
    )


def _raise_collapse(problem: Problem, heat: Heat, result: em.EMResult) -> None:
    for i in np.flatnonzero(result.state.collapsed):
        reason = refusals(heat.family, *_only(result, i), np.array([False]))[0]
        raise InputError(
            f"X in {problem.table.name}: with {heat.starts.n_components} {heat.family.name} "
            f"components, {reason}; use fewer components, or another on_collapse than 'raise'."
        )


def _only(result: em.EMResult, i: np.intp) -> tuple[Mixture, np.ndarray]:
    return Mixture(*(part[i : i + 1] for part in result.state.mixture)), result.counts[i : i + 1]


def _rescue(problem: Problem, heat: Heat, settings: Settings) -> MaximumLikelihood:
    """A fit with a small variance floor, for data that nothing else describes."""
    k, member = heat.starts.n_components, heat.family
    (result,) = climb([heat], settings.track(problem, k, RESCUE_FLOOR))
    fitted = _summarise(problem, heat, result, keep_order=False)
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
        warnings.warn(
            f"no admissible fit with {fitted.n_components} {fitted.family.name} components was "
            f"found: {best.reason}. Use fewer components, a simpler covariance_type, or set "
            "reg_covar.",
            DegenerateFitWarning,
            stacklevel=4,
        )
    elif not fitted.converged:
        warnings.warn(
            f"EM with {fitted.n_components} components did not converge in "
            f"max_iter={settings.max_iter} maps; increase max_iter or tol.",
            NotConvergedWarning,
            stacklevel=4,
        )
