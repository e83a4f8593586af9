"""Data sets that the posterior predicts, beside the data."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from bayesgmm.plots.canvas import axes_or_new
from bayesgmm.plots.histogram import BAND_CENTRE
from bayesgmm.plots.style import Values, legend_above, legible, shades

WINDOW, REACH = 0.25, 1.0  # shown, and reckoned with, beyond the data, in their range


def predictive(
    x: ArrayLike, replicated: ArrayLike, *, column: str | None = None, ax: Axes | None = None
) -> Axes:
    """Kernel densities of replicated data sets and of the data, by ArviZ's `plot_ppc_dist`.

    The axis stays near the data, however far predicted rows lie.

    Args:
        x: (n,) the data.
        replicated: (s, n) data sets that the posterior predicts.
        column: name of the column.
        ax: axes to draw on.
    """
    import xarray as xr
    from arviz_plots import plot_ppc_dist
    from arviz_plots.plot_collection import PlotCollection

    ax, rows = axes_or_new(ax), np.asarray(x, dtype=np.float64)
    low, high = _around(rows, WINDOW)
    # Far rows count, but at these ends: a kernel density over heavy tails has no grid left for
    # the data.
    sets = np.clip(np.asarray(replicated, dtype=np.float64), *_around(rows, REACH))
    drawn = xr.Dataset({"X": (("sample", "row"), sets)})
    data = xr.Dataset({"X": (("row",), rows)})
    groups = {"posterior_predictive": drawn.rename(sample="draw"), "observed_data": data}
    own = {"/": xr.Dataset({"figure": _boxed(ax.figure)}), "plot": xr.Dataset({"X": _boxed(ax)})}
    place = PlotCollection(
        drawn, xr.DataTree.from_dict(own), aes={"overlay_ppc": ["sample"]}, backend="matplotlib"
    )
    plot_ppc_dist(
        xr.DataTree.from_dict(groups),
        sample_dims=["draw"],
        num_samples=len(sets),
        kind="kde",
        plot_collection=place,
        visuals={
            "predictive_dist": {"color": BAND_CENTRE, "alpha": 0.3, "width": 0.8},
            "observed_dist": {"color": shades(ax).text, "width": 2.0},
            "title": False,
            "remove_axis": False,
        },
    )
    ax.set(xlabel="x" if column is None else legible(column), ylabel="density", xlim=(low, high))
    ax.set_ylim(bottom=0.0)
    told = f"{len(sets)} predicted data sets"
    line = Line2D([], [], color=BAND_CENTRE, linewidth=0.8, label=told)
    legend_above(ax, [Line2D([], [], color=shades(ax).text, linewidth=2.0, label="data"), line])
    return ax


def _around(x: Values, share: float) -> tuple[float, float]:
    """The range of x and so much of it on either side."""
    low, high = float(x.min()), float(x.max())
    room = share * (high - low) or 1.0
    return low - room, high + room


def _boxed(value: object) -> tuple[tuple[()], np.ndarray]:
    """A single object as xarray keeps it."""
    box = np.empty((), dtype=np.object_)
    box[()] = value
    return (), box
