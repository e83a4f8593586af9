"""NUTS in whitened coordinates: exact on a normal posterior, wherever its chains begin."""

from functools import cache

import jax
import numpy as np
import pytest
from arviz_stats.base import array_stats

from bayesgmm.bayes import driver, nuts
from bayesgmm.bayes.nuts import Settings, advance, begin, compile_ahead, warm_up
from bayesgmm.bayes.start import Mode
from bayesgmm.data.errors import InputError
from tests.bayes.cases import clear_rows, known_covariance, known_posterior, prepared

X = clear_rows(20)
MEAN, COVARIANCE = known_posterior(X)
STEPS = 2000


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


@cache
def problem():
    return prepared(X, known_covariance, 1)


def mode(scale=1.0, shift=0.0):
    """The posterior's mode, or what a bad guide might take for it."""
    factor = np.linalg.cholesky(COVARIANCE)
    return Mode(MEAN + shift * np.diagonal(factor), 0.0, scale * factor, 0.0, "here")


def run(modes, num_chains=4, seed=0, steps=STEPS):
    target, data = problem()
    key, key_warm = jax.random.split(jax.random.key(seed))
    chains = begin(target, data, modes, num_chains, key)
    chains = warm_up(target, data, chains, key_warm)
    return advance(target, data, chains, steps)


@cache
def good():
    return run([mode()])


def assert_exact(z):
    """Means, variances and the covariance agree with the exact ones within 4 standard errors."""
    white = (z - MEAN) @ np.linalg.inv(np.linalg.cholesky(COVARIANCE)).T
    exact = {0: white[..., 0], 1: white[..., 1], 2: white[..., 0] * white[..., 1]}
    squares = {3: white[..., 0] ** 2 - 1, 4: white[..., 1] ** 2 - 1}
    for values in (exact | squares).values():
        se = float(array_stats.mcse(values, chain_axis=0, draw_axis=1))
        assert 0 < se < 0.1
        assert abs(values.mean()) < 4 * se


def test_draws_are_those_of_the_exact_posterior():
    _, draws = good()
    assert draws.z.shape == (4, STEPS, 2)
    assert draws.z.dtype == np.float64
    assert_exact(draws.z)


@pytest.mark.parametrize(("scale", "shift"), [(0.03, 0.0), (20.0, 0.0), (1.0, 30.0)])
def test_a_poor_guide_costs_adaptation_and_not_the_answer(scale, shift):
    chains, draws = run([mode(scale, shift)])
    assert not np.array_equal(chains.places[0].scale_tril, mode(scale).scale_tril)
    assert_exact(draws.z)


def test_a_good_guide_is_kept():
    chains, _ = good()
    for place in chains.places:
        np.testing.assert_array_equal(place.scale_tril, mode().scale_tril)
        np.testing.assert_array_equal(place.loc, MEAN)


def test_chains_that_began_in_several_places_end_under_one_whitening():
    chains, draws = run([mode(), mode(shift=3.0)])
    assert chains.modes == [0, 0, 0, 1]
    assert len({id(place) for place in chains.places}) == 1
    assert_exact(draws.z)


def test_the_log_posterior_is_that_of_the_draws():
    target, data = problem()
    _, draws = good()
    some = draws.z[:, ::500].reshape(-1, 2)
    expected = [-float(target.potential(z, data)) for z in some]
    np.testing.assert_allclose(draws.log_posterior[:, ::500].ravel(), expected, rtol=1e-12)
    assert draws.log_approximation is None


def test_the_samplers_notes_are_one_for_each_draw():
    _, draws = good()
    expected = {"energy", "diverging", "n_steps", "acceptance_rate", "step_size"}
    assert set(draws.stats) == expected
    for values in draws.stats.values():
        assert values.shape == (4, STEPS)
    assert not draws.stats["diverging"].any()
    assert (draws.stats["energy"] >= -draws.log_posterior).all()
    assert (draws.stats["n_steps"] < 2 ** Settings().max_tree_depth).all()
    assert draws.stats["acceptance_rate"].mean() == pytest.approx(0.85, abs=0.15)


def test_adaptation_is_over_when_draws_are_kept():
    _, draws = good()
    steps = draws.stats["step_size"]
    assert (steps == steps[:, :1]).all()
    assert len(set(steps[:, 0])) == len(steps)


def test_chains_differ_and_runs_repeat():
    _, draws = good()
    _, again = run([mode()])
    _, other = run([mode()], seed=1)
    np.testing.assert_array_equal(draws.z, again.z)
    for name, values in draws.stats.items():
        np.testing.assert_array_equal(values, again.stats[name])
    assert not np.array_equal(draws.z, other.z)
    assert len(np.unique(draws.z[:, -1], axis=0)) == 4


def test_bits_do_not_depend_on_the_number_of_threads(monkeypatch):
    _, draws = good()
    monkeypatch.setattr(driver, "available_cores", lambda: 1)
    _, alone = run([mode()])
    np.testing.assert_array_equal(draws.z, alone.z)


def test_chains_begin_with_the_potential_and_its_gradient_in_their_own_coordinates():
    target, data = problem()
    chains = begin(target, data, [mode(), mode(shift=3.0)], 3, jax.random.key(1))
    for state, place in zip(chains.states, chains.places, strict=True):
        u = np.asarray(state.z)
        z = place.loc + place.scale_tril @ u
        value, gradient = jax.value_and_grad(target.potential)(z, data)
        assert 0 < np.abs(u).max() < 3
        np.testing.assert_allclose(state.potential_energy, value, rtol=1e-12)
        np.testing.assert_allclose(state.z_grad, place.scale_tril.T @ gradient, rtol=1e-9)


def test_running_on_continues_the_same_chains():
    target, data = problem()
    chains = warm_up(
        target, data, begin(target, data, [mode()], 2, jax.random.key(3)), jax.random.key(4)
    )
    _, whole = advance(target, data, chains, 2 * nuts.CHUNK)
    between, first = advance(target, data, chains, nuts.CHUNK)
    _, second = advance(target, data, between, nuts.CHUNK)
    np.testing.assert_array_equal(whole.z, np.concatenate([first.z, second.z], axis=1))


def test_progress_is_told_to_the_end():
    target, data = problem()
    told = []
    chains = begin(target, data, [mode()], 2, jax.random.key(3))
    advance(target, data, chains, nuts.CHUNK + 1, progress=lambda *what: told.append(what))
    total = 2 * 2 * nuts.CHUNK
    assert sorted(done for _, done, _ in told) == list(range(nuts.CHUNK, total + 1, nuts.CHUNK))
    assert {(what, of) for what, _, of in told} == {("sampling", total)}


def test_what_is_compiled_ahead_is_what_runs():
    target, data = problem()
    before = len(driver._programs)
    compile_ahead(target, data)
    good()
    compile_ahead(target, data)
    assert len(driver._programs) <= before + 1
    other, other_data = prepared(clear_rows(20, seed=8), known_covariance, 1)
    compile_ahead(other, other_data)
    assert len(driver._programs) <= before + 1


def test_a_start_without_a_finite_potential_is_told():
    target, data = problem()
    nowhere = Mode(np.full(2, np.nan), 0.0, np.eye(2), 0.0, "here")
    with pytest.raises(InputError, match="not finite around its mode"):
        begin(target, data, [nowhere], 2, jax.random.key(0))
