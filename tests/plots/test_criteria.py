import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from bayesgmm.plots import criteria_by_k, families_by_k
from bayesgmm.plots.criteria import apart

K = [1, 2, 3, 4]
COLUMNS = {"BIC": [285.4, 0.0, 2.0, 18.8], "ICL": [284.9, 0.0, 28.7, 125.3]}
LOO = {"LOO": [315.0, 10.1, 0.0, -2.4]}


def _stars(ax: Axes) -> list[float]:
    return [float(np.asarray(line.get_xdata())[0]) for line in ax.lines if line.get_marker() == "*"]


def test_best_of_each_has_a_star_and_coinciding_stars_stand_apart() -> None:
    bic, icl = _stars(criteria_by_k(K, COLUMNS))
    assert bic < 2 < icl
    assert icl - bic < 0.5
    assert bic + icl == pytest.approx(4.0)


def test_undecided_is_never_best_and_never_connected() -> None:
    ax = criteria_by_k(K, LOO, undecided={"LOO": [False, False, False, True]})
    assert _stars(ax) == [3.0]
    (line,) = (
        line for line in ax.lines if line.get_linestyle() == "-" and np.size(line.get_xdata()) == 4
    )
    drawn = np.asarray(line.get_ydata())
    np.testing.assert_array_equal(np.isnan(drawn), [False, False, False, True])


def test_nothing_decided_has_no_star() -> None:
    assert _stars(criteria_by_k(K, LOO, undecided={"LOO": [True] * 4})) == []


def test_missing_values_and_errors_are_left_out() -> None:
    ax = criteria_by_k(K, {"LOO": [np.nan, 3.0, 0.0, 1.0]}, errors={"LOO": [1, 2, np.nan, 0.5]})
    assert _stars(ax) == [3.0]
    bars = [c for c in ax.collections if isinstance(c, LineCollection)]
    assert sum(len(bar.get_segments()) for bar in bars) == 2


def test_order_of_k_does_not_matter() -> None:
    shuffled = criteria_by_k([3, 1, 4, 2], {"BIC": [2.0, 285.4, 18.8, 0.0]})
    ordered = criteria_by_k(K, {"BIC": COLUMNS["BIC"]})
    np.testing.assert_array_equal(shuffled.lines[1].get_xydata(), ordered.lines[1].get_xydata())


def test_small_differences_are_legible_beside_large_ones() -> None:
    ax = criteria_by_k(K, {"BIC": [600.0, 0.0, 2.0, 18.8]})
    heights = ax.transData.transform([(1, 0.0), (1, 2.0), (1, 600.0)])[:, 1]
    assert (heights[1] - heights[0]) / (heights[2] - heights[0]) > 0.05


def test_every_value_and_bar_is_inside() -> None:
    ax = criteria_by_k(K, LOO, errors={"LOO": [29.4, 8.0, 1.0, 2.6]})
    bottom, top = ax.get_ylim()
    assert bottom < -5.0
    assert top > 344.4


def test_criteria_are_named_at_their_ends() -> None:
    ax = criteria_by_k(K, {**COLUMNS, **LOO, "WAIC": [4.0, 3.0, 2.0, 0.0]})
    assert {text.get_text() for text in ax.texts} == {"BIC", "ICL", "LOO", "WAIC"}


def test_single_k_can_be_drawn() -> None:
    assert _stars(criteria_by_k([2], {"BIC": [0.0]})) == [2.0]


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6))
def test_names_are_pushed_apart_in_order(heights: list[float]) -> None:
    placed = apart(heights, 0.06)
    order = np.argsort(heights, kind="stable")
    assert (np.diff(np.asarray(placed)[order]) > 0.06 - 1e-9).all()
    assert np.mean(placed) == pytest.approx(np.mean(heights))


def test_names_that_are_apart_stay() -> None:
    assert apart([0.9, 0.1, 0.5], 0.06) == pytest.approx([0.9, 0.1, 0.5])


GRID = {f"F{j}": [100.0 + j, 10.0 + j, 20.0 - j] for j in range(7)} | {"BEST": [90.0, 0.0, np.nan]}


def test_of_many_families_the_nearest_are_named_and_one_cell_is_best() -> None:
    ax = families_by_k([1, 2, 3], GRID)
    named = {text.get_text() for text in ax.texts}
    assert named == {"BEST", "F0", "F1", "F2"}
    assert _stars(ax) == [2.0]
    legend = ax.get_legend()
    assert legend is not None
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["best cell", "4 other families"]


def test_families_without_any_fit_are_an_empty_figure() -> None:
    ax = families_by_k([1, 2], {"A": [np.nan, np.nan]})
    assert _stars(ax) == []
