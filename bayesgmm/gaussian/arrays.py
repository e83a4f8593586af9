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
