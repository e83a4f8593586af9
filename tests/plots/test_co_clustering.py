import numpy as np

from bayesgmm.plots import co_clustering
from bayesgmm.plots.co_clustering import partition_order

LABELS = np.array([1, 0, 1, 0, 0, 1, 0])
TOGETHER = np.where(LABELS[:, None] == LABELS, 0.9, 0.2)
np.fill_diagonal(TOGETHER, 1.0)


def test_clusters_of_the_partition_are_blocks() -> None:
    ax = co_clustering(TOGETHER, LABELS)
    (image,) = ax.images
    shown = np.asarray(image.get_array())
    assert shown[:4, :4].min() == shown[4:, 4:].min() == 0.9
    assert shown[:4, 4:].max() == 0.2
    assert [label.get_text() for label in ax.get_xticklabels()] == ["4", "3"]
    assert [line.get_xdata()[0] for line in ax.lines[1::2]] == [3.5]


def test_like_rows_of_a_cluster_are_neighbours() -> None:
    kind = np.array([0, 1, 0, 1, 0, 1])
    together = np.where(kind[:, None] == kind, 0.9, 0.5)
    order = partition_order(together, np.zeros(6, dtype=np.intp))
    assert len(set(kind[order[:3]])) == 1


def test_order_holds_every_row_once() -> None:
    rng = np.random.default_rng(0)
    together, labels = rng.uniform(size=(30, 30)), rng.integers(5, size=30)
    np.testing.assert_array_equal(np.sort(partition_order(together, labels)), np.arange(30))


def test_figure_says_when_rows_are_left_out() -> None:
    assert "(7 of 5,000)" in co_clustering(TOGETHER, LABELS, n_rows=5000).get_xlabel()
    assert "of" not in co_clustering(TOGETHER, LABELS, n_rows=7).get_xlabel()[-6:]
