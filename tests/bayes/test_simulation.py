"""Rows drawn from posteriors and priors, against the distributions that they come from."""

from dataclasses import replace
from functools import cache

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy import stats

import bayesgmm as bg
from bayesgmm.bayes import simulation
from bayesgmm.bayes.posterior import Posterior
from bayesgmm.data.errors import InputError
from tests.bayes.cases import clear_rows, prepared, student

X = clear_rows()
OPTIONS = {"num_chains": 2, "num_draws": 100, "max_draws": 100, "n_init": 4, "random_state": 0}
SOME = np.arange(0, 200, 10)


@cache
def fitted(model) -> Posterior:
    return bg.BayesianMixture(2, model=model, **OPTIONS).fit(X).both_.posterior


def drawn(posterior, n, chosen=SOME):
    return simulation.replicates(posterior, chosen, n, np.random.default_rng(0))


@pytest.mark.parametrize("model", ["gaussian_diag", student])
def test_rows_lie_where_their_component_does(model):
    """Around the draw's own centre and in the share of its own weight, both relabelled."""
    posterior = fitted(model)
    found, s = drawn(posterior, 400), len(SOME)
    centre = "means" if model == "gaussian_diag" else "centre"
    centres = posterior.sites[centre].reshape(-1, 2, 2)[SOME]
    weights = posterior.sites["weights"].reshape(-1, 2)[SOME]
    share = (found.labels[..., None] == np.arange(2)).mean(1)
    assert (np.abs(share - weights) < 4 * np.sqrt(0.25 / 400)).all()
    for j in range(2):
        own = [found.X[i][found.labels[i] == j] for i in range(s)]
        apart = np.array([np.median(rows, axis=0) for rows in own]) - centres[:, j]
        assert np.abs(apart).max() < 1.0
        assert np.abs(apart.mean(0)).max() < 0.15


@pytest.mark.parametrize("n", [1, 7])
def test_labels_follow_the_relabelling_and_rows_do_not(n):
    posterior = fitted(student)
    crossed = posterior.crossed
    swapped = replace(posterior, crossed=crossed._replace(order=crossed.order[..., ::-1]))
    one, other = drawn(posterior, n), drawn(swapped, n)
    np.testing.assert_array_equal(one.X, other.X)
    np.testing.assert_array_equal(one.labels, 1 - other.labels)


def test_a_background_is_the_last_label_and_fills_the_box():
    found = drawn(fitted("gaussian_noise"), 500)
    background = found.X[found.labels == 2]
    assert set(np.unique(found.labels)) == {0, 1, 2}
    low, high = X.min(0), X.max(0)
    assert (background > low - 1e-6).all()
    assert (background < high + 1e-6).all()
    inside = (background[:, 0] - low[0]) / (high[0] - low[0])
    assert stats.kstest(inside, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("size", [simulation.BLOCK_NUMBERS, 100])
def test_the_size_of_blocks_does_not_show_in_what_rows_are_like(size, monkeypatch):
    monkeypatch.setattr(simulation, "BLOCK_NUMBERS", size)
    found = drawn(fitted(student), 5, np.arange(200))
    assert found.X.shape == (200, 5, 2)
    assert len(np.unique(found.X)) == found.X.size
    assert abs(np.median(found.X[found.labels == 1]) - 4.0) < 0.5


@pytest.mark.parametrize("kept", [[True, False], [False, True]])
@pytest.mark.parametrize("model", ["gaussian_diag", student])
def test_only_chains_that_are_kept_are_drawn_from(model, kept):
    posterior = fitted(model)
    crossed = posterior.crossed
    moved = crossed.draws._replace(z=np.where(np.array(kept)[:, None, None], crossed.draws.z, 1e9))
    mixture = crossed.mixture
    if mixture is not None:
        means = np.where(np.array(kept)[:, None, None, None], mixture.means, 1e9)
        mixture = mixture._replace(means=means)
    own = crossed._replace(draws=moved, mixture=mixture)
    found = drawn(replace(posterior, crossed=own, kept=np.array(kept)), 3, np.arange(100))
    assert np.abs(found.X).max() < 1e3


def test_rows_of_a_program_without_its_code_are_refused():
    with pytest.raises(InputError, match="needs its code"):
        drawn(replace(fitted(student), target=None), 1)


def test_prior_draws_are_the_programs_prior():
    target, data = prepared(X, "gaussian_diag", 3, {"weights": 2.0})
    found = simulation.prior_draws(target, data, 2000, 4, np.random.default_rng(0))
    location, spread = (X.min(0) + X.max(0)) / 2, np.ptp(X, axis=0)
    assert found.X.shape == (2000, 4, 2)
    weight = found.sites["weights"][:, 0]
    assert stats.kstest(weight, stats.beta(2, 4).cdf).pvalue > 1e-3
    mean = (found.sites["means"][:, 0, 1] - location[1]) / spread[1]
    assert stats.kstest(mean, "norm").pvalue > 1e-3


def test_prior_draws_of_normal_rows_are_normal():
    """Rows of mean mu ~ Normal(0, 3) and standard deviation 1 have standard deviation 10^(1/2)."""
    target, data = prepared(X[:, :1], one_normal, 1)
    found = simulation.prior_draws(target, data, 3000, 2, np.random.default_rng(0))
    assert stats.kstest(found.X[:, 0, 0] / np.sqrt(10), "norm").pvalue > 1e-3
    together = np.corrcoef(found.X[:, 0, 0], found.X[:, 1, 0])[0, 1]
    assert together == pytest.approx(0.9, abs=0.02)


def one_normal(X, k, family=dist.Normal):
    numpyro.deterministic("weights", jnp.ones(k))
    mean = numpyro.sample("mean", dist.Normal(0.0, 3.0))
    components = family(mean[None], 1.0)
    with numpyro.plate("rows", X.shape[0]):
        mixture = dist.MixtureSameFamily(dist.Categorical(jnp.ones(k)), components)
        numpyro.sample("X", mixture, obs=X[:, 0])


class Unsampled(dist.Normal):
    def sample(self, key, sample_shape=()):
        raise NotImplementedError("no sampler")


def without_a_sampler(X, k):
    one_normal(X, k, Unsampled)


def with_a_factor(X, k):
    one_normal(X, k)
    numpyro.factor("more", jnp.zeros(()))


@pytest.mark.parametrize(
    ("model", "told"), [(without_a_sampler, "cannot be sampled"), (with_a_factor, "factors")]
)
def test_programs_whose_rows_cannot_be_drawn_are_refused(model, told):
    target, data = prepared(X[:, :1], model, 1)
    with pytest.raises(InputError, match=told):
        simulation.prior_draws(target, data, 2, 1, np.random.default_rng(0))
