"""Laplace's approximation: exact where the posterior is normal, and modes by their mass."""

from functools import cache

import jax
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from bayesgmm.bayes.diagnose import pareto_k
from bayesgmm.bayes.laplace import approximate
from bayesgmm.bayes.start import MIN_MASS, Mode, modes
from bayesgmm.gaussian.mixture import Mixture
from tests.bayes.cases import (
    clear_rows,
    known_covariance,
    known_posterior,
    mode_at,
    prepared,
)

X = clear_rows(20)
MEAN, COVARIANCE = known_posterior(X)
FACTOR = np.linalg.cholesky(COVARIANCE)


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


@cache
def problem():
    return prepared(X, known_covariance, 1)


def drawn(found, num_chains=4, num_draws=1000, seed=0, **options):
    rng = np.random.default_rng(seed)
    return approximate(*problem(), found, num_chains, num_draws, rng, **options)


@cache
def exact():
    return drawn([mode_at(MEAN, FACTOR)])


def two_modes(share, apart=100.0):
    """One at the posterior's mode; the other far off, with the rest of the mass."""
    rest = np.log1p(-share)
    return [
        mode_at(MEAN, FACTOR, np.log(share)),
        mode_at(MEAN + apart * FACTOR.sum(1), 0.5 * FACTOR, rest),
    ]


# --- one mode ------------------------------------------------------------------------------------


def test_draws_have_the_exact_mean_and_covariance_within_their_error():
    white = np.linalg.solve(FACTOR, (exact().z.reshape(-1, 2) - MEAN).T)
    error = 5 / np.sqrt(white.shape[1])
    np.testing.assert_allclose(white.mean(1), 0.0, atol=error)
    np.testing.assert_allclose(white @ white.T / white.shape[1], np.eye(2), atol=1.5 * error)


def test_draws_are_independent():
    white = np.linalg.solve(FACTOR, (exact().z.reshape(-1, 2) - MEAN).T)
    lagged = (white[:, 1:] * white[:, :-1]).mean(1)
    assert np.abs(lagged).max() < 5 / np.sqrt(white.shape[1])


def test_the_density_of_a_draw_is_that_of_the_normal_it_came_from():
    draws = exact()
    expected = multivariate_normal(MEAN, COVARIANCE).logpdf(draws.z)
    np.testing.assert_allclose(draws.log_approximation, expected, rtol=1e-10)


def test_the_log_posterior_is_the_targets():
    target, data = problem()
    some = exact().z[:, ::250].reshape(-1, 2)
    expected = [-float(target.potential(z, data)) for z in some]
    np.testing.assert_allclose(exact().log_posterior[:, ::250].ravel(), expected, rtol=1e-12)


def test_nothing_of_a_normal_posterior_is_missed():
    """All importance ratios are equal: the evidence."""
    ratio = exact().log_posterior - exact().log_approximation
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-10)
    assert pareto_k(ratio) < 0.1


@pytest.mark.parametrize(("scale", "shift"), [(0.3, 0.0), (1.0, 4.0)])
def test_a_poor_approximation_says_so(scale, shift):
    draws = drawn([mode_at(MEAN + shift * FACTOR.sum(1), scale * FACTOR)])
    assert pareto_k(draws.log_posterior - draws.log_approximation) > 0.7


@pytest.mark.parametrize("size", [(2, 100), (5, 7)])
def test_draws_are_arranged_as_chains(size):
    draws = drawn([mode_at(MEAN, FACTOR)], *size)
    assert draws.z.shape == (*size, 2)
    assert draws.z.dtype == np.float64
    assert draws.log_posterior.shape == draws.log_approximation.shape == size
    assert all(np.isfinite(part).all() for part in draws[:3])


def test_the_same_seed_gives_the_same_draws():
    one, same, other = (drawn([mode_at(MEAN, FACTOR)], 2, 50, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.z, same.z)
    assert not np.array_equal(one.z, other.z)


def test_progress_is_told_to_the_end():
    told = []
    drawn([mode_at(MEAN, FACTOR)], 2, 50, progress=lambda *what: told.append(what))
    assert {(what, of) for what, _, of in told} == {("approximating", 100)}
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1][1] == 100


# --- several -------------------------------------------------------------------------------------


def at_home(draws):
    """Which draws lie in the first mode."""
    u = np.linalg.solve(FACTOR, (draws.z.reshape(-1, 2) - MEAN).T)
    return np.abs(u).max(0) < 50


@pytest.mark.parametrize("share", [0.9, 0.5, 0.2])
def test_modes_are_drawn_by_their_mass(share):
    found = at_home(drawn(two_modes(share)))
    error = 5 * np.sqrt(share * (1 - share) / found.size)
    assert found.mean() == pytest.approx(share, abs=error)


def test_each_mode_has_its_own_place_and_shape():
    draws = drawn(two_modes(0.5))
    home = at_home(draws)
    for chosen, shift, scale in ((home, 0.0, 1.0), (~home, 100.0, 0.5)):
        z = draws.z.reshape(-1, 2)[chosen]
        u = np.linalg.solve(scale * FACTOR, (z - MEAN - shift * FACTOR.sum(1)).T)
        error = 5 / np.sqrt(u.shape[1])
        np.testing.assert_allclose(u.mean(1), 0.0, atol=error)
        np.testing.assert_allclose(u @ u.T / u.shape[1], np.eye(2), atol=1.5 * error)


@pytest.mark.parametrize("apart", [0.5, 100.0])
def test_the_density_is_that_of_the_mixture_of_all_modes(apart):
    found = two_modes(0.3, apart)
    draws = drawn(found)
    parts = [
        np.log(share) + multivariate_normal(mode.place.loc, factor @ factor.T).logpdf(draws.z)
        for share, mode in zip((0.3, 0.7), found, strict=True)
        for factor in mode.place.factors[0]
    ]
    np.testing.assert_allclose(draws.log_approximation, np.logaddexp(*parts), rtol=1e-9)


def test_a_mode_of_next_to_no_mass_is_left_out():
    heavy, light = two_modes(1 - MIN_MASS / 2)
    draws = drawn([heavy, light])
    assert at_home(draws).all()
    expected = multivariate_normal(MEAN, COVARIANCE).logpdf(draws.z)
    np.testing.assert_allclose(draws.log_approximation, expected, rtol=1e-10)


def test_of_many_modes_without_mass_the_first_serves():
    many = [Mode(mode_at(MEAN, FACTOR).place, 0.0, -1e-3 * i, "here") for i in range(40)]
    draws = drawn(many, 2, 50)
    assert at_home(draws).all()
    assert np.isfinite(draws.log_approximation).all()


# --- from the modes that are found ---------------------------------------------------------------


def test_a_nearly_normal_posterior_is_nearly_found():
    """One component and 400 rows: the mean of the mean is the rows', its variance S / n."""
    rows = np.random.default_rng(3).normal(size=(400, 2)) @ np.array([[1.0, 0.5], [0.0, 2.0]])
    target, data = prepared(rows, "gaussian_diag", 1)
    optimum = Mixture(np.ones(1), rows.mean(0)[None], rows.std(0)[None])
    found = modes(target, data, [optimum], np.random.default_rng(0))
    draws = approximate(target, data, found, 4, 500, np.random.default_rng(1))
    assert pareto_k(draws.log_posterior - draws.log_approximation) < 0.5
    means = np.stack([target.draw(z, data)[1].means[0] for z in draws.z[0, :200]])
    error = rows.std(0) / np.sqrt(len(rows))
    assert (np.abs(means.mean(0) - rows.mean(0)) < 5 * error / np.sqrt(len(means))).all()
    np.testing.assert_allclose(means.std(0), error, rtol=0.25)
