"""From the EM fit to the posterior's modes, for any program.

EM's responsibilities start the program: one generalised M-step over its unconstrained latents puts
every parameter where the rows of its component want it, and from there the posterior mode is a
climb away. EM's distinct optima, the best of them with a component emptied, and a few random starts
that owe nothing to EM are taken to their modes and weighed by Laplace mass; chains start in the
modes that hold at least `MIN_MASS`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from bayesgmm.bayes.lbfgs import minimise
from bayesgmm.bayes.metric import Blocks, Place
from bayesgmm.bayes.structure import WEIGHTS
from bayesgmm.bayes.target import GUIDED, POSTERIOR, PRIOR, Data, Target
from bayesgmm.data.errors import InputError
from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.cores import available_cores, threads
from bayesgmm.gaussian.lowering import remembered
from bayesgmm.gaussian.mixture import LOG_2PI, Mixture, permute, responsibilities
from bayesgmm.gaussian.precision import float64
from bayesgmm.ml.threads import single_threaded_blas

MIN_MASS = 0.05
EM_OPTIMA = 4
RANDOM_STARTS = 2
SAME_MODE = 1e-3
ALIKE, UNLIKE = 0.3, 1.0
MIN_EIGENVALUE = 1e-6
UNUSABLE = 1e300
PRIOR_CLIMBS = 20
AT_THE_TOP = 1e-3
FIRST_STEPS, ALL_STEPS = 150, 1000
REACH, REACH_OF_PARAMETER = 30.0, 5.0
NEWTON_STEPS, DECREMENT = 10, 1e-7
STEP = 0.01
FTOL = 1e-9
POINTS = 32  # of one call


class Summit(NamedTuple):
    """Where a climb ended: the unconstrained vector, minus its log density, and what led there."""

    z: Float[np.ndarray, " p"]
    potential: float
    origin: str


class Mode(NamedTuple):
    """A local maximum of the log posterior density of the unconstrained vector.

    Attributes:
        place: where, and the Cholesky factors of the inverse curvature.
        potential: minus the log density there, up to the target's constant.
        log_mass: log of its Laplace mass, up to the same constant.
        origin: what led there, such as "EM optimum 1" or "random start 2".
    """

    place: Place
    potential: float
    log_mass: float
    origin: str


@float64
@single_threaded_blas
def modes(
    target: Target, data: Data, optima: Sequence[Mixture], rng: np.random.Generator
) -> list[Mode]:
    """The posterior's distinct modes, largest Laplace mass first.

    Args:
        target: the program's log posterior.
        data: what it is evaluated on.
        optima: EM's distinct optima, best first; components in the order that labels shall have.
        rng: for the starts that do not come from EM.

    Raises:
        InputError: the log posterior is not finite anywhere it was tried.
    """
    centre, spread = _typical(_Stage.of(target, data, PRIOR))
    posterior = _Stage.of(target, data, POSTERIOR)
    summits: list[Summit] = []
    for z, origin in _starts(target, data, optima, centre, spread, rng):
        summit = _climb(posterior, z, spread, origin, _reach(target, summits))
        if summit is not None:
            summits.append(summit)
    if not summits:
        raise InputError(
            f"model {target.program.name!r}: its log posterior is not finite at any start; check "
            "its priors and their support against the data."
        )
    found = [_weigh(posterior, summit, spread) for summit in _unlike(target, data, summits)]
    return sorted(_distinct(found, _uneven(target, data)), key=lambda mode: -mode.log_mass)


def shares(found: Sequence[Mode]) -> Float[np.ndarray, " m"]:
    """The Laplace mass of each mode as a share of all."""
    log_mass = np.array([mode.log_mass for mode in found])
    mass = np.exp(log_mass - log_mass.max())
    return mass / mass.sum()


def allocate(found: Sequence[Mode], num_chains: int) -> list[int]:
    """The mode in which each chain starts: every mode of enough mass, the largest most often."""
    share = shares(found)
    able = [m for m in range(len(found)) if share[m] >= MIN_MASS][:num_chains] or [0]
    rest = [able[0]] * (num_chains - len(able))
    return sorted(able + rest)


@remembered(1)
def _descend(
    target: Target,
    points: Array,
    n_points: Array,
    spread: Array,
    data: Data,
    guide: Array,
    stage: Array,
    max_iter: Array,
) -> tuple[Array, Array, Array]:
    """From each of the first points downhill, in steps scaled by `spread`: points, values, slopes.

    One program serves every stage, evaluations (no moves) and descents.
    """

    def one(i: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        points, values, slopes = carry
        begin = points[i]

        def scaled(u: Array) -> tuple[Array, Array]:
            staged = jax.value_and_grad(target.staged_potential)
            value, slope = staged(begin + spread * u, data, guide, stage)
            return value, slope * spread

        end = minimise(scaled, jnp.zeros_like(begin), max_iter, FTOL)
        return (
            points.at[i].set(begin + spread * end.x),
            values.at[i].set(end.value),
            slopes.at[i].set(end.gradient / spread),
        )

    return lax.fori_loop(0, n_points, one, (points, jnp.zeros(len(points)), jnp.zeros_like(points)))


@float64
def value_and_gradient(
    target: Target, data: Data, z: Float[np.ndarray, " p"]
) -> tuple[float, Float[np.ndarray, " p"]]:
    """The potential and its gradient at z, from the program that found the modes."""
    return _Stage.of(target, data, POSTERIOR)(z)


@float64
def values(target: Target, data: Data, z: Float[np.ndarray, "s p"]) -> Float[np.ndarray, " s"]:
    """The potential at many points."""
    return _Stage.of(target, data, POSTERIOR).at(z)[0]


class _Stage(NamedTuple):
    """One of the staged potentials as a plain function of the unconstrained vector."""

    target: Target
    data: Data
    guide: Float[Array, "_k _p"]
    stage: int
    program: Callable[..., Any]

    @classmethod
    def of(
        cls, target: Target, data: Data, stage: int, guide: Float[np.ndarray, "_k _p"] | None = None
    ) -> "_Stage":
        if guide is None:
            guide = np.zeros(target.guide_shape(data))
        p, number = target.size, np.int32(0)
        shapes = (np.zeros((POINTS, p)), number, np.ones(p), data, guide, number, number)
        program = _descend.program(target, *shapes)
        return cls(target, data, jnp.asarray(guide), stage, program)

    def __call__(self, z: np.ndarray) -> tuple[float, np.ndarray]:
        values, slopes = self.at(z[None])
        return float(values[0]), slopes[0]

    def at(self, z: Float[np.ndarray, "s p"]) -> tuple[np.ndarray, np.ndarray]:
        """Values (s,) and gradients (s, p) at many points, on all cores."""

        @float64
        def some(first: int) -> tuple[np.ndarray, np.ndarray]:
            part = z[first : first + POINTS]
            _, values, slopes = self._run(part, np.ones(z.shape[1]), 0)
            return values, slopes

        firsts = range(0, len(z), POINTS)
        parts = list(threads(available_cores()).map(some, firsts)) if len(z) > 1 else [some(0)]
        values, slopes = (np.concatenate(part) for part in zip(*parts, strict=True))
        return values, slopes

    def minimise(
        self, z: np.ndarray, spread: np.ndarray, max_iter: int
    ) -> tuple[np.ndarray, float]:
        """Downhill from z, in steps scaled by `spread`."""
        points, values, _ = self._run(z[None], spread, max_iter)
        return points[0], float(values[0])

    def _run(
        self, z: Float[np.ndarray, "s p"], spread: np.ndarray, max_iter: int
    ) -> tuple[np.ndarray, ...]:
        points = np.zeros((POINTS, z.shape[1]))
        points[: len(z)] = z
        numbers = (np.int32(self.stage), np.int32(max_iter))
        result = self.program(points, np.int32(len(z)), spread, self.data, self.guide, *numbers)
        return tuple(np.asarray(part)[: len(z)] for part in result)


def _typical(prior: _Stage) -> tuple[np.ndarray, np.ndarray]:
    """The prior's mode in unconstrained coordinates, and the scale of each coordinate there."""
    centre, spread = np.zeros(prior.target.size), np.ones(prior.target.size)
    for _ in range(PRIOR_CLIMBS):  # from an origin that may lie many units of the prior away
        centre, _ = prior.minimise(centre, spread, max_iter=200)
        before, spread = spread, _scales(prior, centre, spread)
        settled = (spread < 2 * before).all()
        if settled and np.abs(spread * prior(centre)[1]).max() < AT_THE_TOP:
            break
    return centre, spread


def _starts(
    target: Target,
    data: Data,
    optima: Sequence[Mixture],
    centre: np.ndarray,
    spread: np.ndarray,
    rng: np.random.Generator,
) -> Iterator[tuple[np.ndarray, str]]:
    """Where to climb from: generalised M-steps, and points around the prior's mode."""

    def guided(resp: np.ndarray) -> np.ndarray:
        guide = _Stage.of(target, data, GUIDED, target.guide(data, resp))
        return guide.minimise(centre, spread, max_iter=300)[0]

    k = target.structure.k
    X = np.asarray(data.X)
    for i, mixture in enumerate(optima[:EM_OPTIMA]):
        yield guided(responsibilities(mixture, X)), f"EM optimum {i + 1}"
    if k == 1:
        return
    if all(latent.name != WEIGHTS for latent in target.structure.latents):  # such as sticks
        largest_first = np.argsort(-optima[0].weights)
        yield guided(responsibilities(permute(optima[0], largest_first), X)), "largest first"
    weights = np.where(np.arange(k) == optima[0].weights.argmin(), 0.0, optima[0].weights)
    yield guided(responsibilities(optima[0]._replace(weights=weights), X)), "component emptied"
    for i, jump in enumerate(rng.normal(size=(RANDOM_STARTS, target.size))):
        yield centre + spread * jump, f"random start {i + 1}"


def _reach(target: Target, summits: Sequence[Summit]) -> float:
    """The potential above which a climb is given up: what is lost there no volume can win back.

    A component that is emptied gains the volume of its parameters' priors; each is wider than the
    posterior by a few powers of e.
    """
    if not summits:
        return UNUSABLE
    allowed = REACH + REACH_OF_PARAMETER * target.size / target.structure.k
    return min(summit.potential for summit in summits) + allowed


def _climb(
    posterior: _Stage, z: np.ndarray, spread: np.ndarray, origin: str, reach: float
) -> Summit | None:
    """To the top, unless it is out of reach after the first steps."""
    z, potential = posterior.minimise(z, spread, FIRST_STEPS)
    if potential < reach:
        z, potential = posterior.minimise(z, spread, ALL_STEPS)
    usable = np.isfinite(z).all() and potential < min(reach, UNUSABLE)
    return Summit(z, potential, origin) if usable else None


def _unlike(target: Target, data: Data, summits: Sequence[Summit]) -> list[Summit]:
    """Without summits that are met again, under whatever labels; of two the first met stays."""
    prior, uneven = _Stage.of(target, data, PRIOR), _uneven(target, data)
    kept: list[tuple[Summit, np.ndarray]] = []
    for summit in summits:
        heights = np.array([summit.potential, prior(summit.z)[0], uneven(summit.z)[0]])
        if all((np.abs(heights - other) >= (ALIKE, ALIKE, UNLIKE)).any() for _, other in kept):
            kept.append((summit, heights))
    return [summit for summit, _ in kept]


def _uneven(target: Target, data: Data) -> _Stage:
    """The log posterior with some rows more than others.

    It tells modes of one height apart that are each other's mirror images, as symmetric data have.
    """
    tilt = jnp.linspace(0.5, 1.5, len(data.row_weights))
    return _Stage.of(target, data._replace(row_weights=data.row_weights * tilt), POSTERIOR)


def _distinct(found: Sequence[Mode], uneven: _Stage) -> list[Mode]:
    """Modes of equal height and mass are one, met under another labelling; the first met stays."""
    distinct: list[tuple[Mode, np.ndarray]] = []
    for mode in found:
        heights = np.array([mode.potential, mode.log_mass, uneven(np.asarray(mode.place.loc))[0]])
        if all((np.abs(heights - at) >= (SAME_MODE, ALIKE, UNLIKE)).any() for _, at in distinct):
            distinct.append((mode, heights))
    return [mode for mode, _ in distinct]


def _weigh(posterior: _Stage, summit: Summit, spread: np.ndarray) -> Mode:
    """The summit itself, by Newton's method; the curvature there, and its Laplace mass."""
    blocks, z, potential = posterior.target.blocks, summit.z, summit.potential
    place = _curvature(posterior, blocks, z, spread)
    moved = 0.0
    for _ in range(NEWTON_STEPS):
        slope = blocks.pulled(place, posterior(z)[1])
        nearer = blocks.spread(place._replace(loc=z), -slope[None])[0]
        value, _ = posterior(nearer)
        if slope @ slope / 2 < DECREMENT or not value < potential:
            break
        z, potential, moved = nearer, value, moved + np.sqrt(slope @ slope)
    if moved > 0.1:
        place = _curvature(posterior, blocks, z, spread)
    place = place._replace(loc=z)
    log_mass = -potential + blocks.half_log_det(place) + len(z) * LOG_2PI / 2
    return Mode(place, potential, log_mass, summit.origin)


def _curvature(posterior: _Stage, blocks: Blocks, z: np.ndarray, spread: np.ndarray) -> Place:
    """The factors of the inverse curvature at z, by central differences of the gradient.

    Blocks of a set are probed together: what one does to another counts as nothing.
    """
    scales = _scales(posterior, z, spread)
    factors = []
    for part in blocks.sets:
        shifts = []
        for j in range(part.shape[1]):
            shift = np.zeros_like(z)
            shift[part[:, j]] = STEP * scales[part[:, j]]
            shifts.append(shift)
        _, slopes = posterior.at(np.stack([z + s for s in shifts] + [z - s for s in shifts]))
        rises = slopes[: len(shifts)] - slopes[len(shifts) :]
        own = np.moveaxis(rises[:, part], 0, -1) * scales[part][..., :, None] / (2 * STEP)
        factors.append(scales[part][..., :, None] * _inverse_root(own))
    return Place(z, tuple(factors))


def _scales(stage: _Stage, z: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """One over the root of each coordinate's own curvature, at most ten times `spread`."""
    rough, rises = 1e-4 * spread, np.empty_like(z)
    columns = [part[:, j] for part in stage.target.blocks.sets for j in range(part.shape[1])]
    points = np.stack([z, *(z for _ in columns)])
    for point, places in zip(points[1:], columns, strict=True):
        point[places] += rough[places]
    _, (base, *slopes) = stage.at(points)
    for places, slope in zip(columns, slopes, strict=True):
        rises[places] = (slope - base)[places]
    return 1 / np.sqrt(np.maximum(np.abs(rises) / rough, (10 * spread) ** -2.0))


def _inverse_root(curvature: Float[np.ndarray, "g b b"]) -> Float[np.ndarray, "g b b"]:
    """Cholesky factors of the inverses of symmetric matrices, whose flat ways are bounded."""
    symmetric = (curvature + np.swapaxes(curvature, -1, -2)) / 2
    values, vectors = np.linalg.eigh(symmetric)
    values = np.maximum(np.abs(values), MIN_EIGENVALUE)
    inverse = (vectors / values[:, None, :]) @ np.swapaxes(vectors, -1, -2)
    return np.linalg.cholesky((inverse + np.swapaxes(inverse, -1, -2)) / 2)
