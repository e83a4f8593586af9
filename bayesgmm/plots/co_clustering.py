"""Which rows belong together."""

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from bayesgmm.plots.canvas import axes_or_new
from bayesgmm.plots.style import LABEL_SIZE, TICK_SIZE, Values, shades

COLOURS = "cividis"  # rises evenly in lightness, and alike for colour-blind readers
LEAST_NAMED = 0.04  # share of the rows from which a cluster's size is written


def co_clustering(
    matrix: ArrayLike, labels: ArrayLike, *, n_rows: int | None = None, ax: Axes | None = None
) -> Axes:
    """The probability that two rows belong together, rows in the order of a partition.

    Within a cluster of the partition, rows that belong together most surely are neighbours. Lines
    are the clusters' borders, and numbers their sizes.

    Args:
        matrix: (m, m) probabilities.
        labels: (m,) clusters of the partition, 0 first.
        n_rows: how many rows there are, if not all of them are shown.
        ax: axes to draw on.
    """
    together, cluster = np.asarray(matrix, dtype=np.float64), np.asarray(labels, dtype=np.intp)
    order = partition_order(together, cluster)
    ax = axes_or_new(ax, 4.9, 4.1)
    image = ax.imshow(
        together[np.ix_(order, order)], cmap=COLOURS, vmin=0, vmax=1, interpolation="nearest"
    )
    sizes = np.bincount(cluster)
    for border in (np.cumsum(sizes)[:-1] - 0.5).tolist():
        ax.axhline(border, color="white", linewidth=0.8)
        ax.axvline(border, color="white", linewidth=0.8)
    _sizes(ax, sizes)
    m = len(order)
    part = f" ({m:,} of {n_rows:,})" if n_rows is not None and n_rows > m else ""
    ax.set_xlabel(f"rows by cluster of the partition{part}")
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.8, pad=0.03)
    bar.set_label("probability of belonging together", size=LABEL_SIZE, color=shades(ax).text)
    bar.ax.tick_params(labelsize=TICK_SIZE, color=shades(ax).muted, labelcolor=shades(ax).text)
    bar.outline.set_visible(False)
    return ax


def partition_order(together: Values, labels: NDArray[np.intp]) -> NDArray[np.intp]:
    """Rows by cluster, and within it by average linkage, so that like rows are neighbours."""
    clusters = [np.flatnonzero(labels == cluster) for cluster in range(labels.max() + 1)]
    return np.concatenate([own[_alike(together[np.ix_(own, own)])] for own in clusters])


def _alike(together: Values) -> NDArray[np.intp]:
    if len(together) < 3:
        return np.arange(len(together))
    apart = squareform(np.maximum(1 - together, 0.0), checks=False)
    return np.asarray(leaves_list(linkage(apart, "average")), dtype=np.intp)


def _sizes(ax: Axes, sizes: NDArray[np.intp]) -> None:
    """The sizes of clusters, at their middles on both axes, where they are not too small."""
    middles = np.cumsum(sizes) - (sizes + 1) / 2
    named = sizes >= LEAST_NAMED * sizes.sum()
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(middles[named], [f"{size:,}" for size in sizes[named]])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
