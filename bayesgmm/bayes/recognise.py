"""Recognise mixtures, and normal ones among them, in NumPyro's distributions."""

from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Float

from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.mixture import Mixture


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


def is_by_row(fn: Any) -> bool:
    """Whether the mixture's own parameters have an axis for the rows."""
    return len(unwrapped(fn).batch_shape) > 0


def mixture_size(fn: Any) -> int:
    """Number of components of a finite mixture."""
    return int(unwrapped(fn).mixture_size)


def component_log_probs(fn: Any, value: Array) -> Float[Array, "n k"]:
    """log(weight_k) + log p_k(x_i) of any finite mixture, shape (n, k)."""
    return unwrapped(fn).component_log_probs(value)


def gaussian_mixture(fn: Any) -> Mixture | None:
    """The mixture's parameters if its components are normal, otherwise None.

    Columns that are independent within a component give a mixture of diagonals.
    """
    fn = unwrapped(fn)
    if not is_mixture(fn) or jnp.ndim(fn.mixing_distribution.probs) != 1:
        return None
    weights = jax.nn.softmax(fn.mixing_distribution.logits)
    one_by_one = isinstance(fn, dist.MixtureGeneral)
    parts = fn.component_distributions if one_by_one else [fn.component_distribution]
    if any(is_masked(part) for part in parts):
        return None
    components = _one_by_one(fn) if one_by_one else _together(fn)
    return None if components is None else Mixture(weights, *components)


def _together(fn: Any) -> tuple[Array, Array] | None:
    """Means and factors of one vectorised component distribution."""
    k = int(fn.mixture_size)
    if tuple(fn.component_distribution.batch_shape) != (k,):
        return None  # parameters that differ from row to row
    return _normal(unwrapped(fn.component_distribution), (k,), tuple(fn.event_shape))


def _one_by_one(fn: Any) -> tuple[Array, Array] | None:
    """Means and factors of a list of component distributions, one each."""
    parts = [
        _normal(unwrapped(part), (), tuple(fn.event_shape)) for part in fn.component_distributions
    ]
    if any(part is None or part[0].ndim != 1 for part in parts):
        return None
    means, factors = zip(*(part for part in parts if part is not None), strict=True)
    if len({factor.ndim for factor in factors}) > 1:
        return None
    return jnp.stack(means), jnp.stack(factors)


def _normal(normal: Any, batch: tuple[int, ...], event: tuple[int, ...]) -> Any:
    """Means (*batch, d) and factors (*batch, d, d) or (*batch, d) of normal distributions."""
    shape = batch + (event or (1,))
    if len(shape) != len(batch) + 1:
        return None
    d = shape[-1]
    if type(normal) is dist.MultivariateNormal:
        factors = jnp.broadcast_to(normal.scale_tril, (*batch, d, d))
        return jnp.broadcast_to(normal.loc, shape), factors
    if type(normal) is not dist.Normal:
        return None
    if event:
        return jnp.broadcast_to(normal.loc, shape), jnp.broadcast_to(normal.scale, shape)
    loc, scale = (jnp.broadcast_to(part, batch) for part in (normal.loc, normal.scale))
    return loc[..., None], scale[..., None]
