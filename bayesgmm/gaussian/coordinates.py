"""Free coordinates of the members of a covariance family around one of them.

Every family is volume x shape x orientation, each equal (E) or its own (V) for every component, or
the identity (I): Sigma_k = v_k D_k A_k D_k'. So a member's neighbours are reached by as many steps
in log volumes, log shapes and orientations as the family has parameters. Steps are taken relative
to the member, in its own metric: their natural size is one in any unit of the data.
"""

import jax.numpy as jnp
from jaxtyping import Float

from bayesgmm.gaussian.arrays import Array


def n_covariance(name: str, k: int, d: int) -> int:
    """Covariance parameters of the family for k components in d dimensions."""
    return sum(rows * columns for rows, columns in _layout(name, k, d))


def around(
    name: str, scale_tril: Float[Array, "k d d"], steps: Float[Array, " q"]
) -> Float[Array, "k d d"]:
    """Cholesky factors of the member that lies `steps` away from the member `scale_tril`.

    Where shape and orientation are shared alike, Sigma_k = v_k C_k, and C_k moves as a whole, by
    triangular factors; otherwise the axes are turned (Cayley) and the spectra scaled.

    Args:
        name: the family, in three letters: volume, shape, orientation.
        scale_tril: Cholesky factors of a member of the family.
        steps: log volumes, log shapes and orientations, `n_covariance` of them; zeros stay.
    """
    k, d, _ = scale_tril.shape
    volume, shape, orientation = _parts(name, steps, k, d)
    last = -shape.sum(-1, keepdims=True)
    growth = jnp.exp(volume + jnp.concatenate([shape, last], axis=-1))
    rows, columns = jnp.tril_indices(d, -1)
    lower = jnp.zeros((k, d, d)).at[:, rows, columns].set(orientation)
    if name[2] in ("I", name[1]):
        return scale_tril @ (jnp.eye(d) + lower) * growth[:, None, :]
    axes, sds = _principal(name, scale_tril)
    reach = _reach(sds).min(0) if name[2] == "E" else _reach(sds)
    turn = reach * (lower - jnp.swapaxes(lower, -1, -2))
    half = jnp.linalg.solve(jnp.eye(d) - turn / 2, jnp.eye(d) + turn / 2)
    root = axes @ half * (sds * growth)[:, None, :]
    return jnp.linalg.cholesky(root @ jnp.swapaxes(root, -1, -2))


def _layout(name: str, k: int, d: int) -> list[tuple[int, int]]:
    """How often each part occurs, and how many coordinates it has."""
    times = {"E": 1, "V": k, "I": 0}
    sizes = (1, d - 1, d * (d - 1) // 2)
    return [(times[letter], size) for letter, size in zip(name, sizes, strict=True)]


def _parts(name: str, steps: Array, k: int, d: int) -> list[Array]:
    """Log volumes (k, 1), log shapes (k, d - 1) and orientations (k, d (d - 1) / 2)."""
    parts, first = [], 0
    for times, size in _layout(name, k, d):
        part = steps[first : first + times * size].reshape(times, size)
        parts.append(jnp.broadcast_to(part if times else 0.0, (k, size)))
        first += times * size
    return parts


def _principal(name: str, scale_tril: Array) -> tuple[Array, Array]:
    """Principal axes (k, d, d) and standard deviations (k, d) along them, in matching order."""
    covariances = scale_tril @ jnp.swapaxes(scale_tril, -1, -2)
    together = covariances.sum(0, keepdims=True) if name[2] == "E" else covariances
    axes = jnp.broadcast_to(jnp.linalg.eigh(together)[1], scale_tril.shape)
    squares = jnp.einsum("kba,kbc,kca->ka", axes, covariances, axes)
    return axes, jnp.sqrt(squares)


def _reach(sds: Array) -> Array:
    """The angle that a turn in each plane takes to be felt; at most one."""
    high, low = sds[:, :, None], sds[:, None, :]
    return jnp.minimum(1.0, high * low / jnp.maximum(abs(high**2 - low**2), 1e-300))
