"""A source: whatever the user brought, opened and named, its values not yet looked at."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Shaped

from bayesgmm.data.array import as_matrix
from bayesgmm.data.column import describe_wrong, floats, is_numeric
from bayesgmm.data.datasets import dataset_names, load_dataset
from bayesgmm.data.errors import InputError, InputTypeError, listed, one_line
from bayesgmm.data.file import file_stem, read_file

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Source:
    """Columns by position, either of a DataFrame or of an array of real numbers.

    Attributes:
        values: the DataFrame or the array (n, d), as the user brought it.
        names: d names, perhaps empty or repeated.
        weight_column: the name of the column that the DataFrame itself calls its row weights.
        name, citation: what the data are called, and where they came from.
    """

    values: pd.DataFrame | Shaped[np.ndarray, "n d"]
    names: tuple[str, ...]
    weight_column: str | None
    name: str
    citation: str

    @property
    def positional(self) -> bool:
        """Whether integers mean positions: an array has no labels that they could mean."""
        return isinstance(self.values, np.ndarray)

    @property
    def n_rows(self) -> int:
        return len(self.values)

    def column(self, position: int) -> Float64[np.ndarray, " n"]:
        """One column as numbers; missing ones are nan.

        Raises:
            InputTypeError: when it holds anything else, listing the columns that do hold numbers.
        """
        if isinstance(self.values, np.ndarray):
            return self.values[:, position].astype(np.float64)
        series = self.values.iloc[:, position]
        if not is_numeric(series):
            wrong = describe_wrong(series)
            raise InputTypeError(f"column '{self.names[position]}' {wrong}; {self._numeric_ones()}")
        return floats(series)

    def matrix(self, positions: Sequence[int]) -> Float64[np.ndarray, "n d"]:
        """These columns as one matrix in C order; an array that is one already is not copied.

        Raises:
            InputTypeError: when a column holds anything but numbers.
        """
        if isinstance(self.values, np.ndarray):
            every = list(positions) == list(range(self.values.shape[1]))
            chosen = self.values if every else self.values[:, positions]
            return np.ascontiguousarray(chosen, dtype=np.float64)
        matrix = np.empty((self.n_rows, len(positions)))
        for place, position in enumerate(positions):
            matrix[:, place] = self.column(position)
        return matrix

    def _numeric_ones(self) -> str:
        assert not isinstance(self.values, np.ndarray)
        series = (self.values.iloc[:, position] for position in range(len(self.names)))
        numeric = [name for name, each in zip(self.names, series, strict=True) if is_numeric(each)]
        if not numeric:
            return "a mixture needs numbers, and the table has no numeric column."
        return f"choose numeric columns with --columns / columns=[...]: {listed(numeric)}."


def open_source(data: object) -> Source:
    """The columns in a path, a data set's name, a DataFrame or an array.

    Raises:
        InputError: when the file cannot be read, or `data` is none of these.
    """
    if isinstance(data, str) and data in dataset_names():
        return _frame_source(load_dataset(data))
    if isinstance(data, str | os.PathLike):
        path = Path(os.fsdecode(data))
        return _frame_source(read_file(path), file_stem(path), str(path))
    frame = _as_frame(data)
    return _array_source(data) if frame is None else _frame_source(frame)


def _frame_source(frame: pd.DataFrame, name: str = "data", citation: str = "in memory") -> Source:
    names = tuple(str(label) for label in frame.columns)
    attrs = frame.attrs
    weight_column = attrs.get("row_weights")
    return Source(
        frame,
        names,
        None if weight_column is None else str(weight_column),
        str(attrs.get("name", name)),
        str(attrs.get("source", citation)),
    )


def _array_source(data: object) -> Source:
    values = as_matrix(data)
    names = tuple(f"x{position + 1}" for position in range(values.shape[1]))
    if values.dtype.kind in "fiub":
        return Source(values, names, None, "data", "in memory")
    import pandas as pd

    return _frame_source(pd.DataFrame(values, columns=list(names)))


def _as_frame(data: Any) -> pd.DataFrame | None:
    """The DataFrame in any kind of data frame, or None; a Series is a frame of one column."""
    pandas = sys.modules.get("pandas")  # not loaded: then `data` is none of its frames
    if pandas and isinstance(data, pandas.DataFrame | pandas.Series):
        return _one_column(data)
    try:
        frame = _from_other_library(data)
        return None if frame is None else _one_column(frame)
    except (TypeError, ValueError) as error:
        raise InputError(f"X, a {type(data).__name__}, is no table: {one_line(error)}.") from error


def _from_other_library(data: Any) -> pd.DataFrame | pd.Series[Any] | None:
    frame: pd.DataFrame | pd.Series[Any] | None = None
    if hasattr(data, "to_pandas"):
        frame = data.to_pandas()
    elif hasattr(data, "__arrow_c_stream__"):
        import pyarrow

        frame = pyarrow.table(data).to_pandas()
    elif hasattr(data, "__dataframe__"):
        from pyarrow.interchange import from_dataframe

        frame = from_dataframe(data).to_pandas()
    return frame


def _one_column(data: pd.DataFrame | pd.Series[Any]) -> pd.DataFrame:
    from pandas import Series

    if isinstance(data, Series):
        return data.to_frame("x1" if data.name in (None, "") else data.name)
    return data
