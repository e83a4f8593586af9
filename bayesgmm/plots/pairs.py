"""All pairs of columns."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from bayesgmm.plots.canvas import Panels
from bayesgmm.plots.histogram import bin_edges, draw_bars, draw_densities
from bayesgmm.plots.plane import Scene, draw_scene, scene_handles
from bayesgmm.plots.style import MANY_POINTS, Values, column_names
from bayesgmm.plots.triangle import explain, triangle

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
    estimate: str = "maximum likelihood",
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
        estimate: what the solid ellipses are called.
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
    d, limits = scene.X.shape[1], scene.limits()
    axes = triangle(column_names(columns, d), fig)
    crowded = len(scene.X) * len(axes) * (len(axes) - 1) / 2 > MANY_POINTS
    for row, column in zip(*np.tril_indices(len(axes)), strict=True):
        ax = axes[row, column]
        ax.set_xlim(*limits[column])
        if row == column:
            _diagonal(ax, scene, int(row), mass)
        else:
            _panel(ax, scene, int(column), int(row), crowded)
    explain(axes, scene_handles(axes[0, 0], scene, estimate), d)
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
