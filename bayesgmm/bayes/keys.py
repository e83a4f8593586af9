"""JAX's keys from NumPy's generators: outside compiled code every random number is NumPy's.

JAX compiles each of its random functions for every shape, which takes longer than many a fit.
"""

import jax
import numpy as np

from bayesgmm.gaussian.arrays import Array

KIND = "threefry2x32"  # whatever the user's default is


def new_key(rng: np.random.Generator) -> Array:
    """A key."""
    return wrapped(rng.integers(2**32, size=2, dtype=np.uint32))


def new_keys(rng: np.random.Generator, size: int) -> Array:
    """So many keys, stacked."""
    return wrapped(rng.integers(2**32, size=(size, 2), dtype=np.uint32))


def wrapped(data: np.ndarray) -> Array:
    """The key that holds these numbers."""
    return jax.random.wrap_key_data(jax.device_put(data), impl=KIND)
