"""From EM to the posterior's modes: the right parameters, the right mass, every mode once."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from bayesgmm.bayes import start
from bayesgmm.bayes.start import Mode, allocate, modes, shares, value_and_gradient
from bayesgmm.bayes.target import GUIDED, PRIOR
from bayesgmm.data.errors import InputError
from bayesgmm.data.table import read_table
from bayesgmm.gaussian.mixture import Mixture, permute, responsibilities
from bayesgmm.ml import restarts
from tests.bayes.cases import (
    KNOWN_TRIL,
    clear_rows,
    known_covariance,
    known_posterior,
    prepared,
    student,
)

# Units of the two columns, and where their origin lies.
PLACES = {
    "at the origin": ((1.0, 1.0), (0.0, 0.0)),
    "in unlike units": ((1e-3, 1e4), (0.0, 0.0)),
    "off the origin": ((1.0, 1.0), (7.0, 2000.0)),
    "far off the origin": ((1.0, 1.0), (7.0, -2e5)),
    "far off in unlike units": ((1e-3, 1e4), (7.0, -2e5)),
}


@cache
def em(covariance_type, n_columns=2, place="at the origin"):
    """EM's fit of two clear groups."""
    units, shift = (np.array(part)[:n_columns] for part in PLACES[place])
    table = read_table(clear_rows(d=n_columns) * units + shift)
    settings = restarts.Settings(n_init=4)
    return table.X, restarts.fit(table, 2, covariance_type, np.random.default_rng(0), settings)


@cache
def found(place="at the origin"):
    X, ml = em("diag", place=place)
    target, data = prepared(X, "gaussian_diag", 2)
    return target, data, ml, modes(target, data, [ml.mixture], jax.random.key(0))


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def mode_at(log_mass):
    return Mode(np.zeros(1), 0.0, np.eye(1), log_mass, "here")


# --- the generalised M-step ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "covariance_type"),
    [
        ("gaussian", "full"),
        ("gaussian_tied", "tied"),
        ("gaussian_diag", "diag"),
        ("conjugate", "full"),
    ],
)
def test_the_generalised_m_step_puts_every_parameter_near_ems(program, covariance_type):
    X, ml = em(covariance_type, 1 if program == "conjugate" else 2, "in unlike units")
    target, data = prepared(X, program, 2)
    resp = responsibilities(ml.mixture, X)
    centre, spread = start._typical(start._Stage.of(target, data, PRIOR))
    guided = start._Stage.of(target, data, GUIDED, resp)
    z, _ = guided.minimise(centre, spread, max_iter=300)
    _, mixture = target.draw(jnp.asarray(z), data)
    gradient = guided.gradient(z)
    scales = start._scales(guided, z, spread)
    sds = np.sqrt(np.diagonal(ml.mixture.covariances, axis1=-2, axis2=-1))
    assert np.abs(gradient * scales).max() < 0.05
    np.testing.assert_allclose(mixture.weights, ml.mixture.weights, atol=0.02)
    assert (np.abs(mixture.means - ml.mixture.means) < 0.1 * sds).all()
    found = np.sqrt(np.diagonal(mixture.covariances, axis1=-2, axis2=-1))
    np.testing.assert_allclose(found, sds, rtol=0.3 if program == "conjugate" else 0.1)


def test_a_program_that_is_not_normal_starts_at_em_too():
    X, ml = em("diag", place="in unlike units")
    target, data = prepared(X, student, 2)
    best = modes(target, data, [ml.mixture], jax.random.key(0))[0]
    sites, _ = target.draw(jnp.asarray(best.z), data)
    sds = np.sqrt(np.diagonal(ml.mixture.covariances, axis1=-2, axis2=-1))
    assert (np.abs(sites["centre"] - ml.mixture.means) < 0.5 * sds).all()


# --- modes ---------------------------------------------------------------------------------------


def test_a_mode_is_stationary_and_its_factor_is_the_inverse_curvature():
    """Groups that overlap, so that the mode is some way from where EM's responsibilities lead."""
    X = clear_rows(seed=1) + np.where(np.arange(60) < 20, 3.3, -3.3)[:, None]
    ml = restarts.fit(read_table(X), 2, "diag", np.random.default_rng(0))
    target, data = prepared(X, "gaussian_diag", 2)
    best = modes(target, data, [ml.mixture], jax.random.key(0))[0]
    _, gradient = value_and_gradient(target, data, best.z)
    curvature = np.asarray(jax.jit(jax.hessian(target.potential))(jnp.asarray(best.z), data))
    assert np.abs(best.scale_tril.T @ gradient).max() < 1e-2
    white = best.scale_tril.T @ curvature @ best.scale_tril
    np.testing.assert_allclose(white, np.eye(target.size), atol=1e-4)


def test_a_permuted_start_leads_to_the_same_mode():
    target, data, ml, alone = found()
    permuted = permute(ml.mixture, np.array([1, 0]))
    both = modes(target, data, [ml.mixture, permuted], jax.random.key(0))
    assert len(both) == len(alone)
    np.testing.assert_array_equal(both[0].z, alone[0].z)
    assert both[0].origin == "EM optimum 1"


def test_labels_follow_the_order_of_ems_components():
    target, data, ml, _ = found()
    for order in ([0, 1], [1, 0]):
        wanted = permute(ml.mixture, np.array(order))
        best = modes(target, data, [wanted], jax.random.key(0))[0]
        _, mixture = target.draw(jnp.asarray(best.z), data)
    assert np.argmin(mixture.means[:, 0]) == np.argmin(wanted.means[:, 0])


def test_the_laplace_mass_of_a_normal_posterior_is_its_evidence():
    X = clear_rows(20)
    target, data = prepared(X, known_covariance, 1)
    optimum = restarts.fit(read_table(X), 1, "full", np.random.default_rng(0)).mixture
    (mode,) = modes(target, data, [optimum], jax.random.key(0))
    mean, covariance = known_posterior(X)
    log_evidence = (
        multivariate_normal(mean, KNOWN_TRIL @ KNOWN_TRIL.T).logpdf(X).sum()
        + multivariate_normal(np.zeros(2), 100 * np.eye(2)).logpdf(mean)
        - multivariate_normal(mean, covariance).logpdf(mean)
    )
    np.testing.assert_allclose(mode.z, mean, rtol=1e-5)
    np.testing.assert_allclose(mode.scale_tril @ mode.scale_tril.T, covariance, rtol=1e-6)
    assert mode.log_mass == pytest.approx(log_evidence, abs=1e-6)


@pytest.mark.parametrize(
    "place",
    PLACES,
)
def test_modes_and_their_mass_follow_the_units_and_the_origin(place):
    units, shift = PLACES[place]
    plain, target_data = found()[3][0], found(place)
    target, data, _, (best, *_) = target_data
    assert best.origin == plain.origin == "EM optimum 1"
    assert best.log_mass + 60 * np.log(units).sum() == pytest.approx(plain.log_mass, abs=1e-3)
    _, there = target.draw(jnp.asarray(best.z), data)
    _, here = found()[0].draw(jnp.asarray(plain.z), found()[1])
    np.testing.assert_allclose((there.means - np.array(shift)) / np.array(units), here.means, 1e-3)


def test_modes_come_largest_mass_first_whatever_led_to_them():
    """Three groups and two components: the middle group joins either side."""
    rng = np.random.default_rng(0)
    groups = np.repeat([-9.0, 0.0, 8.0], 15)[:, None]
    X = groups + rng.normal(size=(45, 2)) / 2
    target, data = prepared(X, "gaussian_diag", 2)
    left, right = (groups[:, 0] < bound for bound in (-5.0, 5.0))
    splits = [_mixture_of(X, labels) for labels in (left, right)]
    every = modes(target, data, splits, jax.random.key(0))
    assert {"EM optimum 1", "EM optimum 2"} <= {mode.origin for mode in every}
    masses = [mode.log_mass for mode in every]
    assert masses == sorted(masses, reverse=True)
    again = modes(target, data, splits[::-1], jax.random.key(0))
    assert [mode.log_mass for mode in again] == pytest.approx(masses, abs=1e-3)


def _mixture_of(X, labels):
    parts = [X[labels], X[~labels]]
    weights = np.array([len(part) / len(X) for part in parts])
    tril = np.stack([np.diag(part.std(0)) for part in parts])
    return Mixture(weights, np.stack([part.mean(0) for part in parts]), tril)


def test_a_log_posterior_that_is_nowhere_finite_is_told():
    X, ml = em("diag")
    target, data = prepared(X, "gaussian_diag", 2, priors={"spread": -1.0})
    with pytest.raises(InputError, match="not finite at any start; check its priors"):
        modes(target, data, [ml.mixture], jax.random.key(0))


# --- which chain starts where --------------------------------------------------------------------


def test_shares_sum_to_one_whatever_their_scale():
    np.testing.assert_allclose(shares([mode_at(-1e6), mode_at(-1e6 - np.log(3))]), [0.75, 0.25])


@pytest.mark.parametrize(
    ("log_masses", "expected"),
    [
        ([0.0], [0, 0, 0, 0]),
        ([0.0, -1.0], [0, 0, 0, 1]),
        ([0.0, -1.0, -1.1], [0, 0, 1, 2]),
        ([0.0, -20.0], [0, 0, 0, 0]),
        ([0.0] * 6, [0, 1, 2, 3]),
    ],
)
def test_chains_start_in_every_mode_with_mass_and_mostly_in_the_largest(log_masses, expected):
    assert allocate([mode_at(each) for each in log_masses], 4) == expected
