"""The flat potential is NumPyro's own of the plain program, Jacobian included."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpyro.distributions.transforms import biject_to
from numpyro.infer.util import constrain_fn, log_density, potential_energy

from bayesgmm.bayes.program import model_names
from bayesgmm.bayes.recognise import unwrapped
from bayesgmm.bayes.target import GUIDED, POSTERIOR, PRIOR
from bayesgmm.gaussian.arrays import similar_size
from bayesgmm.gaussian.mixture import log_joint
from bayesgmm.gaussian.passes import FEATURES, WHITENED
from tests.bayes.cases import NOT_NORMAL, UNIVARIATE, clear_rows, prepared, student

PROGRAMS = {name: name for name in model_names()} | {"student": student}

SHAPES = [(3, 2), (2, 3), (2, 1), (1, 1)]  # components and columns; few, because each is compiled
QUICKLY = {"xla_backend_optimization_level": 0}


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def split(structure, z):
    """The unconstrained vector as NumPyro wants it: by site."""
    parts, start = {}, 0
    for latent in structure.latents:
        parts[latent.name] = jnp.reshape(z[start : start + latent.size], latent.shape)
        start += latent.size
    return parts


def plain_potential(target, X, keywords):
    """NumPyro's potential of the program as its author wrote it."""

    def potential(z):
        arguments = (jnp.asarray(X), target.structure.k)
        return potential_energy(
            target.program.model, arguments, keywords, split(target.structure, z)
        )

    return potential


@pytest.mark.parametrize("program", PROGRAMS)
@settings(max_examples=4, deadline=None, derandomize=True, phases=[Phase.generate])  # no shrinking
@given(shape=st.sampled_from(SHAPES), weighted=st.booleans(), seed=st.integers(0, 99))
def test_value_and_gradient_are_those_of_the_plain_program(program, shape, weighted, seed):
    (k, d), rng = shape, np.random.default_rng(seed)
    X = rng.normal(size=(8, 1 if program in UNIVARIATE else d)) * 3
    counts = rng.permutation([0, 0, 1, 1, 1, 1, 1, 3]) if weighted else np.ones(8, int)
    target, data = prepared(X, PROGRAMS[program], k, row_weights=counts if weighted else None)
    z = jnp.asarray(rng.normal(size=target.size))
    plain = plain_potential(target, np.repeat(X, counts, axis=0), data.keywords)

    def both(z):
        return jax.value_and_grad(target.potential)(z, data), jax.value_and_grad(plain)(z)

    (value, gradient), (expected, slope) = jax.jit(both, compiler_options=QUICKLY)(z)
    np.testing.assert_allclose(value, expected, rtol=1e-10)
    np.testing.assert_allclose(gradient, slope, rtol=1e-9, atol=1e-9 * (1 + abs(slope).max()))


def test_the_potential_is_minus_log_density_and_log_jacobian():
    rows = clear_rows(12)
    target, data = prepared(rows, "gaussian", 2)
    z = jnp.asarray(np.random.default_rng(0).normal(size=target.size))

    def by_hand(z):
        seeded = numpyro.handlers.seed(target.program.model, jax.random.key(0))
        trace = numpyro.handlers.trace(seeded).get_trace(rows, 2, **data.keywords)
        values, log_jacobian = {}, 0.0
        for name, free in split(target.structure, z).items():
            transform = biject_to(trace[name]["fn"].support)
            values[name] = transform(free)
            log_jacobian += transform.log_abs_det_jacobian(free, values[name]).sum()
        joint, _ = log_density(target.program.model, (rows, 2), data.keywords, values)
        return -(joint + log_jacobian)

    def both(z):
        return target.potential(z, data), by_hand(z)

    np.testing.assert_allclose(*jax.jit(both, compiler_options=QUICKLY)(z), rtol=1e-10)


@pytest.mark.parametrize("program", PROGRAMS)
def test_sites_are_those_that_numpyro_constrains(program):
    target, data = prepared(clear_rows(12, 1 if program in UNIVARIATE else 2), PROGRAMS[program], 2)
    z = jnp.asarray(np.random.default_rng(1).normal(size=target.size))
    sites, mixture = target.draw(z, data)
    expected = constrain_fn(
        target.program.model,
        (data.X, 2),
        data.keywords,
        split(target.structure, z),
        return_deterministic=True,
    )
    assert set(sites) == set(expected) - {target.structure.mixture}
    for name, value in sites.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-12)
    assert (mixture is None) == (program in NOT_NORMAL)


@pytest.mark.parametrize("program", ["gaussian", "student"])
def test_the_joint_density_of_new_rows_is_the_programs_own(program):
    target, data = prepared(clear_rows(12), PROGRAMS[program], 2)
    z = jnp.asarray(np.random.default_rng(2).normal(size=target.size))
    rows = jnp.asarray(clear_rows(7, seed=9))
    expected = unwrapped(target.at(z, data).mixture).component_log_probs(rows)
    np.testing.assert_allclose(target.log_joint(z, data, rows), expected, rtol=1e-11)
    _, mixture = target.draw(z, data)
    if mixture is not None:
        np.testing.assert_allclose(log_joint(mixture, rows), expected, rtol=1e-11)


def test_the_joint_density_of_one_column_has_one_entry_for_each_component():
    def heavy_tailed(X, k):
        weights = numpyro.sample("weights", numpyro.distributions.Dirichlet(jnp.ones(k)))
        with numpyro.plate("cluster", k):
            centre = numpyro.sample("centre", numpyro.distributions.Normal(0.0, 10.0))
        components = numpyro.distributions.StudentT(4.0, centre, 1.0)
        mixing = numpyro.distributions.Categorical(weights)
        with numpyro.plate("rows", X.shape[0]):
            mixture = numpyro.distributions.MixtureSameFamily(mixing, components)
            numpyro.sample("X", mixture, obs=X[:, 0])

    target, data = prepared(clear_rows(12, 1), heavy_tailed, 2)
    z = jnp.asarray(np.random.default_rng(2).normal(size=target.size))
    rows = clear_rows(7, 1, seed=9)
    expected = unwrapped(target.at(z, data).mixture).component_log_probs(rows[:, 0])
    np.testing.assert_allclose(target.log_joint(z, data, jnp.asarray(rows)), expected, rtol=1e-12)


@pytest.mark.parametrize("program", ["gaussian", "student"])
def test_stages_are_prior_guided_and_posterior(program):
    X, counts = clear_rows(12), np.r_[np.zeros(2), np.ones(8), 2, 3]
    target, data = prepared(X, PROGRAMS[program], 2, row_weights=counts)
    rng = np.random.default_rng(3)
    z = jnp.asarray(rng.normal(size=target.size))
    resp = rng.dirichlet(np.ones(2), size=len(data.X))
    one_row = plain_potential(target, X[:1], data.keywords)(z)
    nothing = one_row + np.logaddexp.reduce(target.log_joint(z, data, data.X[:1])[0])
    joint = np.asarray(target.log_joint(z, data, data.X))
    guided = nothing - (np.asarray(data.row_weights)[:, None] * resp * joint).sum()
    guide = jnp.asarray(target.guide(data, resp))
    found = [
        target.staged_potential(z, data, guide, jnp.asarray(stage))
        for stage in (PRIOR, GUIDED, POSTERIOR)
    ]
    expected = [nothing, guided, target.potential(z, data)]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("program", ["gaussian", "gaussian_diag", "gaussian_tied"])
@pytest.mark.parametrize("form", [FEATURES, WHITENED], ids=lambda form: form.durable_name)
def test_both_forms_of_the_pass_give_the_same_potential_and_gradient(program, form):
    target, data = prepared(clear_rows(30), program, 2)
    if target.structure.diagonal and form is WHITENED:
        pytest.skip("columns without correlations have nothing to whiten")
    z = jnp.asarray(np.random.default_rng(2).normal(size=target.size))
    plain = plain_potential(target, clear_rows(30), data.keywords)
    expected = jax.jit(jax.value_and_grad(plain), compiler_options=QUICKLY)(z)
    other = replace(target, form=form)
    found = jax.jit(jax.value_and_grad(other.potential), compiler_options=QUICKLY)(z, data)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-10)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-8, atol=1e-8)


def test_a_background_begins_with_a_share_of_every_row():
    target, data = prepared(clear_rows(12), "gaussian_noise", 2)
    resp = np.random.default_rng(3).dirichlet(np.ones(2), size=len(data.X))
    guide = target.guide(data, resp)
    assert guide.shape == (len(data.X), 3)
    np.testing.assert_allclose(guide.sum(1), data.row_weights)
    assert (guide[:12, 2] > 0).all()
    np.testing.assert_allclose(guide[:12, 0] / guide[:12, 1], resp[:12, 0] / resp[:12, 1])


def test_rows_that_fill_up_change_nothing():
    rows = clear_rows(70)
    target, data = prepared(rows, "gaussian", 2)
    assert len(data.X) == similar_size(70) > 70
    z = jnp.asarray(np.random.default_rng(0).normal(size=target.size))
    alone = data._replace(X=jnp.asarray(rows), row_weights=jnp.ones(70))
    np.testing.assert_allclose(target.potential(z, data), target.potential(z, alone), rtol=1e-13)
    own, own_data = prepared(rows, student, 2)
    assert len(own_data.X) == 70  # a user's program may look at all rows
    assert own.program.name == "student"


def test_a_derivative_in_the_rows_is_refused_and_never_zero():
    target, data = prepared(clear_rows(12), "gaussian", 2)
    z = jnp.zeros(target.size)

    def of_rows(X):
        return target.potential(z, data._replace(X=X))

    with pytest.raises(TypeError, match="no derivative with respect to the data"):
        jax.grad(of_rows)(data.X)


def test_a_program_around_it_does_not_see_its_sites():
    target, data = prepared(clear_rows(12), "gaussian", 2)
    with numpyro.handlers.trace() as seen, numpyro.handlers.seed(rng_seed=0):
        target.potential(jnp.zeros(target.size), data)
    assert not seen


def test_equal_targets_share_compiled_code():
    first, _ = prepared(clear_rows(12), "gaussian", 2)
    second, _ = prepared(clear_rows(12, seed=5), "gaussian", 2)
    other, _ = prepared(clear_rows(12), "gaussian", 3)
    assert first == second
    assert hash(first) == hash(second)
    assert first != other
