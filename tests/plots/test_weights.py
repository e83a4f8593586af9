from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import trapezoid

from bayesgmm.plots import component_colours, weights
from bayesgmm.plots.weights import weight_density

Draws = Callable[..., np.ndarray]


def test_one_row_per_component_from_top_to_bottom(weight_draws: Draws) -> None:
    ax = weights([0.2, 0.3, 0.5], [0.02, 0.03, 0.05], weight_draws(3))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["1", "2", "3"]
    bottom, top = ax.get_ylim()
    assert bottom > top
    assert ax.get_xlabel() == "weight"


def test_interval_holds_its_share_of_the_draws(weight_draws: Draws) -> None:
    draws = weight_draws(2, 4001)
    ax = weights([0.4, 0.6], [0.1, 0.1], draws, interval=0.8)
    for j, colour in enumerate(component_colours(2)):
        (bar,) = (
            line for line in ax.lines if line.get_color() == colour and line.get_linewidth() == 3.5
        )
        low, high = np.asarray(bar.get_xdata())
        assert ((draws[:, j] > low) & (draws[:, j] < high)).mean() == pytest.approx(0.8, abs=0.002)


def test_missing_standard_error_draws_a_note_and_no_bar(weight_draws: Draws) -> None:
    full = weights([0.4, 0.6], [0.1, 0.1], weight_draws(2))
    half = weights([0.4, 0.6], [0.1, np.nan], weight_draws(2))
    assert len(half.lines) == len(full.lines) - 1
    assert [text.get_text() for text in half.texts] == ["no standard error"]


def test_density_of_draws_at_an_end_keeps_its_mass_inside() -> None:
    draws = np.random.default_rng(0).beta(1, 30, size=2000)
    grid, density = weight_density(draws)
    assert grid[0] == 0.0
    assert density.max() == 1.0
    assert density[0] > 0.8  # half of it would leak below 0
    share = trapezoid(density[grid < 0.02], grid[grid < 0.02]) / trapezoid(density, grid)
    assert share == pytest.approx((draws < 0.02).mean(), abs=0.03)


def test_single_component_is_all_of_the_weight() -> None:
    ax = weights([1.0], [np.nan], np.ones((20, 1)))
    left, right = ax.get_xlim()
    assert left < 1.0 < right
    assert weight_density(np.ones(20))[0].size == 0


def test_component_of_no_weight_is_drawn() -> None:
    draws = np.column_stack([np.ones(30), np.zeros(30)])
    ax = weights([1.0, 0.0], [0.0, np.nan], draws)
    assert ax.get_xlim()[0] < 0.0 < 1.0 < ax.get_xlim()[1]
