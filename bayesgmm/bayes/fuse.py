"""Recognise mixtures of normals in NumPyro distributions, and give them the fused likelihood."""

from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Float

from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.gaussian.sweep import Frame, mixture_log_likelihood


def unwrapped(fn: Any) -> Any:
    """The distribution inside plates' expansions, masks and independent wrappers."""
    while isinstance(fn, dist.ExpandedDistribution | dist.MaskedDistribution | dist.Independent):
        fn = fn.base_dist
    return fn


def is_mixture(fn: Any) -> bool:
    """Whether it is a finite mixture."""
    return isinstance(unwrapped(fn), dist.MixtureSameFamily | dist.MixtureGeneral)


def is_masked(fn: Any) -> bool:
    """Whether some of its entries are switched off."""
    while hasattr(fn, "base_dist"):
        if isinstance(fn, dist.MaskedDistribution):
            return True
        fn = fn.base_dist
    return False


def mixture_size(fn: Any) -> int:
    """Number of components of a finite mixture."""
    return int(unwrapped(fn).mixture_size)


def component_log_probs(fn: Any, value: Array) -> Float[Array, "n k"]:
    """log(weight_k) + log p_k(x_i) of any finite mixture, shape (n, k)."""
    return unwrapped(fn).component_log_probs(value)


def gaussian_mixture(fn: Any) -> Mixture | None:
    """The mixture's parameters if its components are normal, otherwise None."""
    fn = unwrapped(fn)
    if type(fn) is not dist.MixtureSameFamily or jnp.ndim(fn.mixing_distribution.probs) != 1:
        return None
    weights = jax.nn.softmax(fn.mixing_distribution.logits)
    if tuple(fn.component_distribution.batch_shape) != tuple(weights.shape):
        return None  # parameters that differ from row to row
    normal = unwrapped(fn.component_distribution)
    shape = (weights.shape[0],) + (tuple(fn.event_shape) or (1,))
    if len(shape) != 2:
        return None
    k, d = shape
    if type(normal) is dist.MultivariateNormal:
        scale_tril = jnp.broadcast_to(normal.scale_tril, (k, d, d))
        return Mixture(weights, jnp.broadcast_to(normal.loc, shape), scale_tril)
    if type(normal) is dist.Normal:
        as_rows = (
            (lambda a: jnp.reshape(jnp.broadcast_to(a, (k,)), shape))
            if not fn.event_shape
            else (lambda a: jnp.broadcast_to(a, shape))
        )
        scale = as_rows(normal.scale)
        return Mixture(weights, as_rows(normal.loc), scale[..., None] * jnp.eye(d))
    return None


def log_likelihood(
    fn: Any, value: Array, row_weights: Float[Array, " n"], frame: Frame
) -> Float[Array, ""]:
    """The weighted sum of the mixture's log densities; fused where the components are normal.

    Args:
        fn: the distribution of the observed site.
        value: its data, shape (n, d) or (n,).
        row_weights: shape (n,).
        frame: shift and scale of the fused sweep.
    """
    mixture = gaussian_mixture(fn)
    if mixture is None:
        return row_weights @ jax.nn.logsumexp(component_log_probs(fn, value), axis=-1)
    X = value if value.ndim == 2 else value[:, None]
    return mixture_log_likelihood(mixture, X, row_weights, frame)
