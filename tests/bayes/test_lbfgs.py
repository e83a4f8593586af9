"""Downhill to the minimum, never up, and no further than numbers are finite."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesgmm.bayes.lbfgs import MEMORY, minimise


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def descent(function: Callable):
    """From a start and a number of moves to where the descent ends, compiled once."""
    both = jax.value_and_grad(function)
    return jax.jit(lambda x, moves: minimise(both, jnp.asarray(x), moves, 1e-14))


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


VALLEY = np.array([-1.2, 1.0])


@pytest.fixture(scope="module")
def quadratic():
    def function(x, root, low):
        return jnp.square(root @ (x - low)).sum() / 2 + 3.0

    @jax.jit
    def run(x, root, low):
        both = jax.value_and_grad(lambda x: function(x, root, low))
        return minimise(both, x, jnp.array(500), 1e-14)

    return run


@settings(deadline=None, max_examples=20, derandomize=True)
@given(seed=st.integers(0, 999), log_condition=st.floats(0, 3))
def test_the_minimum_of_a_quadratic_is_found(quadratic, seed, log_condition):
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    root = turn * np.logspace(0, log_condition / 2, 5)[:, None]
    low, x = rng.normal(size=(2, 5))
    end = quadratic(x, root, low)
    np.testing.assert_allclose(end.value, 3.0, rtol=1e-11)
    np.testing.assert_allclose(end.x, low, atol=1e-5)


@pytest.mark.parametrize("units", [1e-6, 1e-3, 1e3, 1e6])
def test_the_units_of_a_quadratic_are_learnt(quadratic, units):
    low = np.arange(5.0) / units
    root = units * np.diag(np.logspace(-2, 2, 5))
    end = quadratic(np.zeros(5), root, low)
    np.testing.assert_allclose(end.value, 3.0, rtol=1e-9)


def test_the_end_of_rosenbrocks_valley_is_found():
    end = descent(rosenbrock)(VALLEY, 500)
    np.testing.assert_allclose(end.x, 1.0, atol=1e-5)
    assert end.n_moves < 100


def test_a_valley_of_more_ways_than_are_remembered_is_walked_as_scipy_walks_it():
    p = 3 * MEMORY
    x = np.random.default_rng(0).uniform(-1, 1, size=p) * 0.2 + 1
    end = descent(rosenbrock)(x, 2000)
    assert float(end.value) < 1e-8
    theirs = scipy.optimize.minimize(
        scipy.optimize.rosen,
        x,
        jac=scipy.optimize.rosen_der,
        method="L-BFGS-B",
        options={"maxcor": MEMORY, "ftol": 0, "gtol": 1e-6},
    )
    np.testing.assert_allclose(end.x, theirs.x, atol=1e-4)
    assert end.n_moves < 2 * theirs.nit


@pytest.mark.parametrize("name", ["rosenbrock", "wall", "wavy"])
def test_a_descent_never_ascends(name):
    function, x = WAYS[name]
    run = descent(function)
    values = [float(run(x, moves).value) for moves in range(40)]
    assert np.isfinite(values).all()
    assert (np.diff(values) <= 0).all()
    assert values[-1] < values[0]


def wall(x):
    """Not a number behind the wall at zero, and infinite on it."""
    return jnp.sum(x - jnp.log(x) * jnp.arange(1, 4))


def wavy(x):
    return jnp.sum(jnp.square(x) / 20 + jnp.cos(3 * x))


WAYS = {
    "rosenbrock": (rosenbrock, VALLEY),
    "wall": (wall, np.array([1e-3, 5.0, 40.0])),
    "wavy": (wavy, np.array([4.0, -3.0, 8.0])),
}


def test_a_wall_of_numbers_that_are_not_finite_is_not_crossed():
    end = descent(wall)(WAYS["wall"][1], 200)
    np.testing.assert_allclose(end.x, [1, 2, 3], rtol=1e-5)


def test_a_gradient_that_is_not_finite_is_a_wall_too():
    def function(x):
        value, slope = jax.value_and_grad(lambda x: jnp.square(x + 3).sum())(x)
        return value, jnp.where(x < 0, jnp.nan, slope)

    end = jax.jit(lambda x: minimise(function, x, jnp.array(100), 1e-14))(jnp.array([5.0]))
    assert 0 <= float(end.x[0]) < 1
    assert np.isfinite(end.gradient).all()


@pytest.mark.parametrize("start", [np.nan, np.inf, -1.0])
def test_a_start_without_a_finite_value_goes_nowhere(start):
    end = descent(wall)(np.full(3, start), 100)
    np.testing.assert_array_equal(end.x, np.full(3, start))
    assert not np.isfinite(end.value)
    assert end.n_moves <= 0


def test_no_moves_are_an_evaluation():
    end = descent(rosenbrock)(VALLEY, 0)
    np.testing.assert_array_equal(end.x, VALLEY)
    assert float(end.value) == pytest.approx(float(rosenbrock(jnp.asarray(VALLEY))), rel=1e-15)
    np.testing.assert_allclose(end.gradient, scipy.optimize.rosen_der(VALLEY), rtol=1e-13)


@pytest.mark.parametrize("moves", [1, 2, 7])
def test_moves_are_no_more_than_are_allowed(moves):
    assert descent(rosenbrock)(VALLEY, moves).n_moves == moves


def test_a_descent_that_begins_at_the_minimum_stays():
    end = descent(rosenbrock)(np.ones(4), 100)
    np.testing.assert_array_equal(end.x, 1.0)


def test_a_function_without_a_bottom_ends_with_finite_numbers():
    end = descent(lambda x: -x.sum())(np.zeros(3), 30)
    assert np.isfinite(end.value)
    assert float(end.value) < -1e3


def test_the_value_and_gradient_are_those_of_the_end():
    end = descent(rosenbrock)(VALLEY, 13)
    value, gradient = jax.value_and_grad(rosenbrock)(end.x)
    np.testing.assert_allclose(end.value, value, rtol=1e-12)
    np.testing.assert_allclose(end.gradient, gradient, rtol=1e-9, atol=1e-12)


def test_a_stack_of_starts_descends_as_each_alone():
    starts = np.random.default_rng(0).normal(size=(4, 2))
    run = descent(rosenbrock)
    ends = jax.jit(jax.vmap(run, in_axes=(0, None)))(starts, 25)
    for i, start in enumerate(starts):
        np.testing.assert_allclose(ends.x[i], run(start, 25).x, rtol=1e-6)


def test_the_function_is_written_down_once():
    program = jax.make_jaxpr(
        lambda x: minimise(lambda x: (jnp.tan(x).sum(), x), x, jnp.int64(5), 1e-9)
    )(jnp.ones(2))
    assert str(program).count(" tan ") == 1
