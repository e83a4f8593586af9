"""How clear labels are, against densities written out and against all permutations."""

from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from bayesgmm.bayes import clarity as module
from bayesgmm.bayes.clarity import clarity


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
        densities.append(stats.multivariate_t(own.mean(0), shape, df=module.TAILS))
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
    monkeypatch.setattr(module, "ENUMERATED", 3)
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
