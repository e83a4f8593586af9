"""Many starts, one answer: the best admissible optimum, and what the other starts found.

The likelihood of a Gaussian mixture is unbounded, so the best fit is the best *admissible* one:
every component has enough effective rows for its family, and no eigenvalue of inv(W) Sigma_k is
below `MIN_EIGENVALUE`, W being the pooled within-component covariance.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import jax
import numpy as np
from jaxtyping import Float, Int
from numpy.random import Generator

from bayesgmm.data.errors import InputError
from bayesgmm.data.table import Table
from bayesgmm.gaussian.families import Family, family
from bayesgmm.gaussian.mixture import Mixture, permute, responsibilities
from bayesgmm.gaussian.precision import float64
from bayesgmm.gaussian.sweep import Frame, frame_of
from bayesgmm.ml import criteria, em, seeding
from bayesgmm.ml.threads import single_threaded_blas

MIN_EIGENVALUE = 1e-3
SAME_OPTIMUM = 1e-4
RESCUE_FLOOR = 1e-6


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
        n_starts: number of starts.
        aic, bic, icl: criteria, smaller is better; NaN where the weights are not frequencies.
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
    aic: float
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
    """Choices of an EM fit; `GaussianMixture` documents them."""

    n_init: int = 60
    tol: float = 1e-9
    max_iter: int = 3000
    reg_covar: float = 0.0
    init_params: str = "mixed"
    equal_weights: bool = False


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


@single_threaded_blas
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
    """One maximum-likelihood fit for every k, all starts of all k run as one padded batch.

    Arguments are those of `fit`; `quiet` leaves it to the caller to tell of fits that are not
    admissible or did not converge.
    """
    problem, member = Problem.of(table), family(covariance_type, settings.equal_weights)
    for k in ks:
        check_components(k, problem)
    batches = [_starts(problem, k, rng, settings, first) for k in ks]
    floor = settings.reg_covar * np.square(problem.frame.scale)
    result = _run(problem, member, batches, settings, floor)
    found = []
    for k, part in zip(ks, _parts(result, batches), strict=True):
        fitted = _summarise(problem, member, k, part, keep_order=first is not None)
        found.append(fitted or _rescue(problem, member, k, rng, settings))
        if not quiet:
            _warn(found[-1], settings)
    return found


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


@float64
def _projected(mixture: Mixture, member: Family) -> Mixture:
    nearest = jax.jit(em.projected, static_argnames="family")(mixture, family=member)
    return Mixture(*(np.asarray(part) for part in nearest))


def _run(
    problem: Problem,
    member: Family,
    batches: Sequence[Mixture],
    settings: Settings,
    floor: Float[np.ndarray, " d"],
) -> em.EMResult:
    k_max = max(batch.n_components for batch in batches)
    padded = [_pad(batch, k_max) for batch in batches]
    stacked = Mixture(*(np.concatenate(parts) for parts in zip(*padded, strict=True)))
    free = member.free(k_max, problem.X.shape[1])
    return em.run(
        stacked if free else _projected(stacked, member),
        problem.X,
        problem.row_weights,
        problem.frame,
        member,
        tol=settings.tol,
        max_iter=settings.max_iter,
        floor=floor,
    )


def _pad(batch: Mixture, k: int) -> Mixture:
    """The same mixtures with absent components, of weight zero, up to k."""
    extra = k - batch.n_components
    s, _, d = batch.means.shape
    eye = np.broadcast_to(np.eye(d), (s, extra, d, d))
    return Mixture(
        np.concatenate([batch.weights, np.zeros((s, extra))], 1),
        np.concatenate([batch.means, np.zeros((s, extra, d))], 1),
        np.concatenate([batch.scale_tril, eye], 1),
    )


def _parts(result: em.EMResult, batches: Sequence[Mixture]) -> list[em.EMResult]:
    ends = np.cumsum([batch.weights.shape[0] for batch in batches])
    begins = ends - [batch.weights.shape[0] for batch in batches]
    return [
        jax.tree.map(lambda a, i=i, j=j: a[i:j], result) for i, j in zip(begins, ends, strict=True)
    ]


def _summarise(
    problem: Problem, member: Family, k: int, result: em.EMResult, *, keep_order: bool
) -> MaximumLikelihood | None:
    state = result.state
    mixtures = Mixture(
        state.mixture.weights[:, :k], state.mixture.means[:, :k], state.mixture.scale_tril[:, :k]
    )
    reasons = _refusals(problem, member, mixtures, state, result.counts[:, :k])
    order = sorted(
        (i for i in range(len(reasons)) if np.isfinite(state.log_likelihood[i])),
        key=lambda i: (bool(reasons[i]), -state.log_likelihood[i]),
    )
    if not order or state.collapsed[order[0]]:
        return None
    if not keep_order:
        mixtures = permute(mixtures, _by_position(mixtures.means))
    optima = _distinct(mixtures, state.log_likelihood, reasons, order)
    return _result(problem, member, optima[0].mixture, result, order[0], optima)


def _by_position(means: Float[np.ndarray, "s k d"]) -> Int[np.ndarray, "s k"]:
    """The order of components by their means, first column first."""
    return np.stack([np.lexsort(each.T[::-1]) for each in means])


def _result(
    problem: Problem,
    member: Family,
    mixture: Mixture,
    result: em.EMResult,
    best: int,
    optima: tuple[Optimum, ...],
) -> MaximumLikelihood:
    value = float(result.state.log_likelihood[best])
    n, df = float(problem.row_weights.sum()), member.n_parameters(*mixture.means.shape)
    frequency = problem.table.frequency
    resp = responsibilities(mixture, problem.X)
    histories = tuple(row[np.isfinite(row)] for row in np.asarray(result.history))
    return MaximumLikelihood(
        mixture=mixture,
        family=member,
        log_likelihood=value,
        n=n,
        n_iter=int(result.state.n_maps[best]),
        converged=bool(result.state.converged[best]),
        history=np.append(histories[best], value),
        histories=histories,
        optima=optima,
        n_starts=len(histories),
        aic=criteria.aic(value, df),
        bic=criteria.bic(value, df, n) if frequency else float("nan"),
        icl=criteria.icl(value, df, resp, problem.row_weights) if frequency else float("nan"),
        smallest_eigenvalue=float(relative_eigenvalues(mixture).min()),
    )


def relative_eigenvalues(mixture: Mixture) -> Float[np.ndarray, "*s k d"]:
    """Eigenvalues of inv(W) Sigma_k, W the pooled within-component covariance; 0 if W is singular.

    They are those of L^-1 Sigma_k L^-T, where W = L L', with columns scaled to unit variance first.
    """
    factors = np.asarray(mixture.scale_tril)
    pooled_factors = np.sqrt(np.asarray(mixture.weights))[..., None, None] * factors
    pooled = np.einsum("...kab,...kcb->...ac", pooled_factors, pooled_factors)
    sds = np.sqrt(np.diagonal(pooled, axis1=-2, axis2=-1))
    scaled = pooled / (sds[..., :, None] * sds[..., None, :])
    try:
        whitener = np.linalg.inv(np.linalg.cholesky(scaled))
    except np.linalg.LinAlgError:
        if factors.ndim == 3:
            return np.zeros(factors.shape[:-1])
        return np.stack([relative_eigenvalues(Mixture(*one)) for one in zip(*mixture, strict=True)])
    white = whitener[..., None, :, :] @ (factors / sds[..., None, :, None])
    return np.square(np.linalg.svd(white, compute_uv=False))[..., ::-1]


def _refusals(
    problem: Problem, member: Family, mixtures: Mixture, state: em.EMState, counts: np.ndarray
) -> list[str]:
    """For each start why its optimum is not admissible; empty if it is."""
    k, d = mixtures.means.shape[1:]
    total, needed = problem.row_weights.sum(), member.min_rows(d)
    together = member.min_total_rows(k, d)
    finite = np.isfinite(state.log_likelihood) & ~state.collapsed
    ratios = np.zeros(len(finite))
    if finite.any():
        part = Mixture(*(np.asarray(leaf)[finite] for leaf in mixtures))
        ratios[finite] = relative_eigenvalues(part).min((-1, -2))

    def refusal(i: int) -> str:
        if not finite[i]:
            return "a component collapsed onto too few rows"
        if total < together - 1e-6:
            return f"{k} {member.name} components need {together} rows, there are {total:.0f}"
        if counts[i].min() < needed - 1e-6:
            return f"a component holds {counts[i].min():.1f} rows, {member.name} needs {needed}"
        if ratios[i] < MIN_EIGENVALUE:
            return f"a component's smallest relative eigenvalue is {ratios[i]:.1e}"
        return ""

    return [refusal(i) for i in range(len(finite))]


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


def _rescue(
    problem: Problem, member: Family, k: int, rng: Generator, settings: Settings
) -> MaximumLikelihood:
    """A fit with a small variance floor, for data that nothing else describes."""
    batch = _starts(problem, k, rng, settings, None)
    floor = RESCUE_FLOOR * np.square(problem.frame.scale)
    result = _run(problem, member, [batch], settings, floor)
    fitted = _summarise(problem, member, k, result, keep_order=False)
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
