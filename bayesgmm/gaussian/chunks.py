"""The sweep of large data from outside jit: chunk after chunk, on every core.

XLA runs blocks that fit in a cache on one core, and it copies a NumPy array whose memory does not
begin at a multiple of 64 bytes, as that of a large one does not. So each core is handed one chunk
of rows at a time, and nothing else is copied. All chunks have one shape, which one compiled program
serves whatever n is. Their results are added in the order of the rows: the bits depend neither on
the number of cores nor on which is faster.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.passes import FEATURES, Pass
from bayesgmm.gaussian.precision import float64
from bayesgmm.gaussian.sweep import Frame

CHUNK = 2**20  # bytes of X


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
    n = len(X)
    rows = min(chunk_rows(X.shape[1]), n)
    prepared, frame = jax.tree.map(jnp.asarray, (prepared, frame))

    @float64
    def part(begin: int) -> tuple[np.ndarray, np.ndarray]:
        first = min(begin, n - rows)  # the last chunk overlaps; its old rows weigh 0
        weights = np.array(row_weights[first : first + rows])
        weights[: begin - first] = 0
        value, sums = _compiled(prepared, X[first : first + rows], weights, frame, form)
        return np.asarray(value), np.asarray(sums)

    with ThreadPoolExecutor(cores or available_cores()) as pool:
        parts = pool.map(part, range(0, n, rows))
        value, sums = (np.array(total) for total in next(parts))
        for more, others in parts:
            value += more
            sums += others
    return value, sums


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
