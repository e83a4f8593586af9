"""The likelihood of a mixture, differentiable in its parameters at the price of the pass.

Summed over rows, one pass gives the value and, in its sums, the derivative: R @ phi'. Row by row,
responsibilities are kept from the pass that gives the values, and features are formed again when
derivatives are wanted: nothing of the size n x p is ever stored. Both may be differentiated
forwards and backwards, and again. Derivatives with respect to the data are refused, never silently
zero.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.gaussian.passes import FEATURES, Pass
from bayesgmm.gaussian.sweep import Frame, block_rows, features, log_jacobian, natural


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def log_likelihood(
    form: Pass,
    prepared: Any,
    X: Float[Array, "n d"],
    row_weights: Float[Array, " n"],
    frame: Frame,
) -> Float[Array, ""]:
    """The first result of `form.run`, whose derivative in `prepared` comes from the second.

    Raises:
        TypeError: a derivative with respect to the rows, their weights or the frame is asked for.
    """
    return form.run(prepared, X, row_weights, frame)[0]


def _log_likelihood_jvp(form: Pass, primals: Any, tangents: Any) -> tuple[Array, Array]:
    prepared_dot, *data_dot = tangents
    _refuse(data_dot)
    value, sums = form.run(*primals)
    slopes = jax.tree.leaves(form.slope(sums, primals[0]))
    pairs = zip(slopes, jax.tree.leaves(prepared_dot, is_leaf=_is_zero), strict=True)
    moves = [jnp.vdot(slope, dot) for slope, dot in pairs if not _is_zero(dot)]
    return value, sum(moves, jnp.zeros_like(value))


log_likelihood.defjvp(_log_likelihood_jvp, symbolic_zeros=True)


def mixture_log_likelihood(
    mixture: Mixture,
    X: Float[Array, "n d"],
    row_weights: Float[Array, " n"],
    frame: Frame,
    form: Pass = FEATURES,
) -> Float[Array, ""]:
    """Weighted log-likelihood of the mixture in the user's units, differentiable in its arrays."""
    fused = log_likelihood(form, form.prepare(mixture, frame), X, row_weights, frame)
    return fused + log_jacobian(row_weights, frame)


def mixture_log_densities(
    mixture: Mixture, X: Float[Array, "n d"], frame: Frame
) -> Float[Array, " n"]:
    """Log density of every row in the user's units, differentiable in the mixture's arrays."""
    return log_densities(natural(mixture, frame), X, frame) - jnp.log(frame.scale).sum()


@jax.custom_jvp
def log_densities(
    theta: Float[Array, "k p"], X: Float[Array, "n d"], frame: Frame
) -> Float[Array, " n"]:
    """Log density of every row in the frame, from natural parameters.

    Raises:
        TypeError: a derivative with respect to the rows or the frame is asked for.
    """
    return _each_row(theta, X, frame)[0]


def _log_densities_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    theta_dot, *data_dot = tangents
    _refuse(data_dot)
    values, resp = _each_row(*primals)
    if _is_zero(theta_dot):
        return values, jnp.zeros_like(values)
    _, X, frame = primals
    return values, _along(theta_dot, resp, X, frame)


log_densities.defjvp(_log_densities_jvp, symbolic_zeros=True)


def _each_row(theta: Array, X: Array, frame: Frame) -> tuple[Array, Array]:
    """Log densities (n,), and responsibilities block by block (blocks, k, rows)."""
    size = min(X.shape[0], block_rows(theta))

    def block(first: Array) -> tuple[Array, Array]:
        joint = theta @ features(_block(X, frame, first, size), theta.shape[-1])
        log_density = jax.nn.logsumexp(joint, axis=0)
        return log_density, jnp.exp(joint - log_density)

    values, resp = lax.map(block, _firsts(X.shape[0], size))
    return _in_a_row(values, X.shape[0]), resp


def _along(theta_dot: Array, resp: Array, X: Array, frame: Frame) -> Array:
    """The derivative of the log densities as theta moves: linear in `theta_dot`."""
    size = resp.shape[-1]

    @jax.checkpoint  # features are formed again, not kept
    def block(item: tuple[Array, Array]) -> Array:
        first, own = item
        return (
            own * (theta_dot @ features(_block(X, frame, first, size), theta_dot.shape[-1]))
        ).sum(0)

    return _in_a_row(lax.map(block, (_firsts(X.shape[0], size), resp)), X.shape[0])


def _firsts(n: int, size: int) -> Array:
    """The first row of every block; the last overlaps the one before it."""
    return jnp.minimum(jnp.arange(-(-n // size)) * size, n - size)


def _block(X: Array, frame: Frame, first: Array, size: int) -> Array:
    return (lax.dynamic_slice_in_dim(X, first, size) - frame.shift) / frame.scale


def _in_a_row(values: Float[Array, "_m _size"], n: int) -> Float[Array, " n"]:
    """The values of all blocks, those that overlap once."""
    m, size = values.shape
    seen = (m - 1) * size
    return jnp.concatenate([values[:-1].reshape(-1), values[-1, size - (n - seen) :]])


def _refuse(data_dot: Any) -> None:
    if any(not _is_zero(leaf) for leaf in jax.tree.leaves(data_dot, is_leaf=_is_zero)):
        raise TypeError(
            "the fused log-likelihood has no derivative with respect to the data, "
            "their weights or their scaling; differentiate the parameters only."
        )


def _is_zero(tangent: Any) -> bool:
    return type(tangent) is jax.custom_derivatives.SymbolicZero
