"""Tables whose rows can be told apart in 80 columns, whatever the columns are called."""

import html
import re

import numpy as np
import pandas as pd
import pytest

import bayesgmm as bg
from bayesgmm.comparison.tables import Column, Name, Row, by_column, grouped, grouped_html
from bayesgmm.data.lines import WIDTH, fitting

NAMES = [["a", "b", "c"], [f"the_{name}_of_the_petal_in_millimetres" for name in "abc"]]


@pytest.mark.parametrize("columns", NAMES)
def test_rows_can_be_told_apart_in_80_columns(columns: list[str]) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 3))
    fit = bg.GaussianMixture(1).fit(pd.DataFrame(rows, columns=columns))
    lines = str(fit.summary()).splitlines()
    first = next(j for j, line in enumerate(lines) if line.startswith("1 ("))
    means = [line for line in lines[first:] if line.startswith((" the", " a ", " b ", " c "))]
    assert max(map(len, lines)) <= WIDTH
    assert len({line.split()[0] for line in means}) == 3


def test_a_correlation_stands_under_its_second_column_and_names_its_first() -> None:
    columns = ["x", "y", "x, y"]
    kinds = [("weight", ""), *(("mean", column) for column in columns)]
    kinds += [("corr", "x, y"), ("corr", "x, x, y"), ("corr", "y, x, y")]
    names = [Name(j, name, column) for j in (1, 2) for name, column in kinds]
    rows = by_column(names, [{"ml": "0"}] * len(names))
    labels = [row.label for row in rows if row.component == 1]
    assert labels == [" weight", " x", " y", "  corr x", " x, y", "  corr x", "  corr y"]
    assert [row.component for row in rows] == [1] * 7 + [2] * 7


def test_a_table_leaves_out_cells_before_two_names_look_alike() -> None:
    wide = "9" * 60
    rows = [
        Row(1, f" length_of_the_{part}_in_millimetres", {"ml": "1", "boot": wide})
        for part in ("petal", "sepal")
    ]
    columns = [Column("ml", "ML"), Column("boot", "95% boot")]
    text = "\n".join(grouped(rows, {1: "1 (9 rows)"}, columns, columns[:1]))
    assert wide not in text
    assert "petal" in text


def test_a_long_name_leaves_room_for_the_rest_of_its_line() -> None:
    rest = ": BIC as the distance from the best"
    assert fitting("n" * 200, rest) + rest == f"{'n' * 21}...{'n' * 21}{rest}"
    assert fitting("galaxies", "x" * 200) == "galaxies"


def test_html_has_the_cells_of_the_text() -> None:
    rows = [
        Row(1, " weight", {"ml": ".3", "bar": "|", "interval": ".1 .5"}),
        Row(1, "  sd <a>", {"ml": "7", "bar": "|", "interval": "- -"}),
        Row(2, " weight", {"ml": ".7", "bar": "|", "interval": ".5 .9"}),
    ]
    columns = [Column("ml", "ML"), Column("bar", ""), Column("interval", "95% interval")]
    headings = {1: "1 (3 rows)", 2: "2 (7 rows)"}
    text = "\n".join(grouped(rows, headings, columns)).replace("|", " ")
    cells = re.findall(r"<t[hd](?: [^>]*)?>(.*?)</t[hd]>", grouped_html(rows, headings, columns))
    assert html.unescape(" ".join(cells)).split() == text.split()
