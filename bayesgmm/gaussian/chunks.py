"""The sweep of large data from outside jit: chunk after chunk, on every core.

XLA runs blocks that fit in a cache on one core, and it copies a NumPy array whose memory does not
begin at a multiple of 64 bytes, as that of a large one does not. So each core is handed one chunk
of rows at a time, and nothing else is copied. All chunks have one shape, which one compiled program
serves whatever n is. Their results are added in the order of the rows: the bits depend neither on
the number of cores nor on which is faster.
"""

from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.cores import available_cores, threads
from bayesgmm.gaussian.passes import FEATURES, Pass
from bayesgmm.gaussian.precision import float64
from bayesgmm.gaussian.sweep import Frame

CHUNK = 2**20  # bytes of X
ALIGNMENT = 64


@partial(jax.jit, static_argnames="form")
def _compiled(
    prepared: Any, X: Array, row_weights: Array, frame: Frame, form: Pass
) -> tuple[Array, Array]:
    return form.run(prepared, X, row_weights, frame)


def chunk_rows(d: int) -> int:
    """Rows of a chunk, a power of two."""
    return 2 ** max(6, (CHUNK // (8 * d)).bit_length() - 1)


def needs_chunks(n: int, d: int) -> bool:
    """Whether n rows make several chunks, and XLA runs on the cores that hold them."""
    return n > chunk_rows(d) and jax.default_backend() == "cpu"


@float64
def sweep_chunks(
    prepared: Any,
    X: Float[np.ndarray, "n d"],
    row_weights: Float[np.ndarray, " n"],
    frame: Frame,
    *,
    form: Pass = FEATURES,
    cores: int | None = None,
) -> tuple[Float[np.ndarray, "*s"], Float[np.ndarray, "*s k p"]]:
    """A pass over more rows than fit in a cache; arguments and results are those of `form.run`.

    Args:
        prepared: parameters in the frame, as the form takes them.
        X: rows in the user's units; of any memory order or mapped from a file.
        row_weights: one for each row; `np.broadcast_to(1.0, n)` takes no memory.
        frame: shift and scale.
        form: of the pass.
        cores: how many to use; all that the process may use by default.
    """
    rows = min(chunk_rows(X.shape[1]), len(X))
    prepared, frame = jax.tree.map(jnp.asarray, (prepared, frame))
    same = _even(rows, float(row_weights[0])) if row_weights.strides == (0,) else None

    @float64
    def part(chunk: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        first, seen = chunk
        weights: Array = same
        if same is None or seen > first:
            weights = np.array(row_weights[first : first + rows])
            weights[: seen - first] = 0
        value, sums = _compiled(prepared, X[first : first + rows], weights, frame, form)
        return np.asarray(value), np.asarray(sums)

    parts = threads(cores or available_cores()).map(part, chunks(X, rows))
    value, sums = (np.array(total) for total in next(parts))
    for more, others in parts:
        value += more
        sums += others
    return value, sums


@lru_cache(maxsize=4)
def _even(rows: int, weight: float) -> Array:
    return jnp.full(rows, weight)


def chunks(X: Float[np.ndarray, "n d"], rows: int) -> list[tuple[int, int]]:
    """The first row of every chunk, and how many rows were seen before it.

    Chunks overlap where they have to: all have as many rows, and all but the first and the last
    begin, if any row does, where XLA need not copy them.
    """
    n, d = X.shape
    aligned = [i for i in range(8) if (X.ctypes.data + 8 * i * d) % ALIGNMENT == 0]
    offset = aligned[0] - 8 if aligned and aligned[0] and X.flags.c_contiguous else 0
    firsts, seen = [(0, 0)], rows
    while seen < n:
        first = min(len(firsts) * rows + offset, n - rows)
        firsts.append((first, seen))
        seen = first + rows
    return firsts
