"""Files of columns: CSV, TSV and Parquet, strictly."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesgmm.data.datasets import dataset_names
from bayesgmm.data.errors import InputError, counted, listed, nearest, one_line

if TYPE_CHECKING:
    import pandas as pd

_DELIMITERS = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t"}
_SUFFIXES = (*_DELIMITERS, ".parquet")


def read_file(path: Path) -> pd.DataFrame:
    """The columns of a .csv, .csv.gz, .tsv, .tsv.gz or .parquet file; empty cells are missing.

    Raises:
        InputError: when the file is missing, a directory, empty, of another kind, undecodable, has
            no header or no rows, or has lines with more or fewer fields than its header.
    """
    path = path.expanduser()
    _refuse_unreadable(path)
    try:
        return _read_parquet(path) if _suffix(path) == ".parquet" else _read_delimited(path)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or one_line(error)
        raise InputError(f"'{path}' cannot be read: {reason}.") from error


def file_stem(path: Path) -> str:
    """The name of a file without its suffix: faithful, of faithful.csv.gz."""
    return path.name[: len(path.name) - len(_suffix(path))]


def _suffix(path: Path) -> str:
    """The longest known suffix in lower case, or else whatever follows the last full stop."""
    known = [suffix for suffix in _SUFFIXES if path.name.lower().endswith(suffix)]
    return max(known, key=len, default=path.suffix)


def _refuse_unreadable(path: Path) -> None:
    if not path.exists():
        raise InputError(_not_found(path))
    kinds = f"{', '.join(_SUFFIXES[:-1])} or {_SUFFIXES[-1]}"
    if path.is_dir():
        raise InputError(f"'{path}' is a directory; give one file that ends in {kinds}.")
    if _suffix(path) not in _SUFFIXES:
        ending = f"ends in '{path.suffix}'" if path.suffix else "has no suffix"
        raise InputError(f"'{path}' {ending}; save the table as {kinds}.")
    if path.stat().st_size == 0:
        raise InputError(f"'{path}' is empty; it needs a header line and rows.")


def _not_found(path: Path) -> str:
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    files = (str(each) for each in beside if _suffix(each) in _SUFFIXES)
    close = nearest(str(path), [*dataset_names(), *files])
    return (
        f"'{path}' was not found: no file has this path and no data set this name"
        f"{close or '.'} Data sets are {listed(dataset_names())}."
    )


def _read_parquet(path: Path) -> pd.DataFrame:
    import pyarrow
    import pyarrow.parquet

    try:
        frame: pd.DataFrame = pyarrow.parquet.ParquetFile(path).read().to_pandas()
    except pyarrow.ArrowException as error:
        raise InputError(f"'{path}' is no Parquet file: {one_line(error)}.") from error
    return frame


def _read_delimited(path: Path) -> pd.DataFrame:
    """Arrow reads: it is fast and, unlike pandas, refuses short lines instead of filling them."""
    import pyarrow
    from pyarrow.csv import ConvertOptions, ParseOptions, read_csv

    delimiter = _DELIMITERS[_suffix(path)]
    parse = ParseOptions(delimiter=delimiter, newlines_in_values=True)
    convert = ConvertOptions(strings_can_be_null=True)
    try:
        table = read_csv(str(path), parse_options=parse, convert_options=convert)
        names = [name.strip() for name in table.column_names]
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise _what_is_wrong(path, delimiter, one_line(error)) from error
    if any(pyarrow.types.is_binary(kind) for kind in table.schema.types):
        raise _what_is_wrong(path, delimiter, "it holds bytes that are no text")
    _refuse_header(path, names, delimiter)
    if not table.num_rows:
        raise InputError(f"'{path}' has a header line and no rows.")
    frame: pd.DataFrame = table.rename_columns(names).to_pandas()
    return frame


def _refuse_header(path: Path, names: list[str], delimiter: str) -> None:
    others = [mark for mark in ",;\t|" if mark != delimiter and mark in names[0]]
    if len(names) == 1 and others:
        raise InputError(
            f"'{path}' seems to be separated by {others[0]!r} (its header is '{names[0]}'); "
            "save it with commas as .csv, or with tabs as .tsv."
        )
    numbered = names == [str(position) for position in range(len(names))]
    if all(map(_is_number, names)) and not numbered:  # pandas numbers the columns of bare arrays
        raise InputError(
            f"'{path}', line 1 holds numbers ({listed(names)}) where column names belong; "
            "add a header line."
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _what_is_wrong(path: Path, delimiter: str, reason: str) -> InputError:
    """The error for a file that Arrow refused: read again, slowly, to name the line."""
    lines = csv.reader(io.StringIO(_text(path), newline=""), delimiter=delimiter)
    try:
        header = next((fields for fields in lines if fields), None)
        if header is None:
            return InputError(f"'{path}' is empty; it needs a header line and rows.")
        _refuse_header(path, header, delimiter)
        return _ragged_line(path, lines, len(header)) or InputError(f"'{path}': {reason}.")
    except csv.Error as error:
        return InputError(f"'{path}', line {lines.line_num}: {error}.")


def _ragged_line(path: Path, lines: Any, expected: int) -> InputError | None:
    for fields in lines:
        if fields and len(fields) != expected:
            return InputError(
                f"'{path}', line {lines.line_num}: expected {counted(expected, 'field')} as in the "
                f"header, found {len(fields)}; correct or remove this line."
            )
    return None


def _text(path: Path) -> str:
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    with opener(path, "rb") as stream:
        content = stream.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"'{path}' is not UTF-8 text (byte 0x{content[error.start]:02x} in line {line}); "
            "save it as UTF-8."
        ) from error
