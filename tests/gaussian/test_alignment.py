"""Labels are put right by the divergence between components, whatever their order."""

import itertools

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from bayesgmm.gaussian.alignment import assignments, divergences
from bayesgmm.gaussian.mixture import Mixture, permute, uncorrelated


def stacked(*mixtures):
    return Mixture(*(np.stack(parts) for parts in zip(*mixtures, strict=True)))


def test_permuted_copies_are_put_back(make_mixture):
    one = make_mixture(4, 3, 1)
    orders = [np.array(order) for order in itertools.permutations(range(4))]
    found = assignments(divergences(one, stacked(*(permute(one, order) for order in orders))))
    for order, back in zip(orders, found, strict=True):
        np.testing.assert_array_equal(order[back], np.arange(4))


def test_a_component_costs_nothing_as_itself(make_mixture):
    one = make_mixture(3, 2, 5)
    cost = divergences(one, stacked(one))
    np.testing.assert_allclose(np.diagonal(cost[0]), 0, atol=1e-12)
    assert (cost[0][~np.eye(3, dtype=bool)] > 0).all()


def test_the_cost_is_the_divergence_by_simulation(make_mixture):
    one, other = make_mixture(2, 2, 0), make_mixture(2, 2, 3)
    j, a = 0, 1
    normal = multivariate_normal(one.means[j], one.covariances[j])
    X = normal.rvs(400_000, random_state=0)
    log_ratio = normal.logpdf(X) - multivariate_normal(other.means[a], other.covariances[a]).logpdf(
        X
    )
    log_ratio += np.log(one.weights[j] / other.weights[a])
    expected, error = one.weights[j] * log_ratio.mean(), log_ratio.std() / np.sqrt(len(X))
    assert divergences(one, stacked(other))[0, a, j] == pytest.approx(expected, abs=4 * error)


def test_diagonals_cost_what_their_matrices_cost(make_mixture):
    one, other = (uncorrelated(make_mixture(3, 2, seed)) for seed in (0, 1))
    matrices = [m._replace(scale_tril=m.scale_tril[..., None] * np.eye(2)) for m in (one, other)]
    np.testing.assert_allclose(
        divergences(one, stacked(other)), divergences(matrices[0], stacked(matrices[1])), rtol=1e-12
    )


def test_the_assignment_is_the_cheapest_of_all():
    cost = np.random.default_rng(0).normal(size=(50, 4, 4))
    orders = np.array(list(itertools.permutations(range(4))))
    totals = cost[:, orders, np.arange(4)].sum(-1)
    np.testing.assert_array_equal(assignments(cost), orders[totals.argmin(1)])


def test_an_absent_component_is_matched_last(make_mixture):
    one = make_mixture(2, 2, 0)
    absent = one._replace(weights=np.array([0.0, 1.0]))
    assert sorted(assignments(divergences(one, stacked(absent)))[0]) == [0, 1]
