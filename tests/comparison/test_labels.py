"""Components in another order: both halves follow, and what labels do not touch stays."""

from functools import cache

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.data.errors import InputError
from tests.bayes.cases import student

OPTIONS = {"num_chains": 2, "num_draws": 150, "max_draws": 150, "n_init": 4, "random_state": 0}


@cache
def fitted(model="gaussian"):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (60, 2)), rng.normal(5, 1, (30, 2)) * [1, -1]])
    return bg.BayesianMixture(2, model=model, **OPTIONS).fit(X)


@pytest.mark.parametrize(("by", "swaps"), [("x1", False), ("-x1", True), ("x2", True)])
def test_both_halves_follow_a_columns_means(by, swaps):
    fit = fitted()
    found = fit.relabel(by=by)
    order = [1, 0] if swaps else [0, 1]
    np.testing.assert_array_equal(found.ml_.mixture.means, fit.ml_.mixture.means[order])
    np.testing.assert_allclose(
        found.posterior_["posterior"]["means"].values,
        fit.posterior_["posterior"]["means"].values[:, :, order],
    )
    np.testing.assert_allclose(
        found.predict_proba(fit.both_.problem.X)[:, order], fit.predict_proba(fit.both_.problem.X)
    )
    before, after = fit.summary().to_frame(), found.summary().to_frame()
    for new, old in enumerate(order):
        own, same = after.loc[new + 1], before.loc[old + 1]
        np.testing.assert_allclose(own.to_numpy(float), same.to_numpy(float), rtol=1e-9)


def test_weights_may_increase_or_decrease():
    fit = fitted()
    for by, sign in (("weights", 1), ("-weights", -1)):
        found = fit.relabel(by=by)
        weights = found.posterior_["posterior"]["weights"].values
        assert (sign * np.diff(weights, axis=-1) >= 0).all()
        assert (sign * np.diff(found.ml_.mixture.weights) >= 0).all()


def test_the_fit_itself_keeps_its_labels():
    fit = fitted()
    means = fit.ml_.mixture.means.copy()
    fit.relabel(by="-x1")
    np.testing.assert_array_equal(fit.ml_.mixture.means, means)
    np.testing.assert_array_equal(fit.relabel().both_.posterior.order, fit.both_.posterior.order)


def test_a_bootstrap_follows():
    fit = fitted()
    fit.bootstrap(20)
    low, high = fit.both_.boot_ends
    other = fit.relabel(by="-x1")
    for before, after in zip((low, high), other.both_.boot_ends, strict=True):
        np.testing.assert_allclose(after.means, before.means[::-1])


def test_a_loaded_fit_is_relabelled_too(tmp_path):
    fit = fitted()
    loaded = bg.BayesianMixture.load(fit.save(tmp_path / "fit.nc"))
    one, other = fit.relabel(by="-x1"), loaded.relabel(by="-x1")
    np.testing.assert_allclose(other.both_.errors.means, one.both_.errors.means)
    np.testing.assert_allclose(other.both_.boot_ends[0].sds, one.both_.boot_ends[0].sds)
    again = bg.BayesianMixture.load(other.save(tmp_path / "other.nc"))
    np.testing.assert_array_equal(again.both_.posterior.order, one.both_.posterior.order)
    np.testing.assert_allclose(again.both_.posterior.membership, one.both_.posterior.membership)


def test_a_programs_site_orders_and_maximum_likelihood_agrees():
    rng = np.random.default_rng(1)
    X = np.concatenate([rng.normal(0, 1, (60, 2)), rng.normal(9, 3, (30, 2))])
    fit = bg.BayesianMixture(2, model="student_t", **OPTIONS).fit(X)
    sites = {n: v.sizes for n, v in fit.posterior_["posterior"].data_vars.items()}
    found = fit.relabel(by="-weights")
    resp = found.ml_.mixture.weights
    assert resp[0] > resp[1], sites
    np.testing.assert_array_equal(found.labels_[:60], 0)


def test_what_cannot_order_is_refused():
    fit = fitted()
    with pytest.raises(InputError, match=r"by='x3' is not known.*Choose one of weights"):
        fit.relabel(by="x3")
    with pytest.raises(InputError, match=r"by='means' has several entries for each component"):
        fit.relabel(by="means")


def test_a_program_that_is_not_normal_needs_its_code(tmp_path):
    loaded = bg.BayesianMixture.load(fitted(student).save(tmp_path / "fit.nc"))
    with pytest.raises(InputError, match="predicting needs its code"):
        loaded.relabel(by="weights")
