"""Families without correlations keep diagonals: the same fits, and no matrix at any width."""

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.data.table import read_table
from bayesgmm.gaussian import families
from bayesgmm.gaussian.mixture import (
    Mixture,
    full,
    log_density,
    log_likelihoods,
    permute,
    responsibilities,
    uncorrelated,
)
from bayesgmm.ml.admissible import relative_eigenvalues
from bayesgmm.ml.race import rearranged
from bayesgmm.ml.restarts import Settings, fit, fit_cells

NAMES = ["EII", "VII", "EEI", "VEI", "EVI", "VVI"]
FEW = Settings(n_init=4)


def clusters(n=240, d=3, k=3, seed=0):
    rng = np.random.default_rng(seed)
    places = rng.permutation(np.arange(k))[:, None] * np.array([6.0, -4.0, 5.0])[:d]
    sds = rng.uniform(0.5, 1.5, size=(k, d))
    labels = np.arange(n) % k
    return read_table(places[labels] + sds[labels] * rng.normal(size=(n, d)))


def some_mixture(stack=()):
    rng = np.random.default_rng(3)
    weights = rng.dirichlet(np.ones(3), size=stack)
    shape = (*stack, 3, 4)
    return Mixture(weights, rng.normal(size=shape), rng.uniform(0.5, 2, size=shape))


@pytest.mark.parametrize("stack", [(), (2,)])
def test_diagonals_mean_what_the_matrices_mean(stack):
    short, X = some_mixture(stack), np.random.default_rng(0).normal(size=(50, 4))
    whole = full(short)
    assert short.is_diagonal
    assert not whole.is_diagonal
    np.testing.assert_allclose(short.covariances, whole.covariances, rtol=1e-14)
    np.testing.assert_allclose(short.variances, whole.variances, rtol=1e-14)
    for function in (log_density, responsibilities):
        np.testing.assert_allclose(function(short, X), function(whole, X), rtol=1e-12)
    weights = np.ones(50)
    for one, other in zip(
        log_likelihoods(short, X, weights), log_likelihoods(whole, X, weights), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    np.testing.assert_allclose(relative_eigenvalues(short), relative_eigenvalues(whole), rtol=1e-10)
    np.testing.assert_allclose(uncorrelated(whole).scale_tril, short.scale_tril, rtol=1e-14)
    order = np.broadcast_to([2, 0, 1], (*stack, 3))
    np.testing.assert_array_equal(
        full(permute(short, order)).scale_tril, permute(whole, order).scale_tril
    )


def test_splitting_a_component_without_correlations_is_splitting_its_matrix():
    short = some_mixture()
    for one, other in zip(rearranged(full(short)), full(rearranged(short)), strict=True):
        np.testing.assert_allclose(abs(one), abs(other), atol=1e-12)


@pytest.mark.parametrize("policy", ["restart", "prior", "floor"])
@pytest.mark.parametrize("name", NAMES)
def test_fits_by_diagonals_are_fits_by_matrices(name, policy, monkeypatch):
    table, settings = clusters(), Settings(n_init=4, on_collapse=policy)
    whole = fit(table, 3, name, np.random.default_rng(0), settings)
    monkeypatch.setattr(families, "SHORT_COLUMNS", 2)
    short = fit(table, 3, name, np.random.default_rng(0), settings)
    assert short.mixture.is_diagonal
    assert not whole.mixture.is_diagonal
    assert short.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-9)
    np.testing.assert_allclose(short.mixture.means, whole.mixture.means, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        short.mixture.covariances, whole.mixture.covariances, rtol=1e-3, atol=1e-9
    )
    assert short.bic == pytest.approx(whole.bic, rel=1e-9)
    assert short.icl == pytest.approx(whole.icl, rel=1e-6)


def test_families_of_both_kinds_share_a_grid_in_the_order_asked(monkeypatch):
    monkeypatch.setattr(families, "SHORT_COLUMNS", 2)
    cells = [("VVV", 2), ("VVI", 3), ("EEE", 2), ("EII", 2), ("VVI", 1)]
    fits = fit_cells(clusters(), cells, np.random.default_rng(0), FEW)
    assert [(each.family.name, each.n_components) for each in fits] == cells
    assert [each.mixture.is_diagonal for each in fits] == [False, True, False, True, True]


@pytest.mark.parametrize("name", ["VVI", "VII", "VEI"])
def test_six_hundred_columns_are_ordinary(name, peak_memory):
    rng, d = np.random.default_rng(0), 600
    labels = np.arange(300) % 3
    X = rng.normal(size=(300, d)) + labels[:, None]
    estimator = bg.GaussianMixture(3, covariance_type=name, n_init=6, random_state=0)
    peak_memory(estimator.fit, X)  # compiles
    most, estimator = peak_memory(estimator.fit, X)
    found = estimator.predict(X)
    matrices = 3 * d * d * 8
    assert most < 6 * matrices  # the attributes are matrices for all but scikit-learn's names
    assert len({*zip(found.tolist(), labels.tolist(), strict=True)}) == 3
    variances = np.diagonal(estimator.ml_.mixture.covariances, axis1=1, axis2=2)
    np.testing.assert_allclose(variances.mean(), 1, atol=0.05)
    assert np.isfinite(estimator.score_samples(X)).all()
    assert estimator.sample(5)[0].shape == (5, d)
