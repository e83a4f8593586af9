"""Bands and tail probabilities of rows, against plain sums over draws and exact answers."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

import bayesgmm as bg
from bayesgmm.bayes import predictive, rows
from bayesgmm.bayes.simulation import replicates
from bayesgmm.data.errors import InputError
from bayesgmm.gaussian.mixture import Mixture, log_density, responsibilities
from tests.bayes.cases import KNOWN_TRIL, clear_rows, known_covariance, known_posterior, student

X = clear_rows()
NEW = np.array([[0.0, 0.0], [-4.0, -4.0], [50.0, -50.0]])
OPTIONS = {"num_chains": 2, "num_draws": 150, "max_draws": 150, "n_init": 4, "random_state": 0}


@cache
def fitted(model="gaussian_diag"):
    return bg.BayesianMixture(2, model=model, **OPTIONS).fit(X).both_.posterior


@cache
def conjugate():
    """One normal component of known covariance, whose Laplace draws are exact."""
    options = OPTIONS | {"num_draws": 1000, "max_draws": 1000, "inference": "laplace"}
    return bg.BayesianMixture(1, model=known_covariance, **options).fit(X).both_.posterior


@pytest.mark.parametrize("numbers", [rows.BLOCK_MEMBERSHIPS, 64])
def test_bands_are_means_and_quantiles_over_every_draw(numbers, monkeypatch):
    monkeypatch.setattr(rows, "BLOCK_MEMBERSHIPS", numbers)
    posterior, seen = fitted(), np.concatenate([NEW, X, X])
    draws = Mixture(*(part.reshape(-1, *part.shape[2:]) for part in posterior.mixture))
    each = {"membership": responsibilities(draws, seen), "log_density": log_density(draws, seen)}
    found = predictive.bands(posterior, seen, 0.9)
    for name, values in each.items():
        band = getattr(found, name)
        np.testing.assert_allclose(band.low, np.quantile(values, 0.05, axis=0), atol=1e-9)
        np.testing.assert_allclose(band.high, np.quantile(values, 0.95, axis=0), atol=1e-9)
    np.testing.assert_allclose(found.membership.value, each["membership"].mean(0), atol=1e-10)
    mean = logsumexp(each["log_density"], axis=0) - np.log(300)
    np.testing.assert_allclose(found.log_density.value, mean, rtol=1e-9)


def test_the_tail_of_one_normal_component_is_that_of_chi_square():
    """The predictive density is normal, its covariance that of rows and of their mean together."""
    posterior = conjugate()
    mean, covariance = known_posterior(X)
    spread = KNOWN_TRIL @ KNOWN_TRIL.T + covariance
    at = mean + np.linspace(0, 3.5, 20)[:, None] * np.array([0.6, -0.8])
    apart = at - mean
    squared = np.einsum("na,ab,nb->n", apart, np.linalg.inv(spread), apart)
    exact = stats.chi2.sf(squared, 2)
    error = np.sqrt(exact * (1 - exact) / predictive.SIMULATED_ROWS)
    found = predictive.tail_probability(posterior, at)
    assert (np.abs(found - exact) <= 4 * error + 0.004).all()


@pytest.mark.parametrize("model", ["gaussian_diag", student])
def test_tail_probabilities_of_the_models_own_rows_are_uniform(model):
    posterior, rng = fitted(model), np.random.default_rng(1)
    chosen = rng.integers(300, size=2000)
    own = replicates(posterior, chosen, 1, rng).X[:, 0]
    found = predictive.tail_probability(posterior, own)
    assert stats.kstest(found, "uniform").pvalue > 1e-3
    far = predictive.tail_probability(posterior, np.array([[1e4, 1e4]]))
    assert far[0] == 1 / (predictive.SIMULATED_ROWS + 1)


def test_without_a_background_no_row_belongs_to_it():
    with pytest.raises(InputError, match="no background"):
        predictive.background_probability(fitted(), X)


@pytest.mark.parametrize("ask", [predictive.tail_probability, predictive.background_probability])
def test_rows_of_a_program_without_its_code_are_refused(ask):
    posterior = fitted(student)
    structure = replace(posterior.structure, background=ask is predictive.background_probability)
    with pytest.raises(InputError, match="needs its code"):
        ask(replace(posterior, structure=structure, target=None), X)


def test_rows_with_parameters_of_their_own_are_not_compared():
    posterior = fitted()
    own = replace(posterior, structure=replace(posterior.structure, by_row=True))
    with pytest.raises(InputError, match="cannot be compared"):
        predictive.tail_probability(own, X)
