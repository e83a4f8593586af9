"""Labels of a posterior: whatever the method, draws stay what they are."""

from functools import cache

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.bayes import labels, relabel
from bayesgmm.bayes.allocation import co_clustering
from bayesgmm.data.errors import InputError
from bayesgmm.gaussian.mixture import responsibilities
from bayesgmm.gaussian.precision import float64
from tests.bayes.cases import student

OPTIONS = {"num_chains": 2, "num_draws": 150, "max_draws": 150, "n_init": 4, "random_state": 0}


@cache
def both(model="gaussian", k=3):
    """Components that overlap, so that labels are not clear."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (30, 2)), rng.normal(1.5, 1, (20, 2))])
    return bg.BayesianMixture(k, model=model, **OPTIONS).fit(X).both_


def reference(found):
    return responsibilities(found.ml.mixture, found.problem.X)


def shuffled(posterior, seed=1):
    """The same draws, each in an order of its own."""
    rng = np.random.default_rng(seed)
    places = np.tile(np.arange(posterior.structure.k), (*posterior.margin.shape, 1))
    order = rng.permuted(places, axis=-1)
    return posterior.relabelled(order, posterior.margin)


def components(posterior):
    """What each draw's components consist of, in no order: sites side by side, sorted."""
    k = posterior.structure.k
    parts = [
        np.moveaxis(posterior.sites[name], axis, 2)[:, :, :k].reshape(
            *posterior.margin.shape, k, -1
        )
        for name, axis in posterior.structure.cluster_axes
    ]
    every = np.concatenate(parts, axis=-1)
    return np.take_along_axis(every, every[..., :1].argsort(2), axis=2)


@pytest.mark.parametrize("model", ["gaussian", "gaussian_noise", student])
@pytest.mark.parametrize("method", labels.METHODS)
def test_parameters_move_together_and_no_draw_is_dropped(method, model):
    found = both(model)
    elpd = found.posterior.loo.elpd
    before = shuffled(found.posterior)
    after = labels.labelled(before, reference(found), method)
    assert (after.order != before.order).any()
    np.testing.assert_array_equal(components(after), components(before))
    np.testing.assert_array_equal(after.log_likelihood, before.log_likelihood)
    np.testing.assert_allclose(co_clustering(after), co_clustering(before), atol=1e-12)
    assert after.loo.elpd == elpd
    np.testing.assert_array_equal(np.sort(after.order, -1), np.sort(before.order, -1))
    for name in before.structure.shared:
        np.testing.assert_array_equal(after.sites[name], before.sites[name])


@pytest.mark.parametrize("model", ["gaussian", student])
def test_memberships_move_with_the_parameters(model):
    found = both(model)
    before = found.posterior
    order = np.tile([2, 0, 1], (*before.margin.shape, 1))
    after = before.relabelled(order, before.margin)
    np.testing.assert_allclose(after.membership, before.membership[:, [2, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(
        after.predict(before.X + 0.1).membership,
        before.predict(before.X + 0.1).membership[:, [2, 0, 1]],
        atol=1e-12,
    )


@pytest.mark.parametrize("model", ["gaussian", "gaussian_noise", student])
def test_the_order_says_where_the_sites_come_from(model):
    """The order is that of the clusters as they were drawn, however often they were relabelled."""
    posterior = shuffled(shuffled(both(model).posterior), seed=2)
    z = posterior.draws.z[1, 7]
    point = float64(posterior.target.at)(z, posterior.data)
    for name, axis in posterior.structure.cluster_axes:
        order = posterior.order[1, 7][: np.shape(point.sites[name])[axis]]
        drawn = np.take(np.asarray(point.sites[name]), order, axis=axis)
        np.testing.assert_allclose(posterior.sites[name][1, 7], drawn, rtol=1e-12)
    if posterior.structure.background:
        assert (posterior.order[..., -1] == posterior.structure.k).all()


@pytest.mark.parametrize("method", ["kl", "ecr"])
def test_a_pivot_that_stays_forgets_where_labels_were(method):
    found = both()
    one = labels.labelled(found.posterior, reference(found), method)
    other = labels.labelled(shuffled(found.posterior), reference(found), method)
    np.testing.assert_allclose(one.margin, other.margin, rtol=1e-6, atol=1e-9)
    clear = one.margin > 1e-6  # ECR counts rows, and may count as many
    np.testing.assert_array_equal(one.order[clear], other.order[clear])
    assert clear.mean() > 0.5


def test_the_sampled_draws_are_at_stephens_fixed_point():
    found = both()
    assert found.posterior.diagnostics.ambiguous > 0
    again = labels.labelled(found.posterior, reference(found), "stephens")
    np.testing.assert_array_equal(again.order, found.posterior.order)


def test_the_fixed_point_spreads_less_than_the_pivot_alone():
    """Stephens' loss is what the method lowers."""
    found = both()
    row_weights = found.posterior.row_weights

    def loss(posterior):
        mean = posterior.membership
        return -sum(
            (row_weights[places, None] * resp * np.log(mean[places])).sum()
            for places, resp in posterior.every_membership()
        )

    pivotal = labels.labelled(found.posterior, reference(found), "kl")
    assert loss(found.posterior) < loss(pivotal)


def test_the_clusters_are_numbered_as_the_reference():
    found = both()
    turned = reference(found)[:, [1, 2, 0]]
    one = labels.labelled(found.posterior, reference(found), "stephens")
    other = labels.labelled(found.posterior, turned, "stephens")
    np.testing.assert_allclose(other.membership, one.membership[:, [1, 2, 0]], atol=1e-12)


def test_some_draws_find_the_pivot_where_there_are_many(monkeypatch):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (40, 2)), rng.normal(6, 1, (30, 2))])
    found = bg.BayesianMixture(2, **OPTIONS).fit(X).both_
    before = shuffled(found.posterior)
    whole = labels.labelled(before, reference(found), "stephens")
    monkeypatch.setattr(labels, "PIVOT_NUMBERS", 1000)
    monkeypatch.setattr(labels, "PIVOT_LEAST_DRAWS", 30)
    monkeypatch.setattr(relabel, "MOST_ROUNDS", 20)
    few = labels.labelled(before, reference(found), "stephens")
    np.testing.assert_array_equal(few.order, whole.order)
    np.testing.assert_array_equal(few.order, found.posterior.order)


def test_an_order_is_increasing_in_every_draw_and_its_margin_the_least_step():
    posterior = both().posterior
    found = labels.ordered(posterior, posterior.mixture.means[..., 1])
    steps = np.diff(found.mixture.means[..., 1], axis=-1)
    assert (steps > 0).all()
    np.testing.assert_allclose(found.margin, steps.min(-1))
    np.testing.assert_array_equal(components(found), components(posterior))


def test_one_component_has_one_order():
    posterior = both(k=1).posterior
    found = labels.ordered(posterior, posterior.mixture.means[..., 0])
    np.testing.assert_array_equal(found.order, posterior.order)
    assert np.isinf(found.margin).all()


def test_the_verdict_follows_the_labels():
    """Labels drawn at random are ambiguous; a fixed point of the same draws need not be."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (40, 2)), rng.normal(6, 1, (30, 2))])
    found = bg.BayesianMixture(2, **OPTIONS).fit(X).both_
    spoiled = shuffled(found.posterior)
    assert spoiled.diagnostics.ambiguous > 0.9
    assert "labels ambiguous" in {flag.name for flag in spoiled.verdict.flags}
    mended = labels.labelled(spoiled, reference(found), "stephens")
    assert mended.diagnostics.ambiguous == 0
    assert "labels ambiguous" not in {flag.name for flag in mended.verdict.flags}


def test_an_unknown_method_is_refused():
    found = both()
    with pytest.raises(InputError, match=r"method='stevens' is not known; did you mean 'stephens'"):
        labels.labelled(found.posterior, reference(found), "stevens")
