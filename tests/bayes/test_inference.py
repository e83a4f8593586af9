"""From a table to what compiled code takes: rows that fill up count for nothing."""

from collections import Counter
from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.bayes import inference
from bayesgmm.bayes.program import bind, load_model, model_names
from bayesgmm.data.errors import InputError
from bayesgmm.gaussian.arrays import similar_size
from bayesgmm.gaussian.passes import FEATURES, WHITENED
from tests.bayes.cases import UNIVARIATE, clear_rows, problem_of, student

QUICKLY = {"xla_backend_optimization_level": 0}
COMPILED = "/jax/core/compile/backend_compile_duration"
LOWERED = "/jax/core/compile/jaxpr_to_mlir_module_duration"


@contextmanager
def events():
    """What JAX says that it does meanwhile, in any thread."""
    counts = Counter()

    def listener(event, duration, **_):
        counts[event] += 1

    jax.monitoring.register_event_duration_secs_listener(listener)
    try:
        yield counts
    finally:
        jax.monitoring.unregister_event_duration_listener(listener)


def ready_for(X, model, k=2, row_weights=None, priors=None):
    return inference.prepare(problem_of(X, row_weights), load_model(model), k, priors)


def test_what_is_compiled_is_counted():
    with events() as counts:
        jax.jit(lambda x: x * 3 + 1)(np.ones(3, np.float32))
        jax.jit(lambda x: x * 3 + 1)(np.ones(3, np.float32))
    assert (counts[COMPILED], counts[LOWERED]) == (2, 2)


def test_a_fit_of_nearly_as_many_rows_compiles_nothing():
    X = np.asarray(bg.load_dataset("faithful"))
    assert similar_size(268) == similar_size(272) > 272
    model = bg.BayesianMixture(2, num_draws=100, num_chains=2, random_state=0)
    model.fit(X)
    with events() as counts:
        model.fit(X[:268])
    assert (counts[COMPILED], counts[LOWERED]) == (0, 0)


def test_an_approximation_of_nearly_as_many_rows_compiles_nothing():
    X = np.asarray(bg.load_dataset("faithful"))
    model = bg.BayesianMixture(2, inference="laplace", num_draws=100, random_state=0)
    model.fit(X)
    with events() as counts:
        model.fit(X[:268])
    assert (counts[COMPILED], counts[LOWERED]) == (0, 0)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", model_names())
def test_rows_that_fill_up_change_neither_the_density_nor_its_gradient(name, weighted):
    rng = np.random.default_rng(1)
    X = clear_rows(70, 1 if name in UNIVARIATE else 2)
    row_weights = rng.integers(0, 4, size=70) if weighted else None
    ready = ready_for(X, name, row_weights=row_weights)
    problem, data = ready.problem, ready.data
    assert len(data.X) == len(data.row_weights) == similar_size(70) > 70
    with jax.enable_x64(True):
        alone = data._replace(X=jnp.asarray(X), row_weights=jnp.asarray(problem.row_weights))
        z = jnp.asarray(rng.normal(size=ready.target.size))
        potential = jax.value_and_grad(ready.target.potential)
        both = jax.jit(
            lambda z: (potential(z, data), potential(z, alone)), compiler_options=QUICKLY
        )
        (value, gradient), (expected, slope) = both(z)
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    np.testing.assert_allclose(gradient, slope, rtol=1e-11, atol=1e-12 * np.abs(slope).max())


@pytest.mark.parametrize("name", model_names())
def test_prior_constants_and_the_frame_are_those_of_the_rows_alone(name):
    X = clear_rows(70, 1 if name in UNIVARIATE else 2)
    ready, problem = ready_for(X, name), problem_of(X)
    expected = bind(load_model(name), problem, None)
    assert set(ready.data.keywords) == set(expected)
    for keyword, value in expected.items():
        np.testing.assert_array_equal(ready.data.keywords[keyword], value)
    for one, other in zip(ready.data.frame, problem.frame, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_rows_themselves_come_first_and_the_problem_stays_as_it_is():
    X, row_weights = clear_rows(70), np.arange(70)
    ready = ready_for(X, "gaussian", row_weights=row_weights)
    np.testing.assert_array_equal(ready.data.X[:70], X)
    np.testing.assert_array_equal(ready.data.row_weights[:70], row_weights)
    np.testing.assert_array_equal(ready.problem.X, X)
    assert ready.data.X.dtype == np.float64


def test_a_users_program_sees_the_rows_and_no_others():
    ready = ready_for(clear_rows(70), student)
    assert ready.data.X.shape == (70, 2)
    assert ready.data.row_weights.shape == (70,)


def test_a_column_that_is_constant_where_rows_count_is_refused():
    X, row_weights = clear_rows(12), np.ones(12)
    X[3:, 1], row_weights[:3] = 2.5, 0
    ready_for(X, "gaussian")
    with pytest.raises(InputError, match="column 'x2' is constant") as caught:
        ready_for(X, "gaussian", row_weights=row_weights)
    assert "\n" not in str(caught.value)


def test_preparing_leaves_the_users_settings_alone():
    before = dict(jax.config.values)
    ready_for(clear_rows(12), "gaussian")
    assert dict(jax.config.values) == before
    assert jnp.ones(1).dtype == np.float32


def nearly_collinear(n=60):
    """Two groups whose columns determine each other to four digits."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(-4, 1, n), rng.normal(4, 1, n)])
    return np.column_stack([x, x + 1e-4 * rng.normal(size=2 * n)])


def test_rows_are_passed_over_in_the_form_that_is_accurate_at_the_em_fit():
    """Columns that nearly determine each other are whitened; features would lose their digits."""
    X = nearly_collinear()
    ml = bg.GaussianMixture(2, random_state=0).fit(X).ml_
    ready = ready_for(X, "gaussian")
    beside = ready.beside(ml)
    assert ready.target.form is FEATURES
    assert beside.target.form is WHITENED
    plain = bg.GaussianMixture(2, random_state=0).fit(clear_rows(30)).ml_
    assert ready_for(clear_rows(30), "gaussian").beside(plain).target.form is FEATURES


def test_columns_that_nearly_determine_each_other_are_sampled():
    fit = bg.BayesianMixture(2, num_draws=200, random_state=0).fit(nearly_collinear())
    assert fit.both_.posterior.target.form is WHITENED
    tril = fit.both_.posterior.mixture.scale_tril
    np.testing.assert_allclose(tril[..., 1, 0] / tril[..., 0, 0], 1.0, atol=1e-3)
    assert fit.diagnostics_.worst_r_hat < 1.05
