"""Draws before their labels were put right, and after it."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from scipy.stats import gaussian_kde

from bayesgmm.plots.canvas import Panels, figure_or_new
from bayesgmm.plots.style import (
    LABEL_SIZE,
    Values,
    component_styles,
    dress,
    legible,
    shades,
    varies,
)

MOST_DRAWS = 1600  # shown, of all chains
MOST_CHAINS = 4  # that are named


def relabelling(
    sampled: ArrayLike, relabelled: ArrayLike, *, name: str = "mean", fig: Figure | None = None
) -> Panels:
    """A parameter of every component, draw by draw and as densities, as sampled and relabelled.

    Colours are labels. Where they change places on the left, labels switched.

    Args:
        sampled: (c, s, k) draws of c chains with the labels they were drawn with.
        relabelled: (c, s, k) the same draws, labels put right.
        name: of the parameter.
        fig: an empty figure to draw on.

    Returns:
        Axes (2, 2): as sampled above relabelled, draws left of densities.
    """
    fig = figure_or_new(fig, 5.2, 4.4)
    axes: Panels = fig.subplots(2, 2, sharey=True, width_ratios=[3, 1])
    told = {"as sampled": sampled, "relabelled": relabelled}
    for (trace, side), (title, values) in zip(axes, told.items(), strict=True):
        draws = np.asarray(values, dtype=np.float64)
        _trace(dress(trace), draws)
        _densities(dress(side), draws.reshape(-1, draws.shape[-1]))
        trace.set_title(title, loc="left", fontsize=LABEL_SIZE, color=shades(trace).text)
        trace.set_ylabel(legible(name))
    axes[0, 0].tick_params(labelbottom=False)
    axes[1, 1].set_xlabel("density")
    return axes


def _trace(ax: Axes, draws: Values) -> None:
    """Chains side by side, set off by lines."""
    c, s, k = draws.shape
    shown = np.unique(np.linspace(0, s - 1, max(1, MOST_DRAWS // c)).round().astype(int))
    x = s * np.arange(c)[:, None] + shown
    for j, style in enumerate(component_styles(k)):
        ax.plot(
            x.ravel(),
            draws[:, shown, j].ravel(),
            linestyle="none",
            marker=style.marker,
            markersize=1.8,
            markeredgewidth=0,
            color=style.colour,
            alpha=0.6,
            rasterized=True,
            zorder=2,
        )
    for border in s * np.arange(1, c):
        ax.axvline(border, color=shades(ax).faint, linewidth=0.8, zorder=1)
    names = [f"chain {j + 1}" for j in range(c if c <= MOST_CHAINS else 0)]
    ax.set_xticks(s * (np.arange(len(names)) + 0.5), names)
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(0, c * s)


def _densities(ax: Axes, draws: Values) -> None:
    """A density of each component along the values, its peak scaled to 1."""
    low, high = draws.min(), draws.max()
    margin = 0.05 * (high - low)
    grid = np.linspace(low - margin, high + margin, 400)
    for style, values in zip(component_styles(draws.shape[1]), draws.T, strict=True):
        if varies(values):
            height = gaussian_kde(values)(grid)
            height /= height.max()
            ax.fill_betweenx(grid, 0, height, color=style.colour, alpha=0.3, linewidth=0)
            ax.plot(height, grid, color=style.colour, linewidth=1.0)
    ax.set_xlim(left=0)
    ax.set_xticks([])
    ax.tick_params(axis="y", labelleft=False)
