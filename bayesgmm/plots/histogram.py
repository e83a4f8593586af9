"""A column, the fitted density, its components and the posterior of the density."""

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from bayesgmm.plots.canvas import axes_or_new
from bayesgmm.plots.style import (
    Keywords,
    Values,
    component_styles,
    legend_above,
    legible,
    mark_component,
    shades,
)

GRID = 512
AROUND = 33  # points of a curve within four standard deviations of a component
FEW_ROWS = 300  # up to here every row gets a tick under the histogram
MOST_BINS = 80
BAND, BAND_CENTRE = "#F2D544", "#C79A00"  # what is posterior but of no single component


def histogram(
    x: ArrayLike,
    weights: ArrayLike,
    means: ArrayLike,
    sds: ArrayLike,
    *,
    row_weights: ArrayLike | None = None,
    estimate: str = "ML",
    posterior_density: ArrayLike | None = None,
    grid: ArrayLike | None = None,
    column: str | None = None,
    ax: Axes | None = None,
    bins: int | ArrayLike | None = None,
) -> Axes:
    """The rows as a density histogram under the ML density and the posterior of the density.

    Args:
        x: (n,) values.
        weights: (k,) maximum-likelihood weights.
        means: (k,) maximum-likelihood means.
        sds: (k,) maximum-likelihood standard deviations.
        row_weights: (n,); counts, if x are classes.
        estimate: what the density is called.
        posterior_density: (s, g) densities of posterior draws on `grid`, shown as their mean and
            a pointwise 95 % band.
        grid: (g,) where the densities are drawn; needed with `posterior_density`.
        column: name of the column.
        ax: axes to draw on.
        bins: number of bins or their edges; by default as `bin_edges`.
    """
    ax = axes_or_new(ax)
    rows = np.asarray(x, dtype=np.float64)
    edges = bin_edges(rows, row_weights, bins)
    low, high = _limits(rows, edges)
    own = finer(np.linspace(low, high, GRID), means, sds)
    points = own if grid is None else np.asarray(grid, dtype=np.float64)
    draw_bars(ax, rows, edges, row_weights)
    handles = draw_densities(ax, points, weights, means, sds)
    handles[0].set_label(f"{estimate} density")
    _number(ax, points, component_densities(points, weights, means, sds))
    if posterior_density is not None:
        handles += draw_band(ax, points, np.asarray(posterior_density, dtype=np.float64))
    ax.set(xlabel="x" if column is None else legible(column), ylabel="density", xlim=(low, high))
    ax.set_ylim(bottom=0.0)
    legend_above(ax, handles)
    return ax


def finer(grid: Values, means: ArrayLike, sds: ArrayLike) -> Values:
    """The grid with points about each mean (k,) added, so that no peak falls between two.

    Args:
        grid: (g,) increasing.
        means: (k,) of the components.
        sds: (k,) their standard deviations.
    """
    centres, widths = (np.asarray(a, dtype=np.float64)[:, None] for a in (means, sds))
    near = centres + widths * np.linspace(-4.0, 4.0, AROUND)
    return np.union1d(grid, near[(near >= grid[0]) & (near <= grid[-1])])


def draw_bars(
    ax: Axes, x: Values, edges: Values, row_weights: ArrayLike | None, *, ticks: bool = True
) -> None:
    """Bars whose areas sum to one, and the rows as ticks below if they are few."""
    ink = shades(ax)
    heights, _ = np.histogram(x, edges, weights=_row_weights(x, row_weights), density=True)
    bar: Keywords = dict(
        align="edge", color=ink.faint, edgecolor=ink.paper, linewidth=0.6, zorder=1
    )
    ax.bar(edges[:-1], heights, np.diff(edges), **bar)
    if ticks and row_weights is None and x.size <= FEW_ROWS:
        tick: Keywords = dict(color=ink.muted, markersize=6, markeredgewidth=0.6, zorder=5)
        ax.plot(x, np.full_like(x, 0.018), "|", transform=ax.get_xaxis_transform(), **tick)


def draw_densities(
    ax: Axes,
    grid: Values,
    weights: ArrayLike,
    means: ArrayLike,
    sds: ArrayLike,
    *,
    linewidth: float = 2.2,
) -> list[Artist]:
    """The ML density in ink and its components, dashed, in their colours; their legend."""
    ink, thin = shades(ax), 0.7 * linewidth
    parts = component_densities(grid, weights, means, sds)
    for style, part in zip(component_styles(len(parts)), parts, strict=True):
        dashes = "--" if style.linestyle == "-" else style.linestyle
        ax.plot(grid, part, color=style.colour, linestyle=dashes, linewidth=thin, zorder=3)
    (line,) = ax.plot(grid, parts.sum(axis=0), color=ink.text, linewidth=linewidth, zorder=4)
    return [line, Line2D([], [], color=ink.muted, linestyle="--", label="its components")]


def component_densities(
    grid: Values, weights: ArrayLike, means: ArrayLike, sds: ArrayLike
) -> Values:
    """Weighted normal densities (k, g); a component without spread has none."""
    w, mu, sd = (np.asarray(a, dtype=np.float64)[:, None] for a in (weights, means, sds))
    z = (grid - mu) / np.where(sd > 0, sd, np.inf)
    return np.asarray(w * np.exp(-0.5 * z**2) / np.where(sd > 0, sd, np.inf) / np.sqrt(2 * np.pi))


def _number(ax: Axes, grid: Values, parts: Values) -> None:
    """The components' numbers, half-way up to their peaks."""
    for j, part in enumerate(parts):
        if part.max() > 0:
            mark_component(ax, float(grid[part.argmax()]), 0.5 * float(part.max()), j, size=12.0)


def draw_band(ax: Axes, grid: Values, density: Values) -> list[Artist]:
    """The posterior mean of densities (s, g) and their pointwise 95 % band; the legend of them."""
    low, high = np.quantile(density, [0.025, 0.975], axis=0)
    ax.fill_between(grid, low, high, color=BAND, alpha=0.55, linewidth=0, zorder=2)
    # Thinner than the ML density and on top, so that both show where they agree.
    ax.plot(grid, density.mean(axis=0), color=BAND_CENTRE, linewidth=1.1, zorder=4.5)
    return [Patch(facecolor=BAND, edgecolor=BAND_CENTRE, label="posterior mean, 95 %")]


def bin_edges(
    x: ArrayLike, row_weights: ArrayLike | None = None, bins: int | ArrayLike | None = None
) -> Values:
    """Edges of bins, half-way between the values of rounded data and no finer than these.

    The width is that of Freedman and Diaconis (1981), or what gives 1.5 sqrt(n) bins if that is
    less, since components are narrower than the data. There are at most 80 bins.

    Args:
        x: (n,) values.
        row_weights: (n,) weights of the values.
        bins: number of bins or their edges.
    """
    rows = np.asarray(x, dtype=np.float64)
    low, high = rows.min(), rows.max()
    if bins is not None:
        return np.asarray(np.histogram_bin_edges(rows, bins), dtype=np.float64)
    if low == high:
        return np.array([low - 0.5, low + 0.5])
    step, width = _rounding(rows), _width(rows, _row_weights(rows, row_weights))
    if step == 0.0:
        return np.linspace(low, high, int(np.ceil((high - low) / width)) + 1)
    width = step * max(1.0, np.round(width / step))
    count = int(np.floor((high - low + 0.5 * step) / width)) + 1
    return np.asarray(low - 0.5 * step + width * np.arange(count + 1))


def _width(x: Values, row_weights: Values) -> float:
    """The width that `bin_edges` describes; n is the rows, or their weight if that is larger."""
    order = np.argsort(x, kind="stable")
    mass = np.cumsum(row_weights[order])
    n, span = max(float(x.size), float(mass[-1])), float(np.ptp(x))
    low, high = np.interp([0.25, 0.75], (mass - 0.5 * row_weights[order]) / mass[-1], x[order])
    rules = np.array([2 * (high - low) / n ** (1 / 3), span / (1.5 * np.sqrt(n))])
    return max(float(rules[rules > 0].min()), span / MOST_BINS)


def _rounding(x: Values) -> float:
    """The step of the lattice on which x lies, 0 if it lies on none that matters."""
    steps = np.diff(np.unique(x))
    if steps.min() * 2 * len(x) < steps.sum():
        return 0.0
    ratio = steps / steps.min()
    return float(steps.min()) if np.allclose(ratio, np.round(ratio), atol=1e-3) else 0.0


def _row_weights(x: Values, row_weights: ArrayLike | None) -> Values:
    return np.ones(x.size) if row_weights is None else np.asarray(row_weights, dtype=np.float64)


def _limits(x: Values, edges: Values) -> tuple[float, float]:
    low, high = min(x.min(), edges[0]), max(x.max(), edges[-1])
    margin = 0.06 * (high - low)
    return float(low - margin), float(high + margin)
