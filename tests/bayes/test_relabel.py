"""Labels are put right: exactly where that is clear, by the least cost everywhere."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesgmm.bayes import relabel as labels
from bayesgmm.bayes.relabel import (
    ALLOCATED,
    EXPECTED,
    KULLBACK_LEIBLER,
    match,
    relabel,
    reorder,
    settle,
)

COSTS = (KULLBACK_LEIBLER, ALLOCATED, EXPECTED)
RNG = np.random.default_rng(0)


def brute(cost):
    """Best order and margin of one draw, from every permutation."""
    k = len(cost)
    totals = {order: sum(cost[order[b], b] for b in range(k)) for order in permutations(range(k))}
    ranked = sorted(totals, key=totals.get)
    return np.array(ranked[0]), totals[ranked[1]] - totals[ranked[0]]


def clear_cost(k, s):
    """Draws whose component `true[i, b]` is component b of the pivot."""
    true = np.stack([RNG.permutation(k) for _ in range(s)])
    cost = RNG.uniform(5, 6, size=(s, k, k))
    np.put_along_axis(cost, true[:, None, :], RNG.uniform(0, 1, size=(s, 1, k)), axis=1)
    return cost, true


@pytest.mark.parametrize("k", range(1, 9))
def test_random_permutations_of_clear_draws_are_undone(k):
    cost, true = clear_cost(k, 50)
    found = relabel(cost)
    np.testing.assert_array_equal(found.order, true)
    assert found.order.shape == (50, k)
    assert (found.margin > 0).all()


@settings(max_examples=30, deadline=None)
@given(k=st.integers(2, 5), s=st.integers(1, 4), seed=st.integers(0, 999))
def test_order_and_margin_are_those_of_all_permutations(k, s, seed):
    cost = np.random.default_rng(seed).normal(size=(s, k, k)) * 10
    for path in (relabel, labels._assign):
        found = path(cost)
        for i in range(s):
            order, margin = brute(cost[i])
            np.testing.assert_array_equal(found.order[i], order)
            assert found.margin[i] == pytest.approx(margin, abs=1e-9)


def test_assignment_and_enumeration_agree_for_seven_components():
    cost = RNG.normal(size=(6, 7, 7))
    assigned, enumerated = relabel(cost), labels._enumerate(cost)
    np.testing.assert_array_equal(assigned.order, enumerated.order)
    np.testing.assert_allclose(assigned.margin, enumerated.margin, atol=1e-9)


def test_the_margin_is_exact_for_costs_of_very_different_size():
    cost = np.array([[[1e9, 0.0, 3.0], [2.0, 1e9, 0.0], [0.0, 1.0, 1e9]]])
    assert relabel(cost).margin[0] == pytest.approx(brute(cost[0])[1])
    np.testing.assert_allclose(labels._assign(cost).margin, relabel(cost).margin)


@pytest.mark.parametrize("k", [3, 7])
def test_a_constant_for_a_component_changes_nothing(k):
    cost, _ = clear_cost(k, 5)
    shifted = cost + RNG.normal(size=(5, k, 1)) + RNG.normal(size=(5, 1, k))
    np.testing.assert_array_equal(relabel(shifted).order, relabel(cost).order)
    np.testing.assert_allclose(relabel(shifted).margin, relabel(cost).margin)


@pytest.mark.parametrize("k", [3, 7])
def test_equal_components_leave_no_margin(k):
    cost, _ = clear_cost(k, 4)
    cost[:, 1] = cost[:, 0]
    found = relabel(cost)
    np.testing.assert_allclose(found.margin, 0.0, atol=1e-9)


@pytest.mark.parametrize("k", [3, 7])
def test_a_draw_that_is_not_finite_has_no_margin_and_is_not_dropped(k):
    cost, true = clear_cost(k, 4)
    cost[2] = np.nan
    found = relabel(cost)
    assert found.order.shape == (4, k)
    assert sorted(found.order[2]) == list(range(k))
    assert np.isnan(found.margin[2])
    np.testing.assert_array_equal(found.order[[0, 1, 3]], true[[0, 1, 3]])


@settings(max_examples=20, deadline=None)
@given(axis=st.integers(1, 3), seed=st.integers(0, 99))
def test_values_move_with_their_component_whatever_their_axis(axis, seed):
    rng = np.random.default_rng(seed)
    k, trailing = 4, [2, 3, 5][:3]
    trailing[3 - axis] = k
    values = rng.normal(size=(2, 6, *trailing))
    order = np.stack([[rng.permutation(k) for _ in range(6)] for _ in range(2)])
    found = reorder(values, order, -axis)
    assert found.shape == values.shape
    for c in range(2):
        for s in range(6):
            expected = np.take(values[c, s], order[c, s], axis=-axis)
            np.testing.assert_array_equal(found[c, s], expected)


def test_reordering_loses_no_draw_and_no_component():
    values = RNG.normal(size=(3, 40, 5))
    order = np.stack([[RNG.permutation(5) for _ in range(40)] for _ in range(3)])
    found = reorder(values, order, -1)
    np.testing.assert_array_equal(np.sort(found, -1), np.sort(values, -1))


def switched(k, n=40, s=30, seed=0):
    """Memberships of draws that agree but for their labels: blocks of rows, and the true order."""
    rng = np.random.default_rng(seed)
    agreed = rng.dirichlet(np.full(k, 0.2), size=n)
    resp = 0.8 * agreed + 0.2 * rng.dirichlet(np.ones(k), size=(s, n))
    switches = np.array([rng.permutation(k) for _ in range(s)])
    values = reorder(resp, switches, -1)
    blocks = [(slice(0, 25), values[:, :25]), (slice(25, n), values[:, 25:])]
    return blocks, np.argsort(switches, axis=1), resp


def some_weights(n=40):
    return np.random.default_rng(1).integers(1, 4, n).astype(float)


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("k", [1, 2, 4, 7])
def test_a_fixed_point_undoes_switched_labels(k, cost):
    """Up to one permutation of all draws, which nothing can tell."""
    blocks, right, _ = switched(k)
    found = settle(lambda: blocks, some_weights(), cost, np.tile(np.arange(k), (30, 1)))
    undone = np.take_along_axis(right.argsort(1), found.order, 1)
    assert (undone == undone[0]).all()


@pytest.mark.parametrize("cost", COSTS)
def test_a_fixed_point_is_one(cost):
    blocks, _, _ = switched(3, seed=5)
    start = np.tile(np.arange(3), (30, 1))
    found = settle(lambda: blocks, some_weights(), cost, start)
    again = settle(lambda: blocks, some_weights(), cost, found.order)
    np.testing.assert_array_equal(again.order, found.order)
    assert (found.order != start).any()


def divergence(resp, order, weights):
    """Stephens' (2000) loss, written out: the sum of Kullback-Leibler divergences from the mean."""
    moved = reorder(resp, order, -1)
    mean = moved.mean(0)
    return (weights[:, None] * moved * np.log(moved / mean)).sum()


@settings(max_examples=20, deadline=None)
@given(k=st.integers(2, 4), seed=st.integers(0, 999))
def test_no_draw_lowers_stephens_loss_by_another_permutation(k, seed):
    """The mean of the others is held, as one step of the algorithm does."""
    rng = np.random.default_rng(seed)
    resp, weights = rng.dirichlet(np.ones(k), size=(6, 9)), rng.integers(1, 4, 9).astype(float)
    start = np.tile(np.arange(k), (6, 1))
    found = settle(lambda: [(slice(0, 9), resp)], weights, KULLBACK_LEIBLER, start)
    assert divergence(resp, found.order, weights) <= divergence(resp, start, weights) + 1e-9
    mean = reorder(resp, found.order, -1).mean(0)
    for i in range(6):
        losses = {
            order: (weights[:, None] * resp[i][:, order] * np.log(resp[i][:, order] / mean)).sum()
            for order in permutations(range(k))
        }
        least, second = sorted(losses.values())[:2]
        assert losses[tuple(found.order[i])] == pytest.approx(least, abs=1e-9)
        assert found.margin[i] == pytest.approx(second - least, abs=1e-9)


@pytest.mark.parametrize("cost", [ALLOCATED, EXPECTED])
def test_ecr_counts_rows_that_are_allocated_alike(cost):
    rng = np.random.default_rng(3)
    resp, pivot = rng.dirichlet(np.ones(3), size=(1, 12)), rng.dirichlet(np.ones(3), size=12)
    weights = rng.integers(1, 4, 12).astype(float)
    found = match([(slice(0, 12), resp)], weights, cost, lambda *_: pivot)
    z = pivot.argmax(1)
    alike = {}
    for order in permutations(range(3)):
        own = resp[0][:, order]
        same = own.argmax(1) == z if cost is ALLOCATED else own[np.arange(12), z]
        alike[order] = (weights * same).sum()
    most, second = sorted(alike.values())[:-3:-1]
    assert alike[tuple(found.order[0])] == pytest.approx(most)
    assert found.margin[0] == pytest.approx(most - second)


@pytest.mark.parametrize("cost", COSTS)
def test_rows_in_blocks_are_rows_at_once(cost):
    blocks, _, _ = switched(3)
    whole = [(slice(0, 40), np.concatenate([part for _, part in blocks], axis=1))]
    start = np.tile(np.arange(3), (30, 1))
    one = settle(lambda: blocks, some_weights(), cost, start)
    other = settle(lambda: whole, some_weights(), cost, start)
    np.testing.assert_array_equal(one.order, other.order)
    np.testing.assert_allclose(one.margin, other.margin, rtol=1e-9, atol=1e-9)


def test_a_draw_that_is_not_finite_spoils_no_other():
    blocks, _, _ = switched(3)
    start = np.tile(np.arange(3), (30, 1))
    blocks[0][1][7] = np.nan
    found = settle(lambda: blocks, some_weights(), KULLBACK_LEIBLER, start)
    assert np.isnan(found.margin[7])
    assert np.isfinite(np.delete(found.margin, 7)).all()
    assert sorted(found.order[7]) == [0, 1, 2]
