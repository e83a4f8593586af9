"""The look of every figure: one style per component, shades of ink, text sizes, spines.

Settings are applied to single axes; matplotlib's global settings are not changed.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.legend import Legend
from matplotlib.mathtext import MathTextParser
from matplotlib.typing import ColorType
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]
Keywords = dict[str, Any]

# Okabe and Ito (2008) without yellow and black, then violet and brown: apart under the three
# dichromacies, and all of them legible on white and on black.
PALETTE = (
    "#0072B2",  # blue
    "#D55E00",  # vermilion
    "#009E73",  # green
    "#CC79A7",  # pink
    "#E69F00",  # orange
    "#56B4E9",  # sky
    "#A569FF",  # violet
    "#8C564B",  # brown
)
MARKERS = ("o", "s", "^", "D", "v")
LINESTYLES = ("-", "--", ":", "-.")

LABEL_SIZE = 10.0
TICK_SIZE = 9.0
NOTE_SIZE = 8.5
DISC = 13.0  # diameter of the discs that carry the components' numbers, in points
MANY_POINTS = 2000  # above this, points are rasterised inside vector output


class ComponentStyle(NamedTuple):
    """How one component is drawn in every figure."""

    colour: str
    marker: str
    linestyle: str


class Shades(NamedTuple):
    """Neutral colours that suit the background of an axes."""

    text: str
    muted: str
    faint: str
    paper: str


LIGHT = Shades(text="#222222", muted="#6B6B6B", faint="#D9D9D9", paper="#FFFFFF")
DARK = Shades(text="#EEEEEE", muted="#A8A8A8", faint="#4A4A4A", paper="#111111")


def component_styles(k: int) -> tuple[ComponentStyle, ...]:
    """Styles of `k` components: eight colours first, then other markers and lines."""
    laps = [divmod(j, len(PALETTE)) for j in range(k)]
    return tuple(
        ComponentStyle(PALETTE[j], MARKERS[lap % len(MARKERS)], LINESTYLES[lap % len(LINESTYLES)])
        for lap, j in laps
    )


def background_style(ax: Axes) -> ComponentStyle:
    """How a background, which is no component, is drawn on `ax`."""
    return ComponentStyle(shades(ax).muted, "X", ":")


def membership_styles(ax: Axes, k: int, *, background: bool) -> tuple[ComponentStyle, ...]:
    """Styles of k components, of which the last may be a background."""
    own = component_styles(k - background)
    return (*own, background_style(ax)) if background else own


def component_colours(k: int) -> tuple[str, ...]:
    """Colours of `k` components, the same in every figure."""
    return tuple(style.colour for style in component_styles(k))


def column_names(columns: Sequence[str] | None, d: int) -> list[str]:
    """The names of `d` columns, `x1, x2, ...` where none were given."""
    return [f"x{j + 1}" for j in range(d)] if columns is None else [legible(c) for c in columns]


def legible(name: object) -> str:
    """A name as matplotlib shows it: formulas between dollars as such, other dollars themselves."""
    text = str(name)
    if "$" not in text:
        return text
    try:
        MathTextParser("path").parse(text)
    except ValueError:
        return text.replace("$", r"\$")
    return text


def dress(ax: Axes, *, scale: float = 1.0) -> Axes:
    """The same axes without upper and right spines, with our text sizes and shades."""
    ink = shades(ax)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set(color=ink.muted, linewidth=0.8)
    ax.tick_params(labelsize=scale * TICK_SIZE, color=ink.muted, labelcolor=ink.text, width=0.8)
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set(size=scale * LABEL_SIZE, color=ink.text)
    # A factor such as 1e6 stands over the tick labels, clear of a legend above the axes.
    ax.yaxis.get_offset_text().set(size=scale * TICK_SIZE, horizontalalignment="right")
    return ax


def shades(ax: Axes) -> Shades:
    """Neutral colours for the background of `ax`, which may be light or dark."""
    papers = (ax.get_facecolor(), ax.figure.get_facecolor(), "white")
    paper = next(colour for colour in papers if to_rgba(colour)[3] > 0.5)
    return LIGHT if luminance(paper) > 0.3 else DARK


def size_in_points(ax: Axes) -> tuple[float, float]:
    """Width and height of the axes, before the layout has given them their place."""
    box = ax.get_window_extent()
    return 72 * box.width / ax.figure.dpi, 72 * box.height / ax.figure.dpi


def varies(values: ArrayLike) -> bool:
    """Whether values differ by more than rounding, however far from 0 they lie."""
    sample = np.asarray(values, dtype=np.float64)
    return bool(np.ptp(sample) > 1e-12 * np.abs(sample).max())


def relative(row_weights: ArrayLike) -> Values:
    """Weights of rows against their mean."""
    weights = np.asarray(row_weights, dtype=np.float64)
    mean = weights.mean()
    return np.asarray(weights / mean if mean > 0 else weights)


def luminance(colour: ColorType) -> float:
    """Relative luminance of a colour, 0 black and 1 white (WCAG 2)."""
    rgb = np.asarray(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def mixed(colour: str, other: str, share: ArrayLike) -> Values:
    """Opaque rgb (..., 3): `colour` with a share (...) of `other` mixed in."""
    part = np.asarray(share, dtype=np.float64)[..., None]
    return np.asarray((1 - part) * np.asarray(to_rgb(colour)) + part * np.asarray(to_rgb(other)))


def legend_above(ax: Axes, handles: Sequence[Artist]) -> Legend:
    """A frameless legend on top of the axes, where it hides no data."""
    return ax.legend(
        handles=list(handles),
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=_side_by_side(ax, handles),
        frameon=False,
        borderaxespad=0.1,
        borderpad=0.2,
        fontsize=NOTE_SIZE,
        labelcolor=shades(ax).text,
        handlelength=1.8,
        handletextpad=0.6,
        columnspacing=1.4,
    )


def _side_by_side(ax: Axes, handles: Sequence[Artist]) -> int:
    """How many entries fit on one line of the axes, by a guess at their widths in points."""
    room = 1.1 * size_in_points(ax)[0]
    widths = [40 + 0.52 * NOTE_SIZE * len(str(handle.get_label())) for handle in handles]
    return max(1, int((np.cumsum(widths) <= room).sum()))


def mark_component(ax: Axes, x: float, y: float, j: int, *, size: float = DISC) -> None:
    """A disc at (x, y) that carries the number of component `j`, counted from 1."""
    style = component_styles(j + 1)[j]
    ax.plot(
        [x],
        [y],
        linestyle="none",
        marker=style.marker,
        markersize=size,
        color=style.colour,
        markeredgecolor=shades(ax).paper,
        zorder=6,
    )
    ax.annotate(
        str(j + 1),
        (x, y),
        ha="center",
        va="center_baseline",
        fontsize=0.62 * size,
        fontweight="bold",
        color="white" if luminance(style.colour) < 0.35 else "black",
        annotation_clip=True,
        zorder=7,
    )
