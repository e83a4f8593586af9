"""SQUAREM's leap along three successive mixtures (Varadhan and Roland 2008, third step length)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.gaussian.sweep import Frame


class Path(NamedTuple):
    """Three successive mixtures."""

    first: Mixture
    second: Mixture
    third: Mixture


class Leap(NamedTuple):
    """Where SQUAREM leaps to, the linear rate of the steps before, and the length of the last."""

    mixture: Mixture
    rate: Array
    last: Array


def extrapolate(path: Path, frame: Frame) -> Leap:
    """The leap from three successive mixtures."""
    present = path.first.weights > 0
    a, b, c = (_coordinates(mixture, frame, present) for mixture in path)
    r = jax.tree.map(jnp.subtract, b, a)
    v = jax.tree.map(lambda x, y, z: z - 2 * y + x, a, b, c)
    last = jax.tree.map(jnp.subtract, c, b)
    length = jnp.maximum(_norm(r) / jnp.maximum(_norm(v), 1e-300), 1.0)
    leap = jax.tree.map(lambda x, y, z: x + 2 * length * y + length**2 * z, a, r, v)
    rate = _norm(last) / jnp.maximum(_norm(r), 1e-300)
    return Leap(_from_coordinates(leap, frame, present), rate, _norm(last))


def _norm(tree: Mixture) -> Array:
    return jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in tree))


def _coordinates(mixture: Mixture, frame: Frame, present: Array) -> Mixture:
    """Unconstrained coordinates of comparable size: log weights, scaled means, log-Cholesky."""
    scaled = mixture.scale_tril / (frame.scale if mixture.is_diagonal else frame.scale[:, None])
    diagonal = _diagonal(mixture)
    return Mixture(
        jnp.log(jnp.where(present, mixture.weights, 1.0)),
        (mixture.means - frame.shift) / frame.scale,
        jnp.where(diagonal, jnp.log(jnp.where(diagonal, scaled, 1.0)), scaled),
    )


def _from_coordinates(coordinates: Mixture, frame: Frame, present: Array) -> Mixture:
    log_weights = jnp.where(present, coordinates.weights, -jnp.inf)
    factors, diagonal = coordinates.scale_tril, _diagonal(coordinates)
    scale = frame.scale if coordinates.is_diagonal else frame.scale[:, None]
    return Mixture(
        jax.nn.softmax(log_weights),
        frame.shift + frame.scale * coordinates.means,
        jnp.where(diagonal, jnp.exp(factors), factors) * scale,
    )


def _diagonal(mixture: Mixture) -> Array:
    """Where the factors hold their diagonals."""
    return jnp.array(True) if mixture.is_diagonal else jnp.eye(mixture.means.shape[-1], dtype=bool)
