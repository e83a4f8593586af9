"""The line from a maximum-likelihood fit to a relabelled posterior with its verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from bayesgmm.bayes import laplace, nuts, seen, vi
from bayesgmm.bayes.checkpoint import Record
from bayesgmm.bayes.crossing import STORED_BYTES, Crossed, cross, joined
from bayesgmm.bayes.diagnose import Diagnostics
from bayesgmm.bayes.draws import Draws, first, rest
from bayesgmm.bayes.driver import Progress, silent
from bayesgmm.bayes.keys import new_key
from bayesgmm.bayes.labels import labelled
from bayesgmm.bayes.posterior import Examined, Posterior, examine
from bayesgmm.bayes.program import Program, bind
from bayesgmm.bayes.settings import LEAST_DRAWS, Settings
from bayesgmm.bayes.start import Mode, modes, shares
from bayesgmm.bayes.structure import check_priors, understand
from bayesgmm.bayes.target import Data, Target
from bayesgmm.data.errors import InputError
from bayesgmm.gaussian.arrays import Array, filled_up
from bayesgmm.gaussian.memory import give_back
from bayesgmm.gaussian.mixture import log_responsibilities, responsibilities
from bayesgmm.gaussian.passes import pass_for
from bayesgmm.gaussian.precision import float64
from bayesgmm.ml.optima import MaximumLikelihood
from bayesgmm.ml.problem import Problem

GIVE_UP_FACTOR = 2.0
PATIENT_FACTOR = 10.0
GIVE_UP_R_HAT = 1.05


@dataclass(frozen=True)
class Ready:
    """A program and the data that it is evaluated on.

    Attributes:
        target: the log posterior.
        data: rows, weights and constants, as compiled code takes them: filled up, for the library's
            own programs, to one of few numbers of rows, so that data of similar size share it.
        problem: the data as they are.
    """

    target: Target
    data: Data
    problem: Problem

    def beside(self, ml: MaximumLikelihood) -> "Ready":
        """The same, its rows passed over in the form that served EM at its optimum."""
        structure = self.target.structure
        if not structure.gaussian or structure.diagonal:
            return self
        form = pass_for(ml.mixture, self.problem.frame)
        return replace(self, target=replace(self.target, form=form))


@float64
def prepare(
    problem: Problem, program: Program, k: int, priors: Mapping[str, object] | None
) -> Ready:
    """A program for k components, ready to be evaluated.

    Raises:
        InputError: a constant column, a prior that the program lacks or that is out of its range, a
            broken contract.
    """
    _check_spread(problem)
    keywords = bind(program, problem, priors)
    structure = understand(program, problem.X, k, keywords)
    if priors:
        check_priors(program, problem.X, k, keywords, list(priors))
    X = problem.X
    row_weights = np.array(problem.row_weights)  # in memory, where samplers read it often
    if program.is_ours:  # whose prior constants do not see the rows that fill up
        X, row_weights = filled_up(X, row_weights)
    data = Data(X, row_weights, problem.frame, keywords)
    return Ready(Target(program, structure), jax.tree.map(jnp.asarray, data), problem)


def _check_spread(problem: Problem) -> None:
    used = problem.X[problem.row_weights > 0]
    for j, name in enumerate(problem.table.columns):
        if np.ptp(used[:, j]) == 0:
            raise InputError(
                f"X: column {name!r} is constant, which leaves its priors without a scale; drop it."
            )


@float64
def scout(
    ready: Ready,
    ml: MaximumLikelihood,
    settings: Settings,
    rng: np.random.Generator,
    progress: Progress = silent,
) -> list[Mode]:
    """The posterior's modes, from EM's optima and elsewhere; meanwhile the sampler compiles.

    Arguments are those of `fit`.
    """
    ready = ready.beside(ml)
    if settings.inference == "nuts":
        nuts.compile_ahead(ready.target, ready.data)
    progress("finding modes", 0, 1)
    optima = [optimum.mixture for optimum in ml.optima if optimum.admissible]
    found = modes(ready.target, ready.data, optima or [ml.mixture], rng)
    progress("finding modes", 1, 1)
    give_back()
    return found


@float64
def fit(
    ready: Ready,
    ml: MaximumLikelihood,
    found: Sequence[Mode],
    settings: Settings,
    rng: np.random.Generator,
    progress: Progress = silent,
    record: Record | None = None,
) -> Posterior:
    """Start in the modes, sample or approximate, relabel, diagnose.

    Args:
        ready: the program and the data.
        ml: the EM fit: start, first pivot of the labels, and half of the answer.
        found: the modes, from `scout`.
        settings: inference and its budget.
        rng: of this fit alone.
        progress: told what is being done.
        record: of the chains, that a run which was cut off goes on from.
    """
    ready = ready.beside(ml)
    line = _Line(ready, ml, settings, new_key(rng))
    partial = False
    if settings.inference == "nuts":
        partial = _sample(line, found, rng, progress, record or Record())
    else:
        line.take(_approximate(line, found, rng, progress))
    at = line.at_modes(seen.heavy(found))
    came_near = seen.near(at, line.crossed())
    posterior = Posterior.of(
        ready.target.structure,
        settings.inference,
        line.crossed(),
        ready.problem.X,
        np.array(ready.problem.row_weights),
        settings.thresholds,
        partial=partial,
        examined=None if partial else line.examined,
        unseen=seen.unseen(found, came_near),
        modes=tuple(
            (mode.origin, float(share)) for mode, share in zip(found, shares(found), strict=True)
        ),
        target=ready.target,
        data=ready.data,
    )
    peak = seen.peak(at, came_near[:, posterior.kept].any(1))
    posterior = replace(posterior, peak=peak)
    if posterior.diagnostics.ambiguous > 0:
        reference = responsibilities(ml.mixture, ready.problem.X)
        posterior = labelled(posterior, reference, "stephens")
    return posterior


@dataclass
class _Line:
    """Draws on their way: crossed with the rows part by part."""

    ready: Ready
    ml: MaximumLikelihood
    settings: Settings
    key: Array
    parts: list[Crossed] = field(default_factory=list)
    examined: Examined | None = None

    @cached_property
    def log_pivot(self) -> Float[Array, "n k"]:
        """Log memberships by EM."""
        return jnp.asarray(log_responsibilities(self.ml.mixture, np.asarray(self.ready.data.X)))

    @property
    def n_draws(self) -> int:
        """Of every chain."""
        return sum(part.margin.shape[1] for part in self.parts)

    def take(self, draws: Draws) -> None:
        """Cross the draws that are not crossed yet."""
        new = rest(draws, self.n_draws)
        if new.z.shape[1] == 0:
            return
        self.parts.append(self._cross(new, self.n_draws, draws.log_posterior.size))

    def _cross(self, draws: Draws, begin: int, n_draws: int) -> Crossed:
        """Draws that come after so many of their chains, where there are so many in all."""
        ready = self.ready
        own = (ready.target, ready.data, self.log_pivot, draws, begin, self.key)
        return cross(*own, n_rows=len(ready.problem.X), each_row=self._fits(n_draws))

    def at_modes(self, found: Sequence[Mode]) -> Crossed:
        """The modes themselves, as draws of one chain."""
        z = np.stack([np.asarray(mode.place.loc) for mode in found])[None]
        at = Draws(z, np.array([[-mode.potential for mode in found]]), None, {})
        return self._cross(at, 0, self.crossed().margin.size)

    def _fits(self, n_draws: int) -> bool:
        if self.ready.target.structure.by_row:  # such rows cannot be taken block by block
            return True
        return 8 * n_draws * len(self.ready.problem.X) <= STORED_BYTES

    def crossed(self) -> Crossed:
        """All of them, end to end."""
        self.parts = [joined(self.parts)]
        return self.parts[0]

    def diagnostics(self) -> Diagnostics:
        """What the draws so far say of themselves."""
        structure, thresholds = self.ready.target.structure, self.settings.thresholds
        n = float(self.ready.problem.row_weights.sum())
        self.examined = examine(self.crossed(), structure, thresholds, n)
        return self.examined[0]


def _sample(
    line: _Line,
    found: Sequence[Mode],
    rng: np.random.Generator,
    progress: Progress,
    record: Record,
) -> bool:
    """NUTS, run on until the diagnostics pass, the budget ends, or it cannot be enough.

    Returns:
        Whether it was interrupted; what was drawn until then is kept if it can be diagnosed.
    """
    target, data, settings = line.ready.target, line.ready.data, line.settings
    try:
        chains = record.chains
        if chains is None:
            chains = nuts.begin(target, data, found, settings.num_chains, rng, settings.kernel)
        own = (settings.kernel, progress, record)
        patient = not settings.look_early
        chains = nuts.warm_up(target, data, chains, *own, patient=patient)
        give_back()  # everything is compiled but the crossing with the rows
        looks = iter(settings.looks)
        until = next(looks)
        while True:
            chains, draws = nuts.advance(target, data, chains, until, *own)
            line.take(first(draws, until))
            if _enough(line.diagnostics(), until, settings):
                return False
            again = None
            if until >= settings.num_draws:
                again = nuts.adapt_again(target, data, chains, draws, settings.kernel)
            if again is None:
                until = next(looks)
                continue
            line.parts.clear()
            chains = nuts.warm_up(target, data, again, *own)
    except KeyboardInterrupt:
        draws = record.draws()
        if not record.is_sampling or draws.z.shape[1] < LEAST_DRAWS:
            raise
        line.take(draws)
        return True
    finally:
        record.close()


def _enough(found: Diagnostics, drawn: int, settings: Settings) -> bool:
    """Whether the diagnostics pass, or the budget is spent, or what is left of it cannot do."""
    thresholds, most = settings.thresholds, settings.looks[-1]
    wanted = drawn >= settings.num_draws
    passed = found.worst_r_hat <= thresholds.r_hat and found.lowest_ess >= thresholds.ess
    reach = found.lowest_ess * most / drawn
    apart = not found.worst_r_hat <= GIVE_UP_R_HAT or len(set(found.chain_modes)) > 1
    factor = GIVE_UP_FACTOR if settings.look_early else PATIENT_FACTOR
    hopeless = apart and not reach * factor >= thresholds.ess
    if settings.look_early and wanted:  # one of several k: what is in doubt is left undecided
        hopeless = hopeless or not reach >= thresholds.ess
    return (passed and wanted) or drawn >= most or hopeless


def _approximate(
    line: _Line, found: Sequence[Mode], rng: np.random.Generator, progress: Progress
) -> Draws:
    settings, ready = line.settings, line.ready
    size = (settings.num_chains, settings.num_draws)
    if settings.inference == "laplace":
        return laplace.approximate(ready.target, ready.data, found, *size, rng, progress)
    own = vi.Settings(guide=settings.guide)
    return vi.approximate(ready.target, ready.data, found[0], *size, rng, own, progress)
