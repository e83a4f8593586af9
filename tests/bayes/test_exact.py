"""The sampler against exact answers: a conjugate mixture of twelve values, summed over allocations.

The published numbers are those of exact enumerations printed to ten digits.
"""

import numpy as np
import pytest
from arviz_stats.base import array_stats
from scipy.stats import multivariate_t, norm

from bayesgmm import BayesianMixture
from tests.bayes.enumeration import Enumeration, Prior, log_evidence, log_marginals

Y = np.array(
    [9.172, 16.084, 19.07, 19.541, 19.918, 20.215, 20.875, 21.96, 22.495, 23.263, 24.129, 26.96]
)
PRIOR = Prior(location=20.0, kappa=0.05, shape=2.0, rate=5.0)
K = 3

LOG_EVIDENCE = [-39.9695441501, -38.7772237170, -38.0784713669, -37.6059751024, -37.2949342507]
LOG_EVIDENCE += [-37.0895172283]
P_K = [0.01856271, 0.06115888, 0.12300529, 0.19729965, 0.26928343, 0.33069004]
P_OCCUPIED = [0.00497505, 0.20313787, 0.79188708]
MEAN_SUM_SQUARED_WEIGHTS = 0.5197728531
CO_CLUSTERING = {
    (0, 1): 0.3135748251,
    (0, 2): 0.0917226442,
    (2, 3): 0.7685712616,
    (5, 6): 0.7603635161,
    (0, 11): 0.0805902819,
    (10, 11): 0.7442409334,
}
PREDICTIVE_DENSITY = {10.0: 0.0176622729, 15.0: 0.0178205672, 20.0: 0.1140803463}


@pytest.fixture(scope="module")
def exact():
    return Enumeration.of(Y, PRIOR, K)


@pytest.fixture(scope="module")
def posterior():
    priors = {name: getattr(PRIOR, name) for name in ("location", "kappa", "shape", "rate")}
    model = BayesianMixture(K, model="conjugate", priors=priors, num_draws=4000, random_state=12)
    return model.fit(Y[:, None]).both_.posterior


# --- the enumeration itself ----------------------------------------------------------------------


def test_the_evidence_of_one_component_is_a_multivariate_t():
    shape = PRIOR.rate / PRIOR.shape * (np.eye(len(Y)) + 1 / PRIOR.kappa)
    expected = multivariate_t.logpdf(Y, np.full(len(Y), 20.0), shape, df=2 * PRIOR.shape)
    np.testing.assert_allclose(log_marginals(Y, PRIOR)[-1], expected, rtol=1e-12)


def test_the_convolution_sums_over_all_allocations():
    few = Y[:6]
    codes = np.arange(3**6)
    labels = np.stack([codes // 3**i % 3 for i in range(6)], axis=1)
    total = 0.0
    for one in labels:
        counts = np.bincount(one, minlength=3)
        log_weights = np.log([float(np.prod(np.arange(1, c + 1))) for c in counts]).sum()
        groups = [log_marginals(few[one == j], PRIOR)[-1] for j in range(3) if counts[j]]
        total += np.exp(log_weights + sum(groups)) * 2 / 40320  # (k - 1)! / (n + k - 1)!
    assert log_evidence(few, PRIOR, 3) == pytest.approx(np.log(total), abs=1e-12)


def test_the_enumeration_reproduces_the_published_evidences():
    found = np.array([log_evidence(Y, PRIOR, k) for k in range(1, 7)])
    np.testing.assert_allclose(found, LOG_EVIDENCE, rtol=0, atol=2e-10)
    np.testing.assert_allclose(np.exp(found) / np.exp(found).sum(), P_K, rtol=0, atol=1e-8)


def test_the_enumeration_reproduces_the_published_posterior(exact):
    np.testing.assert_allclose(exact.p_occupied(), P_OCCUPIED, rtol=0, atol=1e-8)
    assert exact.mean_sum_squared_weights() == pytest.approx(MEAN_SUM_SQUARED_WEIGHTS, abs=1e-10)
    for pair, expected in CO_CLUSTERING.items():
        assert exact.co_clustering(*pair) == pytest.approx(expected, abs=1e-10)
    for x, expected in PREDICTIVE_DENSITY.items():
        assert exact.predictive_density(x) == pytest.approx(expected, abs=1e-10)


# --- NUTS against it -----------------------------------------------------------------------------


def assert_within_4_se(draws, expected, most):
    """The mean of (c, s) draws is within 4 Monte-Carlo standard errors, themselves small."""
    se = float(array_stats.mcse(draws.astype(float), chain_axis=0, draw_axis=1))
    assert 0 < se < most
    assert abs(draws.mean() - expected) < 4 * se, (draws.mean(), expected, se)


def components(posterior, x):
    """Weighted density of each component of each draw at x, (c, s, k), by SciPy."""
    weights, means, factors = posterior.mixture
    return weights * norm.pdf(x, means[..., 0], factors[..., 0, 0])


@pytest.mark.parametrize("occupied", [1, 2, 3])
def test_drawn_allocations_occupy_as_many_components_as_exactly(posterior, exact, occupied):
    drawn = posterior.n_occupied == occupied
    assert_within_4_se(drawn, exact.p_occupied()[occupied - 1], most=0.01)


def test_the_mean_sum_of_squared_weights_is_exact(posterior, exact):
    drawn = (posterior.sites["weights"] ** 2).sum(-1)
    assert_within_4_se(drawn, exact.mean_sum_squared_weights(), most=0.005)


@pytest.mark.parametrize("pair", CO_CLUSTERING)
def test_rows_share_components_as_often_as_exactly(posterior, exact, pair):
    i, j = (components(posterior, Y[row]) for row in pair)
    together = (i * j).sum(-1) / i.sum(-1) / j.sum(-1)
    assert_within_4_se(together, exact.co_clustering(*pair), most=0.01)


@pytest.mark.parametrize("x", PREDICTIVE_DENSITY)
def test_the_predictive_density_is_exact(posterior, exact, x):
    assert_within_4_se(components(posterior, x).sum(-1), exact.predictive_density(x), most=0.001)


def test_the_sampler_finds_nothing_wrong_with_itself(posterior):
    assert posterior.diagnostics.worst_r_hat < 1.01
    assert posterior.diagnostics.divergences <= 0.01 * posterior.diagnostics.n_draws
