"""Starts: proper mixtures, the same for the same seed, in the units of the data."""

import numpy as np
import pytest

from bayesgmm.gaussian.sweep import frame_of
from bayesgmm.ml import seeding
from bayesgmm.ml.seeding import METHODS, starts

S, K = 8, 3


def seeded(X, method="mixed", *, row_weights=None, k=K, s=S, seed=0):
    row_weights = np.ones(len(X)) if row_weights is None else row_weights
    rng = np.random.default_rng(seed)
    return starts(X, row_weights, frame_of(X, row_weights), k, s, rng, method)


def assert_proper(found, s, k, d):
    assert [part.shape for part in found] == [(s, k), (s, k, d), (s, k, d, d)]
    assert all(np.isfinite(part).all() for part in found)
    assert (found.weights > 0).all()
    np.testing.assert_allclose(found.weights.sum(1), 1, rtol=1e-13)
    assert (np.diagonal(found.scale_tril, axis1=-2, axis2=-1) > 0).all()
    np.testing.assert_array_equal(found.scale_tril, np.tril(found.scale_tril))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("k", [1, 3, 80])
def test_every_method_gives_proper_mixtures(method, k, table):
    assert_proper(seeded(table.X, method, k=k), S, k, 2)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "agglomerative"])
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(method, table):
    one, same, other = (seeded(table.X, method, seed=seed) for seed in (4, 4, 5))
    for a, b in zip(one, same, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one.means, other.means)


def test_mixed_takes_the_methods_in_turn(table):
    drawn = seeded(table.X, "mixed", s=8)
    equal = [bool(np.ptp(weights) == 0) for weights in drawn.weights]
    assert equal == [False] * 3 + [True] + [False] * 3 + [True]  # only random rows weigh equally
    merged = seeded(table.X, "agglomerative", s=1)
    np.testing.assert_array_equal(drawn.means[1], merged.means[0])


def test_merging_finds_what_is_apart_for_any_seed():
    rng = np.random.default_rng(0)
    places = np.array([[0, 0], [30, 0], [0, 30], [30, 30]])
    X = np.repeat(places, 25, axis=0) + rng.normal(size=(100, 2))
    found = seeded(X, "agglomerative", k=4, s=1)
    np.testing.assert_allclose(np.sort(found.means[0].sum(1)), [0, 30, 30, 60], atol=1)


@pytest.mark.parametrize("method", METHODS)
def test_starts_follow_the_units_of_the_columns(method, table):
    scale, shift = np.array([1e-3, 400.0]), np.array([5.0, -2.0])
    plain, moved = seeded(table.X, method), seeded(table.X * scale + shift, method)
    np.testing.assert_allclose(moved.weights, plain.weights, rtol=1e-9)
    np.testing.assert_allclose(moved.means, plain.means * scale + shift, rtol=1e-8)
    np.testing.assert_allclose(
        moved.scale_tril, plain.scale_tril * scale[:, None], rtol=1e-7, atol=1e-9
    )


@pytest.mark.parametrize("method", METHODS)
def test_rows_of_weight_zero_are_as_good_as_removed(method, table):
    weights = np.ones(len(table.X))
    weights[::9] = 0
    other = np.where(weights[:, None] > 0, table.X, 1e6)
    kept = seeded(other, method, row_weights=weights)
    removed = seeded(table.X[weights > 0], method)
    for a, b in zip(kept, removed, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_tied_rows_and_constant_columns_still_give_proper_mixtures(method):
    tied = np.repeat([[1.0, 2.0], [4.0, 3.0]], 20, axis=0)
    assert_proper(seeded(tied, method), S, K, 2)
    constant = np.column_stack([np.arange(30.0), np.full(30, 7.0)])
    assert_proper(seeded(constant, method), S, K, 2)
    assert_proper(seeded(np.full((10, 2), 0.5), method), S, K, 2)


def test_random_rows_are_rows(table):
    means = seeded(table.X, "random_from_data").means.reshape(-1, 1, 2)
    gaps = abs((means - table.X) / table.X.std(0)).max(-1).min(-1)
    assert gaps.max() < 1e-12


def test_seeding_looks_at_a_bounded_number_of_rows(table, monkeypatch):
    monkeypatch.setattr(seeding, "MAX_ROWS", 30)
    partitioned = []
    nearest = seeding._nearest

    def watch(Z, centres):
        partitioned.append(len(Z))
        return nearest(Z, centres)

    monkeypatch.setattr(seeding, "_nearest", watch)
    assert_proper(seeded(table.X, "kmeans"), S, K, 2)
    assert set(partitioned) == {30}


def test_separated_clusters_are_found_by_the_first_start(table):
    rng = np.random.default_rng(1)
    centres = np.array([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0]])
    X = centres[np.arange(90) % 3] + rng.normal(size=(90, 2))
    found = seeded(X, "kmeans", s=1).means[0]
    for centre in centres:
        assert abs(found - centre).max(-1).min() < 1


def test_neither_the_rows_nor_the_global_state_are_touched(table):
    X = table.X.copy()
    before = np.random.get_state()[1].copy()
    seeded(X, "mixed")
    np.testing.assert_array_equal(X, table.X)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
