"""The value that everything shares: a Gaussian mixture, or a stack of them.

The same three arrays hold an EM result, the posterior draws, a marginal or a relabelled copy. Any
leading axes stack mixtures, and every function here works on the last axes only.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from bayesgmm.gaussian.arrays import Array

LOG_2PI = float(np.log(2 * np.pi))


class Mixture(NamedTuple):
    """A Gaussian mixture of k components in d dimensions.

    Attributes:
        weights: shape (..., k), non-negative, summing to one; a component of weight zero is absent.
        means: shape (..., k, d), in the units of the data.
        scale_tril: shape (..., k, d, d), lower Cholesky factors of the covariances.
    """

    weights: Float[Array, "*s k"]
    means: Float[Array, "*s k d"]
    scale_tril: Float[Array, "*s k d d"]

    @property
    def n_components(self) -> int:
        return int(self.weights.shape[-1])

    @property
    def covariances(self) -> Float[Array, "*s k d d"]:
        return self.scale_tril @ _library(self.scale_tril).swapaxes(self.scale_tril, -1, -2)


def whitener(scale_tril: Float[Array, "*s d d"]) -> Float[Array, "*s d d"]:
    """The inverse of each lower Cholesky factor, itself lower triangular."""
    if not isinstance(scale_tril, jax.Array):
        return np.linalg.inv(scale_tril)
    eye = jnp.broadcast_to(jnp.eye(scale_tril.shape[-1]), scale_tril.shape)
    return jax.scipy.linalg.solve_triangular(scale_tril, eye, lower=True)


def half_log_det(scale_tril: Float[Array, "*s d d"]) -> Float[Array, "*s"]:
    """Half the log determinant of each covariance: the sum of the log diagonal."""
    xp = _library(scale_tril)
    return xp.log(xp.diagonal(scale_tril, axis1=-2, axis2=-1)).sum(-1)


def log_joint(mixture: Mixture, X: Float[Array, "n d"]) -> Float[Array, "*s n k"]:
    """log(weight_k) + log N(x_i | mean_k, covariance_k), from centred, whitened rows.

    NumPy arrays give NumPy arrays, at once and without a compiler; JAX arrays give JAX arrays.

    Args:
        mixture: one mixture or a stack of them.
        X: rows, shape (n, d).

    Returns:
        Shape (..., n, k); minus infinity where a weight is zero.
    """
    xp = _library(mixture.weights)
    scale_inverse = whitener(mixture.scale_tril)
    centred = X[..., None, :, :] - mixture.means[..., :, None, :]
    white = centred @ xp.swapaxes(scale_inverse, -1, -2)
    const = _log(mixture.weights) - half_log_det(mixture.scale_tril) - X.shape[-1] * LOG_2PI / 2
    return xp.swapaxes(const[..., :, None] - (white**2).sum(-1) / 2, -1, -2)


def log_density(mixture: Mixture, X: Float[Array, "n d"]) -> Float[Array, "*s n"]:
    """Log density of every row under the mixture, shape (..., n)."""
    return logsumexp(log_joint(mixture, X))


def log_responsibilities(mixture: Mixture, X: Float[Array, "n d"]) -> Float[Array, "*s n k"]:
    """Log probability of every component for every row given the parameters."""
    joint = log_joint(mixture, X)
    return joint - logsumexp(joint)[..., None]


def responsibilities(mixture: Mixture, X: Float[Array, "n d"]) -> Float[Array, "*s n k"]:
    """Probability of every component for every row given the parameters, shape (..., n, k)."""
    return _library(mixture.weights).exp(log_responsibilities(mixture, X))


def logsumexp(joint: Float[Array, "*s k"]) -> Float[Array, "*s"]:
    """log sum exp over the last axis."""
    if isinstance(joint, jax.Array):
        return jax.nn.logsumexp(joint, axis=-1)
    top = joint.max(-1)
    return top + np.log(np.exp(joint - top[..., None]).sum(-1))


def moments(mixture: Mixture) -> tuple[Float[Array, "*s d"], Float[Array, "*s d d"]]:
    """Mean and covariance of the whole mixture; they do not depend on the labels."""
    xp = _library(mixture.weights)
    mean = xp.einsum("...k,...kd->...d", mixture.weights, mixture.means)
    spread = mixture.means - mean[..., None, :]
    between = xp.einsum("...k,...ka,...kb->...ab", mixture.weights, spread, spread)
    within = xp.einsum("...k,...kab->...ab", mixture.weights, mixture.covariances)
    return mean, between + within


def _library(array: Array) -> Any:
    return jnp if isinstance(array, jax.Array) else np


def _log(weights: Array) -> Array:
    if isinstance(weights, jax.Array):
        return jnp.log(weights)
    with np.errstate(divide="ignore"):
        return np.log(weights)


def permute(mixture: Mixture, order: Int[np.ndarray, "*s k"]) -> Mixture:
    """The same mixtures with component `order[..., j]` in place j."""
    order = np.asarray(order)
    return Mixture(
        np.take_along_axis(np.asarray(mixture.weights), order, -1),
        np.take_along_axis(np.asarray(mixture.means), order[..., None], -2),
        np.take_along_axis(np.asarray(mixture.scale_tril), order[..., None, None], -3),
    )
