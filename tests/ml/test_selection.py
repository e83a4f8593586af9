"""The grid of families and numbers of components: every cell, the best, and the reasons."""

import inspect
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bayesgmm.data.errors import InputError
from bayesgmm.data.table import read_table
from bayesgmm.gaussian.families import families_for, family
from bayesgmm.ml import selection
from bayesgmm.ml.optima import Optimum
from bayesgmm.ml.restarts import Settings, fit
from bayesgmm.ml.selection import Selection, check_criterion, scan, select

KS = (1, 2, 3)
NAMES = ["VVV", "EEE", "VVI", "VII"]


@pytest.fixture(scope="module")
def grid(table) -> Selection:
    """Four families with one to three components, really fitted."""
    return select(table.X, KS, NAMES, n_init=4, random_state=0)


@pytest.fixture(scope="module")
def one_fit(grid):
    """Any fit; its numbers are replaced in the cells that `made` makes."""
    return grid.cells[0].fit


@pytest.fixture(scope="module")
def made(table, one_fit):
    """A function from the criteria of cells (family, k) to their selection; nothing is fitted."""

    def selection_of(values, criterion="bic", refused=()):
        known = []
        for (name, k), value in values.items():
            mixture = one_fit.mixture
            parts = [np.repeat(part, k, axis=0) for part in mixture]
            wide = mixture._replace(
                weights=parts[0] / k, means=parts[1] + np.arange(k)[:, None], scale_tril=parts[2]
            )
            reason = "two rows" if (name, k) in refused else ""
            known.append(
                replace(
                    one_fit,
                    mixture=wide,
                    family=family(name),
                    **{criterion: value},
                    optima=(Optimum(value, 1, wide, reason),),
                )
            )
        names = list(dict.fromkeys(name for name, _ in values))
        ks = sorted({k for _, k in values})
        return scan(table, ks, names, np.random.default_rng(0), criterion, known=known)

    return selection_of


def test_every_cell_is_there_once(grid):
    cells = [(cell.covariance_type, cell.n_components) for cell in grid.cells]
    assert cells == [(name, k) for name in NAMES for k in KS]
    assert all((cell.fit is None) == bool(cell.reason) for cell in grid.cells)


def test_the_best_cell_has_the_lowest_criterion(grid):
    values = [cell.fit.bic for cell in grid.fitted]
    assert values == sorted(values)
    assert grid.best_ is grid.fitted[0].fit
    assert grid.best_.bic == np.nanmin(grid.table.bic)


@pytest.mark.parametrize("criterion", ["aic", "bic", "icl"])
def test_the_criterion_that_was_asked_for_ranks(criterion, grid):
    ranked = replace(grid, criterion=criterion)
    assert getattr(ranked.best_, criterion) == grid.table[criterion].min()


def test_the_table_holds_the_numbers_of_the_fits(grid, table):
    frame = grid.table
    assert list(frame.columns) == [
        "covariance_type",
        "n_components",
        "loglik",
        "df",
        "aic",
        "aicc",
        "bic",
        "icl",
        "hits",
        "n_starts",
        "n_raced",
        "smallest_component",
        "rank",
        "difference",
        "reason",
    ]
    assert len(frame) == len(NAMES) * len(KS)
    fitted = frame[frame.reason == ""]
    df = [family(name).n_parameters(k, 2) for name, k in fitted.iloc[:, :2].itertuples(index=False)]
    np.testing.assert_array_equal(fitted.df, df)
    np.testing.assert_allclose(fitted.aic, -2 * fitted.loglik + 2 * fitted.df, rtol=1e-12)
    np.testing.assert_allclose(fitted.bic, fitted.aic + fitted.df * (np.log(80) - 2), rtol=1e-12)
    assert (fitted.icl >= fitted.bic - 1e-9).all()
    assert (fitted.hits >= 1).all()
    assert (fitted.n_starts == np.where(fitted.n_components == 1, 1, 4)).all()


def test_a_larger_family_is_never_less_likely(grid):
    loglik = grid.table.pivot(index="n_components", columns="covariance_type", values="loglik")
    assert (loglik.VVV[1] >= loglik.loc[1] - 1e-9).all()
    assert loglik.VVV[1] == pytest.approx(loglik.EEE[1], rel=1e-12)
    assert loglik.loc[1, "VVI"] > loglik.loc[1, "VII"]


def test_a_cell_is_the_fit_of_its_family_and_k(grid, table):
    found = fit(table, 2, "VVV", np.random.default_rng(3), Settings(n_init=8))
    cell = {(c.covariance_type, c.n_components): c for c in grid.cells}["VVV", 2]
    assert cell.fit.log_likelihood == pytest.approx(found.log_likelihood, rel=1e-9)


def test_the_same_seed_gives_the_same_bits(grid, table):
    again = select(table.X, KS, NAMES, n_init=4, random_state=0)
    pd.testing.assert_frame_equal(again.table, grid.table, check_exact=True)


def test_text_html_and_json_hold_every_cell(grid):
    text = str(grid)
    assert repr(grid) == text
    assert all(name in text for name in NAMES)
    assert f"best, {grid.best_.bic:.1f}" in text
    assert text.count("*)") == 1
    assert grid._repr_html_().count("<td>") == len(grid.cells)
    told = json.loads(json.dumps(grid.to_dict(), allow_nan=False))
    assert told["criterion"] == "bic"
    assert [cell["loglik"] for cell in told["cells"]] == pytest.approx(list(grid.table.loglik))


def test_a_plot_has_one_line_for_each_family(grid):
    ax = grid.plot()
    assert len(ax.get_lines()) >= len(NAMES)
    assert ax.get_ylabel() == "BIC, distance from best"


# --- made of known fits -------------------------------------------------------------------------


def test_known_fits_are_not_done_again(made):
    selection = made({("VVV", 1): 10.0, ("VVV", 2): 5.0, ("EEE", 1): 9.0, ("EEE", 2): 7.0})
    assert [cell.fit.bic for cell in selection.fitted] == [5.0, 7.0, 9.0, 10.0]
    assert (selection.best_.family.name, selection.best_.n_components) == ("VVV", 2)


def test_the_edge_of_the_range_is_warned_of(made):
    at_edge = made({("VVV", 1): 10.0, ("VVV", 2): 8.0, ("VVV", 3): 5.0})
    assert "the best k is 3, the edge of the range" in at_edge.edge()
    assert any("edge of the range" in line for line in at_edge.sentences())
    inside = made({("VVV", 1): 10.0, ("VVV", 2): 5.0, ("VVV", 3): 8.0})
    alone = made({("VVV", 2): 5.0})
    for each in (inside, alone):
        assert each.edge() == ""
        assert not any("edge" in line for line in each.sentences())


def test_a_small_difference_is_called_a_tie(made):
    tie = made({("VVV", 1): 6.5, ("VVV", 2): 5.0, ("VVV", 3): 100.0})
    clear = made({("VVV", 1): 9.5, ("VVV", 2): 5.0, ("VVV", 3): 100.0})
    assert "1.5 behind (a tie)" in "\n".join(tie.sentences())
    assert "4.5 behind." in "\n".join(clear.sentences())


def test_a_cell_without_an_admissible_fit_says_why(made):
    selection = made({("VVV", 1): 10.0, ("VVV", 2): 5.0}, refused=[("VVV", 2)])
    cell = selection.cells[1]
    assert (cell.fit, cell.reason) == (None, "two rows")
    assert selection.best_.n_components == 1
    row = selection.table.iloc[1]
    assert row[["loglik", "aic", "bic", "icl", "smallest_component"]].isna().all()
    assert row.reason == "two rows"
    assert "VVV,2: two rows" in str(selection)


def test_a_cell_with_too_few_rows_says_why(table):
    few = select(table.X[:5], [1, 7], ["diag"], n_init=2, random_state=0)
    assert [cell.fit is None for cell in few.cells] == [False, True]
    assert few.cells[1].reason.startswith("n_components=7 needs at least 7 rows")
    assert "n_components=7 needs at least 7 rows" in str(few)


def test_without_any_fit_the_best_is_refused(table):
    nothing = select(table.X[:5], [6, 7], ["full"], random_state=0)
    assert str(nothing).count("needs at least") == 2
    with pytest.raises(InputError, match="no cell could be fitted"):
        nothing.best_


def test_without_any_fit_there_is_still_something_to_look_at(table):
    nothing = select(table.X[:5], [6, 7], ["full"], random_state=0)
    assert nothing.edge() == ""
    assert "BIC, of which no cell has any" in nothing.lines()[0]
    assert "nan" not in str(nothing)
    assert nothing.plot().get_xlabel()


# --- bad input ----------------------------------------------------------------------------------


@pytest.fixture
def unchecked_select(monkeypatch):
    """`select` without the checks of annotations, which a user does not have."""
    for name in ("scan", "component_range", "check_criterion"):
        monkeypatch.setattr(selection, name, inspect.unwrap(getattr(selection, name)))
    return inspect.unwrap(select)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"criterion": "bix"}, r"criterion='bix' .* did you mean 'bic'"),
        ({"covariance_types": ["ful"]}, "did you mean 'full'"),
        ({"n_components": []}, "n_components is empty"),
        ({"n_components": [0, 1]}, "n_components=0 must be at least 1"),
        ({"random_state": -1}, "random_state=-1"),
        ({"columns": ["x9"]}, "columns names 'x9'"),
        ({"sample_weight": np.full(80, 0.5)}, "weights that are not counts"),
        ({"n_components": 2.5}, r"n_components=2\.5 must be a whole number"),
        ({"n_components": "2"}, "n_components='2' must be a whole number"),
        ({"covariance_types": []}, "covariance_types is empty"),
        ({"covariance_types": [["full"]]}, r"covariance_types=\[\['full'\]\] must be the names"),
        ({"covariance_types": 3}, "covariance_types=3 must be the names"),
        ({"n_init": 0}, "n_init=0 must be at least 1"),
        ({"n_init": 2.5}, r"n_init=2\.5 must be a whole number"),
        ({"n_init": True}, "n_init=True must be a whole number"),
        ({"criterion": ["bic"]}, r"criterion=\['bic'\] is not known"),
    ],
)
def test_bad_choices_are_refused(options, message, table, unchecked_select):
    with pytest.raises(InputError, match=message):
        unchecked_select(table.X, **({"n_components": [1]} | options))


def test_columns_whose_variance_is_lost_are_refused(table):
    with pytest.raises(InputError, match="column 'x1' spans only"):
        select(table.X * 1e-170, [1], ["full"])


def test_aic_is_defined_for_weights_that_are_not_counts(table):
    weighted = read_table(table.X, weights=np.full(80, 0.5))
    check_criterion("aic", weighted)
    for criterion in ("bic", "icl"):
        with pytest.raises(InputError, match=f"criterion='{criterion}' needs the number of rows"):
            check_criterion(criterion, weighted)


def test_one_name_alone_is_one_family(table):
    alone = select(table.X, 1, "full", random_state=0)
    assert [(cell.covariance_type, cell.n_components) for cell in alone.cells] == [("VVV", 1)]


@pytest.mark.parametrize("d", [1, 2])
def test_every_family_is_tried_by_default(d, table, monkeypatch):
    asked = []
    monkeypatch.setattr(selection, "scan", lambda _table, _ks, names, *_: asked.extend(names))
    inspect.unwrap(select)(table.X[:, :d])
    assert asked == [member.name for member in families_for(d)]


def test_a_family_under_two_names_is_one(table, made):
    twice = scan(
        table,
        [1],
        ["VVV", "full"],
        np.random.default_rng(0),
        known=[made({("VVV", 1): 5.0}).best_],
    )
    assert len(twice.cells) == 1


# --- ranks, and grids that become one -----------------------------------------------------------


def test_ranks_and_differences_follow_the_criterion(made):
    grid = made(
        {("VVV", 1): 30.0, ("VVV", 2): 10.0, ("EEE", 1): 20.0, ("EEE", 2): 5.0},
        refused=[("EEE", 2)],
    )
    table = grid.table.set_index(["covariance_type", "n_components"])
    ranks = {cell: rank for cell, rank in table["rank"].items() if rank == rank}
    assert ranks == {("VVV", 2): 1, ("EEE", 1): 2, ("VVV", 1): 3}
    assert dict(table["difference"].dropna()) == {("VVV", 2): 0, ("EEE", 1): 10, ("VVV", 1): 20}
    assert table.loc[("EEE", 2), "reason"]


def test_a_second_grid_merges_into_the_first(grid, table):
    more = select(table.X, [3, 4], ["VVV", "VEI"], n_init=4, random_state=1)
    both = grid.merged(more)
    cells = {(cell.covariance_type, cell.n_components) for cell in both.cells}
    assert cells == {(name, k) for name in NAMES for k in KS} | {("VVV", 4), ("VEI", 3), ("VEI", 4)}
    heights = [
        cell.height
        for source in (grid, more)
        for cell in source.cells
        if (cell.covariance_type, cell.n_components) == ("VVV", 3)
    ]
    (kept,) = (c for c in both.cells if (c.covariance_type, c.n_components) == ("VVV", 3))
    assert kept.height == max(heights)
    assert "VEI" in str(both)


def test_grids_of_other_data_do_not_merge(grid, table):
    other = select(table.X + 1, [1], ["VVV"], n_init=1, random_state=0)
    with pytest.raises(InputError, match="cannot be merged: the data differ"):
        grid.merged(other)
