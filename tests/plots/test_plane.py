from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_rgb

from bayesgmm.plots import component_colours, plane
from bayesgmm.plots.style import LIGHT

Mixture = Callable[..., dict[str, Any]]


def _strands(ax: Axes) -> list[LineCollection]:
    return [c for c in ax.collections if isinstance(c, LineCollection)]


def _points(ax: Axes) -> list[PathCollection]:
    return [c for c in ax.collections if isinstance(c, PathCollection)]


def test_one_ml_ellipse_and_fifty_draws_per_component(mixture: Mixture) -> None:
    ax = plane(**mixture(2, 3))
    for colour, strands in zip(component_colours(3), _strands(ax), strict=True):
        assert len(strands.get_segments()) == 50
        np.testing.assert_allclose(np.asarray(strands.get_edgecolor())[0, :3], to_rgb(colour))
        solid = [
            line
            for line in ax.lines
            if line.get_color() == colour and np.size(line.get_xdata()) > 1
        ]
        assert len(solid) == 1


def test_fewer_draws_are_all_shown(mixture: Mixture) -> None:
    fit = mixture(2, 2)
    for name in ("posterior_means", "posterior_covariances"):
        fit[name] = fit[name][:7]
    assert [len(strands.get_segments()) for strands in _strands(plane(**fit))] == [7, 7]


def test_without_draws_there_are_no_strands(mixture: Mixture) -> None:
    fit = mixture(2, 2) | {"posterior_means": None, "posterior_covariances": None}
    ax = plane(**fit)
    legend = ax.get_legend()
    assert not _strands(ax)
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["maximum likelihood, 95 %"]


def test_axes_carry_the_columns_names(mixture: Mixture) -> None:
    ax = plane(**mixture(2), columns=["eruptions", "waiting"])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("eruptions", "waiting")


def test_every_row_is_drawn_once_in_its_component(mixture: Mixture) -> None:
    fit = mixture(2, 3)
    for j, points in enumerate(_points(plane(**fit))):
        np.testing.assert_array_equal(points.get_offsets(), fit["X"][fit["labels"] == j])


def test_area_is_proportional_to_row_weight(mixture: Mixture) -> None:
    fit = mixture(2, 1)
    weights = np.linspace(0.0, 2.0, len(fit["X"]))
    (points,) = _points(plane(**fit, row_weights=weights))
    np.testing.assert_allclose(points.get_sizes() / points.get_sizes().max(), weights / 2.0)


def test_all_rows_are_inside_however_wide_an_ellipse_is(mixture: Mixture) -> None:
    fit = mixture(2, 2)
    fit["covariances"] = 1e6 * fit["covariances"]
    ax = plane(**fit)
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert (fit["X"] > [left, bottom]).all()
    assert (fit["X"] < [right, top]).all()
    assert right - left < 3 * np.ptp(fit["X"][:, 0])


def test_component_without_rows_is_still_drawn(mixture: Mixture) -> None:
    fit = mixture(2, 3)
    fit["labels"] = np.zeros_like(fit["labels"])
    ax = plane(**fit)
    assert [text.get_text() for text in ax.texts] == ["1", "2", "3"]


def test_given_axes_are_drawn_on_and_returned(mixture: Mixture) -> None:
    first = plane(**mixture(2))
    assert plane(**mixture(2), ax=first) is first


def test_background_is_grey_and_named(mixture: Mixture) -> None:
    fit = mixture(2, 2)
    fit["labels"][:5] = 2
    ax = plane(**fit)
    grey = _points(ax)[-1]
    np.testing.assert_array_equal(grey.get_offsets(), fit["X"][fit["labels"] == 2])
    np.testing.assert_allclose(grey.get_facecolor()[0, :3], to_rgb(LIGHT.muted))
    legend = ax.get_legend()
    assert legend is not None
    assert legend.get_texts()[-1].get_text() == "background"
