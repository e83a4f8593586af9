"""The door: what comes in is what was meant, and what cannot be fitted stays out, with a reason."""

import gzip
import hashlib
import struct
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bayesgmm.data import InputError, Table, load_dataset, read_table
from bayesgmm.data.table import check_spread

CSV = "a,b,c\n1,2.5,3\n4,5,6\n7,8,9e1\n"
X = np.array([[1, 2.5, 3], [4, 5, 6], [7, 8, 90]])
MIXED = pd.DataFrame({"a": [1.0, 2.0], "species": ["setosa", "virginica"], "b": [3, 4]})


@pytest.fixture
def write(tmp_path):
    """A function that writes text or bytes to a file of the given name and returns its path."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


def refusal(data, **options) -> str:
    """The one line with which the door refuses."""
    with pytest.raises(InputError) as caught:
        read_table(data, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def assert_says(message, *parts):
    assert [part for part in parts if part not in message] == [], message


# --- what comes in -----------------------------------------------------------------------------


class Interchange:
    """An object that offers the dataframe interchange and nothing else."""

    def __init__(self, frame: pd.DataFrame):
        self._table = pa.Table.from_pandas(frame)

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True):
        return self._table.__dataframe__(nan_as_null, allow_copy)


class ArrowStream:
    """An object that offers the Arrow stream and nothing else."""

    def __init__(self, frame: pd.DataFrame):
        self._table = pa.Table.from_pandas(frame)

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


FRAME = pd.DataFrame(X, columns=["a", "b", "c"])
FRAMES = {
    "pandas": FRAME,
    "pandas nullable": FRAME.convert_dtypes(),
    "pandas arrow": FRAME.convert_dtypes(dtype_backend="pyarrow"),
    "pandas objects": FRAME.astype(object),
    "pandas decimals": FRAME.map(lambda value: Decimal(str(value))),
    "polars": pl.DataFrame(X, schema=["a", "b", "c"]),
    "arrow": pa.Table.from_pandas(FRAME),
    "arrow stream": ArrowStream(FRAME),
    "interchange": Interchange(FRAME),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_every_kind_of_frame_gives_the_same_table(kind):
    table = read_table(FRAMES[kind])
    np.testing.assert_array_equal(table.X, X)
    assert table.columns == ("a", "b", "c")
    assert table.row_weights is None
    assert table.sha256 == read_table(FRAME).sha256


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.tsv", "t.tsv.gz", "T.CSV", "t.parquet"])
def test_every_kind_of_file_gives_the_same_table(name, tmp_path, write):
    if name.endswith(".parquet"):
        FRAME.to_parquet(tmp_path / name)
    else:
        write(name, CSV.replace(",", "\t") if ".tsv" in name else CSV)
    for path in (tmp_path / name, str(tmp_path / name)):
        table = read_table(path)
        np.testing.assert_array_equal(table.X, X)
        assert (table.columns, table.name) == (("a", "b", "c"), name.split(".")[0])
        assert table.source == str(path)


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + CSV,
        CSV.replace("\n", "\r\n"),
        CSV.replace(",", ", "),
        CSV + "\n\n",
        '"a","b","c"\n' + CSV.partition("\n")[2],
        CSV.replace("4", '"4"'),
    ],
    ids=["byte order mark", "crlf", "spaces", "blank end", "quoted names", "quoted number"],
)
def test_harmless_spellings_of_a_csv_change_nothing(content, write):
    table = read_table(write("t.csv", content))
    np.testing.assert_array_equal(table.X, X)
    assert table.columns == ("a", "b", "c")


def test_quoted_cells_may_have_many_lines(write):
    """More than a block of Arrow's, 1 MiB, so that a block ends inside a cell."""
    path = write("t.csv", "a,remark\n" + ('1,"' + "\n" * 1000 + '"\n') * 2000)
    assert read_table(path, columns=["a"]).X.sum() == 2000


def test_a_list_of_rows_and_a_fortran_array_are_tables():
    for data in (X.tolist(), np.asfortranarray(X), X.astype(np.float32), np.ma.array(X)):
        table = read_table(data)
        np.testing.assert_array_equal(table.X, X)
        assert table.X.dtype == np.float64
        assert table.X.flags.c_contiguous
        assert table.columns == ("x1", "x2", "x3")


@pytest.mark.parametrize("series", [pd.Series([1.0, 2], name="v"), pl.Series("v", [1.0, 2])])
def test_a_series_is_one_column(series):
    table = read_table(series)
    assert (table.X.tolist(), table.columns) == ([[1.0], [2.0]], ("v",))


@pytest.mark.parametrize("series", [pd.Series([1.0, 2]), pl.Series([1.0, 2])])
def test_a_series_without_a_name_is_x1(series):
    assert read_table(series).columns == ("x1",)


@pytest.mark.parametrize("data", [pd.DataFrame({"a": [True, False]}), np.array([[True], [False]])])
def test_booleans_are_ones_and_zeros(data):
    assert read_table(data).X.tolist() == [[1.0], [0.0]]


def test_a_data_set_is_read_by_its_name():
    table = read_table("faithful")
    assert (table.X.shape, table.name) == ((272, 2), "faithful")
    assert "Azzalini" in table.source


def test_a_table_is_returned_as_it_is():
    table = read_table(X)
    assert read_table(table) is table
    assert_says(refusal(table, columns=["x1"]), "Table already", "choose columns")


# --- the user's data stay the user's -----------------------------------------------------------


def test_a_float64_array_in_c_order_is_not_copied():
    assert np.shares_memory(read_table(X).X, X)
    assert np.shares_memory(read_table(X, columns=[0, 1, 2]).X, X)


@pytest.mark.parametrize("kind", ["pandas", "pandas objects", "pandas nullable"])
def test_reading_leaves_the_data_untouched(kind):
    before = FRAMES[kind].copy(deep=True)
    read_table(FRAMES[kind], columns=["c", "a"], weights="b")
    pd.testing.assert_frame_equal(FRAMES[kind], before)


# --- columns -----------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [FRAME, FRAMES["polars"], X])
def test_columns_come_in_the_order_asked_for(data):
    names = ["x3", "x1"] if isinstance(data, np.ndarray) else ["c", "a"]
    table = read_table(data, columns=names)
    np.testing.assert_array_equal(table.X, X[:, [2, 0]])
    assert table.columns == tuple(names)
    assert table.X.flags.c_contiguous


def test_positions_choose_columns_of_an_array():
    table = read_table(X, columns=np.array([2, 0]))
    np.testing.assert_array_equal(table.X, X[:, [2, 0]])
    assert table.columns == ("x3", "x1")


def test_integer_labels_of_a_frame_are_labels():
    frame = pd.DataFrame(X, columns=[2, 1, 0])
    assert read_table(frame, columns=[0]).X[:, 0].tolist() == X[:, 2].tolist()


def test_one_name_alone_is_one_column():
    assert read_table(FRAME, columns="b").columns == ("b",)
    assert read_table(X, columns=1).columns == ("x2",)


def test_columns_not_chosen_may_hold_anything():
    assert read_table(MIXED, columns=["a", "b"]).X.tolist() == [[1, 3], [2, 4]]


@pytest.mark.parametrize(
    ("data", "columns", "parts"),
    [
        (FRAME, ["A"], ["columns", "'A'", "no column", "did you mean 'a'?", "'a', 'b', 'c'"]),
        (FRAME, ["zz"], ["columns", "'zz'", ". Its columns are 'a', 'b', 'c'"]),
        (FRAME, [0], ["columns", "'0'", "'a', 'b', 'c'"]),
        (FRAME, ["a", "a"], ["column 'a'", "2 times", "name it once"]),
        (FRAME, [], ["no columns", "--columns"]),
        (X, [3], ["columns", "position 3", "0 to 2"]),
        (X, [-1], ["columns", "position -1", "0 to 2"]),
        (X, ["a"], ["columns", "'a'", "'x1', 'x2', 'x3'"]),
    ],
)
def test_columns_that_do_not_exist_are_refused(data, columns, parts):
    assert_says(refusal(data, columns=columns), *parts)


def test_repeated_names_are_refused_unless_left_out(write):
    path = write("t.csv", "a,b,a\n1,2,3\n")
    assert_says(refusal(path), "column 'a'", "2 times", "rename")
    assert_says(refusal(path, columns=["a"]), "column 'a'", "2 times", "rename")
    assert read_table(path, columns=["b"]).X.tolist() == [[2.0]]


def test_row_names_written_by_r_are_refused_unless_left_out(write):
    path = write("t.csv", '"","a","b"\n"1",2,3\n"2",4,5\n')
    assert_says(refusal(path), "column 0", "no name", "columns=[...]: 'a', 'b'")
    assert read_table(path, columns=["a", "b"]).X.tolist() == [[2, 3], [4, 5]]


def test_a_frame_without_columns_is_refused():
    assert_says(refusal(pd.DataFrame(index=[0, 1])), "no columns")
    assert_says(refusal(np.empty((3, 0))), "no columns")


# --- row weights -------------------------------------------------------------------------------


def test_without_weights_every_row_counts_once():
    table = read_table(X)
    assert (table.row_weights, table.n_rows, table.total_weight) == (None, 3, 3.0)
    assert table.frequency


@pytest.mark.parametrize("weights", ["c", X[:, 2], pd.Series(X[:, 2]), X[:, 2].tolist()])
def test_weights_are_a_column_or_numbers(weights):
    table = read_table(FRAME, columns=["a"], weights=weights)
    assert table.row_weights is not None
    assert table.row_weights.tolist() == [3, 6, 90]
    assert (table.n_rows, table.total_weight, table.frequency) == (3, 99.0, True)


def test_the_column_of_the_weights_is_no_feature():
    assert read_table(FRAME, weights="b").columns == ("a", "c")
    assert read_table(X, weights="x2").columns == ("x1", "x3")


def test_counts_are_frequencies_and_fractions_are_not():
    assert read_table(X, weights=[2, 0, 1]).frequency
    assert not read_table(X, weights=[2, 0, 1.5]).frequency


def test_a_row_of_weight_zero_stays():
    table = read_table(X, weights=[0, 1, 1])
    assert (table.n_rows, table.total_weight) == (3, 2.0)


def test_a_data_set_of_counts_weighs_its_rows():
    for data in ("pearson_crabs", load_dataset("pearson_crabs")):
        table = read_table(data)
        assert (table.columns, table.n_rows, table.total_weight) == (("class",), 29, 1000.0)
        assert table.frequency


def test_weights_given_replace_the_weights_of_a_data_set():
    table = read_table("pearson_crabs", weights=np.ones(29))
    assert (table.columns, table.total_weight) == (("class",), 29.0)


def test_weights_travel_through_parquet(tmp_path):
    load_dataset("pearson_crabs").to_parquet(tmp_path / "crabs.parquet")
    table = read_table(tmp_path / "crabs.parquet")
    assert (table.columns, table.total_weight) == (("class",), 1000.0)


def test_a_frame_that_no_longer_has_its_weights_is_not_weighted():
    assert read_table(load_dataset("pearson_crabs")[["class"]]).row_weights is None


@pytest.mark.parametrize(
    ("weights", "parts"),
    [
        ([1, -1, -2], ["weights", "2 negative values", "first at row 1", "0 or more"]),
        ([1, 1, np.nan], ["weights", "1 non-finite value", "first at row 2", "finite"]),
        ([1, np.inf, 1], ["weights", "1 non-finite value", "first at row 1"]),
        ([0, 0, 0], ["weights", "every row has zero"]),
        ([1, 2], ["weights", "(2,)", "(3,)", "one weight for each row"]),
        ([[1], [1], [1]], ["weights", "(3, 1)", "(3,)"]),
        (np.array(2.0), ["weights", "()", "(3,)"]),
        (["u", "v", "w"], ["weights", "must hold numbers", "str"]),
        (["1", "2", "3"], ["weights", "must hold numbers", "str"]),
        (np.array([1, "2", 3], dtype=object), ["weights", "must hold numbers", "object"]),
        (np.array([1, [2], 3], dtype=object), ["weights", "must hold numbers"]),
        (np.array([1, 2, 3], dtype="M8[D]"), ["weights", "must hold numbers", "datetime"]),
        ([1, 1, 1j], ["weights", "Complex data"]),
        (
            np.ma.array([1, 2, 3], mask=[False, True, False]),
            ["weights", "1 masked value", "index 1"],
        ),
        ("wait", ["weights", "'wait'", "no column", "'a', 'b', 'c'"]),
    ],
)
def test_weights_that_cannot_weigh_are_refused(weights, parts):
    assert_says(refusal(FRAME, weights=weights), *parts)


def test_a_bad_column_of_weights_is_named():
    frame = FRAME.assign(w=[1.0, -2.0, np.nan], t=["1", "2", "3"])
    assert_says(refusal(frame, columns=["a"], weights="w"), "weights column 'w'", "row 2")
    assert_says(refusal(frame, columns=["a"], weights="t"), "column 't'", "text", "to_numeric")


def test_the_column_of_the_weights_cannot_be_a_feature_too():
    for data, column in ((FRAME, "b"), ("pearson_crabs", "count")):
        options = {"columns": [column]} | ({"weights": "b"} if column == "b" else {})
        assert_says(refusal(data, **options), f"column '{column}'", "row weights", "leave it out")


# --- values that cannot be fitted --------------------------------------------------------------


@pytest.mark.parametrize(("bad", "word"), [(np.nan, "NaN"), (np.inf, "inf"), (-np.inf, "-inf")])
@pytest.mark.parametrize("names", [None, ["eruptions", "waiting"]])
def test_non_finite_values_are_counted_and_placed(bad, word, names):
    data = np.ones((30, 2))
    data[[17, 20, 20], [1, 0, 1]] = bad
    given = data if names is None else pd.DataFrame(data, columns=names)
    name = "x2" if names is None else "waiting"
    assert refusal(given) == (
        f"X has 3 non-finite values (first {word} at row 17, column '{name}'); "
        "drop or impute them before fitting."
    )


def test_infinities_that_cancel_are_still_found():
    assert_says(refusal([[np.inf, -np.inf]]), "2 non-finite values", "row 0, column 'x1'")


@pytest.mark.parametrize("big", [1.1e75, -1e200, np.finfo(np.float64).max])
def test_numbers_whose_squares_overflow_are_refused(big):
    message = refusal([[1.0, 2.0], [3.0, big]])
    assert_says(message, "1 overlarge value", "row 1, column 'x2'", "beyond 1e+75", "larger units")


def test_columns_whose_variance_is_lost_are_refused():
    check_spread(read_table(np.c_[X, np.full(3, 0.1), X[:, 0] * 1e-74]))
    with pytest.raises(InputError, match=r"column 'x2' spans only 5\.5e-170.* smaller units"):
        check_spread(read_table(X * [1.0, 1e-170, 1.0]))


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": [1, 2], "b": [3.0, None]}),
        pd.DataFrame({"a": [1, 2], "b": pd.array([3, None], dtype="Int64")}),
        pd.DataFrame({"a": [1, 2], "b": pd.Series([True, None], dtype=object)}),
        pd.DataFrame({"a": [1, 2], "b": pd.array([1, pd.NA], dtype=object)}),
        pl.DataFrame({"a": [1, 2], "b": [3, None]}),
    ],
)
def test_missing_values_are_placed(frame):
    assert_says(refusal(frame), "1 non-finite value ", "row 1, column 'b'", "drop or impute")


def test_empty_cells_are_missing_values(write):
    message = refusal(write("t.csv", "a,b\n1,2\n3,\nNA,4\n"))
    assert_says(message, "2 non-finite values", "row 1, column 'b'")


@pytest.mark.parametrize("how", ["pandas", "polars", "csv", "object array"])
def test_text_is_refused_with_its_remedy(how, write):
    data = {
        "pandas": lambda: MIXED,
        "polars": lambda: pl.from_pandas(MIXED),
        "csv": lambda: write("t.csv", MIXED.to_csv(index=False)),
        "object array": MIXED.to_numpy,
    }[how]()
    names = ("x1", "x2", "x3") if how == "object array" else ("a", "species", "b")
    assert refusal(data) == (
        f"column '{names[1]}' holds text (first 'setosa' at row 0); choose numeric columns with "
        f"--columns / columns=[...]: '{names[0]}', '{names[2]}'."
    )


def test_the_first_text_among_numbers_is_shown(write):
    message = refusal(write("t.csv", "a,b\n1,2\n,3\n4.5,3\nfive,3\n"))
    assert_says(message, "column 'a' holds text", "first 'five' at row 3")


@pytest.mark.parametrize("data", [pd.DataFrame({"x1": ["1", "2"]}), np.array([["1"], ["2"]])])
def test_numbers_written_as_text_are_refused_with_their_own_remedy(data):
    assert_says(refusal(data), "column 'x1'", "numbers written as text", "to_numeric", "row 0")


@pytest.mark.parametrize(
    ("values", "kind", "first"),
    [
        (pd.to_datetime(["2020-01-02", "2020-01-03"]), "dates", "2020-01-02"),
        (pd.to_timedelta([1, 2], unit="D"), "durations", "1 days"),
        (pd.Categorical([4, 6]), "categories", "4"),
        (pd.Categorical(["u", "v"]), "text", "'u'"),
        ([1 + 2j, 3], "complex numbers", "(1+2j)"),
        (pd.Series([[1], [2]], dtype=object), "objects", "[1] at row 0: float() argument must be"),
        (pd.Series([1, "x"], dtype=object), "text", "'x' at row 1"),
    ],
)
def test_columns_without_numbers_are_refused_by_what_they_hold(values, kind, first):
    frame = pd.DataFrame({"a": [1.0, 2.0], "w": values})
    assert_says(refusal(frame), f"column 'w' holds {kind}", f"first {first}", "=[...]: 'a'.")


def test_dates_in_an_array_are_refused():
    assert_says(refusal(np.array([["2020-01-01"]], dtype="M8[D]")), "column 'x1' holds dates")


def test_without_any_numeric_column_none_is_proposed():
    assert_says(refusal(MIXED[["species"]]), "'species' holds text", "no numeric column")


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (X[:, 0], ["X has shape (3,)", "(n, d)", "Reshape your data", "X.reshape(-1, 1)"]),
        ([1.0, 2.0], ["X has shape (2,)", "Reshape your data"]),
        (np.zeros((2, 2, 2)), ["X has shape (2, 2, 2)", "(n, d)"]),
        (X + 1j, ["Complex data not supported in X", "real"]),
        (np.zeros(2, dtype=[("u", "f8")]), ["Records not supported in X"]),
        (scipy.sparse.csr_array(X), ["X is a sparse matrix", ".toarray()"]),
        (scipy.sparse.coo_matrix(X), ["X is a sparse matrix", ".toarray()"]),
        (np.ma.array(X, mask=X == 5), ["X has 1 masked value", "index 1, 1", "drop or impute"]),
        ([[1, 2], [3]], ["X is no rectangular array", "row 1 has 1 value", "row 0 has 2"]),
        (np.empty((0, 2)), ["X has shape (0, 2)", "no rows"]),
        (FRAME.iloc[:0], ["X has shape (0, 3)", "no rows"]),
        ([], ["X has shape (0,)"]),
        (None, ["X is a NoneType", "path", "data set", "DataFrame", "(n, d)"]),
        ({"a": [1]}, ["X is a dict", "DataFrame"]),
        (pl.LazyFrame({"a": [1]}), ["X is a LazyFrame", "DataFrame"]),
    ],
)
def test_what_is_no_table_of_real_numbers_is_refused(data, parts):
    assert_says(refusal(data), *parts)


# --- files that cannot be read -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("t.csv", "", ["empty", "header"]),
        ("t.csv", "\n\n", ["empty", "header"]),
        ("t.parquet", "", ["empty"]),
        ("t.csv", "a,b\n", ["header line and no rows"]),
        ("t.csv", "a,b\n1,2\n3,4,5\n", ["line 3", "expected 2 fields", "found 3", "remove"]),
        ("t.csv", "a,b\n1,2\n\n3\n", ["line 4", "expected 2 fields", "found 1"]),
        ("t.csv.gz", "a,b\n1,2\n3\n", ["line 3", "expected 2 fields", "found 1"]),
        ("t.tsv", "a\tb\n1\t2\t3\n", ["line 2", "expected 2 fields", "found 3"]),
        ("t.csv", '"a\nx",b\n1,2\n3\n', ["line 4", "expected 2 fields", "found 1"]),
        ("t.csv", '\ufeff"a,b",c\n1,2\n3\n', ["line 3", "expected 2 fields", "found 1"]),
        ("t.csv", b"a,b\n1,caf\xe9\n", ["UTF-8", "byte 0xe9", "line 2"]),
        ("t.csv", b"caf\xe9,b\n1,2\n", ["UTF-8", "byte 0xe9", "line 1"]),
        ("t.csv", "a,b\n1,2\n".encode("utf-16"), ["UTF-8", "byte 0xff", "line 1"]),
        ("t.csv", "1,2\n3,4\n", ["line 1", "numbers", "'1', '2'", "header line"]),
        ("t.csv", "a;b\n1;2\n", ["separated by ';'", "'a;b'", "commas"]),
        ("t.csv", "a;b\n1,5;2,5\n", ["separated by ';'", "'a;b'", "commas"]),
        ("t.tsv", "a,b\n1,2\n", ["separated by ','", "'a,b'", ".csv"]),
        ("t.parquet", "a,b\n1,2\n", ["no Parquet file"]),
        ("t.xlsx", "a,b\n1,2\n", ["ends in '.xlsx'", ".csv", ".parquet"]),
        ("table", "a,b\n1,2\n", ["no suffix", ".csv", ".parquet"]),
    ],
)
def test_files_that_hold_no_table_are_refused(name, content, parts, write):
    path = write(name, content)
    assert_says(refusal(path), f"'{path}'", *parts)


def test_a_file_that_is_no_gzip_is_refused(write):
    path = write("t.csv", CSV)
    assert_says(refusal(path.rename(path.with_name("t.csv.gz"))), "t.csv.gz", "cannot be read")


def test_a_directory_is_refused(tmp_path):
    assert_says(refusal(tmp_path), f"'{tmp_path}' is a directory", "one file", ".csv")


def test_a_missing_path_is_refused_with_the_nearest_data_set():
    message = refusal("faithfull")
    assert_says(message, "'faithfull' was not found", "did you mean 'faithful'?", "'galaxies'")


def test_a_missing_path_is_refused_with_the_nearest_file(write):
    path = write("measured.csv", CSV)
    message = refusal(path.with_name("mesured.csv"))
    assert_says(message, "mesured.csv' was not found", f"did you mean '{path}'?")


def test_a_path_in_a_missing_directory_is_refused(tmp_path):
    assert_says(refusal(tmp_path / "no" / "t.csv"), "t.csv' was not found")


def test_bare_arrays_written_by_pandas_are_read(write):
    path = write("t.csv", pd.DataFrame(X).to_csv(index=False))
    np.testing.assert_array_equal(read_table(path).X, X)


# --- laws --------------------------------------------------------------------------------------

numbers = st.floats(-1e75, 1e75)
matrices = arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=numbers)


@settings(max_examples=30, deadline=None)
@given(data=matrices)
def test_a_csv_gives_back_the_numbers_written(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("law") / "t.csv"
    names = [f"x{column + 1}" for column in range(data.shape[1])]
    pd.DataFrame(data, columns=names).to_csv(path, index=False)
    np.testing.assert_array_equal(read_table(path).X, data)


def test_the_fingerprint_depends_on_numbers_names_weights_and_shape_alone():
    table = read_table(X, weights=[1, 2, 3])
    assert table.row_weights is not None
    same = replace(table, X=np.asfortranarray(X), name="other", source="elsewhere")
    assert same.sha256 == table.sha256
    others = [
        replace(table, X=X + np.eye(3) * 1e-9),
        replace(table, X=X.reshape(3, 3)[::-1]),
        replace(table, columns=("a", "b", "c")),
        replace(table, row_weights=None),
        replace(table, row_weights=table.row_weights[::-1]),
        replace(table, X=X.reshape(9, 1), columns=("x1",), row_weights=None),
    ]
    assert len({each.sha256 for each in [table, *others]}) == len(others) + 1


def test_the_fingerprint_is_that_of_names_shapes_and_little_endian_numbers():
    """Saved fits keep it, so that another version or machine must compute the same."""
    table = Table(np.array([[1.5, 2]]), ("a", "b"), np.array([3.0]), "t", "here")
    header = b'[["a", "b"], [[1, 2], [1]]]'
    assert table.sha256 == hashlib.sha256(header + struct.pack("<3d", 1.5, 2, 3)).hexdigest()
