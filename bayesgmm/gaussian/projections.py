"""The M-step of the covariances: from scatter matrices to the most likely ones of a family.

A family is a sharing of what the components have in common within a structure that all their
covariances have. Both are functions of expected counts (..., k), scatter matrices (..., k, d, d)
and the current Cholesky factors (..., k, d, d); where columns are not correlated, of the diagonals
(..., k, d) of both, and then those of the covariances come back.

Where the maximum has no closed form, one call climbs from the current covariances by exact
maximisations over one part at a time, once each (ECM, Meng and Rubin 1993); so EM never descends,
and ends where the likelihood is stationary. Components whose count is zero change nothing.

Source: Celeux and Govaert (1995); common axes: Flury and Gautschi (1986), with all the weights of
one turn held fixed.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.mixture import half_log_det, whitener

type Project = Callable[[Float[Array, "*s k"], Array, Array], Array]


def own(counts: Array, scatter: Array, current: Array) -> Array:
    """Every component its own covariance: W_k / n_k."""
    return scatter / per_component(jnp.where(counts > 0, counts, 1.0), scatter)


def pooled(counts: Array, scatter: Array, current: Array) -> Array:
    """One covariance for all: sum_k W_k / n."""
    return jnp.broadcast_to(_pooled(counts, scatter), scatter.shape)


def equal_volume(counts: Array, scatter: Array, current: Array) -> Array:
    """Covariances of one determinant: v W_k / |W_k|^(1/d), v = sum_k |W_k|^(1/d) / n."""
    present = counts > 0
    one = jnp.eye(scatter.shape[-1]) if _are_matrices(counts, scatter) else 1.0
    volumes = _volumes(
        counts, factors(jnp.where(per_component(present, scatter), scatter, one), counts)
    )
    volume = jnp.where(present, volumes, 0.0).sum(-1) / counts.sum(-1)
    return per_component(volume[..., None] / volumes, scatter) * scatter


def proportional(counts: Array, scatter: Array, current: Array) -> Array:
    """Multiples v_k C of one matrix: C = sum_k W_k / (n v_k) and v_k = tr(W_k inv(C)) / (n_k d)."""
    present = counts > 0
    freedom = jnp.where(present, counts, 1.0) * scatter.shape[-1]

    def common(volumes: Array) -> Array:
        return _pooled(counts, scatter / per_component(volumes, scatter))

    squares = _traces(counts, factors(common(_volumes(counts, current)), counts), scatter)
    volumes = jnp.where(present, squares / freedom, 1.0)
    return per_component(volumes, scatter) * common(volumes)


def _traces(counts: Array, scale_tril: Array, scatter: Array) -> Array:
    """tr(W_k inv(C)) of one C = L L'."""
    if not _are_matrices(counts, scatter):
        return (scatter / jnp.square(scale_tril)).sum(-1)
    white = whitener(scale_tril)[..., 0, :, :]
    return jnp.einsum("...ab,...kbc,...ac->...k", white, scatter, white)


def spherical(sharing: Project) -> Project:
    """Multiples of the identity."""

    def project(counts: Array, scatter: Array, current: Array) -> Array:
        if not _are_matrices(counts, scatter):
            variances = scatter.mean(-1, keepdims=True)
            return sharing(counts, jnp.broadcast_to(variances, scatter.shape), current)
        d = scatter.shape[-1]
        variances = jnp.trace(scatter, axis1=-2, axis2=-1) / d
        return sharing(counts, variances[..., None, None] * jnp.eye(d), current)

    return project


def diagonal(sharing: Project) -> Project:
    """The columns as principal axes."""

    def project(counts: Array, scatter: Array, current: Array) -> Array:
        matrices = _are_matrices(counts, scatter)
        return sharing(
            counts, scatter * jnp.eye(scatter.shape[-1]) if matrices else scatter, current
        )

    return project


def own_axes(sharing: Project) -> Project:
    """Every component its own principal axes, the shapes shared: those of W_k are best."""

    def project(counts: Array, scatter: Array, current: Array) -> Array:
        squares, axes = jnp.linalg.eigh(scatter)
        return _turned(axes, sharing(counts, _diagonal(squares), current))

    return project


def common_axes(sharing: Project) -> Project:
    """The same principal axes for all components, the shapes their own."""

    def project(counts: Array, scatter: Array, current: Array) -> Array:
        pooled_within = jnp.einsum("...k,...kab,...kcb->...ac", counts, current, current)
        _, axes = jnp.linalg.eigh(pooled_within)

        def within_axes(axes: Array) -> tuple[Array, Array]:
            inside = _turned(jnp.swapaxes(axes, -1, -2)[..., None, :, :], scatter)
            return inside, sharing(counts, inside * jnp.eye(scatter.shape[-1]), current)

        inside, covariances = within_axes(axes)
        axes = _jacobi(axes, inside, _inverse_variances(counts, covariances))
        return _turned(axes[..., None, :, :], within_axes(axes)[1])

    return project


def _jacobi(axes: Array, inside: Array, precisions: Array) -> Array:
    """Axes turned in every plane once, each time to the lowest sum_kj precision_kj d_j' W_k d_j.

    Round r turns the planes (i, j) with i + j = r modulo d, which are disjoint, at once.

    Args:
        axes: shape (..., d, d), one axis a column.
        inside: scatter matrices in these axes, shape (..., k, d, d).
        precisions: along the axes, shape (..., k, d); zero for absent components.
    """
    d = axes.shape[-1]
    index, eye = jnp.arange(d), jnp.eye(d)

    def turn(r: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        axes, inside = state
        partner = ((index[:, None] + index) % d == r).astype(axes.dtype)
        contrast = precisions - precisions @ partner
        squares = jnp.diagonal(inside, axis1=-2, axis2=-1)
        gap = (contrast * (squares @ partner - squares)).sum(-2)
        cross = (contrast * (inside * partner).sum(-1)).sum(-2)
        angle = jnp.arctan2(-2 * cross, gap) / 2
        rotation = eye * jnp.cos(angle)[..., None, :] + partner * jnp.sin(angle)[..., None, :]
        across = jnp.swapaxes(rotation, -1, -2)[..., None, :, :]
        return axes @ rotation, _turned(across, inside)

    return lax.fori_loop(0, d, turn, (axes, inside))[0]


def _inverse_variances(counts: Array, covariances: Array) -> Array:
    present = (counts > 0)[..., None]
    variances = jnp.diagonal(covariances, axis1=-2, axis2=-1)
    return jnp.where(present, 1 / jnp.where(present, variances, 1.0), 0.0)


def _pooled(counts: Array, scatter: Array) -> Array:
    """One for all components, shape (..., 1, d, d) or (..., 1, d)."""
    axis = counts.ndim - 1
    return scatter.sum(axis, keepdims=True) / per_component(counts.sum(-1, keepdims=True), scatter)


def _volumes(counts: Array, scale_tril: Array) -> Array:
    """|Sigma|^(1/d) from Cholesky factors or their diagonals."""
    matrices = _are_matrices(counts, scale_tril)
    half = half_log_det(scale_tril) if matrices else jnp.log(scale_tril).sum(-1)
    return jnp.exp(2 * half / scale_tril.shape[-1])


def _are_matrices(counts: Array, parts: Array) -> bool:
    """Whether each component's part is a matrix, and not its diagonal alone."""
    return parts.ndim == counts.ndim + 2


def per_component(values: Array, parts: Array) -> Array:
    """One value for each component, to go with their matrices or diagonals."""
    return values.reshape(values.shape + (1,) * (parts.ndim - values.ndim))


def factors(covariances: Array, counts: Array) -> Array:
    """Cholesky factors (..., k, d, d) of matrices; square roots (..., k, d) of diagonals."""
    return (jnp.linalg.cholesky if _are_matrices(counts, covariances) else jnp.sqrt)(covariances)


def _diagonal(values: Array) -> Array:
    return values[..., None] * jnp.eye(values.shape[-1])


def _turned(axes: Array, matrices: Array) -> Array:
    """D M D'."""
    return axes @ matrices @ jnp.swapaxes(axes, -1, -2)
