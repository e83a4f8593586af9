"""The bootstrap of the maximum-likelihood estimate over the posterior."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike
from scipy.stats import gaussian_kde

from bayesgmm.plots.canvas import Panels, figure_of, figure_or_new
from bayesgmm.plots.style import (
    MANY_POINTS,
    NOTE_SIZE,
    Keywords,
    Values,
    component_styles,
    dress,
    legible,
    mark_component,
    mixed,
    shades,
    varies,
)

MASSES = (0.95, 0.5)
PALE = np.array([0.8, 0.55])  # shares of the background in the fills of these masses
SMOOTHING = 1.5  # on top of Scott's bandwidth, so that the regions do not fray
CELLS = 70
SHOWN = (0.001, 0.999)  # of either cloud, along each axis
PANEL, SIDE = 2.5, 0.17  # inches, and the share of it that a density along an axis takes
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

    Points are posterior draws, fills the regions that hold 50 % and 95 % of them, and lines those
    that hold as much of the bootstrap. The weight is on one axis and another parameter, such as
    the mean of a column, on the other; the densities of each are along the sides.

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
    fig = figure_or_new(fig, 0.5 + PANEL * max(across, 2), 0.7 + PANEL * down)
    axes = np.array([dress(fig.add_subplot(down, across, j + 1)) for j in range(k)])
    for j, ax in enumerate(axes):
        _panel(ax, boot[..., j], draws[..., j], j)
        if ml_weights is not None and ml_values is not None:
            x, y = _stacked(ml_weights, ml_values)[:, j].tolist()
            mark_component(ax, x, y, j)
        ax.locator_params(nbins=4)
        ax.set_xlabel("weight" if j + across >= k else "")
        ax.set_ylabel(legible(name) if j % across == 0 else "")
    _explain(axes)
    return axes


def draw_regions(ax: Axes, cloud: Values) -> None:
    """Contours of the smallest regions that hold 95 % and 50 % of a cloud (2, b).

    A cloud without area, such as that of the weight of an only component, is drawn as points.
    """
    ink = shades(ax)
    if not _has_area(cloud):
        ax.plot(cloud[0], cloud[1], ".", color=ink.text, markersize=3, zorder=4)
        return
    lines = ax.contour(*_heights(cloud), colors=ink.text, linewidths=[1.0, 1.7], zorder=4)
    lines.set_path_effects([withStroke(linewidth=2.8, foreground=ink.paper)])


def _panel(ax: Axes, boot: Values, draws: Values, j: int) -> None:
    colour, paper = component_styles(j + 1)[j].colour, shades(ax).paper
    if _has_area(draws):
        fills = mixed(colour, paper, PALE).tolist()
        ax.contourf(*_heights(draws), colors=fills, extend="max", zorder=1)
    look: Keywords = dict(s=5, color=colour, alpha=0.35, edgecolors="none", zorder=2)
    ax.scatter(draws[0], draws[1], rasterized=draws[0].size > MANY_POINTS // 4, **look)
    draw_regions(ax, boot)
    limits = _limits(boot, draws)
    ax.set(xlim=limits[0], ylim=limits[1])
    _sides(ax, boot, draws, colour)


def _heights(cloud: Values) -> tuple[Values, Values, Values, Values]:
    """A grid, the kernel density on it, and the levels that bound the regions."""
    kernel = gaussian_kde(cloud, bw_method=lambda kde: SMOOTHING * kde.scotts_factor())
    levels = np.quantile(kernel(cloud), [1 - mass for mass in MASSES])
    low, high = cloud.min(axis=1), cloud.max(axis=1)
    room = 0.12 * (high - low)
    x, y = np.linspace(low - room, high + room, CELLS, axis=1)
    height = kernel(np.stack(np.meshgrid(x, y)).reshape(2, -1)).reshape(CELLS, CELLS)
    return x, y, height, levels


def _has_area(cloud: Values) -> bool:
    """Whether the two coordinates vary, and not as one."""
    if cloud.shape[1] < 3 or not all(varies(values) for values in cloud):
        return False
    correlation = np.asarray(np.corrcoef(cloud))
    return bool(abs(correlation[0, 1]) < 1 - 1e-9)


def _limits(boot: Values, draws: Values) -> list[tuple[float, float]]:
    """What holds both clouds but for their farthest points, and a margin."""
    ends = np.stack([np.quantile(cloud, SHOWN, axis=1) for cloud in (boot, draws)])
    low, high = ends[:, 0].min(axis=0), ends[:, 1].max(axis=0)
    room = np.where(high > low, 0.12 * (high - low), np.maximum(0.05 * np.abs(low), 1e-6))
    return list(zip((low - room).tolist(), (high + room).tolist(), strict=True))


def _sides(ax: Axes, boot: Values, draws: Values, colour: str) -> None:
    """The densities of both clouds along the upper and right sides, with the same height."""
    top = ax.inset_axes((0, 1.02, 1, SIDE), sharex=ax)
    right = ax.inset_axes((1.02, 0, SIDE, 1), sharey=ax)
    x, y = (np.linspace(*ends, 200) for ends in (ax.get_xlim(), ax.get_ylim()))
    for side in (top, right):
        side.set_axis_off()
    ink = shades(ax).text
    fill: Keywords = dict(color=colour, alpha=0.45, linewidth=0)
    if varies(draws[0]) and varies(boot[0]):
        top.fill_between(x, gaussian_kde(draws[0])(x), **fill)
        top.plot(x, gaussian_kde(boot[0])(x), color=ink, linewidth=1.1)
    if varies(draws[1]) and varies(boot[1]):
        right.fill_betweenx(y, gaussian_kde(draws[1])(y), **fill)
        right.plot(gaussian_kde(boot[1])(y), y, color=ink, linewidth=1.1)


def _stacked(weights: ArrayLike, values: ArrayLike) -> Values:
    return np.stack([np.asarray(weights, dtype=np.float64), np.asarray(values, dtype=np.float64)])


def _explain(axes: Panels) -> None:
    ink, (style,) = shades(axes[0]), component_styles(1)
    fill = mixed(style.colour, ink.paper, PALE)[1].tolist()
    handles = [
        Patch(facecolor=fill, edgecolor="none", label="posterior, 50 and 95 %"),
        Line2D([], [], color=ink.text, label="bootstrap of ML, 50 and 95 %"),
    ]
    look: Keywords = dict(frameon=False, fontsize=NOTE_SIZE, labelcolor=ink.text)
    fig = figure_of(axes)
    fig.legend(handles=handles, loc="outside upper left", ncols=2, columnspacing=1.4, **look)
