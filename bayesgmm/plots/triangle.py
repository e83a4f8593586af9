"""All pairs of columns: a grid of panels of which the lower triangle is used."""

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayesgmm.plots.canvas import Panels, figure_of, figure_or_new
from bayesgmm.plots.style import NOTE_SIZE, dress, shades

MOST_COLUMNS = 6
PANEL = 1.55  # inches


def triangle(names: Sequence[str], fig: Figure | None) -> Panels:
    """Axes (d, d) for the first six columns, named on the outside; those above are empty."""
    d = min(len(names), MOST_COLUMNS)
    fig = figure_or_new(fig, 0.6 + PANEL * d, 0.6 + PANEL * d)
    axes: Panels = fig.subplots(d, d, squeeze=False)
    for (y, x), ax in np.ndenumerate(axes):
        if x > y:
            ax.set_axis_off()
        else:
            _name(dress(ax, scale=0.85), names, x, y, d)
    return axes


def explain(axes: Panels, handles: Sequence[Artist], d: int) -> None:
    """A legend in the empty upper right corner, which says if some of d columns are left out."""
    fig, ink, shown = figure_of(axes), shades(axes[0, 0]), len(axes)
    fig.align_ylabels()
    legend = fig.legend(
        handles=list(handles),
        loc="upper right",
        frameon=False,
        fontsize=NOTE_SIZE,
        labelcolor=ink.text,
        title=None if d == shown else f"first {shown} of {d} columns",
        title_fontsize=NOTE_SIZE,
        alignment="left",
    )
    legend.get_title().set_color(ink.text)


def _name(ax: Axes, names: Sequence[str], x: int, y: int, shown: int) -> None:
    """Names and ticks along the left and lower sides of the grid only."""
    ax.locator_params(nbins=3)
    ax.tick_params(labelbottom=y == shown - 1, labelleft=x == 0 < y, left=x != y)
    ax.spines["left"].set_visible(x != y)
    ax.set_xlabel(names[x] if y == shown - 1 else "")
    ax.set_ylabel(names[y] if x == 0 < y else "")
