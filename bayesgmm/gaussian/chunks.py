"""The sweep of large data from outside jit: chunk after chunk, on every core.

XLA runs blocks that fit in a cache on one core, and it copies a NumPy array whose memory does not
begin at a multiple of 64 bytes, as that of a large one does not. So each core is handed one chunk
of rows at a time, and nothing else is copied. All chunks have one shape, which one compiled program
serves whatever n is. Their results are added in the order of the rows: the bits depend neither on
the number of cores nor on which is faster.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.precision import float64
from bayesgmm.gaussian.sweep import Frame, sweep

CHUNK = 2**20  # bytes of X

_compiled = jax.jit(sweep)


def chunk_rows(d: int) -> int:
    """Rows of a chunk, a power of two."""
    return 2 ** max(6, (CHUNK // (8 * d)).bit_length() - 1)


def needs_chunks(X: Float[np.ndarray, "n d"]) -> bool:
    """Whether there are several chunks of rows, and XLA runs on the cores that hold them."""
    return len(X) > chunk_rows(X.shape[1]) and jax.default_backend() == "cpu"


@float64
def sweep_chunks(
    theta: Float[Array, "*s k p"],
    X: Float[np.ndarray, "n d"],
    row_weights: Float[np.ndarray, " n"],
    frame: Frame,
    *,
    cores: int | None = None,
) -> tuple[Float[np.ndarray, "*s"], Float[np.ndarray, "*s k p"]]:
    """`sweep`, for more rows than fit in a cache; arguments and results are the same.

    Args:
        theta: natural parameters in the frame.
        X: rows in the user's units; of any memory order or mapped from a file.
        row_weights: one for each row; `np.broadcast_to(1.0, n)` takes no memory.
        frame: shift and scale.
        cores: how many to use; all that the process may use by default.
    """
    n = len(X)
    rows = min(chunk_rows(X.shape[1]), n)
    theta, frame = jax.tree.map(jnp.asarray, (theta, frame))

    @float64
    def part(begin: int) -> tuple[np.ndarray, np.ndarray]:
        first = min(begin, n - rows)  # the last chunk overlaps; its old rows weigh 0
        weights = np.array(row_weights[first : first + rows])
        weights[: begin - first] = 0
        result = _compiled(theta, X[first : first + rows], weights, frame)
        return np.asarray(result[0]), np.asarray(result[1])

    value, statistics = np.zeros(theta.shape[:-2]), np.zeros(theta.shape)
    with ThreadPoolExecutor(cores or available_cores()) as pool:
        for more, others in pool.map(part, range(0, n, rows)):
            value += more
            statistics += others
    return value, statistics


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
