"""Float64 inside, whatever the user's JAX settings are, and without changing them."""

from collections.abc import Callable
from functools import wraps

import jax

from bayesgmm.gaussian.compilation import remember_compilations


def float64[**P, T](function: Callable[P, T]) -> Callable[P, T]:
    """The same function with JAX's 64-bit types on while it runs, in this thread only."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        remember_compilations()
        with jax.enable_x64(True):
            return function(*args, **kwargs)

    return wrapped
