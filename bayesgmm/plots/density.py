"""The density of the data: maximum likelihood as lines over the posterior predictive's fill."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike

from bayesgmm.plots.canvas import Panels, axes_or_new
from bayesgmm.plots.histogram import BAND, BAND_CENTRE, bin_edges, draw_band, draw_bars
from bayesgmm.plots.style import (
    DARK,
    LIGHT,
    MANY_POINTS,
    Keywords,
    Values,
    column_names,
    legend_above,
    legible,
    mixed,
    relative,
    shades,
)
from bayesgmm.plots.triangle import explain, triangle

MASSES = (0.95, 0.8, 0.5)
# Shares of the background in the fills of these masses.
FILLS = {LIGHT: np.array([0.75, 0.4, 0.0]), DARK: np.array([0.8, 0.65, 0.45])}
WIDTHS = (0.8, 1.2, 1.7)  # of the lines of these masses, in points
HALO = 2.8  # width of the line and what sets it off from the fill


class Surface(NamedTuple):
    """Densities over a grid of the plane: maximum likelihood, and the posterior predictive's.

    Attributes:
        x: (g,), evenly spaced.
        y: (h,), evenly spaced.
        ml: (h, g).
        posterior: (h, g); None where there is no posterior.
    """

    x: Values
    y: Values
    ml: Values
    posterior: Values | None


class Curve(NamedTuple):
    """Densities along one column: maximum likelihood, and every posterior draw's.

    Attributes:
        x: (g,).
        ml: (g,).
        draws: (s, g); None where there is no posterior.
    """

    x: Values
    ml: Values
    draws: Values | None


def density_line(
    x: ArrayLike,
    curve: Curve,
    *,
    column: str | None = None,
    row_weights: ArrayLike | None = None,
    estimate: str = "ML",
    ax: Axes | None = None,
) -> Axes:
    """The rows as a histogram, the ML density, and the posterior of the density as a band.

    Args:
        x: (n,) rows.
        curve: densities along the column.
        column: its name.
        row_weights: (n,).
        estimate: what the line is called.
        ax: axes to draw on.
    """
    rows, ax = np.asarray(x, dtype=np.float64), axes_or_new(ax)
    draw_bars(ax, rows, bin_edges(rows, row_weights), row_weights)
    handles = _curves(ax, curve, 2.2)
    handles[0].set_label(f"{estimate} density")
    ax.set(xlabel="x" if column is None else legible(column), ylabel="density", xlim=_ends(curve.x))
    ax.set_ylim(bottom=0.0)
    legend_above(ax, handles)
    return ax


def density_plane(
    X: ArrayLike,
    surface: Surface,
    *,
    columns: Sequence[str] | None = None,
    row_weights: ArrayLike | None = None,
    estimate: str = "ML",
    ax: Axes | None = None,
) -> Axes:
    """Regions of highest density that hold 50, 80 and 95 %, and the rows.

    Filled are those of the posterior predictive density; lines are those of the ML density.

    Args:
        X: (n, 2) rows.
        surface: densities over the two columns.
        columns: their names.
        row_weights: (n,); the area of a point is proportional to its weight.
        estimate: what the lines are called.
        ax: axes to draw on.
    """
    rows = np.asarray(X, dtype=np.float64)
    ax = axes_or_new(ax, 5.2, 4.2)
    _regions(ax, surface)
    _rows(ax, rows, row_weights)
    x_name, y_name = column_names(columns, 2)
    ax.set(xlabel=x_name, ylabel=y_name, xlim=_ends(surface.x), ylim=_ends(surface.y))
    legend_above(ax, _handles(ax, estimate, posterior=surface.posterior is not None))
    return ax


def density_grid(
    X: ArrayLike,
    curves: Sequence[Curve],
    surfaces: Mapping[tuple[int, int], Surface],
    *,
    columns: Sequence[str] | None = None,
    row_weights: ArrayLike | None = None,
    estimate: str = "ML",
    fig: Figure | None = None,
) -> Panels:
    """`density_plane` of every pair of columns, with histograms and densities on the diagonal.

    Args:
        X: (n, d) rows; the first six columns are shown.
        curves: densities along each column that is shown.
        surfaces: (x, y) -> densities over a pair of columns, x < y.
        columns: names of the d columns.
        row_weights: (n,).
        estimate: what the lines are called.
        fig: an empty figure to draw on.

    Returns:
        Axes (d, d); those above the diagonal are empty.
    """
    rows = np.asarray(X, dtype=np.float64)
    axes = triangle(column_names(columns, rows.shape[1]), fig)
    for (x, y), surface in surfaces.items():
        ax = axes[y, x]
        _regions(ax, surface, scale=0.7)
        _rows(ax, rows[:, [x, y]], row_weights, scale=0.4)
        ax.set(xlim=_ends(surface.x), ylim=_ends(surface.y))
    for j, curve in enumerate(curves):
        _diagonal(axes[j, j], rows[:, j], row_weights, curve)
    posterior = curves[0].draws is not None
    explain(axes, _handles(axes[0, 0], estimate, posterior=posterior), rows.shape[1])
    return axes


def region_levels(density: Values, cell: float, masses: Sequence[float] = MASSES) -> Values:
    """Densities that bound the smallest regions of the given masses, in increasing order.

    Args:
        density: on the cells of a grid.
        cell: area of one.
        masses: in decreasing order; one that the grid does not hold gets the least density on it.
    """
    falling = -np.sort(-density.ravel())
    held = (np.cumsum(falling) - falling / 2) * cell
    levels = np.interp(masses, held, falling)
    return np.asarray(levels * (1 + 1e-9 * np.arange(levels.size)))  # rising, if it is flat


def _regions(ax: Axes, surface: Surface, *, scale: float = 1.0) -> None:
    ink = shades(ax)
    cell = float((surface.x[1] - surface.x[0]) * (surface.y[1] - surface.y[0]))
    if surface.posterior is not None:
        look: Keywords = dict(
            colors=mixed(BAND, ink.paper, FILLS[ink]).tolist(), extend="max", zorder=1
        )
        levels = region_levels(surface.posterior, cell)
        ax.contourf(surface.x, surface.y, surface.posterior, levels, **look)
    lines: Keywords = dict(colors=ink.text, linewidths=[scale * width for width in WIDTHS])
    drawn = ax.contour(
        surface.x, surface.y, surface.ml, region_levels(surface.ml, cell), zorder=3, **lines
    )
    drawn.set_path_effects([withStroke(linewidth=scale * HALO, foreground=ink.paper)])


def _rows(ax: Axes, X: Values, row_weights: ArrayLike | None, *, scale: float = 1.0) -> None:
    crowded, area = len(X) > MANY_POINTS, 9 * scale
    ax.scatter(
        X[:, 0],
        X[:, 1],
        s=area if row_weights is None else area * relative(row_weights),
        color=shades(ax).muted,
        alpha=0.25 if crowded else 0.7,
        edgecolors="none",
        rasterized=crowded,
        zorder=2,
    )


def _diagonal(ax: Axes, x: Values, row_weights: ArrayLike | None, curve: Curve) -> None:
    draw_bars(ax, x, bin_edges(x, row_weights), row_weights, ticks=False)
    _curves(ax, curve, 1.4)
    ax.set_xlim(*_ends(curve.x))
    ax.set_ylim(bottom=0.0)


def _curves(ax: Axes, curve: Curve, linewidth: float) -> list[Artist]:
    (line,) = ax.plot(curve.x, curve.ml, color=shades(ax).text, linewidth=linewidth, zorder=4)
    return [line, *([] if curve.draws is None else draw_band(ax, curve.x, curve.draws))]


def _ends(grid: Values) -> tuple[float, float]:
    return float(grid[0]), float(grid[-1])


def _handles(ax: Axes, estimate: str, *, posterior: bool) -> list[Artist]:
    ink, told = shades(ax), "50, 80, 95 %"
    line = Line2D([], [], color=ink.text, linewidth=WIDTHS[1], label=f"{estimate}: {told}")
    if not posterior:
        return [line]
    middle = mixed(BAND, ink.paper, FILLS[ink][1]).tolist()
    return [
        line,
        Patch(facecolor=middle, edgecolor=BAND_CENTRE, label=f"posterior predictive: {told}"),
    ]
