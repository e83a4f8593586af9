"""Row weights: how often, or how much, each row counts."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from bayesgmm.data.array import as_array
from bayesgmm.data.errors import InputError, counted, one_line


def checked_weights(
    weights: ArrayLike, n_rows: int, column: str | None = None
) -> Float64[np.ndarray, " n"]:
    """The weights as float64, one for each row; a row of weight 0 is allowed.

    Args:
        weights: n_rows numbers.
        n_rows: how many there must be.
        column: the name of the column they came from, for the messages.

    Raises:
        InputError: when they are no numbers, of another number, negative, not finite or all zero.
    """
    argument = "weights" if column is None else f"weights column '{column}'"
    values = _floats(weights, argument)
    if values.shape != (n_rows,):
        raise InputError(
            f"{argument} has shape {values.shape}, expected ({n_rows},): one weight for each row."
        )
    _refuse(~np.isfinite(values), argument, "non-finite value", "give each row a finite weight")
    _refuse(values < 0, argument, "negative value", "weights must be 0 or more")
    if not values.any():
        raise InputError(f"{argument}: every row has zero; at least one row must count.")
    return values


def _floats(weights: ArrayLike, argument: str) -> Float64[np.ndarray, "..."]:
    values = as_array(weights, argument)
    text = values.dtype.kind == "O" and any(isinstance(each, str) for each in values.flat)
    if text or values.dtype.kind not in "fiubO":
        raise InputError(f"{argument} must hold numbers, not {values.dtype.name} values.")
    try:
        return np.ascontiguousarray(values, dtype=np.float64).reshape(values.shape)
    except (TypeError, ValueError) as error:
        raise InputError(f"{argument} must hold numbers: {one_line(error)}.") from error


def _refuse(wrong: np.ndarray, argument: str, noun: str, remedy: str) -> None:
    if wrong.any():
        raise InputError(
            f"{argument} has {counted(int(wrong.sum()), noun)} "
            f"(first at row {int(wrong.argmax())}); {remedy}."
        )
