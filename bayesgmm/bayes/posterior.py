"""The line from a maximum-likelihood fit to a relabelled posterior with its verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from bayesgmm.bayes import nuts, rows, vi
from bayesgmm.bayes import relabel as labels
from bayesgmm.bayes.diagnose import (
    Diagnostics,
    Thresholds,
    Verdict,
    diagnose,
    invariants,
    verdict,
)
from bayesgmm.bayes.draws import Draws, concatenate, first
from bayesgmm.bayes.driver import Progress, silent
from bayesgmm.bayes.loo import Loo, loo, stacking
from bayesgmm.bayes.program import WEIGHTS, Program, Structure, bind, understand
from bayesgmm.bayes.start import Mode, modes, shares
from bayesgmm.bayes.target import Data, Target
from bayesgmm.data.errors import InputError, unknown
from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.lowering import remembered
from bayesgmm.gaussian.mixture import Mixture, log_responsibilities, moments
from bayesgmm.gaussian.precision import float64
from bayesgmm.ml.optima import MaximumLikelihood
from bayesgmm.ml.problem import Problem

INFERENCES = ("nuts", "vi")
GIVE_UP_FACTOR = 2.0
GIVE_UP_R_HAT = 1.05


@dataclass(frozen=True)
class Settings:
    """Choices of a Bayesian fit; `BayesianMixture` documents them."""

    inference: str = "nuts"
    num_chains: int = 4
    num_warmup: int | None = None
    num_draws: int = 1000
    max_draws: int | None = None
    guide: str = "full_rank"
    thresholds: Thresholds = Thresholds()
    look_early: bool = False

    def __post_init__(self) -> None:
        if self.inference not in INFERENCES:
            raise unknown("inference", self.inference, INFERENCES)
        if self.guide not in vi.GUIDES:
            raise unknown("guide", self.guide, vi.GUIDES)
        for name, least in (("num_chains", 2), ("num_draws", 100)):
            if getattr(self, name) < least:
                raise InputError(
                    f"{name}={getattr(self, name)} must be at least {least}; fewer cannot be "
                    "diagnosed."
                )
        if self.num_warmup is not None and self.num_warmup < 50:
            raise InputError(f"num_warmup={self.num_warmup} must be at least 50.")
        if self.max_draws is not None and self.max_draws < self.num_draws:
            raise InputError(
                f"max_draws={self.max_draws} must be at least num_draws={self.num_draws}."
            )

    @property
    def kernel(self) -> nuts.Settings:
        return nuts.Settings(num_warmup=self.num_warmup or nuts.Settings().num_warmup)

    @property
    def looks(self) -> list[int]:
        """After how many draws the diagnostics are looked at; the last is the budget.

        With `look_early` the first look comes after one chunk, so that a fit that cannot converge
        within the budget costs little.
        """
        most = self.max_draws or 4 * self.num_draws
        looks = sorted({*range(self.num_draws, most + 1, self.num_draws), most})
        early = self.look_early and self.num_draws > nuts.CHUNK
        return [nuts.CHUNK, *looks] if early else looks


@dataclass(frozen=True)
class Posterior:
    """Relabelled draws and everything that is said about them.

    Attributes:
        structure: what the program consists of.
        inference: "nuts" or "vi".
        sites: relabelled values of the program's sites, each (c, s, ...), NumPy arrays.
        mixture: the same as Gaussian mixtures (c, s, k, ...), for programs that have such.
        draws: as they were drawn, before relabelling.
        order: the relabelling, (c, s, k).
        margin: how clear it was, (c, s).
        n_occupied: components that held rows in a drawn allocation, (c, s).
        log_likelihood: log mixture density of every draw and row, (c, s, n).
        quantities: label-invariant quantities, each (c, s).
        diagnostics, verdict: what they say.
        row_weights: of the data, (n,).
        kept: the chains that single-number answers use: all, or those of the best mode.
        modes: the modes that were scouted, and their shares of the Laplace mass.
        thresholds: what the verdict was judged by.
        target, data: the program and what it is evaluated on; None for a fit that was loaded.
        known_membership: memberships that were saved, (n, k).
    """

    structure: Structure
    inference: str
    sites: Mapping[str, np.ndarray]
    mixture: Mixture | None
    draws: Draws
    order: Int[np.ndarray, "c s k"]
    margin: Float[np.ndarray, "c s"]
    n_occupied: Int[np.ndarray, "c s"]
    log_likelihood: Float[np.ndarray, "c s n"]
    quantities: Mapping[str, Float[np.ndarray, "c s"]]
    diagnostics: Diagnostics
    verdict: Verdict
    row_weights: Float[np.ndarray, " n"]
    kept: Bool[np.ndarray, " c"]
    modes: tuple[tuple[str, float], ...] = ()
    thresholds: Thresholds = Thresholds()
    target: Target | None = None
    data: Data | None = None
    known_membership: Float[np.ndarray, "n k"] | None = None

    def predict(self, X: Float[Array, "n d"]) -> rows.Prediction:
        """Posterior mean membership and posterior predictive density of rows, for any program.

        Draws that are kept as Gaussian mixtures need no program; others need their target.

        Raises:
            InputError: the program is not normal, and its code is not there.
        """
        k, kept = self.structure.k, self.kept
        if self.mixture is not None:
            flat = Mixture(*(part[kept].reshape(-1, *part.shape[2:]) for part in self.mixture))
            in_place = np.broadcast_to(np.arange(k), flat.weights.shape)
            return rows.predict(rows.gaussian_log_joint, flat, None, in_place, X)
        if self.target is None:
            raise InputError(
                "this fit's program is not normal, and predicting needs its code: "
                "load(path, model='the same file')."
            )
        z = self.draws.z[kept].reshape(-1, self.draws.z.shape[-1])
        order = self.order[kept].reshape(-1, k)
        return rows.predict(_ProgramLogJoint(self.target), z, self.data, order, X)

    @cached_property
    def membership(self) -> Float[np.ndarray, "n k"]:
        """Posterior mean membership of the fitted rows."""
        if self.known_membership is not None or self.data is None:
            assert self.known_membership is not None
            return self.known_membership
        return self.predict(np.asarray(self.data.X)).membership

    @cached_property
    def loo(self) -> Loo:
        """PSIS-LOO of the kept chains, corrected for the approximation where there is one."""
        found, approximation = self.diagnostics, self.draws.log_approximation
        effective = max(found.ess_bulk["log-likelihood"], 1.0) / found.n_draws
        return loo(
            self.log_likelihood[self.kept],
            self.row_weights,
            min(1.0, effective),
            self.draws.log_posterior[self.kept],
            None if approximation is None else approximation[self.kept],
        )


class Crossed(NamedTuple):
    """A part of the draws, crossed with the rows."""

    draws: Draws
    sites: dict[str, np.ndarray]
    mixture: Mixture | None
    order: np.ndarray
    margin: np.ndarray
    n_occupied: np.ndarray
    log_likelihood: np.ndarray


@float64
def prepare(
    problem: Problem, program: Program, k: int, priors: Mapping[str, object] | None
) -> tuple[Target, Data]:
    """The target of a program for k components, and the data that it is evaluated on.

    Raises:
        InputError: a constant column, a prior that the program lacks, a broken contract.
    """
    _check_spread(problem)
    keywords = bind(program, problem, priors)
    structure = understand(program, problem.X, k, keywords)
    row_weights = np.array(problem.row_weights)  # in memory, where samplers read it often
    data = Data(problem.X, row_weights, problem.frame, keywords)
    return Target(program, structure), jax.tree.map(jnp.asarray, data)


def _check_spread(problem: Problem) -> None:
    used = problem.X[problem.row_weights > 0]
    for j, name in enumerate(problem.table.columns):
        if np.ptp(used[:, j]) == 0:
            raise InputError(
                f"X: column {name!r} is constant, which leaves its priors without a scale; drop it."
            )


@float64
def scout(
    target: Target,
    data: Data,
    ml: MaximumLikelihood,
    settings: Settings,
    key: Array,
    progress: Progress = silent,
) -> list[Mode]:
    """The posterior's modes, from EM's optima and elsewhere; meanwhile the sampler compiles.

    Arguments are those of `fit`.
    """
    if settings.inference == "nuts":
        nuts.compile_ahead(target, data, settings.kernel)
    progress("finding modes", 0, 1)
    optima = [optimum.mixture for optimum in ml.optima if optimum.admissible]
    found = modes(target, data, optima or [ml.mixture], jax.random.fold_in(key, 0))
    progress("finding modes", 1, 1)
    return found


@float64
def fit(
    target: Target,
    data: Data,
    ml: MaximumLikelihood,
    found: Sequence[Mode],
    settings: Settings,
    key: Array,
    progress: Progress = silent,
) -> Posterior:
    """Start in the modes, sample or approximate, relabel, diagnose.

    Args:
        target: the program's log posterior.
        data: what it is evaluated on.
        ml: the EM fit: start, pivot of the labels, and half of the answer.
        found: the modes, from `scout`.
        settings: inference and its budget.
        key: JAX key.
        progress: told what is being done.
    """
    _, key_run, key_rows = jax.random.split(key, 3)
    run = _sample if settings.inference == "nuts" else _approximate
    parts, found_diagnostics, quantities = run(
        target, data, ml, found, settings, key_run, key_rows, progress
    )
    return _assemble(target, data, settings, _joined(parts), found_diagnostics, quantities, found)


def _sample(
    target: Target,
    data: Data,
    ml: MaximumLikelihood,
    found: Sequence[Mode],
    settings: Settings,
    key: Array,
    key_rows: Array,
    progress: Progress,
) -> tuple[list[Crossed], Diagnostics, dict[str, np.ndarray]]:
    """NUTS, run on until the diagnostics pass, the budget ends, or it cannot be enough."""
    kernel = settings.kernel
    key, key_warm = jax.random.split(key)
    chains = nuts.begin(target, data, found, settings.num_chains, key, kernel)
    patient = not settings.look_early
    chains = nuts.warm_up(target, data, chains, key_warm, kernel, progress, patient=patient)
    parts: list[Crossed] = []
    looks = iter(settings.looks)
    while True:
        until = next(looks)
        while (missing := until - sum(part.margin.shape[1] for part in parts)) > 0:
            chains, draws = nuts.advance(target, data, chains, nuts.CHUNK, kernel, progress)
            part_key = jax.random.fold_in(key_rows, len(parts))
            parts.append(_cross(target, data, ml, first(draws, missing), part_key))
        diagnostics, quantities = examine(
            _joined(parts), ml.n_components, np.asarray(data.row_weights), settings.thresholds
        )
        if _enough(diagnostics, until, settings):
            return parts, diagnostics, quantities


def _enough(found: Diagnostics, drawn: int, settings: Settings) -> bool:
    """Whether the diagnostics pass, or the budget is spent, or what is left of it cannot do."""
    thresholds, most = settings.thresholds, settings.looks[-1]
    wanted = drawn >= settings.num_draws
    passed = found.worst_r_hat <= thresholds.r_hat and found.lowest_ess >= thresholds.ess
    reach = found.lowest_ess * most / drawn
    apart = not found.worst_r_hat <= GIVE_UP_R_HAT or len(set(found.chain_modes)) > 1
    hopeless = apart and not reach * GIVE_UP_FACTOR >= thresholds.ess
    if settings.look_early and wanted:  # one of several k: what is in doubt is left undecided
        hopeless = hopeless or not reach >= thresholds.ess
    return (passed and wanted) or drawn >= most or hopeless


def _approximate(
    target: Target,
    data: Data,
    ml: MaximumLikelihood,
    found: Sequence[Mode],
    settings: Settings,
    key: Array,
    key_rows: Array,
    progress: Progress,
) -> tuple[list[Crossed], Diagnostics, dict[str, np.ndarray]]:
    draws = vi.approximate(
        target,
        data,
        found[0],
        settings.num_chains,
        settings.num_draws,
        key,
        vi.Settings(guide=settings.guide),
        progress,
    )
    part = _cross(target, data, ml, draws, key_rows)
    diagnostics, quantities = examine(
        part, ml.n_components, np.asarray(data.row_weights), settings.thresholds
    )
    return [part], diagnostics, quantities


@remembered(1)
def _draw(target: Target, z: Array, data: Data) -> tuple[dict[str, Array], Mixture | None]:
    return jax.vmap(lambda one: target.draw(one, data))(z)


@dataclass(frozen=True)
class _ProgramLogJoint:
    """The log joint density of draws that are kept as unconstrained vectors."""

    target: Target

    @property
    def durable_name(self) -> str:
        return self.target.durable_name

    def __call__(self, z: Array, data: Data, X: Array) -> Array:
        return self.target.log_joint(z, data, X)


def _cross(target: Target, data: Data, ml: MaximumLikelihood, draws: Draws, key: Array) -> Crossed:
    """Constrain the draws, cross them with the rows, and put their labels right."""
    c, s, p = draws.z.shape
    flat = draws.z.reshape(c * s, p)
    sites, mixture = jax.tree.map(np.asarray, _draw(target, flat, data))
    log_pivot = log_responsibilities(ml.mixture, np.asarray(data.X))
    density: tuple[rows.LogJoint, Any, Any] = (
        (_ProgramLogJoint(target), flat, data)
        if mixture is None
        else (rows.gaussian_log_joint, mixture, None)
    )
    crossed = rows.cross(*density, data.X, data.row_weights, log_pivot, key)
    right = labels.relabel(crossed.cost)

    def chained(values: np.ndarray) -> np.ndarray:
        return values.reshape(c, s, *values.shape[1:])

    order = chained(right.order)
    axes = dict(target.structure.cluster_axes)
    return Crossed(
        draws,
        {
            name: labels.reorder(chained(value), order, axes[name])
            if name in axes
            else chained(value)
            for name, value in sites.items()
        },
        None
        if mixture is None
        else Mixture(
            *(
                labels.reorder(chained(part), order, axis)
                for part, axis in zip(mixture, (-1, -2, -3), strict=True)
            )
        ),
        order,
        chained(right.margin),
        chained(crossed.occupied.sum(1)),
        chained(crossed.log_likelihood),
    )


def _joined(parts: Sequence[Crossed]) -> Crossed:
    if len(parts) == 1:
        return parts[0]
    rest = [part[1:] for part in parts]
    joined = jax.tree.map(lambda *leaves: np.concatenate(leaves, axis=1), *rest)
    return Crossed(concatenate([part.draws for part in parts]), *joined)


def examine(
    part: Crossed, k: int, row_weights: Float[np.ndarray, " n"], thresholds: Thresholds
) -> tuple[Diagnostics, dict[str, np.ndarray]]:
    """Diagnostics of crossed draws, and the label-invariant quantities that they rest on."""
    quantities = invariants(
        part.draws.log_posterior,
        part.log_likelihood,
        row_weights,
        part.sites[WEIGHTS],
        None if part.mixture is None else moments(part.mixture),
    )
    found = diagnose(
        quantities,
        part.draws.stats,
        part.margin,
        part.n_occupied,
        k,
        part.draws.log_approximation,
        thresholds,
    )
    return found, quantities


def _assemble(
    target: Target,
    data: Data,
    settings: Settings,
    part: Crossed,
    diagnostics: Diagnostics,
    quantities: dict[str, np.ndarray],
    found: Sequence[Mode],
) -> Posterior:
    row_weights = np.asarray(data.row_weights)
    kept = best_mode(diagnostics, part, row_weights)
    return Posterior(
        structure=target.structure,
        inference=settings.inference,
        sites=part.sites,
        mixture=part.mixture,
        draws=part.draws,
        order=part.order,
        margin=part.margin,
        n_occupied=part.n_occupied,
        log_likelihood=part.log_likelihood,
        quantities=quantities,
        diagnostics=diagnostics,
        verdict=verdict(diagnostics, target.structure.k, settings.thresholds),
        row_weights=row_weights,
        kept=kept,
        modes=tuple(
            (mode.origin, float(share)) for mode, share in zip(found, shares(found), strict=True)
        ),
        thresholds=settings.thresholds,
        target=target,
        data=data,
    )


def rebuild(
    part: Crossed,
    structure: Structure,
    inference: str,
    membership: Float[np.ndarray, "n k"],
    row_weights: Float[np.ndarray, " n"],
    modes: tuple[tuple[str, float], ...],
    thresholds: Thresholds,
) -> Posterior:
    """The posterior of saved draws; diagnostics and LOO are computed again, never trusted."""
    diagnostics, quantities = examine(part, structure.k, row_weights, thresholds)
    kept = best_mode(diagnostics, part, row_weights)
    return Posterior(
        structure=structure,
        inference=inference,
        sites=part.sites,
        mixture=part.mixture,
        draws=part.draws,
        order=part.order,
        margin=part.margin,
        n_occupied=part.n_occupied,
        log_likelihood=part.log_likelihood,
        quantities=quantities,
        diagnostics=diagnostics,
        verdict=verdict(diagnostics, structure.k, thresholds),
        row_weights=row_weights,
        kept=kept,
        modes=modes,
        thresholds=thresholds,
        known_membership=membership,
    )


def best_mode(
    diagnostics: Diagnostics, part: Crossed, row_weights: Float[np.ndarray, " n"]
) -> Bool[np.ndarray, " c"]:
    """The chains of the mode with the largest stacking weight; all chains if there is one mode."""
    groups = np.array(diagnostics.chain_modes)
    if groups.max() == 0:
        return np.ones(len(groups), bool)
    chains = [groups == g for g in range(groups.max() + 1)]
    pointwise = [
        loo(
            part.log_likelihood[own], row_weights, 1.0, part.draws.log_posterior[own], None
        ).pointwise
        for own in chains
    ]
    return groups == int(stacking(np.stack(pointwise), row_weights).argmax())
