"""Which columns of a source are features, and which one weighs the rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from bayesgmm.data.errors import InputError, listed, nearest
from bayesgmm.data.source import Source

type Column = str | int | np.integer  # a name, or in an array a position
type Columns = Column | Iterable[Column]


def weight_position(source: Source, weights: str | ArrayLike | None) -> int | None:
    """The position of the column that weighs the rows, or None.

    Raises:
        InputError: when `weights` names no column, or two.
    """
    if isinstance(weights, str):
        return _position(source, weights, "weights")
    if weights is None and source.weight_column in source.names:
        return source.names.index(source.weight_column)
    return None


def feature_positions(source: Source, columns: Columns | None, weight_at: int | None) -> list[int]:
    """The positions of the columns to keep, in the order asked for.

    Raises:
        InputError: when none is left, when `columns` names an unknown or ambiguous column, one
            column twice, or the one that weighs the rows, and when a column kept has no name.
    """
    chosen = _all_features(source, weight_at) if columns is None else _chosen(source, columns)
    if not chosen:
        raise InputError(
            f"no columns to fit: 0 feature(s) (shape=({source.n_rows}, 0)) while a minimum of 1 is "
            "required. Name at least one with --columns / columns=[...]."
        )
    _refuse_repeats([source.names[position] for position in chosen])
    if weight_at in chosen:
        raise InputError(
            f"column '{source.names[weight_at]}' holds the row weights and is also in columns; "
            "leave it out of columns, or give the weights as an array."
        )
    _refuse_nameless(source, chosen)
    return chosen


def _all_features(source: Source, weight_at: int | None) -> list[int]:
    """Every column that does not weigh the rows, neither now nor by the table's own word."""
    return [
        position
        for position, name in enumerate(source.names)
        if position != weight_at and name != source.weight_column
    ]


def _chosen(source: Source, columns: Columns) -> list[int]:
    asked = [columns] if isinstance(columns, str | int | np.integer) else list(columns)
    return [_position(source, column, "columns") for column in asked]


def _position(source: Source, column: Column, argument: str) -> int:
    if source.positional and not isinstance(column, str):
        return _index(source, column, argument)
    name = str(column)
    if name not in source.names:
        raise InputError(
            f"{argument} names '{name}', which is no column of the table"
            f"{nearest(name, source.names) or '.'} Its columns are {listed(source.names)}."
        )
    _refuse_repeats([each for each in source.names if each == name])
    return source.names.index(name)


def _index(source: Source, position: int | np.integer, argument: str) -> int:
    last = len(source.names) - 1
    if not 0 <= position <= last:
        raise InputError(f"{argument} has position {position}; positions go from 0 to {last}.")
    return int(position)


def _refuse_repeats(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"column '{name}' occurs {names.count(name)} times; "
                "rename one of them, or name it once."
            )


def _refuse_nameless(source: Source, chosen: Sequence[int]) -> None:
    for position in chosen:
        if not source.names[position]:
            named = [name for name in source.names if name]
            raise InputError(
                f"column {position} (from 0) has no name, as row names written into a file have; "
                f"name it, or choose others with --columns / columns=[...]: {listed(named)}."
            )
