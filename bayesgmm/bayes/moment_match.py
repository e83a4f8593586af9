"""Leave-one-out prediction of rows that importance sampling from the posterior cannot leave out.

Draws of the posterior are moved, shifted, scaled and turned, until their moments are those of the
posterior without the row (Paananen, Piironen, Buerkner and Vehtari 2021). ArviZ's
`loo_moment_match` is the same for a DataTree, but inverts a scaled map about the wrong centre.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jax import lax
from jaxtyping import Bool, Float
from scipy.special import logsumexp

from bayesgmm.bayes import rows
from bayesgmm.bayes.loo import MATCHED, Loo, replaced, smoothed
from bayesgmm.bayes.target import Data, Target
from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.lowering import remembered
from bayesgmm.gaussian.precision import float64

MOST_MOVES = 30
DRAWS_PER_PARAMETER = 10  # fewer do not tell a whole covariance matrix
SAME_HEIGHT = 1e-6


class LogDensity(NamedTuple):
    """Of s points: the log posterior of all rows, and the log density of the row left out."""

    posterior: Float[np.ndarray, " s"]
    row: Float[np.ndarray, " s"]


class LeftOut(NamedTuple):
    """The log predictive density of a row by the others, and its Pareto k-hat."""

    elpd: float
    pareto_k: float


type Evaluate = Callable[[Float[np.ndarray, "s p"]], LogDensity]


class Affine(NamedTuple):
    """The map from z to `linear` z + `shift`; a vector stands for a diagonal matrix."""

    linear: Float[np.ndarray, "*p p"]
    shift: Float[np.ndarray, " p"]

    def __call__(self, z: Float[np.ndarray, "s p"]) -> Float[np.ndarray, "s p"]:
        return _times(self.linear, z) + self.shift

    def after(self, first: "Affine") -> "Affine":
        """First the other, then this."""
        flat = self.linear.ndim == first.linear.ndim == 1
        linear = self.linear * first.linear if flat else _full(self.linear) @ _full(first.linear)
        return Affine(linear, self(first.shift[None])[0])

    def inverse(self) -> "Affine":
        """The map back."""
        linear = 1 / self.linear if self.linear.ndim == 1 else np.linalg.inv(self.linear)
        return Affine(linear, -_times(linear, self.shift[None])[0])

    @property
    def log_det(self) -> float:
        """Log of the determinant's absolute value."""
        if self.linear.ndim == 1:
            return float(np.log(np.abs(self.linear)).sum())
        return float(np.linalg.slogdet(self.linear)[1])


def _times(linear: np.ndarray, z: np.ndarray) -> np.ndarray:
    return z * linear if linear.ndim == 1 else z @ linear.T


def _full(linear: np.ndarray) -> np.ndarray:
    return np.diag(linear) if linear.ndim == 1 else linear


class _Moved(NamedTuple):
    """Draws under a map, with the smoothed weights that make them draws without the row."""

    move: Affine
    z: Float[np.ndarray, "s p"]
    log_weights: Float[np.ndarray, " s"]
    pareto_k: float


def leave_out(
    z: Float[np.ndarray, "s p"], evaluate: Evaluate, relative_ess: float, good_k: float
) -> LeftOut:
    """Leave one row out, moving the draws as long as that lowers its k-hat and has to.

    Half of the draws are moved in the end, and together with the others weighed as draws of the
    mixture of both distributions, so that no weight of the full posterior is large (section 2.4 of
    Paananen et al. 2021).

    Args:
        z: draws of the posterior of all rows, in any parametrisation without bounds.
        evaluate: log densities at s points.
        relative_ess: effective draws over draws.
        good_k: what k-hat is to fall to.
    """
    begin = evaluate(z)
    size = z.shape[1]
    still = Affine(np.ones(size), np.zeros(size))
    here = _weighted(still, z, begin, begin.posterior, relative_ess)
    for _ in range(MOST_MOVES):
        if here.pareto_k <= good_k:
            break
        trials = (
            _weighted(step.after(here.move), at, evaluate(at), begin.posterior, relative_ess)
            for step in _steps(here)
            for at in [step(here.z)]
        )
        better = next((trial for trial in trials if trial.pareto_k < here.pareto_k), None)
        if better is None:
            break
        here = better
    if here.move is still:
        return LeftOut(float(logsumexp(here.log_weights + begin.row)), here.pareto_k)
    return _split(z, begin, here.move, evaluate, relative_ess)


def _weighted(
    move: Affine, z: np.ndarray, there: LogDensity, before: np.ndarray, relative_ess: float
) -> _Moved:
    """The Jacobian of an affine map is the same for all draws, and drops out."""
    log_weights, k = smoothed(there.posterior - there.row - before, relative_ess)
    return _Moved(move, z, log_weights, k)


def _steps(here: _Moved) -> Iterator[Affine]:
    """Maps that match the mean, the standard deviations, and the covariance matrix."""
    z, weights = here.z, np.exp(here.log_weights)
    ones = np.ones(z.shape[1])
    mean, wanted = z.mean(0), weights @ z
    yield Affine(ones, wanted - mean)
    sd, wanted_sd = z.std(0), np.sqrt(weights @ np.square(z - wanted))
    usable = (sd > 0) & (wanted_sd > 0)
    scale = np.divide(wanted_sd, sd, out=ones, where=usable)
    yield Affine(scale, wanted - scale * mean)
    if len(z) >= DRAWS_PER_PARAMETER * z.shape[1]:
        try:
            old, new = (
                np.linalg.cholesky(np.atleast_2d(np.cov(z.T, aweights=share)))
                for share in (None, weights)
            )
        except np.linalg.LinAlgError:  # parameters that others determine
            return
        turn = np.linalg.solve(old.T, new.T).T
        yield Affine(turn, wanted - turn @ mean)


def _split(
    z: np.ndarray, begin: LogDensity, move: Affine, evaluate: Evaluate, relative_ess: float
) -> LeftOut:
    """Every other draw moved; each weighed against both ways in which it can have come about."""
    moved = np.arange(len(z)) % 2 == 0
    other = evaluate(np.where(moved[:, None], move(z), move.inverse()(z)))
    here = np.where(moved, other.posterior, begin.posterior)
    elsewhere = np.where(moved, begin.posterior, other.posterior)
    row = np.where(moved, other.row, begin.row)
    drawn_from = np.logaddexp(here, elsewhere - move.log_det)
    log_weights, k = smoothed(here - row - drawn_from, relative_ess)
    return LeftOut(float(logsumexp(log_weights + row)), k)


def match_moments(
    found: Loo,
    target: Target,
    data: Data,
    z: Float[np.ndarray, "s p"],
    row_weights: Float[np.ndarray, " n"],
    relative_ess: float,
) -> Loo:
    """The same, with the rows that are not reliable left out by moved draws where that is better.

    Args:
        found: PSIS-LOO.
        target: the program.
        data: the fitted rows, weights and constants.
        z: draws of the unconstrained vector, `with_labels`.
        row_weights: counts of the rows; one unit is left out.
        relative_ess: effective draws over draws.
    """
    places = np.flatnonzero(found.bad)
    left = []
    for i in places:
        of_row = partial(evaluate, target, data, np.asarray(data.X)[i : i + 1])
        left.append(leave_out(z, of_row, relative_ess, found.good_k))
    elpd, k = (np.array(part) for part in zip(*left, strict=True))
    better = k < np.nan_to_num(found.pareto_k[places], nan=np.inf)
    return replaced(found, places[better], elpd[better], k[better], row_weights, MATCHED)


@float64
def evaluate(
    target: Target, data: Data, x: Float[np.ndarray, "1 d"], z: Float[np.ndarray, "s p"]
) -> LogDensity:
    """The log posterior of a program at s points, and its log density of one row."""
    parts = [_evaluate(target, part, data, x) for _, part in rows.blocks_of_draws(z, len(z))]
    posterior, row = (np.concatenate(part)[: len(z)] for part in zip(*parts, strict=True))
    return LogDensity(*(np.nan_to_num(part, nan=-np.inf) for part in (posterior, row)))


@remembered(1)
def _evaluate(target: Target, z: Array, data: Data, x: Array) -> tuple[Array, Array]:
    def one(z: Array) -> tuple[Array, Array]:
        log_joint = target.log_joint(z, data, x)
        return -target.potential(z, data), jax.nn.logsumexp(log_joint[0])

    return lax.map(one, z)


@float64
def with_labels(
    target: Target,
    data: Data,
    z: Float[np.ndarray, "s p"],
    sites: dict[str, np.ndarray],
    log_posterior: Float[np.ndarray, " s"],
) -> Float[np.ndarray, "s p"]:
    """The draws in the order of their labels; as they are where the program tells labels apart.

    Moments of draws whose labels switch describe no cluster. Relabelled draws are of the same
    posterior where no labelling is more probable than another, which shows in their height.

    Args:
        target: the program.
        data: rows, weights and constants.
        z: draws of the unconstrained vector.
        sites: relabelled values of their sites, each (s, ...).
        log_posterior: of the draws.
    """
    latents = {latent.name: sites[latent.name] for latent in target.structure.latents}
    blocks = rows.blocks_of_draws(latents, len(z))
    parts = [_unconstrained(target, part, data) for _, part in blocks]
    labelled = np.concatenate(parts)[: len(z)]
    height = evaluate(target, data, np.asarray(data.X)[:1], labelled).posterior
    return labelled if _same(height, log_posterior).all() else z


def _same(a: np.ndarray, b: np.ndarray) -> Bool[np.ndarray, " s"]:
    return np.abs(a - b) <= SAME_HEIGHT * (1 + np.abs(b))


@remembered(1)
def _unconstrained(target: Target, sites: dict[str, Array], data: Data) -> Array:
    return lax.map(lambda values: target.unconstrain(values, data), sites)
