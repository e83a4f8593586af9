"""The likelihood and its derivatives: SciPy's numbers, and those of plain automatic derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from bayesgmm.gaussian import likelihood as module
from bayesgmm.gaussian.likelihood import (
    log_densities,
    log_likelihood,
    mixture_log_densities,
    mixture_log_likelihood,
)
from bayesgmm.gaussian.mixture import Mixture, log_density
from bayesgmm.gaussian.passes import FEATURES, WHITENED
from bayesgmm.gaussian.sweep import Frame, frame_of, natural

FORMS = {"features": FEATURES, "whitened": WHITENED, "diagonal": FEATURES}
QUICKLY = {"xla_backend_optimization_level": 0}


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=FORMS)
def case(request, mixture):
    """A form of the pass, and a mixture that it serves."""
    diagonals = np.diagonal(mixture.scale_tril, axis1=-2, axis2=-1)
    own = mixture._replace(scale_tril=diagonals) if request.param == "diagonal" else mixture
    return FORMS[request.param], Mixture(*map(jnp.asarray, own))


@pytest.fixture(scope="module")
def row_weights(rows):
    weights = np.random.default_rng(4).uniform(0, 3, size=len(rows))
    weights[::7] = 0
    return weights


@pytest.fixture(scope="module")
def frame(rows, row_weights):
    return jax.tree.map(np.asarray, frame_of(rows, row_weights))


def reference(mixture, X):
    """Log density of every row by SciPy."""
    parts = zip(mixture.weights, mixture.means, np.asarray(mixture.covariances), strict=True)
    joint = [np.log(w) + multivariate_normal(mean, cov).logpdf(X) for w, mean, cov in parts]
    return logsumexp(joint, axis=0)


def assert_alike(found, expected, digits=1e-10):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        scale = np.abs(other).max(initial=0.0)
        np.testing.assert_allclose(one, other, rtol=digits, atol=digits * scale)


def together(*functions):
    """One function that gives the results of all, compiled in a moment."""
    return jax.jit(lambda x: [each(x) for each in functions], compiler_options=QUICKLY)


# --- summed over rows ----------------------------------------------------------------------------


def test_every_form_gives_scipys_weighted_log_likelihood(case, rows, row_weights, frame):
    form, mixture = case
    found = mixture_log_likelihood(mixture, rows, row_weights, frame, form)
    assert float(found) == pytest.approx(row_weights @ reference(mixture, rows), rel=1e-12)


def test_derivatives_of_every_form_are_those_of_the_plain_log_sum_exp(
    case, rows, row_weights, frame
):
    form, mixture = case

    def fused(mixture):
        return mixture_log_likelihood(mixture, rows, row_weights, frame, form)

    def plain(mixture):
        return jnp.asarray(row_weights) @ log_density(mixture, jnp.asarray(rows))

    lower = 1.0 if mixture.is_diagonal else jnp.tril(jnp.ones((2, 2)))

    def curved(function):
        flat, restore = ravel_pytree(mixture)
        along = jnp.asarray(np.random.default_rng(5).normal(size=(2, len(flat))))

        def of_flat(flat):
            weights, means, factors = restore(flat)
            return function(Mixture(weights, means, factors * lower))

        def products(flat):
            gradient = jax.grad(of_flat)
            turned = [jax.jvp(gradient, (flat,), (each,))[1] for each in along]
            return of_flat(flat), gradient(flat), jax.jvp(of_flat, (flat,), (along[0],)), turned

        return lambda mixture: products(ravel_pytree(mixture)[0])

    found, expected = together(curved(fused), curved(plain))(mixture)
    assert_alike(found[:3], expected[:3])
    assert_alike(found[3], expected[3], digits=1e-9)


def test_the_derivative_along_a_way_is_the_gradient_times_the_way(case, rows, row_weights, frame):
    form, mixture = case
    prepared, restore = ravel_pytree(form.prepare(mixture, frame))
    way = jnp.asarray(np.random.default_rng(6).normal(size=prepared.shape))

    def value(flat):
        return log_likelihood(form, restore(flat), rows, row_weights, frame)

    def forwards(flat):
        return jax.jvp(value, (flat,), (way,))[1]

    def backwards(flat):
        return jax.grad(value)(flat) @ way

    assert_alike(*together(forwards, backwards)(prepared), digits=1e-12)


def test_the_gradient_is_asked_of_the_pass_that_gives_the_value(case, rows, row_weights, frame):
    """Two matrix products for all, whatever is asked: one more pass would be two more."""
    form, mixture = case
    prepared = form.prepare(mixture, frame)
    called = []

    def run(*arguments):
        called.append(1)
        return form.run(*arguments)

    counting = type(form)(form.durable_name, form.prepare, run, form.statistics, form.slope)
    jax.value_and_grad(log_likelihood, argnums=1)(counting, prepared, rows, row_weights, frame)
    assert len(called) == 1


def test_one_part_of_the_parameters_may_move_alone(rows, row_weights, frame, mixture):
    parts = WHITENED.prepare(Mixture(*map(jnp.asarray, mixture)), frame)

    def of_centre(centre):
        return log_likelihood(WHITENED, parts._replace(centre=centre), rows, row_weights, frame)

    whole = jax.grad(log_likelihood, argnums=1)(WHITENED, parts, rows, row_weights, frame)
    assert_alike(jax.grad(of_centre)(parts.centre), whole.centre, digits=1e-13)


@pytest.mark.parametrize("argument", ["X", "row_weights", "frame"])
@pytest.mark.parametrize("derivative", [jax.grad, jax.jacfwd])
def test_a_derivative_in_the_data_is_refused_by_every_form(
    argument, derivative, case, rows, row_weights, frame
):
    form, mixture = case
    given = {"X": rows, "row_weights": row_weights, "frame": frame}
    given = jax.tree.map(jnp.asarray, given)

    def of(value):
        return mixture_log_likelihood(mixture, **(given | {argument: value}), form=form)

    with pytest.raises(TypeError, match="no derivative with respect to the data"):
        jax.eval_shape(derivative(of), given[argument])


# --- row by row ----------------------------------------------------------------------------------


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("d", [1, 2, 4])
def test_every_row_has_scipys_log_density(d, diagonal, make_mixture):
    mixture = make_mixture(3, d, 8)
    if diagonal:
        factors = np.diagonal(mixture.scale_tril, axis1=-2, axis2=-1)
        mixture = mixture._replace(scale_tril=factors)
    X = 3 * np.random.default_rng(7).normal(size=(31, d))
    found = mixture_log_densities(Mixture(*map(jnp.asarray, mixture)), X, frame_of(X, None))
    np.testing.assert_allclose(found, reference(mixture, X), rtol=1e-11)


def test_weighted_densities_are_the_log_likelihood(case, rows, row_weights, frame):
    form, mixture = case
    found = row_weights @ mixture_log_densities(mixture, rows, frame)
    expected = mixture_log_likelihood(mixture, rows, row_weights, frame, form)
    assert float(found) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("block", [1, 7, 25, 64])
def test_the_size_of_the_blocks_changes_no_density_and_no_derivative(
    block, mixture, rows, frame, monkeypatch
):
    theta = natural(Mixture(*map(jnp.asarray, mixture)), frame)

    def compiled():
        def both(theta):
            values, pull = jax.vjp(lambda theta: log_densities(theta, rows, frame), theta)
            return values, pull(jnp.sin(jnp.arange(len(rows))))

        return jax.jit(both)

    expected = compiled()(theta)
    monkeypatch.setattr(module, "block_rows", lambda theta: block)
    assert_alike(compiled()(theta), expected, digits=1e-12)


@pytest.mark.parametrize("diagonal", [False, True])
def test_the_jacobian_of_the_densities_is_plain_autodiff_in_both_modes(
    diagonal, mixture, rows, frame
):
    if diagonal:
        factors = np.diagonal(mixture.scale_tril, axis1=-2, axis2=-1)
        mixture = mixture._replace(scale_tril=factors)
    mixture = Mixture(*map(jnp.asarray, mixture))
    flat, restore = ravel_pytree(mixture)
    lower = jnp.tril(jnp.ones((2, 2))) if not diagonal else 1.0

    def of(function):
        def of_flat(flat):
            weights, means, factors = restore(flat)
            return function(Mixture(weights, means, factors * lower))

        return of_flat

    fused = of(lambda mixture: mixture_log_densities(mixture, rows, frame))
    plain = of(lambda mixture: log_density(mixture, jnp.asarray(rows)))
    forwards, backwards, expected = together(
        jax.jacfwd(fused), jax.jacrev(fused), jax.jacfwd(plain)
    )(flat)
    assert_alike(forwards, expected)
    assert_alike(backwards, expected)

    def summed(function):
        return jax.hessian(lambda flat: (jnp.cos(jnp.arange(50)) * function(flat)).sum())

    assert_alike(*together(summed(fused), summed(plain))(flat), digits=1e-9)


def test_a_stack_of_parameters_is_its_members(make_mixture, rows, frame):
    thetas = natural(Mixture(*map(jnp.asarray, make_mixture(3, 2, 9, stack=(4,)))), frame)

    def both(theta):
        value, pull = jax.vjp(lambda t: log_densities(t, rows, frame), theta)
        return value, pull(value)

    stacked = jax.jit(jax.vmap(both))(thetas)
    each = [jax.jit(both)(theta) for theta in thetas]
    assert_alike(stacked, jax.tree.map(lambda *parts: jnp.stack(parts), *each), digits=1e-12)


@pytest.mark.parametrize("argument", ["X", "frame"])
@pytest.mark.parametrize("derivative", [jax.jacrev, jax.jacfwd])
def test_a_derivative_of_the_densities_in_the_data_is_refused(
    argument, derivative, mixture, rows, frame
):
    given = jax.tree.map(jnp.asarray, {"X": rows, "frame": frame})

    def of(value):
        return mixture_log_densities(mixture, **(given | {argument: value}))

    with pytest.raises(TypeError, match="no derivative with respect to the data"):
        jax.eval_shape(derivative(of), given[argument])


def test_a_far_row_has_a_density_and_a_finite_derivative(mixture, rows):
    X = np.concatenate([rows, [[1e5, -1e5]]])
    frame = Frame(rows.mean(0), rows.std(0))
    traced = Mixture(*map(jnp.asarray, mixture))
    found, pull = jax.vjp(lambda mixture: mixture_log_densities(mixture, X, frame), traced)
    np.testing.assert_allclose(found, reference(mixture, X), rtol=1e-10)
    assert all(np.isfinite(part).all() for part in jax.tree.leaves(pull(jnp.ones(len(X)))))


def test_nothing_of_rows_times_features_is_kept_for_the_derivative(mixture, frame, monkeypatch):
    """What is kept are responsibilities: k numbers a row, and the densities themselves."""
    monkeypatch.setattr(module, "block_rows", lambda theta: 64)
    theta = natural(Mixture(*map(jnp.asarray, mixture)), frame)

    def summed(theta, X):
        return log_densities(theta, X, frame).sum()

    def temporary(n):
        shape = jax.ShapeDtypeStruct((n, 2), float)
        memory = jax.jit(jax.grad(summed)).lower(theta, shape).compile().memory_analysis()
        return int(memory.temp_size_in_bytes)

    k, (_, p) = 3, theta.shape
    grown = temporary(64 * 400) - temporary(64 * 40)
    assert grown <= 8 * 64 * 360 * (2 * k + 2)
    assert p == 6
