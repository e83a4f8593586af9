"""Draws crossed with the rows, and their labels put right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from bayesgmm.bayes import relabel as labels
from bayesgmm.bayes import rows
from bayesgmm.bayes.draws import Draws, concatenate
from bayesgmm.bayes.structure import WEIGHTS, Structure
from bayesgmm.bayes.target import Data, Target
from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.cores import available_cores, threads
from bayesgmm.gaussian.memory import give_back
from bayesgmm.gaussian.mixture import Mixture, permute
from bayesgmm.gaussian.precision import float64

HELD_ROWS = 5
STORED_BYTES = 2**27
"""Log densities of every draw and row are kept up to here (128 MiB); above it they are computed
again, block by block, when they are needed."""


class Crossed(NamedTuple):
    """Draws of c chains, s each, crossed with the rows.

    Attributes:
        draws: as they were drawn, before relabelling.
        sites: relabelled values of the program's sites, each (c, s, ...).
        mixture: the same as Gaussian mixtures (c, s, k, ...), for programs that have such.
        order: the relabelling, (c, s, components); a background stays last.
        margin: how clear it was, (c, s).
        n_occupied: clusters that held rows in a drawn allocation, (c, s).
        log_likelihood: weighted sum over the rows, (c, s).
        held: log density of the held rows, (c, s, h).
        each_row: log density of every row, (c, s, n); None where that would take too much memory.
    """

    draws: Draws
    sites: dict[str, np.ndarray]
    mixture: Mixture | None
    order: Int[np.ndarray, "c s k"]
    margin: Float[np.ndarray, "c s"]
    n_occupied: Int[np.ndarray, "c s"]
    log_likelihood: Float[np.ndarray, "c s"]
    held: Float[np.ndarray, "c s h"]
    each_row: Float[np.ndarray, "c s n"] | None


def held_rows(n: int) -> Int[np.ndarray, " h"]:
    """Rows, evenly spaced, whose density is watched while chains run."""
    return np.unique(np.linspace(0, n - 1, min(n, HELD_ROWS)).astype(int))


@float64
def cross(
    target: Target,
    data: Data,
    log_pivot: Float[Array, "n k"],
    draws: Draws,
    begin: int,
    key: Array,
    *,
    n_rows: int,
    each_row: bool,
) -> Crossed:
    """Constrain the draws, cross them with the rows, and put their labels right.

    Args:
        target: the program.
        data: rows, weights and constants.
        log_pivot: log memberships in the clusters whose labels draws get, such as EM's.
        draws: of every chain as many.
        begin: how many draws of every chain came before these.
        key: for the drawn allocations.
        n_rows: rows of the data; more are there if they were filled up.
        each_row: whether the log density of every row is kept.
    """
    c, s, p = draws.z.shape
    flat = draws.z.reshape(c * s, p)
    numbers = np.arange(c, dtype=np.int32)[:, None] * 2**20 + begin + np.arange(s, dtype=np.int32)
    X = np.asarray(data.X)
    log_pivot, held = jnp.asarray(log_pivot), held_rows(n_rows)
    size = rows.block_draws(len(X))
    whole: list[Any] = []

    def some(first: int) -> tuple[slice, Any]:
        block = slice(first, min(first + size, c * s))
        own = (flat[block], numbers.reshape(-1)[block], log_pivot, held, key)
        crossed = rows.cross(target, data, *own, each_row=each_row)
        return block, _relabelled(target.structure, crossed, n_rows)

    def enter(block: slice, part: Any) -> None:
        if not whole:
            whole.append(
                jax.tree.map(lambda leaf: np.empty((c * s, *leaf.shape[1:]), leaf.dtype), part)
            )
        jax.tree.map(lambda into, leaf: into.__setitem__(block, leaf), whole[0], part)

    first, *others = range(0, c * s, size)
    enter(*some(first))  # which compiles what the others use
    for block, part in threads(available_cores()).map(some, others):
        enter(block, part)
    if size < rows.BLOCK_DRAWS:  # many calls have left memory in pieces
        give_back()
    chained = jax.tree.map(lambda leaf: leaf.reshape(c, s, *leaf.shape[1:]), whole[0])
    return _without_copies(Crossed(draws, *chained))


def _without_copies(crossed: Crossed) -> Crossed:
    """The same; sites that are parts of the mixture take no memory of their own."""
    parts = crossed.mixture or ()
    sites = {
        name: next((part for part in parts if np.array_equal(part, values)), values)
        for name, values in crossed.sites.items()
    }
    return crossed._replace(sites=sites)


def _relabelled(structure: Structure, crossed: rows.DrawRows, n_rows: int) -> tuple[Any, ...]:
    """What `Crossed` holds of some draws but for the draws themselves, labels put right."""
    right = labels.relabel(crossed.cost)
    return (
        *moved(structure, crossed.sites, crossed.mixture, right.order),
        _with_background(structure, right.order),
        right.margin,
        crossed.occupied.sum(1),
        crossed.log_likelihood,
        crossed.held,
        None if crossed.each_row is None else crossed.each_row[:, :n_rows],
    )


def reordered(crossed: Crossed, structure: Structure, order: Int[np.ndarray, "c s k"]) -> Crossed:
    """The same draws with their clusters, as they are numbered now, in another order."""
    sites, mixture = moved(structure, crossed.sites, crossed.mixture, order)
    whole = np.take_along_axis(crossed.order, _with_background(structure, order), -1)
    return _without_copies(crossed._replace(sites=sites, mixture=mixture, order=whole))


def moved(
    structure: Structure,
    sites: dict[str, np.ndarray],
    mixture: Mixture | None,
    order: Int[np.ndarray, "*s k"],
) -> tuple[dict[str, np.ndarray], Mixture | None]:
    """Sites and mixtures with their clusters in another order; the rest stays."""
    whole, axes = _with_background(structure, order), dict(structure.cluster_axes)
    values = {
        name: labels.reorder(value, whole if name == WEIGHTS else order, axes[name])
        if name in axes
        else value
        for name, value in sites.items()
    }
    return values, None if mixture is None else permute(mixture, whole)


def _with_background(
    structure: Structure, order: Int[np.ndarray, "*s k"]
) -> Int[np.ndarray, "*s components"]:
    """A background stays last."""
    last = np.full((*order.shape[:-1], int(structure.background)), structure.k)
    return np.concatenate([order, last], axis=-1)


def joined(parts: Sequence[Crossed]) -> Crossed:
    """Successive parts of the same chains, end to end; what one lacks, the whole lacks."""
    if len(parts) == 1:
        return parts[0]
    if any(part.each_row is None for part in parts):
        parts = [part._replace(each_row=None) for part in parts]
    rest = [part[1:] for part in parts]
    ends = jax.tree.map(lambda *leaves: np.concatenate(leaves, axis=1), *rest)
    return _without_copies(Crossed(concatenate([part.draws for part in parts]), *ends))


@dataclass(frozen=True)
class ProgramLogJoint:
    """The log joint density of draws that are kept as unconstrained vectors."""

    target: Target

    @property
    def durable_name(self) -> str:
        return self.target.durable_name

    def __call__(self, z: Array, data: Data, X: Array) -> Array:
        return self.target.log_joint(z, data, X)
