"""The sampler against exact answers: small conjugate mixtures, summed over allocations.

The published numbers are those of exact enumerations printed to ten digits.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from arviz_stats.base import array_stats
from scipy.stats import multivariate_normal, multivariate_t

from bayesgmm import BayesianMixture
from tests.bayes.enumeration import Enumeration, Prior, log_evidence, log_marginals

K = 3


@dataclass(frozen=True)
class Case:
    """Rows, their prior, and what is published of them; `p_occupied` by number of clusters."""

    Y: np.ndarray
    prior: Prior
    log_evidence: list[float]
    p_occupied: dict[int, float]
    pairs: list[tuple[int, int]]
    places: list[tuple[float, ...]]
    mean_sum_squared_weights: float | None = None
    co_clustering: dict[tuple[int, int], float] = field(default_factory=dict)
    predictive_density: dict[tuple[float, ...], float] = field(default_factory=dict)


# One column: an InverseGamma(2, 5) variance is an inverse Wishart of nu = 4 and scale = 10.
UNIVARIATE = Case(
    Y=np.array(
        [9.172, 16.084, 19.07, 19.541, 19.918, 20.215, 20.875, 21.96, 22.495, 23.263, 24.129, 26.96]
    )[:, None],
    prior=Prior(location=np.array([20.0]), kappa=0.05, nu=4.0, scale=np.array([[10.0]])),
    log_evidence=[
        *(-39.9695441501, -38.7772237170, -38.0784713669),
        *(-37.6059751024, -37.2949342507, -37.0895172283),
    ],
    p_occupied={1: 0.00497505, 2: 0.20313787, 3: 0.79188708},
    pairs=[(0, 1), (0, 2), (2, 3), (5, 6), (0, 11), (10, 11)],
    places=[(10.0,), (15.0,), (20.0,)],
    mean_sum_squared_weights=0.5197728531,
    co_clustering={
        (0, 1): 0.3135748251,
        (0, 2): 0.0917226442,
        (2, 3): 0.7685712616,
        (5, 6): 0.7603635161,
        (0, 11): 0.0805902819,
        (10, 11): 0.7442409334,
    },
    predictive_density={(10.0,): 0.0176622729, (15.0,): 0.0178205672, (20.0,): 0.1140803463},
)
P_K = [0.01856271, 0.06115888, 0.12300529, 0.19729965, 0.26928343, 0.33069004]

BIVARIATE = Case(
    Y=np.array(
        [
            *([0.0, 0.0], [0.5, -0.2], [-0.3, 0.4]),
            *([3.0, 3.0], [3.4, 2.7], [2.8, 3.5]),
            *([6.0, 0.0], [6.3, 0.4], [5.8, -0.5]),
        ]
    ),
    prior=Prior(location=np.array([3.0, 1.0]), kappa=0.1, nu=5.0, scale=np.eye(2)),
    log_evidence=[
        *(-52.0630430575, -39.6058622001, -33.4091036088, -33.2403935078, -33.3390836495)
    ],
    p_occupied={3: 0.99888944},
    pairs=[(0, 1), (0, 3), (3, 5), (6, 7)],
    places=[(0.0, 0.0), (3.0, 1.0), (3.0, 3.0), (6.5, 0.5)],
)
# The same rows drawn together by half, under a prior that knows a correlation: clusters overlap.
CLOSER = replace(
    BIVARIATE,
    Y=(BIVARIATE.Y + BIVARIATE.prior.location) / 2,
    prior=replace(BIVARIATE.prior, scale=np.array([[1.0, 0.3], [0.3, 0.8]])),
    log_evidence=[],
    p_occupied={},
    places=[(1.5, 0.5), (3.0, 2.0), (4.5, 1.0)],
)
CASES = {"one column": UNIVARIATE, "two columns": BIVARIATE, "closer": CLOSER}


@pytest.fixture(scope="module", params=CASES)
def case(request):
    return CASES[request.param]


@pytest.fixture(scope="module")
def exact(case):
    return Enumeration.of(case.Y, case.prior, K)


@pytest.fixture(scope="module")
def posterior(case):
    priors = {name: getattr(case.prior, name) for name in ("location", "kappa", "nu", "scale")}
    model = BayesianMixture(K, model="conjugate", priors=priors, num_draws=4000, random_state=12)
    return model.fit(case.Y).both_.posterior


# --- the enumeration itself ----------------------------------------------------------------------


def test_the_evidence_of_one_component_and_one_column_is_a_multivariate_t():
    Y, prior = UNIVARIATE.Y, UNIVARIATE.prior
    shape = prior.scale / prior.nu * (np.eye(len(Y)) + 1 / prior.kappa)
    expected = multivariate_t.logpdf(Y[:, 0], np.full(len(Y), 20.0), shape, df=prior.nu)
    np.testing.assert_allclose(log_marginals(Y, prior)[-1], expected, rtol=1e-12)


def test_the_evidence_of_one_component_is_the_product_of_its_predictions(case):
    prior, total = case.prior, 0.0
    d = case.Y.shape[1]
    for y in case.Y:
        df = prior.nu - d + 1
        shape = prior.scale * (prior.kappa + 1) / (prior.kappa * df)
        total += multivariate_t.logpdf(y, prior.location, shape, df)
        apart = y - prior.location  # the textbook's update, one row at a time
        spread = prior.kappa / (prior.kappa + 1) * np.outer(apart, apart)
        location = (prior.kappa * prior.location + y) / (prior.kappa + 1)
        prior = Prior(location, prior.kappa + 1, prior.nu + 1, prior.scale + spread)
    np.testing.assert_allclose(log_marginals(case.Y, case.prior)[-1], total, rtol=1e-12)


def test_the_convolution_sums_over_all_allocations(case):
    few = case.Y[:6]
    codes = np.arange(3**6)
    labels = np.stack([codes // 3**i % 3 for i in range(6)], axis=1)
    total = 0.0
    for one in labels:
        counts = np.bincount(one, minlength=3)
        log_weights = np.log([float(np.prod(np.arange(1, c + 1))) for c in counts]).sum()
        groups = [log_marginals(few[one == j], case.prior)[-1] for j in range(3) if counts[j]]
        total += np.exp(log_weights + sum(groups)) * 2 / 40320  # (k - 1)! / (n + k - 1)!
    assert log_evidence(few, case.prior, 3) == pytest.approx(np.log(total), abs=1e-12)


def test_the_enumeration_reproduces_the_published_evidences(case):
    found = [log_evidence(case.Y, case.prior, k + 1) for k in range(len(case.log_evidence))]
    np.testing.assert_allclose(found, case.log_evidence, rtol=0, atol=2e-10)


def test_the_published_evidences_are_those_of_the_published_number_of_components():
    evidences = np.exp(UNIVARIATE.log_evidence)
    np.testing.assert_allclose(evidences / evidences.sum(), P_K, rtol=0, atol=1e-8)


def test_the_enumeration_reproduces_the_published_posterior(case, exact):
    for occupied, expected in case.p_occupied.items():
        assert exact.p_occupied()[occupied - 1] == pytest.approx(expected, abs=1e-8)
    if case.mean_sum_squared_weights is not None:
        found = exact.mean_sum_squared_weights()
        assert found == pytest.approx(case.mean_sum_squared_weights, abs=1e-10)
    for pair, expected in case.co_clustering.items():
        assert exact.co_clustering(*pair) == pytest.approx(expected, abs=1e-10)
    for x, expected in case.predictive_density.items():
        assert exact.predictive_density(x) == pytest.approx(expected, abs=1e-10)


# --- NUTS against it -----------------------------------------------------------------------------


def assert_within_4_se(draws, expected, most):
    """The mean of (c, s) draws is within 4 Monte-Carlo standard errors, themselves small."""
    se = float(array_stats.mcse(draws.astype(float), chain_axis=0, draw_axis=1))
    assert 0 < se < most
    assert abs(draws.mean() - expected) < 4 * se, (draws.mean(), expected, se)


def assert_as_probable(posterior, draws, expected):
    """The same for the share of draws in which something holds, or its chance in each draw.

    What is nearly certain, or nearly never happens, is seen too seldom to tell its own standard
    error: that of as many independent draws as the least effective size takes its place.
    """
    if 0.01 < expected < 0.99:
        assert_within_4_se(draws, expected, most=0.01)
    else:
        se = np.sqrt(expected * (1 - expected) / posterior.diagnostics.lowest_ess)
        assert abs(draws.mean() - expected) < 4 * se, (draws.mean(), expected, se)


def components(posterior, x):
    """Weighted density of each component of each draw at x, (c, s, k), from plain formulas."""
    weights, means, factors = posterior.mixture
    z = np.linalg.solve(factors, (x - means)[..., None])[..., 0]
    width = np.prod(np.diagonal(factors, axis1=-2, axis2=-1), axis=-1)
    d = means.shape[-1]
    return weights * np.exp(-(z**2).sum(-1) / 2) / width / (2 * np.pi) ** (d / 2)


def test_plain_densities_are_scipys(posterior, case):
    weights, means, factors = (part[0, 0] for part in posterior.mixture)
    for j, factor in enumerate(factors):
        expected = weights[j] * multivariate_normal.pdf(case.Y[0], means[j], factor @ factor.T)
        assert components(posterior, case.Y[0])[0, 0, j] == pytest.approx(expected, rel=1e-9)


def test_drawn_allocations_occupy_as_many_components_as_exactly(posterior, exact):
    for occupied, expected in enumerate(exact.p_occupied(), 1):
        assert_as_probable(posterior, posterior.n_occupied == occupied, expected)


def test_the_mean_sum_of_squared_weights_is_exact(posterior, exact):
    drawn = (posterior.sites["weights"] ** 2).sum(-1)
    assert_within_4_se(drawn, exact.mean_sum_squared_weights(), most=0.005)


def test_rows_share_components_as_often_as_exactly(posterior, exact, case):
    for pair in case.pairs:
        i, j = (components(posterior, case.Y[row]) for row in pair)
        together = (i * j).sum(-1) / i.sum(-1) / j.sum(-1)
        assert_as_probable(posterior, together, exact.co_clustering(*pair))


def test_the_predictive_density_is_exact(posterior, exact, case):
    for x in case.places:
        expected = exact.predictive_density(x)
        assert_within_4_se(components(posterior, x).sum(-1), expected, most=0.05 * expected)


def test_the_sampler_finds_nothing_wrong_with_itself(posterior):
    assert posterior.diagnostics.worst_r_hat < 1.01
    assert posterior.diagnostics.divergences <= 0.01 * posterior.diagnostics.n_draws
