"""Prior sensitivity, against the exact posteriors under scaled priors."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import bayesgmm as bg
from bayesgmm.bayes import sensitivity
from bayesgmm.bayes.posterior import Posterior
from bayesgmm.data.errors import InputError
from tests.bayes.cases import KNOWN_TRIL, clear_rows, known_covariance, prepared

SPREAD = 0.3
X = np.random.default_rng(3).normal(size=(12, 2)) @ KNOWN_TRIL.T + 1.0
PRECISION = np.linalg.inv(KNOWN_TRIL @ KNOWN_TRIL.T)


@pytest.fixture(scope="module")
def informed() -> Posterior:
    """A normal posterior, whose Laplace draws are exact, under a prior that matters."""
    options = {"inference": "laplace", "num_draws": 4000, "n_init": 1, "random_state": 0}
    fit = bg.BayesianMixture(1, model=known_covariance, priors={"spread": SPREAD}, **options)
    return fit.fit(X).both_.posterior


def exact(prior_power, likelihood_power):
    """Posterior mean and standard deviations when both are raised to powers."""
    scaled = likelihood_power * len(X) * PRECISION
    covariance = np.linalg.inv(scaled + prior_power * np.eye(2) / SPREAD**2)
    return covariance @ scaled @ X.mean(0), np.sqrt(np.diag(covariance))


def distance(one, other, j, ends):
    """Cumulative Jensen-Shannon distance of normal distributions, between the draws' ends."""
    at = np.linspace(*ends, 20_001)
    p, q = (stats.norm(mean[j], sd[j]).cdf(at) for mean, sd in (one, other))
    return max(cumulative_distance(p, q), cumulative_distance(1 - p, 1 - q))


def cumulative_distance(p, q):
    """Nguyen and Vreeken (2015); its terms outside the logarithms cancel."""
    m = (p + q) / 2
    return np.sqrt(np.sum(p * np.log2(p / m) + q * np.log2(q / m)) / np.sum(p + q))


def test_the_log_prior_is_that_of_the_parameters(informed):
    found = sensitivity.log_prior(informed)
    means = informed.sites["mean"]
    assert found.sites == ("mean",)
    np.testing.assert_allclose(found.values, stats.norm(0, SPREAD).logpdf(means).sum(-1))


def test_of_a_hierarchy_only_the_top_counts():
    X, priors = clear_rows(), {"weights": 3.0}
    options = {"num_chains": 2, "num_draws": 100, "max_draws": 100, "n_init": 4, "random_state": 0}
    fit = bg.BayesianMixture(2, model="gaussian_diag", priors=priors, **options).fit(X)
    sites = fit.both_.posterior.sites
    location, spread = (X.min(0) + X.max(0)) / 2, np.ptp(X, axis=0)
    scales = np.log(X.std(0)) - np.log(2) / 2
    expected = (
        stats.beta(3, 3).logpdf(sites["weights"][..., 0])
        + stats.norm(scales, 1.0).logpdf(sites["log_tau"]).sum(-1)
        + stats.norm(location, spread).logpdf(sites["means"]).sum((-1, -2))
    )
    found = sensitivity.log_prior(fit.both_.posterior)
    assert found.sites == ("weights", "log_tau", "means")
    np.testing.assert_allclose(found.values - expected, (found.values - expected)[0, 0], atol=1e-9)


@pytest.mark.parametrize(
    ("model", "sites"),
    [
        ("conjugate", ("weights", "precision_tril", "means")),
        ("dirichlet_process", ("alpha", "log_tau", "means", "corr_tril")),
        ("gaussian_tied", ("weights", "sds", "corr_tril", "means")),
        ("student_t", ("weights", "log_tau", "df", "locations", "corr_tril")),
    ],
)
def test_priors_with_hyperparameters_are_not_scaled(model, sites):
    assert sensitivity.scaled_sites(*prepared(clear_rows(), model, 2)) == sites


def test_sensitivities_are_distances_to_the_exact_scaled_posteriors(informed):
    prior = sensitivity.log_prior(informed).values
    draws = np.moveaxis(informed.sites["mean"], -1, 0)
    found = sensitivity.sensitivities(draws, prior, informed.crossed.log_likelihood)
    here = exact(1.0, 1.0)
    for values, powers in zip(found[:2], ([1.01, 1.0], [1.0, 1.01]), strict=True):
        there = exact(*powers)
        ends = [(own.min(), own.max()) for own in draws]
        expected = [distance(here, there, j, ends[j]) / np.log2(1.01) for j in range(2)]
        np.testing.assert_allclose(values, expected, rtol=0.1)


def test_a_log_prior_that_has_nothing_to_do_with_the_draws_moves_them_by_noise():
    rng = np.random.default_rng(0)
    draws, unrelated = rng.normal(size=(20, 4, 300)), 12 * rng.normal(size=(4, 300))
    found = sensitivity.sensitivities(draws, unrelated, unrelated)
    assert 0.05 < found.noise < 0.5
    assert np.median(found.prior) < found.noise
    assert (found.prior < 2 * found.noise).all()
    weak = sensitivity.sensitivities(draws, unrelated / 100, unrelated)
    assert weak.noise < 0.02


def test_only_chains_that_are_kept_count(informed):
    kept = np.array([True, False, False, True])
    one, all_of_them = (
        sensitivity.log_prior(posterior).values
        for posterior in (replace(informed, kept=kept), informed)
    )
    np.testing.assert_array_equal(one, all_of_them[kept])


def test_without_the_program_the_prior_is_not_known(informed):
    with pytest.raises(InputError, match=r"load\(path, model="):
        sensitivity.log_prior(replace(informed, target=None))
