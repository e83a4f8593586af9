"""Where figures are drawn: on what is given, or on a new figure of our size.

People get pyplot's figures, which notebooks show and `plt.show()` opens. Files and pages get
figures outside pyplot, which nobody has to close.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from numpy.typing import NDArray

from bayesgmm.plots.style import dress

type Panels = NDArray[np.object_]
"""Axes of a figure of several panels."""

_apart: ContextVar[bool] = ContextVar("apart", default=False)


@contextmanager
def outside_pyplot() -> Iterator[None]:
    """Meanwhile new figures are made outside pyplot."""
    before = _apart.set(True)
    try:
        yield
    finally:
        _apart.reset(before)


def new_figure(width: float = 5.2, height: float = 3.6) -> Figure:
    """A figure outside pyplot, laid out so that nothing is cut off.

    Args:
        width, height: inches.
    """
    return Figure(figsize=(width, height), layout="constrained")


def axes_or_new(ax: Axes | None, width: float = 5.2, height: float = 3.6) -> Axes:
    """The given axes, or those of a new figure, in the style of this package.

    Raises:
        TypeError: `ax` is something else.
    """
    if ax is None:
        return dress(figure_or_new(None, width, height).add_subplot())
    if not isinstance(ax, Axes):
        kind = type(ax).__name__
        raise TypeError(f"ax must be one matplotlib Axes, not {kind}; see plt.subplots().")
    return dress(ax)


def figure_or_new(fig: Figure | None, width: float, height: float) -> Figure:
    """The given figure, or a new one of this size in inches.

    Raises:
        TypeError: `fig` is something else.
    """
    if fig is not None:
        return figure_given(fig)
    if _apart.get():
        return new_figure(width, height)
    from matplotlib import pyplot

    return pyplot.figure(figsize=(width, height), layout="constrained")


def figure_given(fig: Figure) -> Figure:
    """The same figure, or part of one.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(fig, FigureBase):
        kind = type(fig).__name__
        raise TypeError(f"fig must be an empty matplotlib figure, not {kind}.")
    return fig


def figure_of(axes: Axes | Panels) -> Figure:
    """The figure of axes, or of an array of them."""
    (figure,) = {ax.figure for ax in np.array([axes], dtype=np.object_).ravel()}
    return figure
