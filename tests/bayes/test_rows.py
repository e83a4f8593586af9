"""Crossing draws with rows: every number is the one that a plain loop over draws gives."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from bayesgmm.bayes import rows
from bayesgmm.bayes.relabel import relabel
from bayesgmm.gaussian.mixture import Mixture, log_joint, log_responsibilities
from tests.bayes.cases import mixtures, prepared

S, K, D = 12, 3, 2
DRAWS = mixtures((S,), K, D, seed=1)
PIVOT = mixtures((), K, D, seed=2)
X = np.random.default_rng(3).normal(size=(150, D)) * 2 + 3
COUNTS = np.random.default_rng(4).integers(0, 4, size=150).astype(float)
HELD = np.array([0, 70, 149])
BELOW = np.tril_indices(D, -1)


def free(X, k):
    """Any Gaussian mixture: its unconstrained vector is `unconstrained` of it."""
    with numpyro.plate("cluster", k):
        logits = numpyro.sample("logits", dist.Normal(0.0, 1.0))
        means = numpyro.sample("means", dist.Normal(0.0, 9.0).expand([D]).to_event(1))
        log_sds = numpyro.sample("log_sds", dist.Normal(0.0, 1.0).expand([D]).to_event(1))
        below = numpyro.sample("below", dist.Normal(0.0, 1.0).expand([len(BELOW[0])]).to_event(1))
    weights = numpyro.deterministic("weights", jax.nn.softmax(logits))
    tril = (jnp.exp(log_sds)[..., None] * jnp.eye(D)).at[:, *BELOW].set(below)
    with numpyro.plate("rows", len(X)):
        components = dist.MultivariateNormal(means, scale_tril=tril)
        numpyro.sample("X", dist.MixtureSameFamily(dist.Categorical(weights), components), obs=X)


def unconstrained(draws):
    s = len(draws.weights)
    tril = draws.scale_tril
    log_sds = np.log(np.diagonal(tril, axis1=-2, axis2=-1))
    parts = (np.log(draws.weights), draws.means, log_sds, tril[..., *BELOW])
    return np.concatenate([part.reshape(s, -1) for part in parts], axis=1)


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


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def stacked(mixture, s):
    """The same draw s times."""
    return Mixture(*(np.repeat(np.asarray(part)[None], s, 0) for part in mixture))


def crossed(draws=DRAWS, x=X, row_weights=None, *, pivot=PIVOT, seed=0, numbers=None, **others):
    """Draws crossed with rows; keywords are those of `rows.cross`, or the program."""
    program, each_row = others.get("program", free), others.get("each_row", True)
    z = unconstrained(draws)
    target, data = prepared(x, program, draws.weights.shape[1], row_weights=row_weights)
    numbers = np.arange(len(z)) if numbers is None else numbers
    held = np.minimum(HELD, len(x) - 1)
    log_pivot, key = log_responsibilities(pivot, x), jax.random.key(seed)
    return rows.cross(target, data, z, numbers, log_pivot, held, key, each_row=each_row)


# --- what the density of rows says of draws ------------------------------------------------------


def test_the_density_is_that_of_the_mixture_at_every_draw_and_row():
    found = crossed()
    np.testing.assert_allclose(found.each_row, DENSITY, rtol=1e-10)
    np.testing.assert_allclose(found.held, DENSITY[:, HELD], rtol=1e-10)


@pytest.mark.parametrize("row_weights", [None, COUNTS])
def test_the_log_likelihood_is_the_weighted_sum_of_log_densities(row_weights):
    found = crossed(row_weights=row_weights)
    weights = np.ones(len(X)) if row_weights is None else row_weights
    np.testing.assert_allclose(found.log_likelihood, DENSITY @ weights, rtol=1e-10)


def test_without_the_density_of_each_row_everything_else_is_the_same():
    found, short = crossed(), crossed(each_row=False)
    assert short.each_row is None
    for one, other in zip(found._replace(each_row=None), short, strict=True):
        jax.tree.map(np.testing.assert_array_equal, one, other)


def test_draws_come_back_as_sites_and_as_mixtures():
    found = crossed()
    for one, other in zip(found.mixture, DRAWS, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.sites["weights"], DRAWS.weights, rtol=1e-12)
    np.testing.assert_allclose(found.sites["means"], DRAWS.means, rtol=1e-12)


@pytest.mark.parametrize("row_weights", [None, COUNTS])
def test_the_cost_is_the_weighted_divergence_from_the_pivots_memberships(row_weights):
    found = crossed(row_weights=row_weights).cost
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
    found = relabel(crossed(shuffled).cost).order
    np.testing.assert_array_equal(np.take_along_axis(orders, found, 1), np.tile(range(K), (S, 1)))


def test_rows_of_no_weight_count_for_nothing():
    far = np.concatenate([X[:10], np.full((20, D), 1e6)])
    found = crossed(x=far, row_weights=np.r_[np.ones(10), np.zeros(20)])
    alone = crossed(x=X[:10])
    np.testing.assert_allclose(found.cost, alone.cost, rtol=1e-10)
    np.testing.assert_allclose(found.log_likelihood, alone.log_likelihood, rtol=1e-10)


@pytest.mark.parametrize("n", [65, 128, 150])
def test_blocks_of_rows_do_not_matter(monkeypatch, n):
    monkeypatch.setattr(rows, "BLOCK_NUMBERS", 1)
    assert rows._rows_at_once(K, D) == 64

    def afresh(X, k):  # a program of its own, for which nothing is compiled yet
        free(X, k)

    found = crossed(x=X[:n], row_weights=COUNTS[:n], program=afresh)
    whole = crossed(x=X[:n], row_weights=COUNTS[:n]) if n == 150 else None
    np.testing.assert_allclose(found.each_row, DENSITY[:, :n], rtol=1e-10)
    np.testing.assert_allclose(found.log_likelihood, DENSITY[:, :n] @ COUNTS[:n], rtol=1e-10)
    if whole is not None:
        np.testing.assert_allclose(found.cost, whole.cost, rtol=1e-9, atol=1e-9)


# --- drawn allocations ---------------------------------------------------------------------------


def test_a_component_that_no_row_can_come_from_is_never_occupied():
    empty = stacked(PIVOT._replace(weights=np.array([0.6, 0.4, 1e-300])), 50)
    occupied = crossed(empty).occupied
    assert occupied.shape == (50, K)
    assert not occupied[:, 2].any()
    assert occupied[:, :2].all()


@pytest.mark.parametrize("row_weight", [1, 3])
def test_components_are_occupied_as_often_as_allocations_would(row_weight):
    """Two rows, so that empty components are common: P(empty) = prod (1 - r)^w."""
    s, x = rows.BLOCK_DRAWS, X[:2]
    one = mixtures((), K, D, seed=6, apart=0.5)
    weights = np.full(2, float(row_weight))
    many = stacked(one, s)
    numbers = np.arange(4 * s).reshape(4, s)
    parts = [crossed(many, x, weights, pivot=one, seed=1, numbers=part) for part in numbers]
    occupied = np.concatenate([part.occupied for part in parts])
    resp = np.exp(plain_log_joint(one, x))
    resp /= resp.sum(1, keepdims=True)
    expected = 1 - np.prod((1 - resp) ** row_weight, axis=0)
    se = np.sqrt(expected * (1 - expected) / len(occupied))
    assert (np.abs(occupied.mean(0) - expected) < 4 * se).all()
    n_occupied = occupied.sum(1)
    assert n_occupied.min() >= 1
    if row_weight == 1:
        together = (resp[0] * resp[1]).sum()
        assert abs((n_occupied == 1).mean() - together) < 4 * np.sqrt(together / len(occupied))
        assert n_occupied.max() == 2


def test_where_no_unit_is_drawn_the_likeliest_component_counts_as_occupied():
    few, weights = X[:2], np.full(2, 1e-3)
    resp = np.exp(plain_log_joint(PIVOT, few))
    likeliest = (resp / resp.sum(1, keepdims=True)).sum(0).argmax()
    occupied = crossed(stacked(PIVOT, 50), few, weights).occupied
    np.testing.assert_array_equal(occupied.mean(0) > 0.9, np.arange(K) == likeliest)
    assert (occupied.sum(1) == 1).mean() > 0.9


def test_an_allocation_depends_on_the_key_and_the_draws_number_alone():
    few, numbers = X[:4], np.arange(S) + 40
    whole = crossed(x=few, seed=1, numbers=numbers).occupied
    some = np.array([7, 2, 9])
    draws = Mixture(*(part[some] for part in DRAWS))
    again = crossed(draws, few, seed=1, numbers=numbers[some]).occupied
    np.testing.assert_array_equal(again, whole[some])
    many = stacked(PIVOT, 200)
    by_seed = [crossed(many, few, seed=seed).occupied for seed in (1, 2)]
    assert (by_seed[0] != by_seed[1]).any()
    assert (by_seed[0][1:] != by_seed[0][:-1]).any()


# --- other programs ------------------------------------------------------------------------------


def with_background(X, k):
    """Known clusters at 0 and 8, and a uniform background on (-40, 40), of a weight to be found."""
    noise = numpyro.sample("noise", dist.Normal(0.0, 1.0))
    weights = jnp.append(jnp.full(k, jax.nn.sigmoid(-noise) / k), jax.nn.sigmoid(noise))
    numpyro.deterministic("weights", weights)
    with numpyro.plate("cluster", k):
        means = numpyro.sample("means", dist.Normal(0.0, 10.0))
    components = [dist.Normal(means[j], 1.0) for j in range(k)]
    box = dist.Uniform(-40.0, 40.0)
    with numpyro.plate("rows", len(X)):
        mixture = dist.MixtureGeneral(
            dist.Categorical(weights), [*components, box], support=dist.constraints.real
        )
        numpyro.sample("X", mixture, obs=X[:, 0])


def crossed_with_background(noise, x):
    target, data = prepared(x, with_background, 2)
    z = np.tile([noise, 0.0, 8.0], (20, 1))
    pivot = np.log(np.full((len(x), 2), 0.5))
    return rows.cross(
        target, data, z, np.arange(20), pivot, np.array([0]), jax.random.key(0), each_row=True
    )


def test_a_background_has_part_in_the_density_and_none_in_the_clusters():
    x = np.array([[0.0], [1.0], [7.0], [30.0], [-30.0]])
    share = 1 / (1 + np.exp(1.0))  # of the background
    parts = [np.log((1 - share) / 2) + norm(mean).logpdf(x[:, 0]) for mean in (0.0, 8.0)]
    parts.append(np.full(5, np.log(share / 80)))
    density = logsumexp(parts, axis=0)
    found = crossed_with_background(-1.0, x)
    np.testing.assert_allclose(found.each_row[0], density, rtol=1e-10)
    resp = np.exp(np.array(parts[:2]) - density)
    cost = np.sum(resp * (np.array(parts[:2]) - density - np.log(0.5)), axis=1)
    np.testing.assert_allclose(found.cost[0], np.stack([cost, cost], axis=1), rtol=1e-9)
    assert found.occupied.shape == (20, 2)


def test_where_the_background_has_every_row_no_cluster_is_occupied():
    found = crossed_with_background(30.0, np.array([[6.0], [7.0], [30.0]]))
    assert not found.occupied.any()


def by_row(X, k):
    """A mixture of regressions on the number of the row."""
    numpyro.deterministic("weights", jnp.full(k, 1 / k))
    with numpyro.plate("cluster", k):
        slopes = numpyro.sample("slopes", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", len(X)):
        means = jnp.arange(len(X))[:, None] * slopes
        mixing = dist.Categorical(jnp.full((len(X), k), 1 / k))
        mixture = dist.MixtureSameFamily(mixing, dist.Normal(means, 1.0))
        numpyro.sample("X", mixture, obs=X[:, 0])


def test_rows_with_parameters_of_their_own_are_seen_together(monkeypatch):
    monkeypatch.setattr(rows, "BLOCK_NUMBERS", 1)
    x, slopes = X[:, :1], np.array([[0.02, 0.05], [-0.01, 0.03]])
    target, data = prepared(x, by_row, 2)
    assert target.structure.by_row
    means = np.arange(len(x))[:, None] * slopes[:, None]
    joint = norm(means, 1.0).logpdf(x) - np.log(2)
    pivot, key = np.log(np.full((len(x), 2), 0.5)), jax.random.key(0)
    found = rows.cross(target, data, slopes, np.arange(2), pivot, HELD, key, each_row=True)
    np.testing.assert_allclose(found.each_row, logsumexp(joint, axis=-1), rtol=1e-10)


# --- predictions ---------------------------------------------------------------------------------

ORDER = np.stack([np.random.default_rng(7).permutation(K) for _ in range(S)])


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize(("block_draws", "room"), [(1000, 2**18), (5, 1), (6, 1)])
def test_predictions_are_averages_over_the_draws(monkeypatch, block_draws, room, at_once):
    monkeypatch.setattr(rows, "BLOCK_DRAWS", block_draws)
    monkeypatch.setattr(rows, "BLOCK_NUMBERS", room)
    found = rows.predict(rows.gaussian_log_joint, DRAWS, None, ORDER, X, at_once=at_once)
    np.testing.assert_allclose(found.log_density, np.log(np.exp(DENSITY).mean(0)), rtol=1e-10)
    expected = np.stack([RESP[i][:, ORDER[i]] for i in range(S)]).mean(0)
    np.testing.assert_allclose(found.membership, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.membership.sum(1), 1.0, rtol=1e-12)


@pytest.mark.parametrize(("block_draws", "room"), [(1000, 2**18), (5, 1), (6, 1)])
def test_log_densities_are_those_of_every_draw_and_row(monkeypatch, block_draws, room):
    monkeypatch.setattr(rows, "BLOCK_DRAWS", block_draws)
    monkeypatch.setattr(rows, "BLOCK_NUMBERS", room)
    found = rows.log_densities(rows.gaussian_log_joint, DRAWS, None, S, X, K)
    np.testing.assert_allclose(found, DENSITY, rtol=1e-10)


def test_predictions_far_from_every_component_stay_finite():
    far = np.full((1, D), 1e5)
    order = np.tile(np.arange(K), (S, 1))
    found = rows.predict(rows.gaussian_log_joint, DRAWS, None, order, far)
    assert np.isfinite(found.log_density).all()
    np.testing.assert_allclose(found.membership.sum(1), 1.0)


def test_other_programs_predict_by_their_own_joint_density():
    def shifted(draw, context, x):
        return log_joint(draw, x - context)

    order = np.tile(np.arange(K), (S, 1))
    found = rows.predict(shifted, DRAWS, jnp.ones(D), order, X + 1.0)
    np.testing.assert_allclose(found.log_density, np.log(np.exp(DENSITY).mean(0)), rtol=1e-9)
    densities = rows.log_densities(shifted, DRAWS, jnp.ones(D), S, X + 1.0, K)
    np.testing.assert_allclose(densities, DENSITY, rtol=1e-9)
