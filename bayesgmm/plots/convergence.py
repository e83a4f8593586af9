"""How the EM starts converged."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator
from numpy.typing import ArrayLike

from bayesgmm.plots.canvas import axes_or_new
from bayesgmm.plots.style import PALETTE, Values, legend_above, shades

FLOOR = 1e-6  # log-likelihood units; fits that are closer are not told apart


def convergence(
    histories: Sequence[ArrayLike],
    *,
    every: int = 1,
    best: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Log-likelihood still missing to the best start, by EM maps, on a log scale.

    Starts that reach the same optimum fall to the lower edge; starts in other optima level off
    at the distance they stay behind. Starts that ended above `best` were rejected, and a cross
    shows where they passed it.

    Args:
        histories: one array of log-likelihoods per start, the first entry of the start itself.
        every: EM maps between two entries.
        best: index of the start that won; by default the one that ended highest.
        ax: axes to draw on.
    """
    curves = [np.asarray(history, dtype=np.float64).ravel() for history in histories]
    winner = int(np.argmax([_end(curve) for curve in curves])) if best is None else best
    gaps = [_end(curves[winner]) - curve for curve in curves]
    others = [gap for j, gap in enumerate(gaps) if j != winner]
    ax = axes_or_new(ax)
    _scale(ax, gaps, every)
    rejected = [gap for gap in others if _end(gap) < -FLOOR]
    kept = [gap for gap in others if not _end(gap) < -FLOOR]
    handles = [_winner(ax, _path(gaps[winner], every))]
    for some, *look in (
        (kept, "other starts", ".", shades(ax).muted),
        (rejected, "rejected above it", "x", PALETTE[1]),
    ):
        handles += _starts(ax, [_path(gap, every) for gap in some], *look)
    legend_above(ax, handles)
    return ax


def _end(curve: Values) -> float:
    finite = curve[np.isfinite(curve)]
    return float(finite[-1]) if finite.size else -np.inf


def _path(gap: Values, every: int) -> Values:
    """Points (EM maps, gap) down to the first one at the floor."""
    entry = np.flatnonzero(np.isfinite(gap))
    height = np.maximum(gap[entry], FLOOR)
    arrived = np.flatnonzero(height <= FLOOR)
    stop = arrived[0] + 1 if arrived.size else height.size
    return np.column_stack([every * entry[:stop], height[:stop]])


def _winner(ax: Axes, path: Values) -> Line2D:
    x, y = path.T
    (line,) = ax.plot(x, y, color=PALETTE[0], linewidth=2.2, label="best start", zorder=4)
    ax.plot(x[-1:], y[-1:], "o", color=PALETTE[0], markersize=6, clip_on=False, zorder=5)
    return line


def _starts(ax: Axes, given: list[Values], label: str, marker: str, colour: str) -> list[Line2D]:
    paths = [path for path in given if len(path)]
    if not paths:
        return []
    x, y = np.array([path[-1] for path in paths]).T
    ax.add_collection(LineCollection(paths, colors=colour, linewidths=0.8, alpha=0.6, zorder=2))
    ax.plot(x, y, marker, color=colour, markersize=5, clip_on=False, zorder=3)
    name = f"{len(given)} {label if len(given) > 1 else label.replace('starts', 'start')}"
    return [Line2D([], [], color=colour, linewidth=0.8, marker=marker, markersize=5, label=name)]


def _scale(ax: Axes, gaps: list[Values], every: int) -> None:
    """A logarithmic scale from the floor to above all curves."""
    top = max([1.0, *(float(np.max(gap[np.isfinite(gap)], initial=0.0)) for gap in gaps)])
    longest = every * max([1, *(gap.size - 1 for gap in gaps)])
    ax.set_yscale("log")
    ax.set(xlim=(-0.02 * longest, 1.02 * longest), ylim=(FLOOR, 2 * top))
    ax.yaxis.set_major_locator(LogLocator(base=100.0, numticks=12))
    ax.yaxis.set_major_formatter(FuncFormatter(_power))
    ax.yaxis.minorticks_off()
    ax.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, min_n_ticks=1))
    ax.set(xlabel="EM maps", ylabel="log-likelihood below the best")


def _power(value: float, _: object) -> str:
    sign = r"\leq\," if value <= FLOOR else ""
    return rf"${sign}10^{{{round(np.log10(value))}}}$"
