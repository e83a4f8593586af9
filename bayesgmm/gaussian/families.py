"""Covariance families: each a projection of the scatter matrices, and a parameter count.

The M-step sees only expected counts and scatter matrices, so a family needs no E-step of its own.
Names are those of Celeux and Govaert (1995) as used by mclust; scikit-learn's names are aliases.
Projections work in the user's metric. Rescaling single columns leaves EEE, VVI and VVV fits
unchanged; VII depends on the columns' relative units.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from bayesgmm.data.errors import unknown
from bayesgmm.gaussian.arrays import Array

type Project = Callable[[Float[Array, "*s k"], Float[Array, "*s k d d"]], Float[Array, "*s k d d"]]


@dataclass(frozen=True)
class Family:
    """A covariance family.

    Attributes:
        name: mclust's name, such as "VVV".
        alias: scikit-learn's name, such as "full".
        meaning: one line for people.
        project: from counts (..., k) and scatter (..., k, d, d) to covariances (..., k, d, d).
        n_covariance: number of covariance parameters for k components in d dimensions.
        pack: lower Cholesky factors (k, d, d) to free coordinates (q,), the logs of the scales.
        unpack: the inverse, coordinates and (k, d) to lower Cholesky factors.
        min_rows: effective rows that one component needs in d dimensions.
        follows_columns: whether rescaling single columns keeps a member of the family in it.
    """

    name: str
    alias: str
    meaning: str
    project: Project
    n_covariance: Callable[[int, int], int]
    pack: Callable[[Float[np.ndarray, "k d d"]], Float[np.ndarray, " q"]]
    unpack: Callable[[Float[Array, " q"], int, int], Float[Array, "k d d"]]
    min_rows: Callable[[int], int]
    follows_columns: bool = True

    def __reduce__(self) -> tuple[object, ...]:
        return family, (self.name,)

    def free(self, k: int, d: int) -> bool:
        """Whether every covariance is in the family."""
        return self.n_covariance(k, d) == k * d * (d + 1) // 2

    def n_parameters(self, k: int, d: int) -> int:
        """Free parameters of the whole mixture: weights, means and covariances."""
        return k - 1 + k * d + self.n_covariance(k, d)


def family(name: str) -> Family:
    """The family of that name or alias.

    Raises:
        InputError: no such family; the nearest name is suggested.
    """
    names = {label: member for member in FAMILIES for label in (member.name, member.alias)}
    if name in names:
        return names[name]
    if isinstance(name, str) and name.upper() in names:
        return names[name.upper()]
    raise unknown("covariance_type", name, names)


def families_for(d: int) -> tuple[Family, ...]:
    """The families that differ in d dimensions: one column has neither shape nor direction."""
    return FAMILIES if d > 1 else tuple(f for f in FAMILIES if f.name in ("VVV", "EEE"))


def _per_row(counts: Array, scatter: Array) -> Array:
    return scatter / jnp.where(counts > 0, counts, 1.0)[..., None, None]


def _pooled(counts: Array, scatter: Array) -> Array:
    tied = scatter.sum(-3) / counts.sum(-1)[..., None, None]
    return jnp.broadcast_to(tied[..., None, :, :], scatter.shape)


def _diagonal(counts: Array, scatter: Array) -> Array:
    return _per_row(counts, scatter) * jnp.eye(scatter.shape[-1])


def _spherical(counts: Array, scatter: Array) -> Array:
    d = scatter.shape[-1]
    variance = jnp.trace(_per_row(counts, scatter), axis1=-2, axis2=-1) / d
    return variance[..., None, None] * jnp.eye(d)


def _pack_factors(scale_tril: np.ndarray) -> np.ndarray:
    d = scale_tril.shape[-1]
    logs = np.where(np.eye(d, dtype=bool), np.log(np.where(np.eye(d), scale_tril, 1)), scale_tril)
    rows, cols = np.tril_indices(d)
    return logs[:, rows, cols].ravel()


def _unpack_factors(coordinates: Array, k: int, d: int) -> Array:
    rows, cols = np.tril_indices(d)
    values = coordinates.reshape(k, rows.size)
    values = jnp.where(rows == cols, jnp.exp(values), values)
    return jnp.zeros((k, d, d)).at[:, rows, cols].set(values)


def _unpack_tied(coordinates: Array, k: int, d: int) -> Array:
    return jnp.broadcast_to(_unpack_factors(coordinates, 1, d), (k, d, d))


def _pack_diagonal(scale_tril: np.ndarray) -> np.ndarray:
    return np.log(np.diagonal(scale_tril, axis1=1, axis2=2)).ravel()


def _unpack_diagonal(coordinates: Array, k: int, d: int) -> Array:
    return jnp.exp(coordinates).reshape(k, d, 1) * jnp.eye(d)


def _unpack_spherical(coordinates: Array, k: int, d: int) -> Array:
    return jnp.exp(coordinates)[:, None, None] * jnp.eye(d)


FAMILIES = (
    Family(
        "VVV",
        "full",
        "every component its own covariance matrix",
        _per_row,
        lambda k, d: k * d * (d + 1) // 2,
        _pack_factors,
        _unpack_factors,
        lambda d: d + 1,
    ),
    Family(
        "EEE",
        "tied",
        "one covariance matrix shared by all components",
        _pooled,
        lambda k, d: d * (d + 1) // 2,
        lambda scale_tril: _pack_factors(scale_tril[:1]),
        _unpack_tied,
        lambda d: 1,
    ),
    Family(
        "VVI",
        "diag",
        "no correlations, every component its own variances",
        _diagonal,
        lambda k, d: k * d,
        _pack_diagonal,
        _unpack_diagonal,
        lambda d: 2,
    ),
    Family(
        "VII",
        "spherical",
        "no correlations, one variance for each component",
        _spherical,
        lambda k, d: k,
        lambda scale_tril: _pack_diagonal(scale_tril[:, :1, :1]),
        _unpack_spherical,
        lambda d: 2,
        follows_columns=False,
    ),
)
