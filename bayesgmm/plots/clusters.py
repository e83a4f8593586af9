"""The figure of clusters for any number of columns."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from bayesgmm.plots.canvas import Panels
from bayesgmm.plots.histogram import component_densities, finer, histogram
from bayesgmm.plots.pairs import pair_grid, shares
from bayesgmm.plots.plane import plane
from bayesgmm.plots.style import Keywords, Values

GRID = 400
MOST_DRAWS = 1000  # of which the band of the density is made


def clusters(
    X: ArrayLike,
    labels: ArrayLike,
    means: ArrayLike,
    covariances: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    columns: Sequence[str] | None = None,
    row_weights: ArrayLike | None = None,
    estimate: str | None = None,
    posterior_weights: ArrayLike | None = None,
    posterior_means: ArrayLike | None = None,
    posterior_covariances: ArrayLike | None = None,
    ax: Axes | None = None,
    fig: Figure | None = None,
) -> Axes | Panels:
    """The clusters as suits their dimension: `histogram`, `plane` or `pair_grid`.

    Args:
        X: (n, d) rows, or (n,).
        labels: (n,) component of each row, 0 to k - 1.
        means: (k, d) maximum-likelihood means.
        covariances: (k, d, d) maximum-likelihood covariances.
        weights: (k,) maximum-likelihood weights; by default the shares of the labels.
        columns: names of the d columns.
        row_weights: (n,) weights of the rows.
        estimate: what the estimate is called, if not ML.
        posterior_weights: (s, k) draws; only the density of a single column needs them.
        posterior_means: (s, k, d) draws.
        posterior_covariances: (s, k, d, d) draws.
        ax: axes to draw one or two columns on.
        fig: an empty figure to draw more columns on.

    Returns:
        The axes; of three columns and more, axes (d, d).
    """
    rows = np.asarray(X, dtype=np.float64)
    rows = rows[:, None] if rows.ndim == 1 else rows
    mass = shares(labels, len(np.asarray(means)), row_weights) if weights is None else weights
    if rows.shape[1] == 1:
        sds = _sds(covariances)
        grid = finer(_grid(rows), np.asarray(means)[:, 0], sds)
        band = _density_draws(grid, posterior_weights, posterior_means, posterior_covariances)
        return histogram(
            rows[:, 0],
            mass,
            np.asarray(means)[:, 0],
            sds,
            row_weights=row_weights,
            estimate=estimate or "ML",
            posterior_density=band,
            grid=grid,
            column=None if columns is None else columns[0],
            ax=ax,
        )
    scene: Keywords = dict(
        columns=columns,
        row_weights=row_weights,
        estimate=estimate or "maximum likelihood",
        posterior_means=posterior_means,
        posterior_covariances=posterior_covariances,
    )
    if rows.shape[1] == 2:
        return plane(rows, labels, means, covariances, ax=ax, **scene)
    return pair_grid(rows, labels, means, covariances, weights=mass, fig=fig, **scene)


def _sds(covariances: ArrayLike) -> Values:
    return np.asarray(np.sqrt(np.asarray(covariances)[..., 0, 0]))


def _grid(X: Values) -> Values:
    margin = 0.1 * np.ptp(X) or 1.0
    return np.linspace(X.min() - margin, X.max() + margin, GRID)


def _density_draws(
    grid: Values,
    weights: ArrayLike | None,
    means: ArrayLike | None,
    covariances: ArrayLike | None,
) -> Values | None:
    """(s, g) densities of evenly spaced draws, if there are any."""
    if weights is None or means is None or covariances is None:
        return None
    mass, centres = np.asarray(weights), np.asarray(means)[..., 0]
    sds = _sds(covariances)
    shown = np.unique(np.linspace(0, len(mass) - 1, MOST_DRAWS).round().astype(int))
    draws = zip(mass[shown], centres[shown], sds[shown], strict=True)
    return np.stack([component_densities(grid, *draw).sum(axis=0) for draw in draws])
