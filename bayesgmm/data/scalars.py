"""One number that the user chose: whole or real, and not too small."""

from __future__ import annotations

import numpy as np

from bayesgmm.data.errors import InputError


def whole(argument: str, value: object, least: int = 1) -> int:
    """The value as an int; 2.0 and True are refused, since they are seldom meant as numbers.

    >>> whole("n_components", np.int64(3))
    3

    Raises:
        InputError: it is no whole number, or below `least`.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InputError(f"{argument}={value!r} must be a whole number, such as {least + 1}.")
    if value < least:
        raise InputError(f"{argument}={value} must be at least {least}.")
    return int(value)


def non_negative(argument: str, value: object) -> float:
    """The value as a float.

    Raises:
        InputError: it is no finite number, or below 0.
    """
    real = int | float | np.integer | np.floating
    if isinstance(value, bool) or not isinstance(value, real) or not np.isfinite(float(value)):
        raise InputError(f"{argument}={value!r} must be a finite number.")
    if value < 0:
        raise InputError(f"{argument}={value} must not be negative.")
    return float(value)
