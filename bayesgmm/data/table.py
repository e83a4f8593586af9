"""The table: a checked matrix with its column names and row weights, and the one way to get it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from bayesgmm.data.errors import InputError, counted
from bayesgmm.data.selection import Columns, feature_positions, weight_position
from bayesgmm.data.source import Source, open_source
from bayesgmm.data.weights import checked_weights

LARGEST = 1e75  # so that the square of a ratio of two numbers between its inverse and it is finite


@dataclass(frozen=True, eq=False)
class Table:
    """Rows that passed the door: finite, float64, in C order, with a name for every column.

    Attributes:
        X: the data (n, d), in the user's units. Where the user brought such an array it is that
            array, not a copy, so nobody may write to it.
        columns: d names.
        row_weights: n non-negative weights, not all zero, or None where every row counts once.
        name: what the data are called in titles and tables.
        source: where they came from: a citation, a path, or a kind of object in memory.
    """

    X: Float64[np.ndarray, "n d"]
    columns: tuple[str, ...]
    row_weights: Float64[np.ndarray, " n"] | None
    name: str
    source: str

    @property
    def n_rows(self) -> int:
        """The number of rows, whatever their weights."""
        return self.X.shape[0]

    @property
    def total_weight(self) -> float:
        """The sum of the row weights; without weights, the number of rows."""
        return float(self.n_rows if self.row_weights is None else self.row_weights.sum())

    @property
    def frequency(self) -> bool:
        """Whether the weights are counts, as they are where there are none."""
        weights = self.row_weights
        return weights is None or bool(np.all(weights == np.floor(weights)))

    @cached_property
    def sha256(self) -> str:
        """A fingerprint of columns, numbers and weights, the same on every machine."""
        arrays = [self.X] if self.row_weights is None else [self.X, self.row_weights]
        shapes = [array.shape for array in arrays]
        digest = hashlib.sha256(json.dumps([self.columns, shapes]).encode())
        for array in arrays:
            digest.update(np.ascontiguousarray(array, dtype="<f8"))
        return digest.hexdigest()


def read_table(
    data: object,
    columns: Columns | None = None,
    weights: str | ArrayLike | None = None,
) -> Table:
    """The table in whatever the user brought, checked once so that no other room needs to.

    >>> table = read_table("faithful", columns=["waiting"])
    >>> table.X.shape, table.columns, table.total_weight
    ((272, 1), ('waiting',), 272.0)

    Args:
        data: the path of a .csv, .csv.gz, .tsv, .tsv.gz or .parquet file; the name of a data set;
            a pandas or polars DataFrame or Series, or any object that offers `to_pandas`, the
            Arrow stream or the dataframe interchange; or an array (n, d). A Table is returned as
            it is. Columns of an array are called x1, x2, ...
        columns: the names of the columns to keep, in this order; of an array also their positions
            from 0. None keeps every column except that of the weights.
        weights: the name of the column that weighs the rows, or n numbers. None takes the column
            that a DataFrame names in `attrs["row_weights"]`, as a data set of counts does.

    Raises:
        InputError: for everything that cannot be fitted, naming the place and the remedy. Nothing
            is dropped, filled or converted silently, and the user's data are never edited.
    """
    if isinstance(data, Table):
        return _same_table(data, columns, weights)
    source = open_source(data)
    weight_at = weight_position(source, weights)
    chosen = feature_positions(source, columns, weight_at)
    names = tuple(source.names[position] for position in chosen)
    X = _checked(source.matrix(chosen), names)
    return Table(X, names, _row_weights(source, weights, weight_at), source.name, source.citation)


def _same_table(table: Table, columns: object, weights: object) -> Table:
    if columns is not None or weights is not None:
        raise InputError("data is a Table already; choose columns and weights where it is read.")
    return table


def _row_weights(
    source: Source, weights: str | ArrayLike | None, weight_at: int | None
) -> Float64[np.ndarray, " n"] | None:
    if weight_at is not None:
        return checked_weights(source.column(weight_at), source.n_rows, source.names[weight_at])
    return None if weights is None else checked_weights(weights, source.n_rows)


def check_counts(table: Table, because: str) -> None:
    """Raise an InputError where row weights are not counts; it says why they have to be."""
    if not table.frequency:
        raise InputError(
            f"sample_weight holds weights that are not counts, {because}; give counts."
        )


def check_spread(table: Table) -> None:
    """Raise an InputError where a column varies, but by so little that its variance is lost.

    A constant column passes: families that pool the columns' variances can describe it.
    """
    spread = table.X.max(0) - table.X.min(0)
    for name, width in zip(table.columns, spread, strict=True):
        if 0 < width < 1 / LARGEST:
            raise InputError(
                f"column '{name}' spans only {width:.1e}, whose square is lost in double "
                "precision; express it in smaller units."
            )


def _checked(X: Float64[np.ndarray, "n d"], names: Sequence[str]) -> Float64[np.ndarray, "n d"]:
    if 0 in X.shape:
        raise InputError(f"X has shape {X.shape}: no rows; at least one is needed.")
    if max(X.max(), -X.min()) <= LARGEST:  # two numbers instead of n x d booleans; nan is neither
        return X
    _refuse(~np.isfinite(X), X, names, "non-finite value", "drop or impute them before fitting")
    remedy = f"beyond {LARGEST:.0e} squares overflow, so use larger units"
    _refuse(np.abs(X) > LARGEST, X, names, "overlarge value", remedy)
    return X


def _refuse(wrong: np.ndarray, X: np.ndarray, names: Sequence[str], noun: str, remedy: str) -> None:
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        value = "NaN" if np.isnan(X[row, column]) else f"{X[row, column]:.4g}"
        raise InputError(
            f"X has {counted(int(wrong.sum()), noun)} (first {value} at row {row}, "
            f"column '{names[column]}'); {remedy}."
        )
