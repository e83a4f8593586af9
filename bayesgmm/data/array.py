"""Array-likes: what NumPy makes of them, and what it must not make of them silently."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Shaped

from bayesgmm.data.errors import InputError, counted, one_line


def as_matrix(data: object) -> Shaped[np.ndarray, "n d"]:
    """The array (n, d) in `data`, of any dtype but complex, not copied if it is one.

    Raises:
        InputError: when it is no rectangular array, is sparse, masked, structured or complex, or
            has another number of axes than 2.
    """
    array = as_array(data, "X")
    if array.ndim == 0:
        raise InputError(
            f"X is a {type(data).__name__}; expected the path of a file, the name of a data set, "
            "a DataFrame or an array of shape (n, d)."
        )
    if array.ndim != 2:
        raise InputError(
            f"X has shape {array.shape}, expected (n, d). Reshape your data: X.reshape(-1, 1) if "
            "it is one column, X.reshape(1, -1) if it is one row."
        )
    return array


def as_array(data: object, argument: str) -> Shaped[np.ndarray, "..."]:
    """The array in `data`, not copied if it is one.

    Raises:
        InputError: as for `as_matrix`, except for the number of axes.
    """
    _refuse_sparse(data, argument)
    _refuse_masked(data, argument)
    try:
        array = np.asarray(data)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = _ragged(data, argument) or f"{argument} is no array: {one_line(error)}."
        raise InputError(reason) from error
    if array.dtype.kind in "cV":
        kind = "Complex data" if array.dtype.kind == "c" else "Records"
        raise InputError(
            f"{kind} not supported in {argument}; give real numbers, one column for each part."
        )
    return array


def _refuse_sparse(data: Any, argument: str) -> None:
    if hasattr(data, "toarray") and hasattr(data, "nnz"):
        raise InputError(f"{argument} is a sparse matrix; make it dense with .toarray().")


def _refuse_masked(data: object, argument: str) -> None:
    mask = np.ma.getmaskarray(data) if isinstance(data, np.ma.MaskedArray) else np.zeros(0, bool)
    if mask.any():
        place = ", ".join(map(str, np.argwhere(mask)[0]))
        raise InputError(
            f"{argument} has {counted(int(mask.sum()), 'masked value')} (first at index {place}); "
            "drop or impute them before fitting."
        )


def _ragged(data: Any, argument: str) -> str:
    """The sentence for rows of unequal length, or nothing if that is not what is wrong."""
    if not isinstance(data, list | tuple) or not all(hasattr(row, "__len__") for row in data):
        return ""
    for row, values in enumerate(data):
        if len(values) != len(data[0]):
            return (
                f"{argument} is no rectangular array: row {row} has "
                f"{counted(len(values), 'value')}, row 0 has {len(data[0])}."
            )
    return ""
