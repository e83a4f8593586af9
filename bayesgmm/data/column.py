"""One column of a DataFrame: whether it holds numbers, as floats, or what is wrong with it."""

from __future__ import annotations

from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from bayesgmm.data.errors import one_line

if TYPE_CHECKING:
    import pandas as pd


def is_numeric(series: pd.Series[Any]) -> bool:
    """Whether every value is a real number, a boolean or missing. Numbers in quotes are text."""
    from pandas.api.types import is_complex_dtype, is_numeric_dtype, is_object_dtype

    if is_object_dtype(series.dtype):
        return not _not_numbers(series).any()
    return bool(is_numeric_dtype(series.dtype)) and not is_complex_dtype(series.dtype)


def floats(series: pd.Series[Any]) -> Float64[np.ndarray, " n"]:
    """The numbers of a numeric column, missing ones as nan."""
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def describe_wrong(series: pd.Series[Any]) -> str:
    """What a column that is not numeric holds, with the first such value and its row."""
    kind, wrong = _kind(series), _unreadable(series)
    if not wrong.any():  # each value reads as a number, so the first will do as the example
        wrong = np.asarray(series.notna())
        kind = kind.replace("text", "numbers written as text, which pandas.to_numeric converts,")
    row = int(wrong.argmax())
    value = series.iloc[row]
    shown = repr(value) if isinstance(value, str | bytes) else f"{value}"
    why = _conversion_error(value) if kind == "objects" else ""
    return f"holds {kind} (first {shown:.40} at row {row}{why})"


def _conversion_error(value: Any) -> str:
    """Python's own words on why the value is no number, if it has any."""
    try:
        float(value)
    except (TypeError, ValueError) as error:
        return f": {one_line(error)}"
    return ""


def _not_numbers(series: pd.Series[Any]) -> np.ndarray:
    """Which values are neither real numbers nor missing."""
    number = np.array([isinstance(value, Real | Decimal) for value in series], dtype=bool)
    return ~number & np.asarray(series.notna())


def _unreadable(series: pd.Series[Any]) -> np.ndarray:
    """Which values are neither missing nor a number nor text that reads as one."""
    import pandas as pd

    wrong = _not_numbers(series)
    text = np.array([isinstance(value, str) for value in series], dtype=bool)
    wrong[text] = pd.to_numeric(series[text].astype(str), errors="coerce").isna()
    return wrong


def _kind(series: pd.Series[Any]) -> str:
    from pandas.api.types import infer_dtype

    kinds = {
        "categorical": "categories",
        "complex": "complex numbers",
        "date": "dates",
        "datetime": "dates",
        "datetime64": "dates",
        "period": "dates",
        "time": "times",
        "timedelta": "durations",
        "timedelta64": "durations",
    }
    inferred = infer_dtype(series, skipna=True)
    if any(isinstance(value, str) for value in series):
        return "text"
    return kinds.get(inferred, "objects")
