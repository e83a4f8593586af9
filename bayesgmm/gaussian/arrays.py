"""The arrays that the mathematics takes: JAX's, traced or not, and NumPy's."""

from typing import TYPE_CHECKING, Any

import jax
import numpy as np

if TYPE_CHECKING:
    Array = Any  # both libraries' operators are too different for one static type
    Number = Any
else:
    Array = jax.Array | np.ndarray
    Number = jax.Array | np.ndarray | np.generic | float | int

BLOCK = 2**21  # bytes


def blocks(n: int, row_bytes: int) -> list[slice]:
    """Slices of n rows, one after the other, of about `BLOCK` bytes each; at least one slice."""
    rows = max(BLOCK // row_bytes, 64)
    return [slice(i, min(i + rows, n)) for i in range(0, max(n, 1), rows)]
