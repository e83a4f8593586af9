"""The one pass in whitened coordinates: y = L^-1 (z - mean), component by component.

It gives what `sweep` gives, to full precision however close to singular a covariance is, and forms
no features. In both its products it takes whole matrices where features take a triangle: it is for
columns that nearly determine each other, and for many columns with few components.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.mixture import LOG_2PI, Mixture, half_log_det, whitener
from bayesgmm.gaussian.sweep import Frame, Statistics, over_blocks, rows_in_cache, shared_out


class Whitening(NamedTuple):
    """log joint = const - |inverse @ z - centre|^2 / 2 of every component, in the frame."""

    inverse: Float[Array, "*s k d d"]
    centre: Float[Array, "*s k d"]
    const: Float[Array, "*s k"]


def whitening(mixture: Mixture, frame: Frame) -> Whitening:
    """What takes rows in the frame to the whitened coordinates of each component."""
    means = (mixture.means - frame.shift) / frame.scale
    scale_tril = mixture.scale_tril / frame.scale[:, None]
    inverse = whitener(scale_tril)
    const = jnp.log(mixture.weights) - half_log_det(scale_tril) - means.shape[-1] * LOG_2PI / 2
    return Whitening(inverse, jnp.einsum("...ab,...b->...a", inverse, means), const)


def whitened_sweep(
    parts: Whitening,
    X: Float[Array, "n d"],
    row_weights: Float[Array, " n"],
    frame: Frame,
) -> tuple[Float[Array, "*s"], Float[Array, "*s k q"]]:
    """Log-likelihood of the rows in the frame, and sums of r [1, y, y y'], q = 1 + d + d d.

    Args:
        parts: of one mixture or a stack of them.
        X: rows in the user's units, shape (n, d); never copied.
        row_weights: shape (n,), non-negative.
        frame: shift and scale applied block by block.
    """
    size = rows_in_cache(3 * parts.centre.dtype.itemsize * parts.centre.size)
    return over_blocks(partial(_whitened_block, parts), X, row_weights, frame, size)


def _whitened_block(parts: Whitening, Z: Array, row_weights: Array) -> tuple[Array, Array]:
    inverse, centre, const = parts
    flat = inverse.reshape(-1, Z.shape[1]) @ Z.T
    white = flat.reshape(*centre.shape, -1) - centre[..., None]
    joint = const[..., None] - jnp.square(white).sum(-2) / 2
    value, resp = shared_out(joint, row_weights)
    shared = resp[..., None, :] * white
    squares = shared @ jnp.swapaxes(white, -1, -2)
    sums = (resp.sum(-1)[..., None], shared.sum(-1), squares.reshape(*const.shape, -1))
    return value, jnp.concatenate(sums, axis=-1)


def whitened_statistics(raw: Float[Array, "*s k q"], mixture: Mixture, frame: Frame) -> Statistics:
    """Expected sufficient statistics in the user's units from the second result."""
    d = frame.shift.shape[0]
    counts, first, second = raw[..., 0], raw[..., 1 : d + 1], raw[..., d + 1 :]
    safe = jnp.where(counts > 0, counts, 1.0)[..., None]
    factors = mixture.scale_tril
    moved = jnp.einsum("...ab,...b->...a", factors, first / safe)
    outer = first[..., :, None] * first[..., None, :] / safe[..., None]
    about_means = second.reshape(*counts.shape, d, d) - outer
    scatter = factors @ about_means @ jnp.swapaxes(factors, -1, -2)
    return Statistics(counts, mixture.means + moved, scatter)


def whitened_slope(raw: Float[Array, "*s k q"], parts: Whitening) -> Whitening:
    """The derivative of the log-likelihood with respect to each part, from the second result.

    With z = inverse^-1 (y + centre), the sum of r y z' needs no further pass.
    """
    d = parts.centre.shape[-1]
    counts, first, second = raw[..., 0], raw[..., 1 : d + 1], raw[..., d + 1 :]
    about = second.reshape(parts.inverse.shape) + first[..., :, None] * parts.centre[..., None, :]
    moved = jax.scipy.linalg.solve_triangular(
        parts.inverse, jnp.swapaxes(about, -1, -2), lower=True
    )
    return Whitening(-jnp.swapaxes(moved, -1, -2), first, counts)
