"""Labels are put right: exactly where that is clear, by the least cost everywhere."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bayesgmm.bayes import relabel as labels
from bayesgmm.bayes.relabel import clarity, relabel, reorder

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


def features(k, s, apart, q=3, seed=0):
    """Relabelled draws of k components whose features lie that many standard deviations apart."""
    return np.random.default_rng(seed).normal(size=(s, k, q)) + apart * np.arange(k)[:, None]


@pytest.mark.parametrize("k", [2, 3, 7])
def test_components_far_apart_have_clear_labels(k):
    assert (clarity(features(k, 300, 30.0)) > np.log(19)).all()


@pytest.mark.parametrize("k", [2, 3])
def test_labels_of_components_that_are_alike_mean_nothing(k):
    found = clarity(features(k, 2000, 0.0))
    assert (found < np.log(19)).mean() > 0.95
    assert (found > 0).mean() == pytest.approx(1 / len(list(permutations(range(k)))), abs=0.05)


def test_the_closer_components_are_the_less_clear_are_their_labels():
    shares = [(clarity(features(2, 2000, apart)) < np.log(19)).mean() for apart in (1, 2, 3, 5, 9)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.5
    assert shares[-1] < 0.01


def test_clarity_is_the_difference_of_two_log_densities_of_multivariate_t():
    every = features(2, 40, 3.0)
    s, _, q = every.shape
    trust, densities = s / (s + q), []
    for b in range(2):
        own = every[:, b]
        sd = np.diag(own.std(0))
        shape = sd @ (trust * np.corrcoef(own.T) + (1 - trust) * np.eye(q)) @ sd
        densities.append(stats.multivariate_t(own.mean(0), shape, df=labels.TAILS))
    given = densities[0].logpdf(every[:, 0]) + densities[1].logpdf(every[:, 1])
    other = densities[0].logpdf(every[:, 1]) + densities[1].logpdf(every[:, 0])
    np.testing.assert_allclose(clarity(every), given - other, rtol=1e-6)


@pytest.mark.parametrize("k", [3, 7])
def test_units_of_features_do_not_matter(k):
    every = features(k, 100, 1.0)
    moved = every * np.array([1e3, 1.0, 1e-3]) + np.array([5.0, -1.0, 0.0])
    np.testing.assert_allclose(clarity(moved), clarity(every), rtol=1e-6, atol=1e-6)


def test_enumeration_and_assignment_are_equally_clear(monkeypatch):
    every = features(4, 100, 1.0)
    enumerated = clarity(every)
    monkeypatch.setattr(labels, "ENUMERATED", 3)
    np.testing.assert_allclose(clarity(every), enumerated, rtol=1e-9, atol=1e-9)


def test_a_feature_that_is_fixed_says_nothing():
    every = features(3, 100, 2.0)
    fixed = np.concatenate([every, np.full((100, 3, 1), 7.0)], axis=-1)
    np.testing.assert_allclose(clarity(fixed), clarity(every))


def test_one_component_is_clear_and_what_is_not_finite_is_not():
    assert np.isinf(clarity(features(1, 10, 0.0))).all()
    every = features(2, 10, 0.0)
    every[3, 1, 0] = np.nan
    assert np.isnan(clarity(every)).all()


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
