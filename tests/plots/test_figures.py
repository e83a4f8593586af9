"""Laws that every figure obeys."""

import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from bayesgmm import plots
from bayesgmm.plots.style import PALETTE, luminance

Draw = Callable[[int], Figure]


def _drawn_colours(fig: Figure) -> set[tuple[float, float, float]]:
    """Colours of lines and of markers in all axes."""
    return {to_rgb(line.get_color()) for ax in fig.axes for line in ax.lines}


@pytest.mark.parametrize("k", [1, 3, 10])
def test_every_number_of_components_can_be_drawn(draw: Draw, k: int) -> None:
    assert plots.figure_png(draw(k), dpi=50).startswith(b"\x89PNG")


def test_global_settings_are_unchanged(draw: Draw) -> None:
    before = dict(mpl.rcParams)
    fig = draw(3)
    plots.figure_png(fig)
    plots.figure_svg(fig)
    assert dict(mpl.rcParams) == before


def test_every_axes_that_shows_data_is_labelled(draw: Draw) -> None:
    fig = draw(3)
    assert any(ax.get_xlabel() for ax in fig.axes)
    assert any(ax.get_ylabel() for ax in fig.axes)


COLOURED = ["clusters", "pairs", "histogram", "weights", "curves", "memberships", "relabelling"]


@pytest.mark.parametrize("name", COLOURED)
def test_component_has_one_colour_in_all_figures(figures: dict[str, Draw], name: str) -> None:
    used = _drawn_colours(figures[name](3))
    assert {to_rgb(colour) for colour in plots.component_colours(3)} <= used
    assert not {to_rgb(colour) for colour in PALETTE[3:]} & used


def test_dark_backgrounds_get_light_ink(draw: Draw) -> None:
    with plt.style.context("dark_background"):
        fig = draw(3)
    text = [label for ax in fig.axes for label in (ax.xaxis.label, ax.yaxis.label)]
    assert all(luminance(label.get_color()) > 0.7 for label in text if label.get_text())


def test_callers_arrays_are_unchanged(
    mixture: Callable[..., dict[str, Any]], memberships: Callable[..., np.ndarray]
) -> None:
    for d in (1, 2, 3):
        given = mixture(d)
        before = deepcopy(given)
        plots.clusters(**given)
        for name, array in given.items():
            np.testing.assert_array_equal(array, before[name])
    X, p = mixture(2)["X"], memberships()
    before_X, before_p = X.copy(), p.copy()
    plots.uncertainty(X, p)
    np.testing.assert_array_equal(X, before_X)
    np.testing.assert_array_equal(p, before_p)


def test_figures_for_files_do_not_need_pyplot() -> None:
    code = (
        "import sys; from bayesgmm import plots\n"
        "ax = plots.new_figure().add_subplot()\n"
        "plots.criteria_by_k([1, 2], {'BIC': [3.0, 0.0]}, ax=ax)\n"
        "with plots.outside_pyplot(): plots.criteria_by_k([1, 2], {'BIC': [3.0, 0.0]})\n"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_plots_are_a_leaf() -> None:
    code = (
        "import sys; import bayesgmm.plots;"
        "rooms = [m for m in sys.modules if m.startswith('bayesgmm.')];"
        "sys.exit(any(not m.startswith('bayesgmm.plots') for m in rooms))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_axes_pyplot_shows_the_figure(draw: Draw) -> None:
    before = plt.get_fignums()
    fig = draw(2)
    (number,) = set(plt.get_fignums()) - set(before)
    assert plt.figure(number) is fig


def test_outside_pyplot_figures_look_the_same_and_are_not_kept(draw: Draw) -> None:
    shown = plots.figure_png(draw(2), dpi=50)
    before = plt.get_fignums()
    with plots.outside_pyplot():
        assert plots.figure_png(draw(2), dpi=50) == shown
    assert plt.get_fignums() == before
