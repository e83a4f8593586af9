"""Refits leave out what weights cannot; exact answers of a conjugate program say how well."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.bayes import kfold as module
from bayesgmm.bayes.kfold import bridge, folds, kfold, reloo, without
from bayesgmm.bayes.loo import PSIS, REFITTED
from bayesgmm.comparison.both import ready_again
from bayesgmm.data.errors import InputError
from bayesgmm.gaussian.mixture import log_density
from tests.bayes.cases import FAR_PRIOR, INFLUENTIAL, influential_fit, known_posterior
from tests.bayes.enumeration import Enumeration
from tests.bayes.test_moment_match import ROWS, exact, normal_densities

N = len(INFLUENTIAL)


@cache
def fitted():
    return influential_fit()


def parts(fit, seed=0):
    """What refits need, and the posterior without moments matched."""
    whole = replace(fit.both_.posterior, known_loo=replace(fit.both_.posterior, target=None).loo)
    rng = np.random.default_rng(seed)
    return whole, ready_again(fit.both_), fit.ml_, fit._settings(), rng


def predictive(i):
    """Of a row by the others, exactly."""
    rest = Enumeration.of(np.delete(INFLUENTIAL, i, axis=0), FAR_PRIOR, 1)
    return np.log(rest.predictive_density(INFLUENTIAL[i]))


# --- the bridge ----------------------------------------------------------------------------------


def row_densities(seed, sizes=(100_000, 10_000), i=5):
    rng = np.random.default_rng(seed)
    places = (known_posterior(ROWS), known_posterior(np.delete(ROWS, i, axis=0)))
    draws = [
        rng.multivariate_normal(*place, size=s) for place, s in zip(places, sizes, strict=True)
    ]
    return [normal_densities(i, z).row for z in draws]


@pytest.mark.parametrize("seed", range(3))
def test_the_bridge_finds_the_exact_predictive_density(seed):
    found, overlap = bridge(*row_densities(seed))
    assert found == pytest.approx(exact(5), abs=4 / np.sqrt(overlap))
    assert overlap > 30


def test_the_bridge_shifts_with_the_density():
    densities = row_densities(0)
    one, two = bridge(*densities), bridge(*(each + 7.0 for each in densities))
    assert two[0] == pytest.approx(one[0] + 7.0)
    assert two[1] == pytest.approx(one[1])


def test_posteriors_that_have_nothing_in_common_are_told():
    assert bridge(np.full(100, -5.0), np.full(50, -60.0))[1] < 1e-6
    assert bridge(np.full(100, -5.0), np.full(50, -5.0)) == pytest.approx((-5.0, 100 * 50 / 150))


# --- folds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [np.ones(23), np.array([5.0, 0, 3, 1, 40, 2])])
def test_folds_hold_every_unit_once_and_are_of_one_size(weights):
    held = folds(weights, 4, np.random.default_rng(0))
    np.testing.assert_array_equal(sum(held), weights)
    sizes = [each.sum() for each in held]
    assert max(sizes) - min(sizes) <= 1
    assert all((each >= 0).all() for each in held)


def test_folds_are_random_and_repeat_with_their_seed():
    one, same, other = (folds(np.ones(30), 3, np.random.default_rng(s)) for s in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one[0] != other[0]).any()


# --- refits --------------------------------------------------------------------------------------


def test_a_fold_for_each_row_is_exact_leave_one_out():
    whole, ready, ml, settings, rng = parts(fitted())
    found = kfold(whole, ready, ml, replace(settings, num_chains=2), rng, n_folds=N)
    expected = np.array([predictive(i) for i in range(N)])
    np.testing.assert_allclose(found.pointwise[:-1], expected[:-1], atol=0.15)
    assert found.elpd == pytest.approx(found.pointwise.sum())
    assert found.se == pytest.approx(np.sqrt(N) * found.pointwise.std(ddof=1))
    assert found.undecided == ()
    assert not found.pareto_k[-1] <= found.good_k  # the mean over draws of a refit is not enough
    assert f"Rows whose density rests on few draws: {found.n_bad}." in str(found)


def test_a_refit_and_a_bridge_leave_the_influential_row_out():
    whole, *own = parts(fitted())
    assert np.flatnonzero(whole.loo.bad).tolist() == [N - 1]
    found = reloo(whole, *own, most=1)
    assert found.how.tolist() == [*[PSIS] * (N - 1), REFITTED]
    assert (found.n_bad, found.n_refitted) == (0, 1)
    assert found.pointwise[-1] == pytest.approx(predictive(N - 1), abs=1.0)
    assert abs(whole.loo.pointwise[-1] - predictive(N - 1)) > 3
    assert found.elpd == pytest.approx(found.pointwise.sum())


def test_a_row_whose_refit_has_nothing_in_common_stays_unreliable(monkeypatch):
    monkeypatch.setattr(module, "LEAST_OVERLAP", 1e9)
    whole, *own = parts(fitted())
    found = reloo(whole, *own, most=1)
    np.testing.assert_array_equal(found.pointwise, whole.loo.pointwise)
    assert (found.n_bad, found.n_refitted) == (1, 0)


def test_refits_keep_the_priors_and_leave_out_units():
    weights = np.array([2.0, 1, 3, 1, 1, 1, 1, 1, 1])
    fit = influential_fit(weights, num_chains=2, num_draws=250)
    _, ready, ml, settings, rng = parts(fit)
    held = np.array([1.0, 0, 2, 0, 0, 0, 0, 0, 0])
    refit = without(held, ready, ml, settings, rng)
    np.testing.assert_array_equal(refit.row_weights, weights - held)
    assert refit.data.keywords is ready.data.keywords
    densities = np.asarray(log_density(refit.mixture, INFLUENTIAL))
    total = densities @ (weights - held)
    np.testing.assert_allclose(refit.crossed.log_likelihood, total, rtol=1e-9)


def test_what_cannot_be_refitted_is_refused(tmp_path):
    whole, *own = parts(fitted())
    for n_folds in (1, N + 1):
        with pytest.raises(InputError, match=f"n_folds={n_folds} must be at least 2, and at most"):
            kfold(whole, *own, n_folds=n_folds)
    with pytest.raises(InputError, match=r"unreliable for 1 rows, and max_refits=0"):
        reloo(whole, *own, most=0)
    ready, ml, settings, rng = own
    with pytest.raises(InputError, match="approximate too"):
        reloo(whole, ready, ml, replace(settings, inference="laplace"), rng, most=1)
    loaded = bg.BayesianMixture.load(fitted().save(tmp_path / "fit.nc"))
    with pytest.raises(InputError, match="loaded without its program"):
        loaded.kfold()


def test_the_estimator_tells_how_rows_were_left_out(tmp_path):
    fit = influential_fit()
    assert "LOO leaves out 1 row by moment matching: weights" in str(fit.summary())
    whole = fit.both_.posterior
    plain = replace(whole, known_loo=replace(whole, target=None).loo)
    fit.both_ = replace(fit.both_, posterior=plain)
    assert "LOO is unreliable for 1 row (Pareto k above 0.70). Next: reloo()" in " ".join(
        fit.summary().remarks()
    )
    found = fit.reloo()
    assert fit.loo_ is found
    assert "LOO leaves out 1 row by a refit each" in " ".join(fit.summary().remarks())
    loaded = bg.BayesianMixture.load(fit.save(tmp_path / "fit.nc"), model="conjugate")
    np.testing.assert_array_equal(loaded.loo_.how, found.how)
    np.testing.assert_array_equal(loaded.loo_.pointwise, found.pointwise)
    assert str(loaded.summary()) == str(fit.summary())
    assert str(loaded.kfold(3, random_state=0)) == str(fit.kfold(3, random_state=0))
