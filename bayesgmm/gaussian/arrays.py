"""The arrays that the mathematics takes: JAX's, traced or not, and NumPy's."""

from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    Array = Any  # both libraries' operators are too different for one static type
    Number = Any
else:
    Array = jax.Array | np.ndarray
    Number = jax.Array | np.ndarray | np.generic | float | int

BLOCK = 2**21  # bytes
SMALLEST_SIZE = 64


def blocks(n: int, row_bytes: int) -> list[slice]:
    """Slices of n rows, one after the other, of about `BLOCK` bytes each; at least one slice."""
    rows = max(BLOCK // row_bytes, 64)
    return [slice(i, min(i + rows, n)) for i in range(0, max(n, 1), rows)]


def similar_size(n: int) -> int:
    """The least of few sizes that is not below n: an eighth of a power of two apart.

    Data of similar size are filled up to it, so that they share compiled programs; at most an
    eighth of the rows, a sixteenth on average, are swept for nothing.

    >>> [similar_size(n) for n in (5, 64, 150, 272, 1000)]
    [64, 64, 160, 288, 1024]
    """
    if n <= SMALLEST_SIZE:
        return SMALLEST_SIZE
    step = 2 ** (n.bit_length() - 4)
    return -(-n // step) * step


def filled_up(
    X: Float[np.ndarray, "*s n d"], row_weights: Float[np.ndarray, "*t n"]
) -> tuple[Float[np.ndarray, "*s m d"], Float[np.ndarray, "*t m"]]:
    """Rows and their weights with rows of weight zero after them, up to a similar size."""
    n = X.shape[-2]
    missing = similar_size(n) - n
    if missing == 0:
        return X, row_weights
    none = np.zeros((*row_weights.shape[:-1], missing))
    last = np.repeat(X[..., -1:, :], missing, axis=-2)
    return np.concatenate([X, last], axis=-2), np.concatenate([row_weights, none], axis=-1)
