"""The point partition is the best of all partitions, and its ball holds what it says."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from sklearn.metrics import mutual_info_score

from bayesgmm.bayes.partition import LOSSES, distances, point_partition, tidy


def every_partition(n):
    """All partitions of n rows, as labels in the order of appearance."""
    if n == 1:
        return [[0]]
    return [[*one, c] for one in every_partition(n - 1) for c in range(max(one) + 2)]


def noisy(n, s, k, share, seed=0):
    """Draws around one partition, each row of each drawn anew with some probability."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, k, n)
    return np.where(rng.random((s, n)) < share, rng.integers(0, k, (s, n)), true), true


def expected(labels, draws, share, loss):
    return distances(np.asarray(labels), draws, share, LOSSES[loss]).mean()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("share", [0.3, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_point_partition_is_the_best_of_all(loss, share, seed):
    draws, _ = noisy(7, 30, 3, share, seed)
    found = point_partition(draws, np.ones(7), loss)
    best = min(expected(labels, draws, np.full(7, 1 / 7), loss) for labels in every_partition(7))
    assert found.expected == pytest.approx(best, abs=1e-12)


def test_variation_of_information_is_what_entropies_say():
    draws, true = noisy(50, 5, 3, 0.4)
    found = distances(true, draws, np.full(50, 0.02), LOSSES["vi"])
    for drawn, apart in zip(draws, found, strict=True):
        entropies = mutual_info_score(true, true) + mutual_info_score(drawn, drawn)
        information = entropies - 2 * mutual_info_score(true, drawn)
        assert apart == pytest.approx(information / np.log(2))


def test_binders_loss_is_the_share_of_pairs_that_disagree():
    draws, true = noisy(30, 5, 3, 0.4)
    found = distances(true, draws, np.full(30, 1 / 30), LOSSES["binder"])
    together = pdist(true[:, None]) == 0
    for drawn, apart in zip(draws, found, strict=True):
        differ = (together != (pdist(drawn[:, None]) == 0)).sum()
        assert apart == pytest.approx(2 * differ / 30**2)


@pytest.mark.parametrize("loss", LOSSES)
def test_labels_and_their_names_do_not_matter(loss):
    draws, _ = noisy(40, 60, 3, 0.3)
    rng = np.random.default_rng(1)
    renamed = np.stack([rng.permutation(5)[drawn] for drawn in draws])
    a, b = (point_partition(some, np.ones(40), loss) for some in (draws, renamed))
    np.testing.assert_array_equal(a.labels, b.labels)
    assert a.expected == pytest.approx(b.expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_counts_are_rows(loss):
    draws, _ = noisy(12, 40, 3, 0.4)
    counts = np.random.default_rng(2).integers(1, 4, 12)
    once = point_partition(draws, counts.astype(float), loss)
    repeated = point_partition(draws.repeat(counts, axis=1), np.ones(counts.sum()), loss)
    assert once.expected == pytest.approx(repeated.expected)
    np.testing.assert_array_equal(once.labels.repeat(counts), repeated.labels)


def test_the_largest_cluster_comes_first():
    labels = np.array([4, 4, 2, 9, 9, 9])
    np.testing.assert_array_equal(tidy(labels, np.full(6, 1 / 6)), [1, 1, 2, 0, 0, 0])


def test_draws_that_agree_are_the_partition_and_its_ball_a_point():
    _, true = noisy(20, 1, 3, 0.0)
    found = point_partition(np.tile(true, (10, 1)), np.ones(20))
    assert found.expected == found.ball.radius == 0
    np.testing.assert_array_equal(found.labels, tidy(true, np.full(20, 0.05)))


@pytest.mark.parametrize("loss", LOSSES)
def test_the_ball_holds_its_share_and_its_edges_lie_in_it(loss):
    draws, _ = noisy(25, 200, 4, 0.3)
    found, share = point_partition(draws, np.ones(25), loss), np.full(25, 0.04)
    apart = distances(found.labels, draws, share, LOSSES[loss])
    assert (apart <= found.ball.radius).mean() >= 0.95
    assert (apart < found.ball.radius).mean() <= 0.95
    edges = np.stack([found.ball.upper, found.ball.lower, found.ball.horizontal])
    assert (distances(found.labels, edges, share, LOSSES[loss]) <= found.ball.radius + 1e-12).all()
    upper, lower, _ = (len(np.unique(edge)) for edge in edges)
    assert upper <= lower


def test_other_candidates_are_looked_at():
    """None of them is worse than what is found."""
    draws, true = noisy(60, 100, 3, 0.2)
    found = point_partition(draws, np.ones(60), "vi", true[None])
    assert found.expected <= expected(true, draws, np.full(60, 1 / 60), "vi") + 1e-12


def test_a_partition_tells_its_sizes_and_not_its_rows():
    draws, _ = noisy(500, 20, 2, 0.1)
    told = repr(point_partition(draws, np.ones(500)))
    assert "\n" not in told
    assert len(told) < 140
    assert told.startswith("Partition into 2 (rows: ")
