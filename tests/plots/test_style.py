from inspect import unwrap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text

from bayesgmm.plots import component_colours, weights
from bayesgmm.plots.canvas import axes_or_new, figure_given
from bayesgmm.plots.style import (
    DARK,
    LIGHT,
    PALETTE,
    component_styles,
    dress,
    legend_above,
    legible,
    luminance,
    mixed,
    shades,
    varies,
)


@given(st.integers(0, 30), st.integers(0, 30))
def test_style_of_a_component_ignores_how_many_there_are(k: int, more: int) -> None:
    assert component_styles(k + more)[:k] == component_styles(k)
    assert len(component_colours(k)) == k


def test_styles_differ_for_forty_components_less_the_cycle_of_lines() -> None:
    styles = component_styles(40)
    assert len({(style.colour, style.marker) for style in styles}) == 40
    assert len({style.colour for style in styles[:8]}) == 8


# Machado, Oliveira and Fernandes (2009), severity 1, on linear rgb.
DICHROMACIES = {
    "protan": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deutan": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritan": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


def _oklab(colour: str, view: np.ndarray) -> np.ndarray:
    """Perceptual coordinates (Ottosson 2020) of a colour as a person with `view` sees it."""
    rgb = np.array([int(colour[j : j + 2], 16) for j in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    cones = [[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]]
    lab = [[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]]
    return np.array(lab) @ np.cbrt(np.array(cones) @ np.clip(view @ linear, 0, 1))


@pytest.mark.parametrize("view", [np.eye(3), *map(np.array, DICHROMACIES.values())])
def test_colours_stay_apart_for_colour_blind_readers(view: np.ndarray) -> None:
    seen = [_oklab(colour, view) for colour in PALETTE]
    apart = [np.linalg.norm(a - b) for j, a in enumerate(seen) for b in seen[:j]]
    assert min(apart) > 0.07


def test_colours_are_legible_on_white_and_on_black() -> None:
    assert all(luminance(colour) < 0.45 for colour in PALETTE)
    dark = luminance(DARK.paper)
    assert all((luminance(colour) + 0.05) / (dark + 0.05) > 3 for colour in PALETTE)


def test_ink_suits_the_background() -> None:
    white, black = Figure(facecolor="white"), Figure(facecolor="black")
    assert shades(white.add_subplot(facecolor="none")) == LIGHT
    assert shades(black.add_subplot(facecolor="none")) == DARK
    assert shades(white.add_subplot(facecolor="black")) == DARK


def test_drawing_on_dark_axes_uses_light_ink() -> None:
    ax = Figure(facecolor="black").add_subplot(facecolor="black")
    weights([0.4, 0.6], [0.1, 0.1], np.random.default_rng(0).dirichlet([4, 6], 50), ax=ax)
    assert luminance(ax.xaxis.label.get_color()) > 0.7


def test_dressing_touches_one_axes_only() -> None:
    fig = Figure()
    left, right = fig.subplots(1, 2)
    dress(left)
    assert not left.spines["top"].get_visible()
    assert right.spines["top"].get_visible()


def test_mixing_nothing_in_changes_nothing() -> None:
    np.testing.assert_allclose(mixed("#ff0000", "#0000ff", [0.0, 1.0]), [[1, 0, 0], [0, 0, 1]])


@pytest.mark.parametrize("name", ["US$", "$x_{$ 5%", r"_$\foo$", "a_b", "$", "a$b$c$"])
def test_names_that_are_no_formula_are_shown_as_they_are(name: str) -> None:
    label = Text(text=legible(name))
    shown, formula = label._preprocess_math(label.get_text())
    assert (shown, formula) == (name, False)


def test_formulas_stay_formulas() -> None:
    assert legible(r"log $\sigma^2$") == r"log $\sigma^2$"


def test_a_factor_of_the_ticks_is_clear_of_the_legend() -> None:
    fig = Figure(layout="constrained")
    ax = dress(fig.add_subplot())
    (line,) = ax.plot([0, 1], [0, 6e6], label="six million")
    legend = legend_above(ax, [line])
    fig.draw_without_rendering()
    factor = ax.yaxis.get_offset_text()
    assert factor.get_text() == "1e6"
    assert not legend.get_window_extent().overlaps(factor.get_window_extent())


@pytest.mark.parametrize("ax", [3, Figure(), np.array([Figure().add_subplot()])])
def test_axes_are_axes_and_figures_are_figures(ax: object) -> None:
    with pytest.raises(TypeError, match="ax must be one matplotlib Axes, not"):
        unwrap(axes_or_new)(ax)
    with pytest.raises(TypeError, match="fig must be an empty matplotlib figure, not Axes"):
        unwrap(figure_given)(Figure().add_subplot())


def test_values_far_from_zero_vary() -> None:
    assert varies(1e9 + np.array([0.0, 0.1]))
    assert not varies([0.1 + 0.2, 0.3])
    assert not varies(np.zeros(3))
