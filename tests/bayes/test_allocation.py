"""Memberships, pairs and partitions of a posterior, against plain sums over its draws."""

from functools import cache

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.bayes import allocation, rows
from bayesgmm.bayes.partition import tidy
from bayesgmm.data.errors import InputError
from bayesgmm.gaussian.mixture import Mixture, responsibilities
from bayesgmm.ml import memberships
from tests.bayes.cases import student


@cache
def fitted(model="gaussian_diag"):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (40, 2)), rng.normal(2.5, 1, (30, 2))])
    options = {"num_chains": 2, "num_draws": 150, "max_draws": 150, "n_init": 4, "random_state": 0}
    return bg.BayesianMixture(2, model=model, **options).fit(X).both_.posterior


def every_membership(posterior):
    """Of all draws, rows and clusters, in plain NumPy: (s, n, k)."""
    mixture = posterior.mixture
    flat = Mixture(*(part.reshape(-1, *part.shape[2:]) for part in mixture))
    return responsibilities(flat, posterior.X)


@pytest.mark.parametrize("numbers", [rows.BLOCK_MEMBERSHIPS, 64])
def test_memberships_are_those_of_every_draw(numbers, monkeypatch):
    posterior = fitted()
    monkeypatch.setattr(rows, "BLOCK_MEMBERSHIPS", numbers)
    blocks = list(posterior.memberships(10_000))
    found = np.concatenate([part for _, part in blocks], axis=1)
    assert [places.start for places, _ in blocks] == list(range(0, 70, 70 if numbers > 64 else 64))
    np.testing.assert_allclose(found, every_membership(posterior), atol=1e-12)


def test_intervals_are_quantiles_and_means_the_posteriors():
    posterior = fitted()
    found, resp = allocation.memberships(posterior, 0.9), every_membership(posterior)
    np.testing.assert_allclose(found.mean, resp.mean(0), atol=1e-10)
    np.testing.assert_allclose(found.low, np.quantile(resp, 0.05, axis=0), atol=1e-10)
    np.testing.assert_allclose(found.high, np.quantile(resp, 0.95, axis=0), atol=1e-10)
    assert (found.entropy >= 0).all()
    assert found.entropy.max() <= np.log(2) + 1e-12


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, 95.0])
def test_a_level_that_is_none_is_refused(level):
    with pytest.raises(InputError, match="level="):
        allocation.memberships(fitted(), level)


def test_co_clustering_is_the_mean_over_draws():
    posterior = fitted()
    resp = every_membership(posterior)
    expected = np.einsum("sik,sjk->ij", resp, resp) / len(resp)
    np.fill_diagonal(expected, 1.0)
    np.testing.assert_allclose(allocation.co_clustering(posterior), expected, atol=1e-12)


def test_co_clustering_of_many_rows_is_refused(monkeypatch):
    monkeypatch.setattr(memberships, "MOST_ROWS", 69)
    with pytest.raises(InputError, match="X has 70 rows"):
        allocation.co_clustering(fitted())


def test_allocations_are_drawn_from_the_memberships():
    posterior = fitted()
    drawn, resp = allocation.allocations(posterior, 10_000), every_membership(posterior)
    share, error = (drawn == 1).mean(0), np.sqrt((resp * (1 - resp)).sum(0)[:, 1]) / len(resp)
    assert (np.abs(share - resp[..., 1].mean(0)) <= 4 * error + 1e-9).all()
    np.testing.assert_array_equal(drawn, allocation.allocations(posterior, 10_000))


def test_pairs_of_a_program_that_is_not_normal_do_not_depend_on_labels():
    posterior = fitted(student)
    assert posterior.mixture is None
    found = allocation.memberships(posterior, 0.95)
    np.testing.assert_allclose(found.mean.sum(1), 1.0)
    assert (found.low <= found.mean + 1e-9).all()
    assert (found.mean <= found.high + 1e-9).all()
    together = allocation.co_clustering(posterior)
    np.testing.assert_allclose(together, together.T)
    assert together[0, 1] > 0.5 > together[0, 60]


@pytest.mark.parametrize("loss", ["vi", "binder"])
def test_the_partition_of_two_groups_is_nearly_the_likeliest_rows(loss):
    posterior = fitted()
    found = allocation.partition(posterior, loss)
    likeliest = tidy(posterior.membership.argmax(1), np.full(70, 1 / 70))
    assert found.n_clusters == 2
    assert (found.labels == likeliest).mean() > 0.95
    assert 0 < found.expected < found.ball.radius


def test_an_unknown_loss_is_refused_and_the_nearest_named():
    with pytest.raises(InputError, match="did you mean 'binder'"):
        allocation.partition(fitted(), "bindr")
