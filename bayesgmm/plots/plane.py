"""Rows, maximum-likelihood ellipses and posterior ellipses in the plane."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from bayesgmm.plots.canvas import axes_or_new
from bayesgmm.plots.ellipses import RADIUS, ellipse_paths
from bayesgmm.plots.style import (
    DISC,
    MANY_POINTS,
    Keywords,
    Values,
    background_style,
    column_names,
    component_styles,
    legend_above,
    mark_component,
    relative,
    shades,
)

DRAWS = 50  # posterior ellipses shown per component
MANY_ELLIPSES = 500  # above this, posterior ellipses are rasterised inside vector output


def plane(
    X: ArrayLike,
    labels: ArrayLike,
    means: ArrayLike,
    covariances: ArrayLike,
    *,
    columns: Sequence[str] | None = None,
    row_weights: ArrayLike | None = None,
    estimate: str = "maximum likelihood",
    posterior_means: ArrayLike | None = None,
    posterior_covariances: ArrayLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Rows coloured by component, the ML ellipses (solid) and posterior draws of them (thin).

    Ellipses hold 95 % of their component. The discs that carry the components' numbers are at
    the ML means.

    Args:
        X: (n, 2) rows.
        labels: (n,) component of each row, 0 to k - 1; k for a background.
        means: (k, 2) maximum-likelihood means.
        covariances: (k, 2, 2) maximum-likelihood covariances.
        columns: names of the two columns.
        row_weights: (n,); the area of a point is proportional to its weight.
        estimate: what the solid ellipses are called.
        posterior_means: (s, k, 2) draws, of which about 50 are shown.
        posterior_covariances: (s, k, 2, 2) draws.
        ax: axes to draw on.
    """
    scene = Scene.of(
        X, labels, means, covariances, row_weights, posterior_means, posterior_covariances
    )
    ax = axes_or_new(ax, 5.2, 4.2)
    draw_scene(ax, scene)
    x_limits, y_limits = scene.limits().tolist()
    x_name, y_name = column_names(columns, 2)
    ax.set(xlabel=x_name, ylabel=y_name, xlim=x_limits, ylim=y_limits)
    legend_above(ax, scene_handles(ax, scene, estimate))
    return ax


class Scene(NamedTuple):
    """Everything that a figure of clusters shows: rows, ML estimate, posterior draws."""

    X: Values
    labels: NDArray[np.integer]
    means: Values
    covariances: Values
    row_weights: Values | None
    posterior: tuple[Values, Values] | None

    @classmethod
    def of(
        cls,
        X: ArrayLike,
        labels: ArrayLike,
        means: ArrayLike,
        covariances: ArrayLike,
        row_weights: ArrayLike | None,
        posterior_means: ArrayLike | None,
        posterior_covariances: ArrayLike | None,
    ) -> "Scene":
        """The scene from what the public functions take."""
        rows, centres, scatter = (np.asarray(a, dtype=np.float64) for a in (X, means, covariances))
        weights = None if row_weights is None else np.asarray(row_weights, dtype=np.float64)
        draws = None
        if posterior_means is not None and posterior_covariances is not None:
            draws = _thinned(posterior_means), _thinned(posterior_covariances)
        return cls(rows, np.asarray(labels, dtype=np.intp), centres, scatter, weights, draws)

    def pair(self, x: int, y: int) -> "Scene":
        """The scene in the plane of two columns, with half of the draws."""
        both = [x, y]
        block = np.ix_(both, both)
        return self._replace(
            X=self.X[:, both],
            means=self.means[:, both],
            covariances=self.covariances[:, *block],
            posterior=self.posterior
            and (self.posterior[0][::2, :, both], self.posterior[1][::2, :, *block]),
        )

    def limits(self) -> Values:
        """(d, 2) that hold all rows, and ellipses as far as they do not dwarf the rows."""
        low, high = self.X.min(axis=0), self.X.max(axis=0)
        room = np.where(high > low, high - low, 1.0)
        variances = np.diagonal(self.covariances, axis1=-2, axis2=-1)
        reach = RADIUS * np.sqrt(np.maximum(variances, 0.0))
        lower = np.clip((self.means - reach).min(axis=0), low - 0.35 * room, low)
        upper = np.clip((self.means + reach).max(axis=0), high, high + 0.35 * room)
        return np.column_stack([lower - 0.05 * room, upper + 0.05 * room])


def _thinned(draws: ArrayLike) -> Values:
    """About 50 draws, evenly spaced."""
    every = np.asarray(draws, dtype=np.float64)
    return every[np.unique(np.linspace(0, len(every) - 1, DRAWS).round().astype(int))]


def draw_scene(ax: Axes, scene: Scene, *, scale: float = 1.0, rasterized: bool = False) -> None:
    """Rows, posterior ellipses and ML ellipses of a scene in the plane, in this order."""
    _rows(ax, scene, scale, rasterized)
    if scene.posterior is not None:
        _strands(ax, *scene.posterior, scale, rasterized)
    _estimate(ax, scene, scale)


def _rows(ax: Axes, scene: Scene, scale: float, rasterized: bool) -> None:
    crowded = len(scene.X) > MANY_POINTS
    area = scale * float(np.clip(18 * (300 / len(scene.X)) ** 0.4, 4, 22))
    for j, style in enumerate((*component_styles(len(scene.means)), background_style(ax))):
        here = scene.labels == j
        if j == len(scene.means) and not here.any():
            continue
        ax.scatter(
            scene.X[here, 0],
            scene.X[here, 1],
            # One size for all keeps vector output small.
            s=area if scene.row_weights is None else area * relative(scene.row_weights)[here],
            color=style.colour,
            marker=style.marker,
            alpha=0.35 if crowded else 0.75,
            edgecolors="none" if crowded else shades(ax).paper,
            linewidths=0.3,
            rasterized=crowded or rasterized,
            zorder=2,
        )


def _strands(ax: Axes, means: Values, covariances: Values, scale: float, rasterized: bool) -> None:
    paths = ellipse_paths(means, covariances, points=49)
    for j, style in enumerate(component_styles(means.shape[1])):
        strands = LineCollection(
            list(paths[:, j]),
            colors=style.colour,
            linewidths=0.7 * scale,
            alpha=0.22,
            rasterized=rasterized or paths[..., 0, 0].size > MANY_ELLIPSES,
            zorder=3,
        )
        ax.add_collection(strands, autolim=False)


def _estimate(ax: Axes, scene: Scene, scale: float) -> None:
    """One solid ellipse, set off from the strands, and one numbered disc per component."""
    paths, width = ellipse_paths(scene.means, scene.covariances), 1.8 * scale
    for j, style in enumerate(component_styles(len(paths))):
        x, y = paths[j].T
        ax.plot(x, y, color=shades(ax).paper, linewidth=width + 1.2, zorder=4)
        ax.plot(x, y, color=style.colour, linewidth=width, linestyle=style.linestyle, zorder=5)
        mark_component(ax, scene.means[j, 0], scene.means[j, 1], j, size=DISC * scale)


def scene_handles(ax: Axes, scene: Scene, estimate: str) -> list[Line2D]:
    """Legend of solid and thin lines, in the colour of the first component, and a background."""
    (style,), behind = component_styles(1), background_style(ax)
    solid = Line2D([], [], color=style.colour, linewidth=1.8, label=f"{estimate}, 95 %")
    thin = Line2D([], [], color=style.colour, linewidth=6, alpha=0.3, label="posterior draws")
    look: Keywords = dict(marker=behind.marker, color=behind.colour, linestyle="none")
    grey = Line2D([], [], label="background", markersize=5, **look)
    shown = [True, scene.posterior is not None, bool((scene.labels == len(scene.means)).any())]
    return [handle for handle, show in zip([solid, thin, grey], shown, strict=True) if show]
