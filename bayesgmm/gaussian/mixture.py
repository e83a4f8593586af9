"""The value that everything shares: a Gaussian mixture, or a stack of them.

The same three arrays hold an EM result, the posterior draws, a marginal or a relabelled copy. Any
leading axes stack mixtures, and every function here works on the last axes only.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from bayesgmm.gaussian.arrays import Array, blocks
from bayesgmm.gaussian.lowering import portable

LOG_2PI = float(np.log(2 * np.pi))


@portable
class Mixture(NamedTuple):
    """A Gaussian mixture of k components in d dimensions.

    Attributes:
        weights: shape (..., k), non-negative, summing to one; a component of weight zero is absent.
        means: shape (..., k, d), in the units of the data.
        scale_tril: shape (..., k, d, d), lower Cholesky factors of the covariances; or (..., k, d),
            their diagonals alone, which say everything where columns are not correlated.
    """

    weights: Float[Array, "*s k"]
    means: Float[Array, "*s k d"]
    scale_tril: Float[Array, "*s k d d"] | Float[Array, "*s k d"]

    @property
    def n_components(self) -> int:
        return int(self.weights.shape[-1])

    @property
    def is_diagonal(self) -> bool:
        """Whether only the diagonals of the Cholesky factors are kept."""
        return self.scale_tril.ndim == self.means.ndim

    @property
    def covariances(self) -> Float[Array, "*s k d d"]:
        factors = full(self).scale_tril
        return factors @ _library(factors).swapaxes(factors, -1, -2)

    @property
    def variances(self) -> Float[Array, "*s k d"]:
        """The diagonals of the covariances."""
        squares = _library(self.scale_tril).square(self.scale_tril)
        return squares if self.is_diagonal else squares.sum(-1)


def full(mixture: Mixture) -> Mixture:
    """The same mixture with whole Cholesky factors."""
    if not mixture.is_diagonal:
        return mixture
    eye = _library(mixture.scale_tril).eye(mixture.means.shape[-1])
    return mixture._replace(scale_tril=mixture.scale_tril[..., None] * eye)


def uncorrelated(mixture: Mixture) -> Mixture:
    """The mixture of the same variances without correlations; diagonals alone are kept."""
    return mixture._replace(scale_tril=_library(mixture.weights).sqrt(mixture.variances))


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
    return _each_block(lambda joint: joint, mixture, X)


def log_density(mixture: Mixture, X: Float[Array, "n d"]) -> Float[Array, "*s n"]:
    """Log density of every row under the mixture, shape (..., n)."""
    return _each_block(logsumexp, mixture, X)


def log_responsibilities(mixture: Mixture, X: Float[Array, "n d"]) -> Float[Array, "*s n k"]:
    """Log probability of every component for every row given the parameters."""
    return _each_block(lambda joint: joint - logsumexp(joint)[..., None], mixture, X)


def responsibilities(mixture: Mixture, X: Float[Array, "n d"]) -> Float[Array, "*s n k"]:
    """Probability of every component for every row given the parameters, shape (..., n, k)."""
    exp = _library(mixture.weights).exp
    return _each_block(lambda joint: exp(joint - logsumexp(joint)[..., None]), mixture, X)


def most_probable(mixture: Mixture, X: Float[Array, "n d"]) -> Int[Array, "*s n"]:
    """The component that is most probable for every row, shape (..., n)."""
    return _each_block(lambda joint: joint.argmax(-1), mixture, X)


def log_likelihoods(
    mixture: Mixture, X: Float[np.ndarray, "n d"], row_weights: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "*s"], Float[np.ndarray, "*s"]]:
    """The weighted log-likelihood, and that with every row in its most probable component.

    Both come from one pass over NumPy arrays. Their difference is the sum of log max_k r_ik, which
    ICL needs.
    """
    joint = _log_joint_of(mixture)
    total = np.zeros((2, *mixture.weights.shape[:-1]))
    for part in blocks(len(X), 8 * mixture.means.size):
        block, weights = joint(X[part]), row_weights[part]
        total += np.stack([logsumexp(block) @ weights, block.max(-1) @ weights])
    return total[0, ...], total[1, ...]


def _each_block(
    function: Callable[[Array], Array], mixture: Mixture, X: Float[Array, "n d"]
) -> Array:
    """The function of the log joint densities of every row, NumPy's rows block after block.

    So nothing of the size n x k x d is made, and of n x k only what is asked for.
    """
    joint = _log_joint_of(mixture)
    if _library(mixture.weights) is jnp:
        return function(joint(X))
    axis = mixture.weights.ndim - 1
    first, *others = blocks(len(X), 8 * mixture.means.size)
    begin = function(joint(X[first]))
    result = np.empty((*begin.shape[:axis], len(X), *begin.shape[axis + 1 :]), begin.dtype)
    every = (slice(None),) * axis
    result[*every, first] = begin
    for part in others:
        result[*every, part] = function(joint(X[part]))
    return result


def _log_joint_of(mixture: Mixture) -> Callable[[Float[Array, "b d"]], Float[Array, "*s b k"]]:
    """The function from rows to their log joint densities."""
    xp = _library(mixture.weights)
    d = mixture.means.shape[-1]
    if mixture.is_diagonal:
        return _uncorrelated_log_joint_of(mixture)
    transposed = xp.swapaxes(whitener(mixture.scale_tril), -1, -2)
    const = _log(mixture.weights) - half_log_det(mixture.scale_tril) - d * LOG_2PI / 2

    def joint(X: Array) -> Array:
        white = (X[..., None, :, :] - mixture.means[..., :, None, :]) @ transposed
        return xp.swapaxes(const[..., :, None] - (white**2).sum(-1) / 2, -1, -2)

    return joint


def _uncorrelated_log_joint_of(
    mixture: Mixture,
) -> Callable[[Float[Array, "b d"]], Float[Array, "*s b k"]]:
    xp = _library(mixture.weights)
    d = mixture.means.shape[-1]
    const = _log(mixture.weights) - xp.log(mixture.scale_tril).sum(-1) - d * LOG_2PI / 2

    def joint(X: Array) -> Array:
        apart = X[..., :, None, :] - mixture.means[..., None, :, :]
        return (
            const[..., None, :] - xp.square(apart / mixture.scale_tril[..., None, :, :]).sum(-1) / 2
        )

    return joint


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


def marginal_moments(mixture: Mixture) -> tuple[Float[Array, "*s d"], Float[Array, "*s d"]]:
    """Mean and variances of the whole mixture, column by column."""
    xp = _library(mixture.weights)
    mean = xp.einsum("...k,...kd->...d", mixture.weights, mixture.means)
    spread = xp.square(mixture.means - mean[..., None, :])
    return mean, xp.einsum("...k,...kd->...d", mixture.weights, spread + mixture.variances)


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
        _permuted(np.asarray(mixture.scale_tril), order),
    )


def _permuted(factors: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Factors of one axis or two for each component, in that order."""
    index = order.reshape(order.shape + (1,) * (factors.ndim - order.ndim))
    return np.take_along_axis(factors, index, order.ndim - 1)
