"""Which rows belong where, and how surely."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from bayesgmm.plots.canvas import axes_or_new
from bayesgmm.plots.style import (
    DARK,
    LIGHT,
    MANY_POINTS,
    ComponentStyle,
    Keywords,
    Values,
    column_names,
    component_styles,
    legend_above,
    mark_component,
    membership_styles,
    mixed,
    shades,
)

CERTAIN, COIN_TOSS = 10.0, 65.0  # areas of the points, in square points
PALE = {LIGHT: 0.5, DARK: 0.2}  # share of the background in the colour of a certain row
RIM = 1.9  # points, around a row that is a coin toss


def uncertainty(
    X: ArrayLike,
    probabilities: ArrayLike,
    *,
    columns: Sequence[str] | None = None,
    background: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Rows coloured by their most probable component, large where that is uncertain.

    Size and strength of colour grow with the entropy of the membership, up to one bit, the
    entropy of a coin toss between two components. The rim of an uncertain row has the colour of
    its second most probable component. A single column is shown as curves of the probabilities.

    Args:
        X: (n, d) rows, of which the first two columns are shown, or (n,).
        probabilities: (n, k) membership probabilities.
        columns: names of the columns.
        background: whether the last component is one.
        ax: axes to draw on.
    """
    rows, p = np.asarray(X, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    rows = rows[:, None] if rows.ndim == 1 else rows
    names = column_names(columns, rows.shape[1])
    if rows.shape[1] == 1:
        ax = axes_or_new(ax)
        styles = membership_styles(ax, p.shape[1], background=background)
        _curves(ax, rows[:, 0], p, styles)
        ax.set(xlabel=names[0], ylabel="membership probability", ylim=(-0.03, 1.08))
        ax.set_yticks([0, 0.25, 0.5, 0.75, 1])
        legend_above(ax, _background(styles) if background else [])
    else:
        ax = axes_or_new(ax, 5.2, 4.2)
        styles = membership_styles(ax, p.shape[1], background=background)
        _points(ax, rows, p, styles)
        ax.set(xlabel=names[0], ylabel=names[1])
        legend_above(ax, _legend(ax, p.shape[1]) + (_background(styles) if background else []))
    return ax


def entropy_bits(probabilities: ArrayLike) -> Values:
    """Entropy (n,) of each row of probabilities (n, k), in bits."""
    p = np.asarray(probabilities, dtype=np.float64)
    return np.asarray(-(p * np.log2(np.where(p > 0, p, 1.0))).sum(axis=-1))


def _points(ax: Axes, X: Values, probabilities: Values, styles: Sequence[ComponentStyle]) -> None:
    """Each component's rows, its most uncertain ones on top."""
    ink, doubt = shades(ax), np.clip(entropy_bits(probabilities), 0.0, 1.0)
    ranked = np.argsort(-probabilities, axis=1, kind="stable")
    rims = np.array([style.colour for style in styles])[ranked[:, min(1, len(styles) - 1)]]
    for j, style in enumerate(styles):
        here = np.flatnonzero(ranked[:, 0] == j)
        here = here[np.argsort(doubt[here], kind="stable")]
        ax.scatter(
            X[here, 0],
            X[here, 1],
            s=_area(doubt[here]),
            color=mixed(style.colour, ink.paper, PALE[ink] * (1 - doubt[here])),
            marker=style.marker,
            edgecolors=rims[here].tolist(),
            linewidths=(RIM * doubt[here] ** 2).tolist(),
            rasterized=len(X) > MANY_POINTS,
            zorder=2,
        )


def _area(doubt: Values) -> Values:
    return CERTAIN + (COIN_TOSS - CERTAIN) * doubt


def _curves(ax: Axes, x: Values, probabilities: Values, styles: Sequence[ComponentStyle]) -> None:
    """The probability of each component along the only column, with a dot for each row."""
    order = np.argsort(x, kind="stable")
    for j, style in enumerate(styles):
        p = probabilities[order, j]
        _curve(ax, x[order], p, style)
        if p.max() > 0 and style == component_styles(j + 1)[j]:
            plateau = x[order][p >= p.max() - 0.02]
            mark_component(ax, float(np.median(plateau)), float(p.max()), j)


def _curve(ax: Axes, x: Values, p: Values, style: ComponentStyle) -> None:
    ax.plot(x, p, color=style.colour, linestyle=style.linestyle, linewidth=1.1, zorder=2)
    crowded = len(x) > MANY_POINTS
    ax.plot(x, p, ".", color=style.colour, markersize=5, rasterized=crowded, zorder=3)


def _legend(ax: Axes, k: int) -> list[Line2D]:
    """Points as of certain and of uncertain rows, in no component's colour."""
    ink, doubt = shades(ax), np.array([0.0, 0.5, 1.0])
    faces, areas = mixed(ink.muted, ink.paper, PALE[ink] * (1 - doubt)), _area(doubt)
    names = ["certain", "half a bit", "coin toss (rim: runner-up)"]
    rim: Keywords = dict(linestyle="none", marker="o", markeredgecolor=ink.text)
    handles = [
        Line2D([], [], color=tuple(face), markersize=area**0.5, markeredgewidth=width, **rim)
        for face, area, width in zip(faces, areas, RIM * doubt**2, strict=True)
    ]
    for handle, name in zip(handles, names, strict=True):
        handle.set_label(name)
    return handles[: 1 if k == 1 else 3]


def _background(styles: Sequence[ComponentStyle]) -> list[Line2D]:
    colour, marker, _ = styles[-1]
    return [Line2D([], [], linestyle="none", marker=marker, color=colour, label="background")]
