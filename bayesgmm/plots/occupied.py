"""How many components hold rows."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from bayesgmm.plots.canvas import axes_or_new
from bayesgmm.plots.histogram import BAND, BAND_CENTRE
from bayesgmm.plots.style import Keywords, legend_above, shades

WIDTH = 0.38  # of a bar


def occupied(prior: ArrayLike, posterior: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """The probability that 1 to k components hold rows: prior beside posterior.

    Args:
        prior: (k,) probabilities of 1, 2, ..., k.
        posterior: (k,) likewise.
        ax: axes to draw on.
    """
    before, after = np.asarray(prior, dtype=np.float64), np.asarray(posterior, dtype=np.float64)
    count = np.arange(1, before.size + 1)
    ax = axes_or_new(ax, 5.2, 3.0)
    grey: Keywords = dict(facecolor=shades(ax).faint, edgecolor=shades(ax).muted, linewidth=0.8)
    gold: Keywords = dict(facecolor=BAND, edgecolor=BAND_CENTRE, linewidth=0.8)
    ax.bar(count - WIDTH / 2, before, WIDTH, **grey)
    ax.bar(count + WIDTH / 2, after, WIDTH, **gold)
    ax.set(xlabel="components that hold rows", ylabel="probability")
    ax.set(xlim=(0.4, before.size + 0.6), ylim=(0, None))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    legend_above(ax, [Patch(label="prior", **grey), Patch(label="posterior", **gold)])
    return ax
