from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.contour import QuadContourSet

from bayesgmm.plots import Curve, Surface, density_grid, density_line, density_plane
from bayesgmm.plots.density import region_levels

Mixture = Callable[..., dict[str, Any]]
Surfaces = Callable[[float, float], Surface]


@pytest.mark.parametrize("mass", [0.5, 0.8, 0.95])
def test_region_of_a_normal_density_is_its_ellipse(surface: Surfaces, mass: float) -> None:
    own = surface(1.5, 1.5)
    cell = (own.x[1] - own.x[0]) * (own.y[1] - own.y[0])
    (level,) = region_levels(own.ml, cell, [mass])
    # The density at the radius r with r^2 = -2 log(1 - mass) is (1 - mass) of that at the centre.
    assert level * 2 * np.pi * 1.5**2 == pytest.approx(1 - mass, abs=0.03)


def test_levels_rise_even_where_the_density_is_flat() -> None:
    assert (np.diff(region_levels(np.ones((9, 9)), 1 / 81)) > 0).all()


def test_lines_are_ml_and_the_fill_is_the_posterior(surface: Surfaces, mixture: Mixture) -> None:
    ax = density_plane(mixture(2)["X"], surface(1.0, 3.0))
    fill, lines = (c for c in ax.collections if isinstance(c, QuadContourSet))
    assert (fill.filled, lines.filled) == (True, False)
    heights = [np.ptp(c.get_paths()[0].vertices[:, 1]) for c in (fill, lines)]
    assert heights[0] == pytest.approx(3 * heights[1], rel=0.05)


def test_without_a_posterior_nothing_is_filled(surface: Surfaces, mixture: Mixture) -> None:
    ax = density_plane(mixture(2)["X"], surface(1.0, 1.0)._replace(posterior=None))
    assert [c.filled for c in ax.collections if isinstance(c, QuadContourSet)] == [False]
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["ML: 50, 80, 95 %"]


def test_pairs_are_where_their_columns_cross(surface: Surfaces, mixture: Mixture) -> None:
    X, x = mixture(3)["X"], np.linspace(-5, 15, 30)
    curves = [Curve(x, np.ones(30), None)] * 3
    axes = density_grid(X, curves, {(0, 2): surface(1.0, 1.0)}, columns=["a", "b", "c"])
    assert len(axes[2, 0].collections) == 3
    assert not axes[1, 0].collections
    assert axes[2, 0].get_xlabel() == "a"
    assert axes[2, 0].get_ylabel() == "c"


def test_line_carries_what_it_was_estimated_by() -> None:
    x = np.linspace(0, 1, 5)
    legend = density_line(x, Curve(x, x, None), estimate="Gaussian EM").get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["Gaussian EM density"]
