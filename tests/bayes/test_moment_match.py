"""Draws that are moved leave out rows that smoothed weights cannot; exact answers say so."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from bayesgmm.bayes import moment_match as module
from bayesgmm.bayes import posterior as posterior_module
from bayesgmm.bayes.loo import MATCHED, PSIS, loo, smoothed
from bayesgmm.bayes.moment_match import (
    Affine,
    LogDensity,
    evaluate,
    leave_out,
    match_moments,
    with_labels,
)
from bayesgmm.gaussian.precision import float64
from tests.bayes.cases import (
    FAR_PRIOR,
    INFLUENTIAL,
    KNOWN_TRIL,
    clear_rows,
    influential_fit,
    known_posterior,
    prepared,
    student,
)
from tests.bayes.enumeration import Enumeration

RNG = np.random.default_rng(5)
P = 3
FULL = Affine(np.eye(P) + np.tril(RNG.normal(size=(P, P))) / 2, RNG.normal(size=P))
DIAGONAL = Affine(np.array([0.5, 2.0, 1.5]), RNG.normal(size=P))
Z = RNG.normal(size=(40, P)) @ np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 2.0]]) + 7


# --- maps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("move", [FULL, DIAGONAL], ids=["full", "diagonal"])
def test_a_map_and_its_inverse_undo_each_other(move):
    np.testing.assert_allclose(move.inverse()(move(Z)), Z, rtol=1e-12)
    np.testing.assert_allclose(move(move.inverse()(Z)), Z, rtol=1e-12)
    assert move.inverse().log_det == pytest.approx(-move.log_det)


@pytest.mark.parametrize("first", [FULL, DIAGONAL])
@pytest.mark.parametrize("then", [FULL, DIAGONAL])
def test_maps_follow_one_another(first, then):
    both = then.after(first)
    np.testing.assert_allclose(both(Z), then(first(Z)), rtol=1e-12)
    assert both.log_det == pytest.approx(first.log_det + then.log_det)


def test_steps_match_mean_then_standard_deviations_then_covariance():
    weights = RNG.dirichlet(np.ones(len(Z)))
    here = module._Moved(DIAGONAL, Z, np.log(weights), 1.0)
    mean, covariance = weights @ Z, np.cov(Z.T, aweights=weights)
    shifted, scaled, turned = (step(Z) for step in module._steps(here))
    for moved in (shifted, scaled, turned):
        np.testing.assert_allclose(moved.mean(0), mean, rtol=1e-10)
    np.testing.assert_allclose(shifted.std(0), Z.std(0), rtol=1e-10)
    np.testing.assert_allclose(scaled.var(0), weights @ np.square(Z - mean), rtol=1e-10)
    np.testing.assert_allclose(np.cov(turned.T), covariance, rtol=1e-10)


def test_few_draws_or_none_that_move_leave_the_covariance_alone():
    even = np.full(20, -np.log(20))
    assert len(list(module._steps(module._Moved(DIAGONAL, Z[:20], even, 1.0)))) == 2
    still = np.concatenate([Z, np.ones((len(Z), 1))], axis=1)
    even = np.full(len(Z), -np.log(len(Z)))
    steps = list(module._steps(module._Moved(DIAGONAL, still, even, 1.0)))
    assert len(steps) == 2
    assert all(np.isfinite(step(still)).all() for step in steps)


# --- one row, a posterior that is normal ---------------------------------------------------------

ROWS = np.vstack([np.random.default_rng(0).normal(size=(5, 2)), [[6.0, -4.0]]])


def normal_densities(i, z):
    """Log posterior and density of row i for the mean of rows of known covariance."""
    covariance = KNOWN_TRIL @ KNOWN_TRIL.T
    log_posterior = multivariate_normal.logpdf(z, *known_posterior(ROWS))
    return LogDensity(log_posterior, multivariate_normal.logpdf(z, ROWS[i], covariance))


def exact(i):
    """The predictive density of a row by the others is normal, too."""
    mean, covariance = known_posterior(np.delete(ROWS, i, axis=0))
    return multivariate_normal.logpdf(ROWS[i], mean, covariance + KNOWN_TRIL @ KNOWN_TRIL.T)


def plain(z, i):
    row = normal_densities(i, z).row
    return loo(lambda some: row[None, :, None], np.ones(1), 1.0, np.zeros((1, len(z))), None)


@pytest.mark.parametrize("seed", range(3))
def test_a_row_that_weights_cannot_leave_out_is_left_out_exactly(seed):
    z = np.random.default_rng(seed).multivariate_normal(*known_posterior(ROWS), size=4000)
    by_weights = plain(z, 5)
    assert by_weights.bad.all()
    found = leave_out(z, partial(normal_densities, 5), 1.0, 0.7)
    assert found.pareto_k < 0.7
    assert found.elpd == pytest.approx(exact(5), abs=0.1)
    assert abs(found.elpd - exact(5)) < abs(by_weights.elpd - exact(5)) / 10


@pytest.mark.parametrize("i", [0, 5])
def test_every_kind_of_move_leads_to_the_exact_answer(i):
    """A map that is too strong, or turned the wrong way, is undone by the weights."""
    z = np.random.default_rng(1).multivariate_normal(*known_posterior(ROWS), size=20_000)
    begin = normal_densities(i, z)
    wanted, _ = known_posterior(np.delete(ROWS, i, axis=0))
    for linear in (np.ones(2), np.array([1.5, 1.3]), np.array([[1.4, 0.3], [-0.2, 1.2]])):
        move = Affine(linear, wanted - module._times(linear, z.mean(0)[None])[0])
        found = module._split(z, begin, move, partial(normal_densities, i), 1.0)
        assert found.elpd == pytest.approx(exact(i), abs=0.05)


def test_draws_that_need_not_move_give_plain_psis():
    z = np.random.default_rng(2).multivariate_normal(*known_posterior(ROWS), size=2000)
    found, expected = leave_out(z, partial(normal_densities, 0), 1.0, 0.7), plain(z, 0)
    assert found.elpd == pytest.approx(expected.elpd, rel=1e-12)
    assert found.pareto_k == pytest.approx(expected.pareto_k[0], rel=1e-12)


def test_a_density_that_is_not_finite_never_passes():
    def hopeless(z):
        log_posterior, row = normal_densities(0, z)
        return LogDensity(log_posterior, np.where(np.arange(len(z)) == 3, -np.inf, row))

    z = np.random.default_rng(2).multivariate_normal(*known_posterior(ROWS), size=500)
    assert leave_out(z, hopeless, 1.0, 0.7).pareto_k == np.inf


# --- programs ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def one_component():
    return influential_fit().both_.posterior


def without_matching(posterior):
    return replace(posterior, target=None).loo


def test_the_enumerated_predictive_density_is_reached(one_component):
    before, found = without_matching(one_component), one_component.loo
    rest = Enumeration.of(INFLUENTIAL[:-1], FAR_PRIOR, 1)
    expected = np.log(rest.predictive_density(INFLUENTIAL[-1]))
    assert before.bad.tolist() == 8 * [False] + [True]
    assert (found.n_bad, found.n_matched) == (0, 1)
    assert found.how.tolist() == 8 * [PSIS] + [MATCHED]
    assert abs(before.pointwise[-1] - expected) > 3
    assert found.pointwise[-1] == pytest.approx(expected, abs=0.4)


def test_what_is_matched_enters_all_sums(one_component):
    before, found = without_matching(one_component), one_component.loo
    gained = found.pointwise - before.pointwise
    np.testing.assert_array_equal(gained[:-1], 0)
    assert found.elpd == pytest.approx(before.elpd + gained[-1])
    assert found.p_loo == pytest.approx(before.p_loo - gained[-1])
    assert found.p_pointwise.sum() == pytest.approx(found.p_loo)
    assert found.se == pytest.approx(3 * found.pointwise.std(ddof=1))


def test_rows_that_take_too_long_are_left_as_they_are(one_component, monkeypatch):
    monkeypatch.setattr(posterior_module, "MATCH_NUMBERS", 1000)
    assert replace(one_component).loo.n_bad == 1


def test_no_worse_value_is_taken(one_component, monkeypatch):
    monkeypatch.setattr(module, "leave_out", lambda *_: module.LeftOut(99.0, np.inf))
    before = without_matching(one_component)
    own = (one_component.target, one_component.data, one_component.draws.z[0], np.ones(9), 1.0)
    after = match_moments(before, *own)
    np.testing.assert_array_equal(after.pointwise, before.pointwise)
    assert (after.how == PSIS).all()


def flat(posterior):
    z = posterior.draws.z.reshape(-1, posterior.draws.z.shape[-1])
    sites = {name: v.reshape(len(z), *v.shape[2:]) for name, v in posterior.sites.items()}
    return z, sites, posterior.draws.log_posterior.ravel()


def test_evaluations_are_the_draws_own_densities(one_component):
    z, _, log_posterior = flat(one_component)
    found = evaluate(one_component.target, one_component.data, INFLUENTIAL[2:3], z[:1500])
    np.testing.assert_allclose(found.posterior, log_posterior[:1500], rtol=1e-9)
    expected = one_component.log_likelihood.reshape(len(z), -1)[:1500, 2]
    np.testing.assert_allclose(found.row, expected, rtol=1e-9)


def exchanged(sites, axes, some=slice(None)):
    """The sites with the order of the clusters turned round in some of the draws."""
    other = {name: values.copy() for name, values in sites.items()}
    for name, axis in axes:
        other[name][some] = np.flip(sites[name][some], axis)
    return other


def test_draws_come_into_the_order_of_their_labels(faithful_fit):
    posterior = faithful_fit.both_.posterior
    own, axes = (posterior.target, posterior.data), posterior.structure.cluster_axes
    z, sites, log_posterior = flat(posterior)
    every_other = slice(1, None, 2)
    mixed = with_labels(*own, z, exchanged(sites, axes, every_other), log_posterior)
    heights = evaluate(*own, posterior.X[:1], mixed).posterior
    np.testing.assert_allclose(heights, log_posterior, rtol=1e-9)
    right = with_labels(*own, mixed, sites, log_posterior)
    assert (right[every_other] != mixed[every_other]).any(axis=1).all()
    in_order = (posterior.order == np.arange(2)).all(-1).ravel()
    np.testing.assert_allclose(right[in_order], z[in_order], atol=1e-9)


@float64
def test_a_program_that_tells_its_labels_apart_keeps_its_draws():
    target, data = prepared(clear_rows(), student, 2)
    z = np.random.default_rng(0).normal(size=(20, target.size)) / 5
    points = [target.at(each, data).sites for each in z]
    sites = {name: np.stack([each[name] for each in points]) for name in points[0]}
    heights = np.array([-target.potential(each, data) for each in z])
    np.testing.assert_allclose(with_labels(target, data, z + 1, sites, heights), z, atol=1e-9)
    others = exchanged(sites, target.structure.cluster_axes)
    assert with_labels(target, data, z, others, heights) is z


def test_weights_are_normalised_and_ordered():
    log_ratio = RNG.normal(size=500)
    log_weights, k = smoothed(log_ratio, 1.0)
    assert logsumexp(log_weights) == pytest.approx(0.0, abs=1e-12)
    assert np.array_equal(np.argsort(log_weights)[:300], np.argsort(log_ratio)[:300])
    assert k < 0.7
    assert smoothed(np.zeros(500), 1.0)[1] == np.inf
