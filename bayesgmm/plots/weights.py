"""Component weights: maximum likelihood next to the posterior."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike
from scipy.stats import gaussian_kde

from bayesgmm.plots.canvas import axes_or_new
from bayesgmm.plots.style import (
    NOTE_SIZE,
    ComponentStyle,
    Keywords,
    Values,
    component_styles,
    legend_above,
    shades,
)

NORMAL_95 = 1.96
HEIGHT = 0.62  # of a posterior density, in rows
ML_ROW = 0.14  # the ML estimate lies this far below the posterior's interval
ROW_INCHES = 0.62


def weights(
    ml: ArrayLike,
    ml_se: ArrayLike,
    posterior: ArrayLike,
    *,
    interval: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """One row per component: the posterior of its weight, and the ML weight with its error.

    Args:
        ml: (k,) maximum-likelihood weights.
        ml_se: (k,) their standard errors; NaN where there is none, which draws no bar.
        posterior: (s, k) draws.
        interval: mass of the equal-tailed posterior interval.
        ax: axes to draw on.
    """
    estimate, error = np.asarray(ml, dtype=np.float64), np.asarray(ml_se, dtype=np.float64)
    draws = np.asarray(posterior, dtype=np.float64)
    k = estimate.size
    ax = axes_or_new(ax, 5.2, 1.1 + ROW_INCHES * max(k, 2))
    for j, style in enumerate(component_styles(k)):
        _posterior(ax, j, draws[:, j], interval, style)
        _estimate(ax, j, float(estimate[j]), float(error[j]))
    ax.set(ylim=(k - 0.65, -0.8), xlabel="weight", ylabel="component", xlim=_limits(ax))
    ax.set_yticks(np.arange(k), [str(j + 1) for j in range(k)])
    ax.tick_params(axis="y", length=0)
    legend_above(ax, _legend(ax, interval, bars=bool(np.isfinite(error).any())))
    return ax


def weight_density(draws: ArrayLike, points: int = 256) -> tuple[Values, Values]:
    """A kernel density of draws in [0, 1], its peak scaled to 1; empty if they do not vary.

    Mass that the kernel would put outside [0, 1] is reflected at the ends.

    Args:
        draws: (s,).
        points: of the grid, which is returned first.
    """
    sample = np.asarray(draws, dtype=np.float64)
    low, high = sample.min(), sample.max()
    if high - low < 1e-9:
        return np.empty(0), np.empty(0)
    room = 0.15 * (high - low)
    grid = np.linspace(max(0.0, low - room), min(1.0, high + room), points)
    kernel = gaussian_kde(sample)
    density = kernel(grid) + kernel(-grid) + kernel(2 - grid)
    return grid, density / density.max()


def _posterior(ax: Axes, j: int, draws: Values, interval: float, style: ComponentStyle) -> None:
    """A half violin on the row, with the interval and the median along its base."""
    low, middle, high = np.quantile(draws, [(1 - interval) / 2, 0.5, (1 + interval) / 2])
    grid, density = weight_density(draws)
    top = j - HEIGHT * density
    look: Keywords = dict(color=style.colour, zorder=2)
    ax.fill_between(grid, j, top, alpha=0.3, linewidth=0, **look)
    ax.plot(grid, top, linewidth=1.0, **look)
    ax.plot([low, high], [j, j], linewidth=3.5, solid_capstyle="butt", **look)
    rim: Keywords = dict(markeredgecolor=shades(ax).paper, markeredgewidth=1.2, markersize=8)
    ax.plot([middle], [j], "o", **rim, **look)


def _estimate(ax: Axes, j: int, ml: float, se: float) -> None:
    ink, row = shades(ax), j + ML_ROW
    ax.plot([ml], [row], "D", color=ink.text, markersize=5, zorder=4)
    if np.isfinite(se):
        ends = [ml - NORMAL_95 * se, ml + NORMAL_95 * se]
        ax.plot(ends, [row, row], color=ink.text, linewidth=1.2, zorder=3)
    else:
        note: Keywords = dict(textcoords="offset points", va="center", color=ink.muted)
        ax.annotate("no standard error", (ml, row), (6, -1), fontsize=0.85 * NOTE_SIZE, **note)


def _limits(ax: Axes) -> tuple[float, float]:
    """Around what is drawn, and beyond what a weight can be by no more than a margin."""
    low, high = np.clip(ax.dataLim.intervalx, 0.0, 1.0)
    low = min(low, high - 0.1)
    margin = 0.05 * (high - low)
    return float(low - margin), float(high + margin)


def _legend(ax: Axes, interval: float, *, bars: bool) -> list[Line2D]:
    ink = shades(ax)
    strip: Keywords = dict(color=ink.muted, linewidth=3.5, markeredgecolor=ink.paper, markersize=8)
    point: Keywords = dict(color=ink.text, linewidth=1.2 * bars, markersize=5)
    return [
        Line2D([], [], marker="o", label=f"posterior median, {100 * interval:g} %", **strip),
        Line2D([], [], marker="D", label="ML \u00b1 1.96 se" if bars else "ML", **point),
    ]
