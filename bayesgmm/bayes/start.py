"""From the EM fit to the posterior's modes, for any program.

EM's responsibilities start the program: one generalised M-step over its unconstrained latents puts
every parameter where the rows of its component want it, and from there the posterior mode is a
climb away. Distinct EM optima, and a few random starts that owe nothing to EM, are all taken to
their modes and weighed by Laplace mass; chains start in the modes that hold at least `MIN_MASS`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize

from bayesgmm.bayes.target import GUIDED, POSTERIOR, PRIOR, Data, Target
from bayesgmm.data.errors import InputError
from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.lowering import remembered
from bayesgmm.gaussian.mixture import LOG_2PI, Mixture, responsibilities
from bayesgmm.gaussian.precision import float64
from bayesgmm.ml.derivatives import hessian
from bayesgmm.ml.threads import single_threaded_blas

MIN_MASS = 0.05
EM_OPTIMA = 4
RANDOM_STARTS = 2
SAME_MODE = 1e-2
MIN_EIGENVALUE = 1e-6
UNUSABLE = 1e300
PRIOR_CLIMBS = 20
AT_THE_TOP = 1e-3


class Summit(NamedTuple):
    """Where a climb ended: the unconstrained vector, minus its log density, and what led there."""

    z: Float[np.ndarray, " p"]
    potential: float
    origin: str


class Mode(NamedTuple):
    """A local maximum of the log posterior density of the unconstrained vector.

    Attributes:
        z: where, shape (p,).
        potential: minus the log density there, up to the target's constant.
        scale_tril: lower Cholesky factor of the inverse curvature, shape (p, p).
        log_mass: log of its Laplace mass, up to the same constant.
        origin: what led there, such as "EM optimum 1" or "random start 2".
    """

    z: Float[np.ndarray, " p"]
    potential: float
    scale_tril: Float[np.ndarray, "p p"]
    log_mass: float
    origin: str


@float64
@single_threaded_blas
def modes(target: Target, data: Data, optima: Sequence[Mixture], key: Array) -> list[Mode]:
    """The posterior's distinct modes, largest Laplace mass first, with their shares.

    Args:
        target: the program's log posterior.
        data: what it is evaluated on.
        optima: EM's distinct optima, best first; components in the order that labels shall have.
        key: for the starts that do not come from EM.

    Raises:
        InputError: the log posterior is not finite anywhere it was tried.
    """
    centre, spread = _typical(_Stage.of(target, data, PRIOR))
    summits = [
        _climb_from_em(target, data, mixture, centre, spread, f"EM optimum {i + 1}")
        for i, mixture in enumerate(optima[:EM_OPTIMA])
    ]
    if target.structure.k > 1:
        jumps = np.asarray(jax.random.normal(key, (RANDOM_STARTS, target.size)))
        summits += [
            _climb(target, data, centre + spread * jump, spread, f"random start {i + 1}")
            for i, jump in enumerate(jumps)
        ]
    usable = [summit for summit in summits if np.isfinite(summit.z).all()]
    usable = [summit for summit in usable if summit.potential < UNUSABLE]
    if not usable:
        raise InputError(
            f"model {target.program.name!r}: its log posterior is not finite at any start; check "
            "its priors and their support against the data."
        )
    found = [_weigh(target, data, summit, spread) for summit in _distinct(usable)]
    return sorted(found, key=lambda mode: -mode.log_mass)


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
def _value_and_gradient(
    target: Target, z: Array, data: Data, resp: Array, stage: Array
) -> tuple[Array, Array]:
    return jax.value_and_grad(target.staged_potential)(z, data, resp, stage)


@float64
def value_and_gradient(
    target: Target, data: Data, z: Float[np.ndarray, " p"]
) -> tuple[float, Float[np.ndarray, " p"]]:
    """The potential and its gradient at z, from the program that found the modes."""
    return _Stage.of(target, data, POSTERIOR)(z)


class _Stage(NamedTuple):
    """One of the staged potentials as a plain function of the unconstrained vector."""

    target: Target
    data: Data
    resp: Float[np.ndarray, "n k"]
    stage: int
    program: Callable[..., Any]

    @classmethod
    def of(
        cls, target: Target, data: Data, stage: int, resp: Float[np.ndarray, "n k"] | None = None
    ) -> "_Stage":
        if resp is None:
            resp = np.zeros((data.X.shape[0], target.structure.k))
        shapes = (np.zeros(target.size), data, resp, np.int32(stage))
        return cls(target, data, resp, stage, _value_and_gradient.program(target, *shapes))

    def __call__(self, z: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = self.program(z, self.data, self.resp, np.int32(self.stage))
        return float(value), np.asarray(gradient)

    def gradient(self, z: np.ndarray) -> np.ndarray:
        return self(z)[1]

    def minimise(
        self, z: np.ndarray, spread: np.ndarray, max_iter: int
    ) -> tuple[np.ndarray, float]:
        """L-BFGS from z, in steps scaled by `spread`."""

        def objective(u: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = self(z + spread * u)
            usable = np.isfinite(value) and np.isfinite(gradient).all()
            return (value, gradient * spread) if usable else (UNUSABLE, np.zeros_like(gradient))

        options: Any = {"maxiter": max_iter, "maxfun": 4 * max_iter, "maxcor": 50, "ftol": 1e-10}
        result = minimize(objective, np.zeros_like(z), jac=True, method="L-BFGS-B", options=options)
        return z + result.x * spread, float(result.fun)


def _typical(prior: _Stage) -> tuple[np.ndarray, np.ndarray]:
    """The prior's mode in unconstrained coordinates, and the scale of each coordinate there."""
    centre, spread = np.zeros(prior.target.size), np.ones(prior.target.size)
    for _ in range(PRIOR_CLIMBS):  # from an origin that may lie many units of the prior away
        centre, _ = prior.minimise(centre, spread, max_iter=200)
        before, spread = spread, _scales(prior, centre, spread)
        settled = (spread < 2 * before).all()
        if settled and np.abs(spread * prior.gradient(centre)).max() < AT_THE_TOP:
            break
    return centre, spread


def _climb_from_em(
    target: Target,
    data: Data,
    mixture: Mixture,
    centre: np.ndarray,
    spread: np.ndarray,
    origin: str,
) -> Summit:
    """The generalised M-step from EM's responsibilities, and the climb from there."""
    resp = responsibilities(mixture, np.asarray(data.X))
    z, _ = _Stage.of(target, data, GUIDED, resp).minimise(centre, spread, max_iter=300)
    return _climb(target, data, z, spread, origin)


def _climb(target: Target, data: Data, z: np.ndarray, spread: np.ndarray, origin: str) -> Summit:
    posterior = _Stage.of(target, data, POSTERIOR)
    return Summit(*posterior.minimise(z, spread, max_iter=1000), origin)


def _distinct(summits: Sequence[Summit]) -> list[Summit]:
    """Summits of equal height are one, met under another labelling; the first met stays."""
    distinct: list[Summit] = []
    for summit in summits:
        if all(abs(summit.potential - other.potential) >= SAME_MODE for other in distinct):
            distinct.append(summit)
    return distinct


def _weigh(target: Target, data: Data, summit: Summit, spread: np.ndarray) -> Mode:
    """The curvature at a summit and its Laplace mass."""
    posterior = _Stage.of(target, data, POSTERIOR)
    steps = 0.05 * _scales(posterior, summit.z, spread)
    scale_tril, half_log_det = _laplace(hessian(posterior.gradient, summit.z, steps))
    log_mass = -summit.potential + half_log_det + target.size * LOG_2PI / 2
    return Mode(summit.z, summit.potential, scale_tril, log_mass, summit.origin)


def _scales(stage: _Stage, z: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """One over the root of each coordinate's own curvature, at most ten times `spread`."""
    rough = 1e-4 * spread
    base = stage.gradient(z)
    rises = [(stage.gradient(z + shift) - base)[j] for j, shift in enumerate(np.diag(rough))]
    return 1 / np.sqrt(np.maximum(np.abs(rises) / rough, (10 * spread) ** -2.0))


def _laplace(curvature: np.ndarray) -> tuple[np.ndarray, float]:
    """Cholesky factor of the inverse curvature, and its log determinant; flat ways are bounded."""
    scale = np.sqrt(np.maximum(np.abs(np.diagonal(curvature)), 1e-12))
    values, vectors = np.linalg.eigh(curvature / np.outer(scale, scale))
    values = np.maximum(np.abs(values), MIN_EIGENVALUE)
    covariance = (vectors / values) @ vectors.T / np.outer(scale, scale)
    factor = np.linalg.cholesky((covariance + covariance.T) / 2)
    return factor, float(np.log(np.diagonal(factor)).sum())
