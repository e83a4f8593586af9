"""Refits: closed forms where there are any, what counts stand for, and what is refused."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.data.errors import InputError
from bayesgmm.data.table import read_table
from bayesgmm.gaussian.families import FAMILIES
from bayesgmm.gaussian.mixture import Mixture, responsibilities
from bayesgmm.ml import bootstrap as module
from bayesgmm.ml import memberships
from bayesgmm.ml.bootstrap import KINDS, bootstrap
from bayesgmm.ml.problem import Problem
from bayesgmm.ml.restarts import Settings, fit
from bayesgmm.ml.uncertainty import standard_errors
from bayesgmm.ml.warnings import DegenerateFitWarning, NotConvergedWarning

FEW = Settings(n_init=8, tol=1e-12)
rng = np.random.default_rng


def resampled(table, k, name="VVV", *, seed=0, **options):
    """The bootstrap of the table's fit."""
    problem, found = Problem.of(table), fit(table, k, name, rng(0), FEW)
    return bootstrap(found, problem, FEW.track(problem, k), rng(seed), **options)


def two_groups(n=400, seed=0, d=2):
    draw = rng(seed)
    labels = np.arange(n) % 2
    return read_table(draw.normal(size=(n, d)) + 5.0 * labels[:, None])


# --- closed forms -------------------------------------------------------------------------------


def test_one_component_refits_to_weighted_means_and_covariances():
    """Each refit is a weighted mean and covariance, whose Dirichlet weights have known moments."""
    table = read_table(rng(1).normal(size=(60, 2)) * [1.0, 30.0])
    b = 4000
    found = resampled(table, 1, n_resamples=b)
    X, n = table.X, 60
    sd = X.std(0)
    errors = found.standard_errors.means[0]
    np.testing.assert_allclose(errors, sd / np.sqrt(n + 1), rtol=4 / np.sqrt(2 * b))
    np.testing.assert_allclose(
        found.quantities.means[:, 0].mean(0), X.mean(0), atol=4 * errors.max() / np.sqrt(b)
    )


def test_the_multinomial_error_of_a_mean_is_the_textbooks():
    table, b = read_table(rng(2).normal(size=(50, 1))), 4000
    found = resampled(table, 1, n_resamples=b, kind="multinomial")
    expected = table.X.std() / np.sqrt(50)
    assert found.standard_errors.means[0, 0] == pytest.approx(expected, rel=4 / np.sqrt(2 * b))


def test_the_jackknife_of_a_mean_is_exact():
    """Its standard error is s / sqrt(n), s with n - 1 in the denominator."""
    table = read_table(rng(3).normal(size=(40, 2)))
    found = resampled(table, 1, kind="jackknife")
    assert found.n_resamples == 40
    expected = table.X.std(0, ddof=1) / np.sqrt(40)
    np.testing.assert_allclose(found.standard_errors.means[0], expected, rtol=1e-9)


def test_the_jackknife_of_counts_is_that_of_repeated_rows():
    X, counts = rng(4).normal(size=(30, 2)), np.resize([1.0, 2.0, 3.0], 30)
    weighted = resampled(read_table(X, weights=counts), 1, kind="jackknife")
    repeated = resampled(read_table(np.repeat(X, counts.astype(int), 0)), 1, kind="jackknife")
    assert weighted.copies.sum() == 60
    for one, other in zip(weighted.standard_errors, repeated.standard_errors, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-12)


def test_parametric_refits_have_the_errors_of_normal_theory():
    table, b = read_table(rng(5).normal(size=(200, 1))), 4000
    found = resampled(table, 1, n_resamples=b, kind="parametric")
    sd, n = table.X.std(), 200
    close = 4 / np.sqrt(2 * b)
    assert found.standard_errors.means[0, 0] == pytest.approx(sd / np.sqrt(n), rel=close)
    assert found.standard_errors.sds[0, 0] == pytest.approx(sd / np.sqrt(2 * n), rel=close + 0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_agrees_with_the_information_on_many_rows(kind):
    table, b = two_groups(), 400
    found = resampled(table, 2, n_resamples=b, kind=kind)
    expected = standard_errors(found.fit, found.problem).values
    for name in ("weights", "means", "sds"):
        one, other = getattr(found.standard_errors, name), getattr(expected, name)
        np.testing.assert_allclose(one, other, rtol=0.25)


# --- counts, blocks, families -------------------------------------------------------------------


def test_weights_of_counts_have_the_moments_of_repeated_rows(monkeypatch):
    seen = []

    def keep(fit, data, b):
        seen.append(data.row_weights)
        return real(fit, data, b)

    real = module._refitted
    monkeypatch.setattr(module, "_refitted", keep)
    counts = np.resize([0.0, 1.0, 4.0], 45)
    table = read_table(rng(6).normal(size=(45, 1)), weights=counts)
    resampled(table, 1, n_resamples=3000)
    weights, total = np.concatenate(seen), counts.sum()
    np.testing.assert_allclose(weights.sum(1), total)
    assert (weights[:, counts == 0] == 0).all()
    np.testing.assert_allclose(weights.mean(0), counts, atol=0.2)
    variance = counts * (total - counts) / (total + 1)  # total^2 times that of a Dirichlet's share
    np.testing.assert_allclose(weights.var(0), variance, rtol=0.15)


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_of_refits_are_the_refits(kind, monkeypatch):
    table = two_groups(80)
    whole = resampled(table, 2, n_resamples=30, kind=kind)
    monkeypatch.setattr(module, "BLOCK", 8 * 80 * 2 * 7)
    parts = resampled(table, 2, n_resamples=30, kind=kind)
    assert len(parts.copies) == len(whole.copies)
    if kind != "parametric":  # whose rows are drawn in another order
        for one, other in zip(parts.mixtures, whole.mixtures, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", [member.name for member in FAMILIES])
def test_refits_stay_in_the_family(name):
    found = resampled(two_groups(), 2, name, n_resamples=20)
    covariances = found.mixtures.covariances
    if name[2] == "I":
        off = covariances[..., ~np.eye(2, dtype=bool)]
        np.testing.assert_allclose(off, 0, atol=1e-12)
    if name[0] == "E":
        volumes = np.linalg.det(covariances)
        np.testing.assert_allclose(volumes[:, 0], volumes[:, 1], rtol=1e-8)


def test_chunks_of_rows_give_the_same_refits(monkeypatch):
    from bayesgmm.gaussian import chunks

    table = two_groups(300)
    whole = resampled(table, 2, n_resamples=5)
    monkeypatch.setattr(chunks, "CHUNK", 0)
    parts = resampled(table, 2, n_resamples=5)
    np.testing.assert_allclose(parts.mixtures.means, whole.mixtures.means, rtol=1e-5)


# --- labels -------------------------------------------------------------------------------------


def test_refits_that_switch_are_put_right_and_counted(monkeypatch):
    def turned(fit, data, b):
        result = real(fit, data, b)
        state = result.state
        mixture = Mixture(*(part[:, ::-1] for part in state.mixture))
        state = state._replace(mixture=mixture)
        return result._replace(state=state, counts=result.counts[:, ::-1])

    real = module._refitted
    straight = resampled(two_groups(), 2, n_resamples=20)
    monkeypatch.setattr(module, "_refitted", turned)
    found = resampled(two_groups(), 2, n_resamples=20)
    assert found.switched == 20
    assert straight.switched == 0
    np.testing.assert_array_equal(found.mixtures.means, straight.mixtures.means)
    assert "20 switched labels" in found.sentences()[0]


# --- intervals, memberships ---------------------------------------------------------------------


def test_percentile_intervals_hold_their_share_of_the_refits():
    found = resampled(two_groups(), 2, n_resamples=400)
    for level in (0.5, 0.95):
        low, high = found.intervals(level)
        for name in ("weights", "means", "sds"):
            values = getattr(found.quantities, name)
            inside = (values >= getattr(low, name)) & (values <= getattr(high, name))
            np.testing.assert_allclose(inside.mean(0), level, atol=0.01)
    for level in (0.0, 1.0, -2.0):
        with pytest.raises(InputError, match="level"):
            found.intervals(level)


def test_memberships_are_the_refits_and_rows_may_be_taken_in_blocks(monkeypatch):
    found = resampled(two_groups(60), 2, n_resamples=25)
    told = found.memberships()
    resp = responsibilities(found.mixtures, found.problem.X)
    np.testing.assert_allclose(told["mean"].values, resp.mean(0), atol=1e-14)
    np.testing.assert_allclose(told["high"].values, np.quantile(resp, 0.975, axis=0), atol=1e-14)
    np.testing.assert_allclose(told["mean"].values.sum(1), 1)
    assert (told["low"] <= told["mean"]).all()
    assert (told["entropy"] >= 0).all()
    assert told["mean"].dims == ("obs_id", "cluster")
    monkeypatch.setattr(module, "BLOCK", 8 * 2 * 25 * 7)
    for name, part in found.memberships().items():
        np.testing.assert_allclose(part.values, told[name].values, atol=1e-14)


def test_co_clustering_is_symmetric_sure_of_itself_and_ignores_labels(monkeypatch):
    found = resampled(two_groups(40), 2, n_resamples=10)
    together = found.co_clustering()
    assert together.dims == ("obs_id", "obs_id_bis")
    matrix = together.values
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-14)
    np.testing.assert_array_equal(np.diagonal(matrix), 1)
    resp = responsibilities(found.mixtures, found.problem.X)
    expected = np.einsum("bik,bjk->ij", resp, resp) / 10
    off = ~np.eye(40, dtype=bool)
    np.testing.assert_allclose(matrix[off], expected[off], atol=1e-13)
    turned = replace(found, mixtures=Mixture(*(part[:, ::-1] for part in found.mixtures)))
    np.testing.assert_allclose(turned.co_clustering().values, matrix, atol=1e-14)
    monkeypatch.setattr(memberships, "MOST_ROWS", 39)
    with pytest.raises(InputError, match="at most 39"):
        found.co_clustering()


# --- what is refused or warned of ---------------------------------------------------------------


def test_bad_input_is_refused():
    table = two_groups(60)
    for options, message in (
        ({"n_resamples": 1}, "n_resamples=1 must be at least 2"),
        ({"kind": "weigthed"}, "weighted"),
    ):
        with pytest.raises(InputError, match=message):
            resampled(table, 2, **options)
    with pytest.raises(InputError, match="not counts"):
        resampled(read_table(table.X, weights=np.full(60, 0.5)), 2)


def test_a_fit_that_is_not_admissible_is_refused():
    table = read_table(np.repeat(rng(0).normal(size=(3, 2)), 2, axis=0))
    problem = Problem.of(table)
    with pytest.warns(DegenerateFitWarning):
        found = fit(table, 3, "VVV", rng(0), FEW)
    with pytest.raises(InputError, match="not admissible"):
        bootstrap(found, problem, FEW.track(problem, 3), rng(0))


def test_a_fit_that_did_not_converge_is_warned_of():
    table = two_groups(60)
    problem, found = Problem.of(table), fit(table, 2, "VVV", rng(0), FEW)
    with pytest.warns(NotConvergedWarning, match="did not converge"):
        bootstrap(
            replace(found, converged=False), problem, FEW.track(problem, 2), rng(0), n_resamples=5
        )


def test_many_collapsed_refits_are_counted_and_warned_of():
    """A component of four rows loses them in many a multinomial resample."""
    X = np.concatenate([rng(0).normal(size=(60, 1)), 30 + 0.2 * rng(1).normal(size=(4, 1))])
    with pytest.warns(DegenerateFitWarning, match="refits collapsed"):
        found = resampled(read_table(X), 2, "VVV", n_resamples=200, kind="multinomial")
    assert 0 < found.collapsed < 200
    assert len(found.copies) == 200 - found.collapsed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateFitWarning)
        weighted = resampled(read_table(X), 2, "VVV", n_resamples=200)
    assert weighted.collapsed < found.collapsed


# --- the estimator ------------------------------------------------------------------------------


def test_the_estimator_repeats_its_bootstrap_and_forgets_it_when_fitted_again():
    X = two_groups(80).X
    estimator = bg.GaussianMixture(2, n_init=4, random_state=0).fit(X)
    one, other = (estimator.bootstrap(20, random_state=3) for _ in range(2))
    np.testing.assert_array_equal(one.mixtures.means, other.mixtures.means)
    state = np.random.get_state()[1].copy()
    estimator.bootstrap(20)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    assert "95% bootstrap" in str(estimator.summary())
    assert "95% bootstrap" not in str(estimator.fit(X).summary())


def test_the_standard_errors_are_near_mclusts():
    """What mclust 6.0.0 finds with MclustBootstrap(nboot = 999, type = "wlbs") for EEE, k = 3.

    Both have an error of 2 % from 999 refits; mclust's refits stop earlier than ours.
    """
    found = resampled(read_table("faithful"), 3, "EEE", n_resamples=999)
    weights = [0.02824674, 0.05332298, 0.05891478]
    means = [[0.02752846, 0.5922436], [0.1265348, 2.395832], [0.05022841, 0.5941348]]
    np.testing.assert_allclose(found.standard_errors.weights, weights, rtol=0.12)
    np.testing.assert_allclose(found.standard_errors.means, means, rtol=0.12)


def test_the_jackknife_says_nothing_of_memberships():
    found = resampled(two_groups(40), 2, kind="jackknife")
    for question in (found.memberships, found.co_clustering):
        with pytest.raises(InputError, match="jackknife"):
            question()


def test_it_uses_the_policy_that_the_fit_had():
    X = two_groups(60).X
    estimator = bg.GaussianMixture(2, on_collapse="prior", n_init=4, random_state=0).fit(X)
    one = estimator.bootstrap(30)
    estimator.set_params(on_collapse="restart")
    np.testing.assert_array_equal(estimator.bootstrap(30).mixtures.means, one.mixtures.means)
    assert "with a prior" in str(estimator.summary())


def test_known_weights_have_no_error():
    estimator = bg.GaussianMixture(2, equal_weights=True, n_init=4, random_state=0)
    found = estimator.fit(two_groups(60).X).bootstrap(30)
    np.testing.assert_array_equal(found.standard_errors.weights, 0)


def test_it_shows_what_became_of_the_refits():
    found = resampled(two_groups(60), 2, n_resamples=20)
    assert "20 weighted refits" in repr(found)
    assert len(repr(found)) < 300
