"""Coordinates in which the posterior is round: z = loc + F u, block by block.

Blocks are sets of unconstrained coordinates that are whitened together: all of them (dense), those
of each component and the shared rest (by component), or each coordinate alone (diagonal). A dense
factor of p coordinates takes p gradients to find and p^2 products at every leapfrog, one by
component a k-th of both; which serves is a question of size.

Measured on two cores, warm-up and compilation counted: up to `DENSE` coordinates dense factors win
or tie, above it those by component.
"""

from functools import cached_property
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from bayesgmm.bayes.structure import Structure
from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.lowering import portable

DENSE = 300
BLOCK = 1500


@portable
class Place(NamedTuple):
    """Where a chain is at home, and the shape of the posterior there.

    Attributes:
        loc: shape (p,).
        factors: for each set of blocks of one size, their lower Cholesky factors (g, b, b).
    """

    loc: Float[Array, " p"]
    factors: tuple[Float[Array, "_g _b _b"], ...]


class Blocks:
    """A partition of the p coordinates: sets of blocks of one size each, (g, b) indices.

    Equal and hashable by its indices, so that compiled code is reused.
    """

    def __init__(self, size: int, *sets: Int[np.ndarray, "_g _b"]) -> None:
        self.size = size
        self.sets = tuple(part for part in sets if part.size)

    @classmethod
    def of(cls, structure: Structure) -> "Blocks":
        """The partition that serves a program of that structure."""
        p = structure.size
        if p <= DENSE:
            return cls(p, np.arange(p)[None])
        own = structure.own_coordinates
        rest = np.setdiff1d(np.arange(p), own)[None]
        if own.size and max(own.shape[1], rest.size) <= BLOCK:
            return cls(p, own, rest)
        return cls(p, np.arange(p)[:, None])

    @cached_property
    def durable_name(self) -> str:
        return " ".join(f"{part.shape}{part.ravel().tolist()}" for part in self.sets)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Blocks) and self.durable_name == other.durable_name

    def __hash__(self) -> int:
        return hash(self.durable_name)

    @property
    def is_dense(self) -> bool:
        return len(self.sets) == 1 and np.array_equal(self.sets[0], np.arange(self.size)[None])

    def forward(self, place: Place, u: Float[Array, " p"]) -> Float[Array, " p"]:
        """The unconstrained vector at u."""
        if self.is_dense:
            return place.loc + place.factors[0][0] @ u
        z = place.loc
        for part, factor in zip(self.sets, place.factors, strict=True):
            z = z.at[part].add(jnp.einsum("gab,gb->ga", factor, u[part]))
        return z

    def backward(self, place: Place, z: Float[np.ndarray, "*s p"]) -> Float[np.ndarray, "*s p"]:
        """u at unconstrained vectors; NumPy."""
        apart, u = z - np.asarray(place.loc), np.empty(z.shape)
        for part, factor in zip(self.sets, place.factors, strict=True):
            u[..., part] = np.linalg.solve(np.asarray(factor), apart[..., part, None])[..., 0]
        return u

    def pulled(self, place: Place, gradient: Float[np.ndarray, " p"]) -> Float[np.ndarray, " p"]:
        """The gradient in u of a function whose gradient in z is given; NumPy."""
        pulled = np.empty(self.size)
        for part, factor in zip(self.sets, place.factors, strict=True):
            pulled[part] = np.einsum("gab,ga->gb", np.asarray(factor), gradient[part])
        return pulled

    def spread(self, place: Place, u: Float[np.ndarray, "s p"]) -> Float[np.ndarray, "s p"]:
        """The unconstrained vectors at many u; NumPy."""
        z = np.repeat(np.asarray(place.loc)[None], len(u), axis=0)
        for part, factor in zip(self.sets, place.factors, strict=True):
            z[:, part] += np.einsum("gab,sgb->sga", np.asarray(factor), u[:, part])
        return z

    def half_log_det(self, place: Place) -> float:
        """Log determinant of the whole factor."""
        return float(
            sum(
                np.log(np.diagonal(np.asarray(factor), axis1=1, axis2=2)).sum()
                for factor in place.factors
            )
        )

    def units(self) -> tuple[Float[np.ndarray, "_g _b _b"], ...]:
        """Unit factors, of the right shapes."""
        return tuple(
            np.broadcast_to(np.eye(part.shape[1]), (*part.shape, part.shape[1])).copy()
            for part in self.sets
        )
