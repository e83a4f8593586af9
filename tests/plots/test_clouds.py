from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure

from bayesgmm.plots import clouds, component_colours
from bayesgmm.plots.clouds import draw_regions

Draws = Callable[..., np.ndarray]


def test_one_panel_per_component_with_named_axes(weight_draws: Draws) -> None:
    draws = weight_draws(4)
    axes = clouds(draws, draws, draws, draws**2, name="mean of waiting")
    assert len(axes) == 4
    assert [ax.get_ylabel() for ax in axes] == ["mean of waiting", "", "", "mean of waiting"]
    assert [ax.get_xlabel() for ax in axes] == ["", "weight", "weight", "weight"]


@pytest.mark.parametrize("mass", [0.5, 0.95])
def test_regions_hold_their_mass_of_the_cloud(mass: float) -> None:
    cloud = np.random.default_rng(0).normal(size=(2, 1500)) * [[1.0], [30.0]]
    ax = Figure().add_subplot()
    draw_regions(ax, cloud)
    (contours,) = (c for c in ax.collections if isinstance(c, QuadContourSet))
    outer, inner = contours.get_paths()
    inside = (outer if mass > 0.9 else inner).contains_points(cloud.T).mean()
    assert inside == pytest.approx(mass, abs=0.02)


def test_cloud_without_area_is_drawn_as_points() -> None:
    ax = Figure().add_subplot()
    draw_regions(ax, np.stack([np.ones(9), np.arange(9.0)]))
    draw_regions(ax, np.stack([np.arange(9.0), np.arange(9.0)]))
    assert len(ax.lines) == 2
    assert not ax.collections


def test_components_stand_beside_their_densities(weight_draws: Draws) -> None:
    draws = weight_draws(2)
    for ax, colour in zip(clouds(draws, draws, draws, draws**2), component_colours(2), strict=True):
        top, right = ax.child_axes
        (fill,) = top.collections
        np.testing.assert_allclose(fill.get_facecolor()[0, :3], to_rgb(colour))
        assert top.get_xlim() == ax.get_xlim()
        assert right.get_ylim() == ax.get_ylim()


def test_farthest_points_do_not_stretch_a_panel(weight_draws: Draws) -> None:
    draws = weight_draws(2, 3000)
    values = np.random.default_rng(0).normal(size=(3000, 2))
    values[0] = 1e4
    assert max(ax.get_ylim()[1] for ax in clouds(draws[1:], values[1:], draws, values)) < 10


def test_regions_do_not_depend_on_where_the_cloud_lies() -> None:
    ax = Figure().add_subplot()
    draw_regions(ax, np.random.default_rng(0).normal([[0.0], [1e9]], 1.0, (2, 99)))
    assert ax.collections
    assert not ax.lines
