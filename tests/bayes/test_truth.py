"""Truths: they come from the prior, their rows from their mixture, and they rank as draws do."""

import numpy as np
import pytest
from scipy import stats

import bayesgmm as bg
from bayesgmm.bayes.program import load_model
from bayesgmm.bayes.truth import Truth, draw_truth, ranks
from bayesgmm.data.errors import InputError

PRIORS = {"location": [1.0], "spread": [3.0], "sd": [0.5]}


@pytest.fixture(scope="module")
def truths():
    program, rng = load_model("gaussian_diag"), np.random.default_rng(0)
    return [draw_truth(program, 2, (5, 1), PRIORS, rng) for _ in range(400)]


@pytest.fixture(scope="module")
def fit():
    rng = np.random.default_rng(1)
    X = np.concatenate([rng.normal(0, 1, 30), rng.normal(4, 1, 20)])[:, None]
    options = {"inference": "laplace", "num_draws": 100, "n_init": 4, "random_state": 0}
    return bg.BayesianMixture(2, model="gaussian_diag", **options).fit(X)


def test_truths_come_from_the_prior(truths):
    """Unconstrained: logit of a weight, log tau, two means, two log standard deviations."""
    logit, log_tau, first, second, sd, _ = np.stack([truth.z for truth in truths]).T
    assert stats.kstest(1 / (1 + np.exp(-logit)), "uniform").pvalue > 1e-4
    assert stats.kstest(log_tau, stats.norm(np.log(0.5 / 2)).cdf).pvalue > 1e-4
    for means in (first, second):
        assert stats.kstest(means, stats.norm(1, 3).cdf).pvalue > 1e-4
    assert stats.kstest(sd - log_tau, stats.norm(0, 0.7).cdf).pvalue > 1e-4


def test_rows_come_from_the_truth(truths):
    """The mixture's distribution function makes them uniform."""
    placed = []
    for truth in truths:
        weight, (means, sds) = 1 / (1 + np.exp(-truth.z[0])), (truth.z[2:4], np.exp(truth.z[4:]))
        below = stats.norm.cdf(truth.X, means, sds)
        placed.append(below @ [weight, 1 - weight])
    assert stats.kstest(np.concatenate(placed), "uniform").pvalue > 1e-4


def test_a_draw_as_truth_ranks_where_it_lies(fit):
    posterior, place = fit.both_.posterior, (1, 57)
    truth = Truth(posterior.draws.z[place], posterior.X)
    size = posterior.margin.size
    found = ranks(posterior, truth, size, np.random.default_rng(0))
    sites = {f"means[{j + 1}, 1]": posterior.sites["means"][..., j, 0] for j in range(2)}
    for name, values in {**posterior.quantities, **sites}.items():
        below = int((values < values[place]).sum())
        assert below <= found[name] <= below + 1, name


def test_ranks_do_not_depend_on_the_labels_of_the_truth(fit):
    posterior = fit.both_.posterior
    logit, log_tau, first, second, sd, other = posterior.draws.z[0, 3]
    swapped = np.array([-logit, log_tau, second, first, other, sd])
    found = [
        ranks(posterior, Truth(z, posterior.X), 99, np.random.default_rng(0))
        for z in (posterior.draws.z[0, 3], swapped)
    ]
    assert max(abs(found[0][name] - found[1][name]) for name in found[0]) <= 1  # a tie of rounding


def test_a_prior_that_looks_at_the_data_is_refused():
    some = {name: PRIORS[name] for name in ("location", "spread")}
    with pytest.raises(InputError, match="computed from the data"):
        draw_truth(load_model("gaussian_diag"), 2, (5, 1), some, np.random.default_rng(0))
