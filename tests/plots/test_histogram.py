from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from scipy.integrate import trapezoid

from bayesgmm.plots import component_colours, histogram
from bayesgmm.plots.histogram import bin_edges, component_densities

ML: dict[str, Any] = {"weights": [0.25, 0.75], "means": [0.0, 5.0], "sds": [1.0, 2.0]}


def _bars(ax: Axes) -> list[Rectangle]:
    return [patch for patch in ax.patches if isinstance(patch, Rectangle)]


def _area(ax: Axes) -> float:
    return sum(bar.get_height() * bar.get_width() for bar in _bars(ax))


def test_weighted_rows_integrate_to_one() -> None:
    rng = np.random.default_rng(0)
    x, counts = rng.normal(size=40), rng.integers(0, 9, size=40)
    assert _area(histogram(x, **ML)) == pytest.approx(1.0)
    assert _area(histogram(x, **ML, row_weights=counts)) == pytest.approx(1.0)


def test_counts_equal_repeated_rows() -> None:
    classes, counts = np.arange(1.0, 8.0), np.array([1, 3, 5, 8, 5, 3, 1])
    edges = bin_edges(classes, counts)
    weighted = histogram(classes, **ML, row_weights=counts, bins=edges)
    repeated = histogram(np.repeat(classes, counts), **ML, bins=edges)
    for one, other in zip(_bars(weighted), _bars(repeated), strict=True):
        assert one.get_height() == pytest.approx(other.get_height())


def test_components_add_up_to_the_density() -> None:
    ax = histogram(np.linspace(-3, 12, 50), **ML)
    dashed = [line for line in ax.lines if line.get_linestyle() == "--"]
    (solid,) = (line for line in ax.lines if line.get_label() == "ML density")
    assert [line.get_color() for line in dashed] == list(component_colours(2))
    total = sum(np.asarray(line.get_ydata()) for line in dashed)
    np.testing.assert_allclose(np.asarray(solid.get_ydata()), total)


def test_density_integrates_to_one() -> None:
    grid = np.linspace(-20, 30, 5001)
    density = component_densities(grid, **ML).sum(axis=0)
    assert trapezoid(density, grid) == pytest.approx(1.0)


def test_component_of_no_weight_or_no_spread_has_no_density() -> None:
    parts = component_densities(np.linspace(-1, 1, 9), [1.0, 0.0, 0.5], [0, 0, 0], [1.0, 1.0, 0.0])
    assert parts[0].min() > 0
    assert parts[1:].max() == 0.0
    assert histogram([0.0, 1.0], [1.0, 0.0], [0.0, 3.0], [1.0, 0.0]).get_xlabel() == "x"


def test_band_is_drawn_where_it_was_evaluated() -> None:
    grid = np.linspace(-3, 3, 11)
    draws = np.arange(1.0, 101.0)[:, None] * np.ones(11)
    ax = histogram([-1.0, 0.0, 1.0], **ML, posterior_density=draws, grid=grid)
    (band,) = ax.collections
    heights = np.asarray(band.get_paths()[0].vertices)[:, 1]
    assert heights.min() == pytest.approx(np.quantile(draws[:, 0], 0.025))
    assert heights.max() == pytest.approx(np.quantile(draws[:, 0], 0.975))


def test_axis_carries_the_columns_name() -> None:
    assert histogram([1.0, 2.0], **ML, column="waiting").get_xlabel() == "waiting"


@given(arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6)))
def test_edges_rise_and_hold_all_values(x: np.ndarray) -> None:
    edges = bin_edges(x)
    assert (np.diff(edges) > 0).all()
    assert edges[0] <= x.min()
    assert edges[-1] >= x.max()
    assert len(edges) <= 82


def test_rounded_values_lie_inside_bins_that_hold_equally_many() -> None:
    x = np.random.default_rng(1).integers(40, 97, size=272)
    edges = bin_edges(x)
    width = np.diff(edges)
    np.testing.assert_allclose(edges % 1.0, 0.5)
    np.testing.assert_allclose(width, np.round(width[0]))


def test_given_edges_are_kept() -> None:
    np.testing.assert_array_equal(bin_edges([0.0, 1.0], None, [0.0, 0.3, 1.0]), [0.0, 0.3, 1.0])
    assert len(bin_edges([0.0, 1.0], None, 7)) == 8


def test_posterior_of_mixture_rows(mixture: Callable[..., dict[str, Any]]) -> None:
    fit = mixture(1, 1)
    ax = histogram(fit["X"][:, 0], [1.0], fit["means"][:, 0], np.ones(1))
    assert [text.get_text() for text in ax.texts] == ["1"]
