"""Crossing draws with rows: every number is the one that a plain loop over draws gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from bayesgmm.bayes import rows
from bayesgmm.bayes.relabel import relabel
from bayesgmm.gaussian.mixture import Mixture, log_joint, log_responsibilities
from tests.bayes.cases import mixtures

S, K, D = 12, 3, 2
DRAWS = mixtures((S,), K, D, seed=1)
PIVOT = mixtures((), K, D, seed=2)
X = np.random.default_rng(3).normal(size=(30, D)) * 2 + 3
COUNTS = np.random.default_rng(4).integers(0, 4, size=30).astype(float)


def plain_log_joint(draw, x):
    """By SciPy, component by component."""
    return np.stack(
        [
            np.log(weight) + multivariate_normal(mean, factor @ factor.T).logpdf(x)
            for weight, mean, factor in zip(*draw, strict=True)
        ],
        axis=-1,
    )


JOINT = np.stack([plain_log_joint([part[i] for part in DRAWS], X) for i in range(S)])
DENSITY = logsumexp(JOINT, axis=-1)
RESP = np.exp(JOINT - DENSITY[..., None])


def crossed(row_weights=None, seed=0, draws=DRAWS):
    row_weights = np.ones(len(X)) if row_weights is None else row_weights
    with jax.enable_x64(True):
        key = jax.random.key(seed)
        pivot = log_responsibilities(PIVOT, X)
        return rows.cross(rows.gaussian_log_joint, draws, None, X, row_weights, pivot, key)


def test_the_log_likelihood_is_the_mixture_density_of_every_draw_and_row():
    np.testing.assert_allclose(crossed().log_likelihood, DENSITY, rtol=1e-10)


@pytest.mark.parametrize("row_weights", [None, COUNTS])
def test_the_cost_is_the_weighted_divergence_from_the_pivots_memberships(row_weights):
    found = crossed(row_weights).cost
    pivot = plain_log_joint(PIVOT, X)
    pivot -= logsumexp(pivot, axis=-1)[:, None]
    weights = np.ones(len(X)) if row_weights is None else row_weights
    for a in range(K):
        for b in range(K):
            terms = RESP[..., a] * (np.log(RESP[..., a]) - pivot[:, b])
            np.testing.assert_allclose(found[:, a, b], terms @ weights, rtol=1e-9, atol=1e-9)


def test_permuted_draws_are_put_back_into_the_pivots_order():
    rng = np.random.default_rng(5)
    orders = np.stack([rng.permutation(K) for _ in range(S)])
    shuffled = Mixture(*(np.stack([p[i][orders[i]] for i in range(S)]) for p in DRAWS))
    found = relabel(crossed(draws=shuffled).cost).order
    np.testing.assert_array_equal(np.take_along_axis(orders, found, 1), np.tile(range(K), (S, 1)))


def test_rows_of_no_weight_count_for_nothing():
    few = np.r_[np.ones(10), np.zeros(20)]
    found = crossed(few)
    with jax.enable_x64(True):
        alone = rows.cross(
            rows.gaussian_log_joint,
            DRAWS,
            None,
            X[:10],
            np.ones(10),
            log_responsibilities(PIVOT, X[:10]),
            jax.random.key(0),
        )
    np.testing.assert_allclose(found.cost, alone.cost, rtol=1e-10)


def test_a_component_that_no_row_can_come_from_is_never_occupied():
    weights = np.array([0.6, 0.4, 1e-300])
    empty = Mixture(*(np.repeat(part[None], 50, 0) for part in (weights, *PIVOT[1:])))
    occupied = crossed(draws=empty).occupied
    assert occupied.shape == (50, K)
    assert not occupied[:, 2].any()
    assert occupied[:, :2].all()


@pytest.mark.parametrize("row_weight", [1, 3])
def test_components_are_occupied_as_often_as_allocations_would(row_weight):
    """Two rows, so that empty components are common: P(empty) = prod (1 - r)^w."""
    s, x = 4000, X[:2]
    one = mixtures((), K, D, seed=6, apart=0.5)
    many = Mixture(*(np.repeat(part[None], s, 0) for part in one))
    with jax.enable_x64(True):
        pivot, key = log_responsibilities(one, x), jax.random.key(1)
        found = rows.cross(
            rows.gaussian_log_joint, many, None, x, np.full(2, float(row_weight)), pivot, key
        )
    resp = np.exp(plain_log_joint(one, x))
    resp /= resp.sum(1, keepdims=True)
    expected = 1 - np.prod((1 - resp) ** row_weight, axis=0)
    se = np.sqrt(expected * (1 - expected) / s)
    assert (np.abs(found.occupied.mean(0) - expected) < 4 * se).all()
    n_occupied = found.occupied.sum(1)
    assert n_occupied.min() >= 1
    if row_weight == 1:
        together = (resp[0] * resp[1]).sum()
        assert abs((n_occupied == 1).mean() - together) < 4 * np.sqrt(together / s)
        assert n_occupied.max() == 2


def test_drawn_allocations_repeat_with_their_key():
    assert (crossed(seed=1).occupied == crossed(seed=1).occupied).all()


@pytest.mark.parametrize("room", [1, 100, 10_000_000])
def test_blocks_do_not_matter(monkeypatch, room):
    monkeypatch.setattr(rows, "BLOCK_NUMBERS", room)
    found = crossed()
    np.testing.assert_allclose(found.log_likelihood, DENSITY, rtol=1e-10)


def test_predictions_are_averages_over_the_draws():
    order = np.stack([np.random.default_rng(7).permutation(K) for _ in range(S)])
    found = rows.predict(rows.gaussian_log_joint, DRAWS, None, order, X)
    np.testing.assert_allclose(found.log_density, np.log(np.exp(DENSITY).mean(0)), rtol=1e-10)
    expected = np.stack([RESP[i][:, order[i]] for i in range(S)]).mean(0)
    np.testing.assert_allclose(found.membership, expected, rtol=1e-9)
    np.testing.assert_allclose(found.membership.sum(1), 1.0, rtol=1e-12)


def test_predictions_far_from_every_component_stay_finite():
    far = np.full((1, D), 1e5)
    order = np.tile(np.arange(K), (S, 1))
    found = rows.predict(rows.gaussian_log_joint, DRAWS, None, order, far)
    assert np.isfinite(found.log_density).all()
    np.testing.assert_allclose(found.membership.sum(1), 1.0)


def test_other_programs_cross_by_their_own_joint_density():
    def shifted(draw, context, x):
        return log_joint(draw, x - context)

    order = np.tile(np.arange(K), (S, 1))
    with jax.enable_x64(True):
        found = rows.predict(shifted, DRAWS, jnp.ones(D), order, X + 1.0)
    np.testing.assert_allclose(found.log_density, np.log(np.exp(DENSITY).mean(0)), rtol=1e-9)
