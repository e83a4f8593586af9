"""All pairs of columns."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from bayesgmm.plots.canvas import Panels, figure_or_new
from bayesgmm.plots.histogram import bin_edges, draw_bars, draw_densities
from bayesgmm.plots.plane import Scene, draw_scene, scene_handles
from bayesgmm.plots.style import (
    MANY_POINTS,
    NOTE_SIZE,
    Values,
    column_names,
    dress,
    shades,
)

MOST_COLUMNS = 6
PANEL = 1.55  # inches
SCALE = 0.6  # of points, lines and discs, against a figure of one panel


def pair_grid(
    X: ArrayLike,
    labels: ArrayLike,
    means: ArrayLike,
    covariances: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    columns: Sequence[str] | None = None,
    row_weights: ArrayLike | None = None,
    posterior_means: ArrayLike | None = None,
    posterior_covariances: ArrayLike | None = None,
    fig: Figure | None = None,
) -> Panels:
    """The plane of every pair of columns, with histograms and ML densities on the diagonal.

    Of more than six columns the first six are shown, and the figure says so.

    Args:
        X: (n, d) rows.
        labels: (n,) component of each row, 0 to k - 1.
        means: (k, d) maximum-likelihood means.
        covariances: (k, d, d) maximum-likelihood covariances.
        weights: (k,) maximum-likelihood weights; by default the shares of the labels.
        columns: names of the d columns.
        row_weights: (n,) weights of the rows.
        posterior_means: (s, k, d) draws.
        posterior_covariances: (s, k, d, d) draws.
        fig: an empty figure to draw on.

    Returns:
        Axes (d, d); those above the diagonal are empty.
    """
    scene = Scene.of(
        X, labels, means, covariances, row_weights, posterior_means, posterior_covariances
    )
    mass = shares(labels, len(scene.means), row_weights) if weights is None else weights
    d = scene.X.shape[1]
    shown = min(d, MOST_COLUMNS)
    fig = figure_or_new(fig, 0.6 + PANEL * shown, 0.6 + PANEL * shown)
    axes: Panels = fig.subplots(shown, shown, squeeze=False)
    limits, names = scene.limits(), column_names(columns, d)
    crowded = len(scene.X) * shown * (shown - 1) / 2 > MANY_POINTS
    for hidden in axes[np.triu_indices(shown, 1)]:
        hidden.set_axis_off()
    for row, column in zip(*np.tril_indices(shown), strict=True):
        ax = dress(axes[row, column], scale=0.85)
        ax.set_xlim(*limits[column])
        if row == column:
            _diagonal(ax, scene, int(row), mass)
        else:
            _panel(ax, scene, int(column), int(row), crowded)
        _name(ax, names, int(column), int(row), shown)
    fig.align_ylabels()
    _explain(fig, scene, None if d == shown else f"first {shown} of {d} columns")
    return axes


def shares(labels: ArrayLike, k: int, row_weights: ArrayLike | None = None) -> Values:
    """The share (k,) of the rows, or of their weight, in each component."""
    rows = None if row_weights is None else np.asarray(row_weights, dtype=np.float64)
    mass = np.bincount(np.asarray(labels, dtype=np.intp), weights=rows, minlength=k)
    return np.asarray(mass / mass.sum(), dtype=np.float64)


def _panel(ax: Axes, scene: Scene, x: int, y: int, rasterized: bool) -> None:
    plane = scene.pair(x, y)
    draw_scene(ax, plane, scale=SCALE, rasterized=rasterized)
    ax.set_ylim(*plane.limits()[1])


def _diagonal(ax: Axes, scene: Scene, j: int, weights: ArrayLike) -> None:
    edges = bin_edges(scene.X[:, j], scene.row_weights)
    grid = np.linspace(*ax.get_xlim(), 256)
    sds = np.sqrt(scene.covariances[:, j, j])
    draw_bars(ax, scene.X[:, j], edges, scene.row_weights, ticks=False)
    draw_densities(ax, grid, weights, scene.means[:, j], sds, linewidth=1.4)
    ax.set_ylim(bottom=0.0)


def _name(ax: Axes, names: Sequence[str], x: int, y: int, shown: int) -> None:
    """Names and ticks along the left and lower sides of the grid only."""
    ax.locator_params(nbins=3)
    ax.tick_params(labelbottom=y == shown - 1, labelleft=x == 0 < y, left=x != y)
    ax.spines["left"].set_visible(x != y)
    ax.set_xlabel(names[x] if y == shown - 1 else "")
    ax.set_ylabel(names[y] if x == 0 < y else "")


def _explain(fig: Figure, scene: Scene, title: str | None) -> None:
    """A legend in the empty upper right corner."""
    ink = shades(fig.axes[0])
    legend = fig.legend(
        handles=scene_handles(scene),
        loc="upper right",
        frameon=False,
        fontsize=NOTE_SIZE,
        labelcolor=ink.text,
        title=title,
        title_fontsize=NOTE_SIZE,
        alignment="left",
    )
    legend.get_title().set_color(ink.text)
