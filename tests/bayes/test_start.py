"""From EM to the posterior's modes: the right parameters, the right mass, every mode once."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from scipy.stats import multivariate_normal

from bayesgmm.bayes import metric, start
from bayesgmm.bayes.start import MIN_MASS, allocate, modes, shares, value_and_gradient, values
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
    mode_at,
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
    return target, data, ml, modes(target, data, [ml.mixture], np.random.default_rng(0))


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def weighing(log_mass):
    return mode_at([0.0], [[1.0]], log_mass)


def hessian(target, data, z):
    return np.asarray(jax.jit(jax.hessian(target.potential))(jnp.asarray(z), data))


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
    X, ml = em(covariance_type, place="in unlike units")
    target, data = prepared(X, program, 2)
    guide = target.guide(data, responsibilities(ml.mixture, data.X))
    centre, spread = start._typical(start._Stage.of(target, data, PRIOR))
    guided = start._Stage.of(target, data, GUIDED, guide)
    z, _ = guided.minimise(centre, spread, max_iter=300)
    _, mixture = target.draw(jnp.asarray(z), data)
    _, gradient = guided(z)
    scales = start._scales(guided, z, spread)
    sds = np.sqrt(np.diagonal(ml.mixture.covariances, axis1=-2, axis2=-1))
    assert np.abs(gradient * scales).max() < 0.05
    np.testing.assert_allclose(mixture.weights, ml.mixture.weights, atol=0.02)
    assert (np.abs(mixture.means - ml.mixture.means) < 0.1 * sds).all()
    found = np.sqrt(np.diagonal(mixture.covariances, axis1=-2, axis2=-1))
    np.testing.assert_allclose(found, sds, rtol=0.3 if program == "conjugate" else 0.1)


@pytest.mark.parametrize(("program", "centres"), [(student, "centre"), ("student_t", "locations")])
def test_a_program_that_is_not_normal_starts_at_em_too(program, centres):
    X, ml = em("diag", place="in unlike units")
    target, data = prepared(X, program, 2)
    best = modes(target, data, [ml.mixture], np.random.default_rng(0))[0]
    sites, _ = target.draw(jnp.asarray(best.place.loc), data)
    sds = np.sqrt(np.diagonal(ml.mixture.covariances, axis1=-2, axis2=-1))
    assert (np.abs(sites[centres] - ml.mixture.means) < 0.5 * sds).all()


def test_a_background_takes_the_scattered_rows_and_leaves_the_clusters_to_em():
    scattered = np.random.default_rng(1).uniform(-60, 60, size=(12, 2))
    X, groups = np.concatenate([clear_rows(), scattered]), clear_rows()
    ml = restarts.fit(read_table(groups), 2, "diag", np.random.default_rng(0))
    target, data = prepared(X, "gaussian_noise", 2)
    best = modes(target, data, [ml.mixture], np.random.default_rng(0))[0]
    sites, _ = target.draw(jnp.asarray(best.place.loc), data)
    assert abs(sites["weights"][2] - 12 / 72) < 0.03
    sds = np.sqrt(np.diagonal(ml.mixture.covariances, axis1=-2, axis2=-1))
    assert (np.abs(sites["means"] - ml.mixture.means) < 0.2 * sds).all()


# --- modes ---------------------------------------------------------------------------------------


def test_a_mode_is_stationary_and_its_factor_is_the_inverse_curvature():
    """Groups that overlap, so that the mode is some way from where EM's responsibilities lead."""
    X = clear_rows(seed=1) + np.where(np.arange(60) < 20, 3.3, -3.3)[:, None]
    ml = restarts.fit(read_table(X), 2, "diag", np.random.default_rng(0))
    target, data = prepared(X, "gaussian_diag", 2)
    best = modes(target, data, [ml.mixture], np.random.default_rng(0))[0]
    _, gradient = value_and_gradient(target, data, best.place.loc)
    (factor,) = best.place.factors[0]
    assert np.abs(factor.T @ gradient).max() < 1e-3
    white = factor.T @ hessian(target, data, best.place.loc) @ factor
    np.testing.assert_allclose(white, np.eye(target.size), atol=1e-4)


def test_factors_by_component_are_the_inverse_curvatures_of_their_own_blocks(monkeypatch):
    """Every block of the posterior's curvature is whitened; what lies between them counts as 0."""
    monkeypatch.setattr(metric, "DENSE", 0)
    X = clear_rows(90)
    ml = restarts.fit(read_table(X), 2, "full", np.random.default_rng(0))
    target, data = prepared(X, "gaussian", 2, priors={"weights": 3.0})
    blocks = metric.Blocks.of(target.structure)
    assert [part.shape for part in blocks.sets] == [(2, 5), (1, 3)]
    monkeypatch.setattr(type(target), "blocks", blocks)
    best = modes(target, data, [ml.mixture], np.random.default_rng(0))[0]
    curvature = hessian(target, data, best.place.loc)
    assert (
        np.abs(blocks.pulled(best.place, value_and_gradient(target, data, best.place.loc)[1])).max()
        < 1e-2
    )
    for part, factors in zip(blocks.sets, best.place.factors, strict=True):
        for own, factor in zip(part, factors, strict=True):
            white = factor.T @ curvature[np.ix_(own, own)] @ factor
            np.testing.assert_allclose(white, np.eye(len(own)), atol=1e-3)
    log_dets = [np.linalg.slogdet(f)[1] for factors in best.place.factors for f in factors]
    size = target.size * np.log(2 * np.pi) / 2
    assert best.log_mass == pytest.approx(sum(log_dets) + size - best.potential, abs=1e-9)


def test_the_potential_at_many_points_is_that_at_each():
    target, data, _, (best, *_) = found()
    jumps = np.random.default_rng(2).normal(size=(start.POINTS + 5, target.size))
    z = best.place.loc + 0.1 * jumps
    alone = [float(target.potential(jnp.asarray(one), data)) for one in z[:3]]
    together = values(target, data, z)
    assert together.shape == (len(z),)
    np.testing.assert_allclose(together[:3], alone, rtol=1e-12)
    each = [value_and_gradient(target, data, one)[0] for one in z]
    np.testing.assert_array_equal(together, each)


def test_a_permuted_start_leads_to_the_same_mode():
    target, data, ml, alone = found()
    permuted = permute(ml.mixture, np.array([1, 0]))
    both = modes(target, data, [ml.mixture, permuted], np.random.default_rng(0))
    assert len(both) == len(alone)
    np.testing.assert_array_equal(both[0].place.loc, alone[0].place.loc)
    assert both[0].origin == "EM optimum 1"


def test_labels_follow_the_order_of_ems_components():
    target, data, ml, _ = found()
    for order in ([0, 1], [1, 0]):
        wanted = permute(ml.mixture, np.array(order))
        best = modes(target, data, [wanted], np.random.default_rng(0))[0]
        _, mixture = target.draw(jnp.asarray(best.place.loc), data)
    assert np.argmin(mixture.means[:, 0]) == np.argmin(wanted.means[:, 0])


def test_the_laplace_mass_of_a_normal_posterior_is_its_evidence():
    X = clear_rows(20)
    target, data = prepared(X, known_covariance, 1)
    optimum = restarts.fit(read_table(X), 1, "full", np.random.default_rng(0)).mixture
    (mode,) = modes(target, data, [optimum], np.random.default_rng(0))
    mean, covariance = known_posterior(X)
    log_evidence = (
        multivariate_normal(mean, KNOWN_TRIL @ KNOWN_TRIL.T).logpdf(X).sum()
        + multivariate_normal(np.zeros(2), 100 * np.eye(2)).logpdf(mean)
        - multivariate_normal(mean, covariance).logpdf(mean)
    )
    np.testing.assert_allclose(mode.place.loc, mean, rtol=1e-5)
    (factor,) = mode.place.factors[0]
    np.testing.assert_allclose(factor @ factor.T, covariance, rtol=1e-6)
    assert mode.log_mass == pytest.approx(log_evidence, abs=1e-6)


@pytest.mark.parametrize("place", PLACES)
def test_modes_and_their_mass_follow_the_units_and_the_origin(place):
    units, shift = PLACES[place]
    plain, target_data = found()[3][0], found(place)
    target, data, _, (best, *_) = target_data
    assert best.origin == plain.origin == "EM optimum 1"
    assert best.log_mass + 60 * np.log(units).sum() == pytest.approx(plain.log_mass, abs=1e-3)
    _, there = target.draw(jnp.asarray(best.place.loc), data)
    _, here = found()[0].draw(jnp.asarray(plain.place.loc), found()[1])
    np.testing.assert_allclose((there.means - np.array(shift)) / np.array(units), here.means, 1e-3)


def test_modes_come_largest_mass_first_whatever_led_to_them():
    """Three groups and two components: the middle group joins either side."""
    rng = np.random.default_rng(0)
    groups = np.repeat([-9.0, 0.0, 8.0], 15)[:, None]
    X = groups + rng.normal(size=(45, 2)) / 2
    target, data = prepared(X, "gaussian_diag", 2)
    left, right = (groups[:, 0] < bound for bound in (-5.0, 5.0))
    splits = [_mixture_of(X, labels) for labels in (left, right)]
    every = modes(target, data, splits, np.random.default_rng(0))
    assert {"EM optimum 1", "EM optimum 2"} <= {mode.origin for mode in every}
    masses = [mode.log_mass for mode in every]
    assert masses == sorted(masses, reverse=True)
    again = modes(target, data, splits[::-1], np.random.default_rng(0))
    assert [mode.log_mass for mode in again] == pytest.approx(masses, abs=1e-3)


def _mixture_of(X, labels):
    parts = [X[labels], X[~labels]]
    weights = np.array([len(part) / len(X) for part in parts])
    tril = np.stack([np.diag(part.std(0)) for part in parts])
    return Mixture(weights, np.stack([part.mean(0) for part in parts]), tril)


def test_a_log_posterior_that_is_nowhere_finite_is_told():
    def impossible(X, k):
        known_covariance(X, k)
        numpyro.factor("never", -jnp.inf)

    X = clear_rows(20)
    target, data = prepared(X, impossible, 1)
    optimum = restarts.fit(read_table(X), 1, "full", np.random.default_rng(0)).mixture
    with pytest.raises(InputError, match="not finite at any start; check its priors"):
        modes(target, data, [optimum], np.random.default_rng(0))


def test_a_climb_that_cannot_come_within_reach_is_given_up():
    target, data, _, (best, *_) = found()
    posterior = start._Stage.of(target, data, start.POSTERIOR)
    own = (posterior, best.place.loc, np.ones(target.size), "here")
    assert start._climb(*own, reach=best.potential - 1.0) is None
    summit = start._climb(*own, reach=best.potential + 1.0)
    assert summit.potential == pytest.approx(best.potential, abs=1e-6)


# --- which chain starts where --------------------------------------------------------------------


def test_shares_sum_to_one_whatever_their_scale():
    np.testing.assert_allclose(shares([weighing(-1e6), weighing(-1e6 - np.log(3))]), [0.75, 0.25])


@pytest.mark.parametrize(
    ("log_masses", "expected"),
    [
        ([0.0], [0, 0, 0, 0]),
        ([0.0, -1.0], [0, 0, 0, 1]),
        ([0.0, -1.0, -1.1], [0, 0, 1, 2]),
        ([0.0, -20.0], [0, 0, 0, 0]),
        ([0.0] * 6, [0, 1, 2, 3]),
        ([0.0, np.log(MIN_MASS * 1.1 / (1 - MIN_MASS * 1.1))], [0, 0, 0, 1]),
        ([0.0, np.log(MIN_MASS * 0.9 / (1 - MIN_MASS * 0.9))], [0, 0, 0, 0]),
    ],
)
def test_chains_start_in_every_mode_with_mass_and_mostly_in_the_largest(log_masses, expected):
    assert allocate([weighing(each) for each in log_masses], 4) == expected
