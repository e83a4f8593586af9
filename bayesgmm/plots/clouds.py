"""The bootstrap of the maximum-likelihood estimate over the posterior."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike
from scipy.stats import gaussian_kde

from bayesgmm.plots.canvas import Panels, figure_or_new
from bayesgmm.plots.style import (
    MANY_POINTS,
    NOTE_SIZE,
    Keywords,
    Values,
    component_styles,
    dress,
    mark_component,
    shades,
)

MASSES = (0.95, 0.5)
SMOOTHING = 1.3  # on top of Scott's bandwidth, so that the regions do not fray
CELLS = 60
PANEL = 2.2  # inches
MOST_ACROSS = 3


def clouds(
    bootstrap_weights: ArrayLike,
    bootstrap_values: ArrayLike,
    posterior_weights: ArrayLike,
    posterior_values: ArrayLike,
    *,
    ml_weights: ArrayLike | None = None,
    ml_values: ArrayLike | None = None,
    name: str = "mean",
    fig: Figure | None = None,
) -> Panels:
    """The bootstrap of the ML estimate over the posterior, one panel per component.

    Points are posterior draws, lines the regions that hold 50 % and 95 % of the bootstrap. The
    weight is on one axis and another parameter, such as the mean of a column, on the other.

    Args:
        bootstrap_weights: (b, k) weights of the bootstrap refits, labels aligned.
        bootstrap_values: (b, k) the other parameter.
        posterior_weights: (s, k) draws, labels aligned.
        posterior_values: (s, k) draws of the other parameter.
        ml_weights: (k,) maximum-likelihood weights, where the components' numbers are put.
        ml_values: (k,) the other parameter.
        name: of the other parameter, for its axis.
        fig: an empty figure to draw on.

    Returns:
        Axes (k,).
    """
    boot = _stacked(bootstrap_weights, bootstrap_values)
    draws = _stacked(posterior_weights, posterior_values)
    k = draws.shape[-1]
    across, down = min(k, MOST_ACROSS), -(-k // MOST_ACROSS)
    fig = figure_or_new(fig, 0.5 + PANEL * max(across, 2), 0.8 + PANEL * down)
    axes = np.array([dress(fig.add_subplot(down, across, j + 1)) for j in range(k)])
    for j, ax in enumerate(axes):
        _draws(ax, draws[..., j], j)
        draw_regions(ax, boot[..., j])
        if ml_weights is not None and ml_values is not None:
            x, y = _stacked(ml_weights, ml_values)[:, j].tolist()
            mark_component(ax, x, y, j)
        ax.locator_params(nbins=4)
        ax.set_xlabel("weight" if j + across >= k else "")
        ax.set_ylabel(name if j % across == 0 else "")
    _explain(fig)
    return axes


def draw_regions(ax: Axes, cloud: Values) -> None:
    """Contours of the smallest regions that hold 95 % and 50 % of a cloud (2, b).

    A cloud without area, such as that of the weight of an only component, is drawn as points.
    """
    ink = shades(ax).text
    if not _has_area(cloud):
        ax.plot(cloud[0], cloud[1], ".", color=ink, markersize=3, zorder=4)
        return
    kernel = gaussian_kde(cloud, bw_method=lambda kde: SMOOTHING * kde.scotts_factor())
    levels = np.quantile(kernel(cloud), [1 - mass for mass in MASSES])
    low, high = cloud.min(axis=1), cloud.max(axis=1)
    room = 0.12 * (high - low)
    x, y = np.linspace(low - room, high + room, CELLS, axis=1)
    height = kernel(np.stack(np.meshgrid(x, y)).reshape(2, -1)).reshape(CELLS, CELLS)
    ax.contour(x, y, height, levels=levels, colors=ink, linewidths=[1.0, 1.6], zorder=4)


def _has_area(cloud: Values) -> bool:
    """Whether the two coordinates vary, and not as one."""
    if cloud.shape[1] < 3 or (np.ptp(cloud, axis=1) <= 1e-9 * np.abs(cloud).max(axis=1)).any():
        return False
    correlation = np.asarray(np.corrcoef(cloud))
    return bool(abs(correlation[0, 1]) < 1 - 1e-9)


def _stacked(weights: ArrayLike, values: ArrayLike) -> Values:
    return np.stack([np.asarray(weights, dtype=np.float64), np.asarray(values, dtype=np.float64)])


def _draws(ax: Axes, draws: Values, j: int) -> None:
    look: Keywords = dict(
        color=component_styles(j + 1)[j].colour, alpha=0.25, edgecolors="none", zorder=2
    )
    ax.scatter(draws[0], draws[1], s=6, rasterized=draws[0].size > MANY_POINTS // 4, **look)


def _explain(fig: Figure) -> None:
    (style,), ink = component_styles(1), shades(fig.axes[0])
    point: Keywords = dict(linestyle="none", marker="o", markersize=4)
    handles = [
        Line2D([], [], color=style.colour, label="posterior draws", **point),
        Line2D([], [], color=ink.text, label="bootstrap of ML, 50 % and 95 %"),
    ]
    look: Keywords = dict(frameon=False, fontsize=NOTE_SIZE, labelcolor=ink.text)
    fig.legend(handles=handles, loc="outside upper left", ncols=2, columnspacing=1.4, **look)
