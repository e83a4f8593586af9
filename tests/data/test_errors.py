"""The error, and the words that messages share."""

import pytest

from bayesgmm.data import InputError, nearest
from bayesgmm.data.errors import counted, listed, one_line

NAMES = ["faithful", "galaxies", "WINE"]


def test_input_error_is_a_value_error():
    assert issubclass(InputError, ValueError)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("faithfull", "; did you mean 'faithful'?"),
        ("GALAXIES", "; did you mean 'galaxies'?"),
        ("wine", "; did you mean 'WINE'?"),
        ("zzz", ""),
    ],
)
def test_nearest_suggests_the_most_alike_or_nothing(name, expected):
    assert nearest(name, NAMES) == expected


def test_nearest_of_no_names_is_nothing():
    assert nearest("faithful", iter([])) == ""


def test_listed_counts_the_names_it_leaves_out():
    assert listed(["a", "b", "c", "d"], limit=2) == "'a', 'b' and 2 more"
    assert listed(["a", "b"], limit=2) == "'a', 'b'"


def test_counted_knows_the_plural():
    assert [counted(count, "row") for count in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]


def test_one_line_joins_the_lines_of_an_error():
    assert one_line(ValueError("first\n  second.\n")) == "first second"
