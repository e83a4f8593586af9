from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from bayesgmm.plots import pair_grid
from bayesgmm.plots.pairs import shares

Mixture = Callable[..., dict[str, Any]]


def test_lower_triangle_and_diagonal_are_filled(mixture: Mixture) -> None:
    axes = pair_grid(**mixture(4))
    scatters = [any(isinstance(c, PathCollection) for c in ax.collections) for ax in axes.flat]
    np.testing.assert_array_equal(np.reshape(scatters, (4, 4)), np.tri(4, 4, -1))
    np.testing.assert_array_equal([ax.axison for ax in axes.flat], np.tri(4).ravel())


def test_outer_axes_carry_the_columns_names(mixture: Mixture) -> None:
    axes = pair_grid(**mixture(3), columns=["a", "b", "c"])
    assert [ax.get_xlabel() for ax in axes.flat if ax.get_xlabel()] == ["a", "b", "c"]
    assert [ax.get_ylabel() for ax in axes.flat if ax.get_ylabel()] == ["b", "c"]


def test_panels_show_the_columns_that_they_name(mixture: Mixture) -> None:
    fit = mixture(3, 1)
    panel = pair_grid(**fit)[2, 1]
    (points,) = (c for c in panel.collections if isinstance(c, PathCollection))
    np.testing.assert_array_equal(points.get_offsets(), fit["X"][:, [1, 2]])


def test_columns_share_limits_down_the_grid(mixture: Mixture) -> None:
    axes = pair_grid(**mixture(3))
    assert axes[0, 0].get_xlim() == axes[1, 0].get_xlim() == axes[2, 0].get_xlim()


def test_figure_says_when_columns_are_left_out(mixture: Mixture) -> None:
    axes = pair_grid(**mixture(8))
    assert axes.shape == (6, 6)
    assert axes[0, 0].figure.legends[0].get_title().get_text() == "first 6 of 8 columns"


def test_given_figure_is_drawn_on(mixture: Mixture) -> None:
    fig = Figure()
    assert pair_grid(**mixture(3), fig=fig)[0, 0].figure is fig


def test_shares_honour_row_weights() -> None:
    np.testing.assert_allclose(shares([0, 0, 1], 3), [2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(shares([0, 0, 1], 2, [1.0, 1.0, 2.0]), [0.5, 0.5])
