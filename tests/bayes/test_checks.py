"""Predictive checks and occupied components, against exact answers."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import stats
from scipy.special import comb

import bayesgmm as bg
from bayesgmm.bayes import checks
from bayesgmm.bayes.posterior import Posterior
from bayesgmm.data.errors import InputError
from tests.bayes.cases import clear_rows, known_covariance, prepared

X = clear_rows()
OPTIONS = {"num_chains": 2, "num_draws": 100, "max_draws": 100, "n_init": 4, "random_state": 0}


@cache
def fitted() -> Posterior:
    return bg.BayesianMixture(2, model="gaussian_diag", **OPTIONS).fit(X).both_.posterior


def test_statistics_are_those_of_numpy_and_scipy():
    found = dict(zip(checks.STATISTICS, checks.check(fitted()).observed, strict=True))
    np.testing.assert_allclose(found["min"], X.min(0))
    np.testing.assert_allclose(found["max"], X.max(0))
    np.testing.assert_allclose(found["sd"], X.std(0))
    standard = (X - X.mean(0)) / X.std(0)
    np.testing.assert_allclose(found["skewness"], (standard**3).mean(0))
    np.testing.assert_allclose(found["kurtosis"], (standard**4).mean(0) - 3)


@pytest.mark.parametrize("numbers", [checks.BLOCK_NUMBERS, 1000])
def test_replicated_maxima_are_those_of_the_predictive(numbers, monkeypatch):
    """Rows are Normal(mean, 1) in the first column, the mean with its posterior."""
    monkeypatch.setattr(checks, "BLOCK_NUMBERS", numbers)
    own = X[:10] - X[:10].mean(0)
    options = OPTIONS | {"num_draws": 500, "max_draws": 500, "inference": "laplace"}
    posterior = bg.BayesianMixture(1, model=known_covariance, **options).fit(own).both_.posterior
    found = checks.check(posterior)
    maxima = found.replicated[:, list(checks.STATISTICS).index("max"), 0]
    rng = np.random.default_rng(0)
    exact = rng.normal(size=(4000, 10)).max(1) + rng.normal(0, np.sqrt(0.1), 4000)
    assert len(maxima) == 1000
    assert stats.ks_2samp(maxima, exact).pvalue > 1e-3


def test_tails_are_small_where_no_replication_goes():
    replicated = np.arange(99.0)[:, None, None] * np.ones((1, 1, 4))
    found = checks.Checked(np.array([[-1.0, 49.0, 98.0, 99.0]]), replicated)
    np.testing.assert_allclose(found.above, [[1.0, 0.51, 0.02, 0.01]])
    np.testing.assert_allclose(found.tails, [[0.02, 1.0, 0.04, 0.02]])


def test_a_row_of_count_three_stands_for_three_units():
    posterior = replace(fitted(), row_weights=np.tile([3.0, 0.0, 1.0], 20))
    found = checks.units(posterior)
    np.testing.assert_array_equal(found[:8], X[[0, 0, 0, 2, 3, 3, 3, 5]])
    assert len(found) == 80


def test_draws_are_taken_from_every_chain_that_is_kept():
    every = checks.evenly(fitted(), 20)
    assert every.shape == (2, 10)
    assert every[0, 0] == 0
    assert every[1, -1] == 199
    one = checks.evenly(replace(fitted(), kept=np.array([False, True])), 1000)
    np.testing.assert_array_equal(one, [np.arange(100)])


def test_rows_near_the_data_lie_within_three_ranges_in_every_column():
    data = np.array([[0.0, 0.0], [2.0, 1.0]])
    rows = np.array([[4.0, 2.0], [-2.0, -1.0], [4.1, 0.0], [0.0, 2.1]])
    assert checks.share_near(rows, data) == 0.5


@pytest.mark.parametrize("model", ["gaussian_diag", "gaussian_noise"])
def test_the_prior_number_of_occupied_components_is_exact(model):
    """Stars and bars; a background is one component more, which is not counted."""
    target, data = prepared(X, model, 2)
    posterior = replace(fitted(), target=target, data=data, structure=target.structure)
    n, k = len(X), target.structure.n_components
    j = np.arange(1, k + 1)
    exact = comb(k, j) * comb(n - 1, j - 1) / comb(n + k - 1, n)
    if k == 3:  # of j occupied components the background is one with probability j / 3
        with_it = exact * j / 3
        exact = np.array([exact[0] + with_it[1], (exact - with_it)[1] + with_it[2]])
    found = checks.occupied(posterior)
    error = 4 * np.sqrt(exact * (1 - exact) / checks.PRIOR_DRAWS)
    assert (np.abs(found.prior - exact) <= error).all()
    np.testing.assert_allclose(found.posterior, [0.0, 1.0], atol=0.05)


def test_where_the_prior_is_not_known_occupied_components_are_refused():
    posterior = fitted()
    by_row = replace(posterior.structure, by_row=True)
    with pytest.raises(InputError, match=r"load\(path, model="):
        checks.occupied(replace(posterior, target=None))
    with pytest.raises(InputError, match="of their own"):
        checks.occupied(replace(posterior, structure=by_row))
