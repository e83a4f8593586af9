"""NUTS in whitened coordinates: exact on a normal posterior, wherever its chains begin."""

from functools import cache

import jax
import numpy as np
import pytest
from arviz_stats.base import array_stats

from bayesgmm.bayes import adaptation, driver, nuts
from bayesgmm.bayes.adaptation import Settings
from bayesgmm.bayes.chains import Chains
from bayesgmm.bayes.checkpoint import Record
from bayesgmm.bayes.metric import Blocks, Place
from bayesgmm.bayes.nuts import adapt_again, advance, begin, compile_ahead, warm_up
from bayesgmm.data.errors import InputError
from tests.bayes.cases import (
    clear_rows,
    known_covariance,
    known_posterior,
    mode_at,
    prepared,
)

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
    return mode_at(MEAN + shift * np.diagonal(factor), scale * factor)


def begun(modes, num_chains=4, seed=0):
    return begin(*problem(), modes, num_chains, np.random.default_rng(seed))


def run(modes, num_chains=4, seed=0, steps=STEPS, settings=Settings()):
    chains = warm_up(*problem(), begun(modes, num_chains, seed), settings)
    return advance(*problem(), chains, steps, settings)


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


# --- the draws -----------------------------------------------------------------------------------


def test_draws_are_those_of_the_exact_posterior():
    _, draws = good()
    assert draws.z.shape == (4, STEPS, 2)
    assert draws.z.dtype == np.float64
    assert_exact(draws.z)


@pytest.mark.parametrize(("scale", "shift"), [(0.03, 0.0), (20.0, 0.0), (1.0, 30.0)])
def test_a_poor_guide_costs_adaptation_and_not_the_answer(scale, shift):
    chains, draws = run([mode(scale, shift)])
    assert chains.stage > 1
    assert not np.array_equal(chains.place(0).factors[0], mode(scale).place.factors[0])
    assert_exact(draws.z)


def test_a_start_is_not_far_above_its_mode_whatever_the_guide_says():
    """Else no step size leads back, where the density falls more steeply than it thought."""
    target, data = problem()
    lowest = float(target.potential(MEAN, data))
    for scale in (1.0, 1e5):
        for state in begun([mode(scale)]).states:
            assert float(state.potential) - lowest <= nuts.MOST_RISE * target.size


def test_a_good_guide_is_kept():
    chains, _ = good()
    assert (chains.stage, chains.sampling) == (1, True)
    for c in range(4):
        np.testing.assert_array_equal(chains.place(c).factors[0], mode().place.factors[0])
        np.testing.assert_array_equal(chains.place(c).loc, MEAN)


def test_chains_that_met_end_under_one_whitening_and_one_step_size():
    chains, draws = run([mode(), mode(shift=3.0)])
    assert chains.groups == [0, 0, 0, 0]
    assert len(chains.places) == 1
    assert len(set(draws.stats["step_size"].ravel())) == 1
    assert_exact(draws.z)


@pytest.mark.parametrize("blocks", [[[0, 1]], [[0], [1]]], ids=["dense", "diagonal"])
def test_blocks_of_any_size_give_the_same_posterior(monkeypatch, blocks):
    target, data = problem()
    parted = Blocks(2, np.array(blocks))
    monkeypatch.setattr(type(target), "blocks", property(lambda _: parted))
    monkeypatch.setattr(driver, "_programs", {})
    monkeypatch.setattr(nuts._call, "programs", {})
    sds = np.sqrt(np.diagonal(COVARIANCE))
    dense = len(blocks) == 1
    factors = np.linalg.cholesky(COVARIANCE)[None] if dense else sds[:, None, None]
    there = mode()._replace(place=Place(MEAN, (factors,)))
    chains = warm_up(target, data, begin(target, data, [there], 4, np.random.default_rng(1)))
    assert_exact(advance(target, data, chains, STEPS)[1].z)


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
    assert len(set(draws.stats["step_size"].ravel())) == 1


def test_trees_are_no_deeper_than_they_may():
    settings = Settings(max_tree_depth=1)
    _, draws = run([mode()], steps=100, settings=settings)
    assert (draws.stats["n_steps"] == 1).all()


# --- repeatable, however it is cut ----------------------------------------------------------------


def test_chains_differ_and_runs_repeat():
    _, draws = good()
    _, again = run([mode()])
    _, other = run([mode()], seed=1)
    np.testing.assert_array_equal(draws.z, again.z)
    for name, values in draws.stats.items():
        np.testing.assert_array_equal(values, again.stats[name])
    assert not np.array_equal(draws.z, other.z)
    assert len(np.unique(draws.z[:, -1], axis=0)) == 4


@pytest.mark.parametrize(("name", "value"), [("available_cores", lambda: 1), ("SECONDS", 0.0)])
def test_bits_depend_neither_on_threads_nor_on_the_length_of_calls(monkeypatch, name, value):
    _, draws = good()
    monkeypatch.setattr(driver, name, value)
    _, again = run([mode()], steps=300)
    np.testing.assert_array_equal(draws.z[:, :300], again.z)


def test_chains_begin_with_the_potential_and_its_gradient_in_their_own_coordinates():
    target, data = problem()
    chains = begun([mode(), mode(shift=3.0)], 3)
    for c, state in enumerate(chains.states):
        place, u = chains.place(c), np.asarray(state.u)
        factor = np.asarray(place.factors[0][0])
        value, gradient = jax.value_and_grad(target.potential)(place.loc + factor @ u, data)
        assert 0 < np.abs(u).max() < 3
        np.testing.assert_allclose(state.potential, value, rtol=1e-12)
        np.testing.assert_allclose(state.gradient, factor.T @ gradient, rtol=1e-9)


def test_running_on_continues_the_same_chains():
    chains = warm_up(*problem(), begun([mode()], 2))
    _, whole = advance(*problem(), chains, 400)
    record = Record()
    record.enter(chains)
    between, first = advance(*problem(), chains, 150, record=record)
    _, both = advance(*problem(), between, 400, record=record)
    np.testing.assert_array_equal(whole.z[:, :150], first.z)
    np.testing.assert_array_equal(whole.z, both.z)


def test_progress_is_told_to_the_end():
    told = []
    chains = begun([mode()], 2)
    advance(*problem(), chains, 300, progress=lambda *what: told.append(what))
    counts = [done for _, done, _, _ in told]
    assert counts == sorted(counts)
    assert counts[-1] == 600
    assert {(what, of) for what, _, of, _ in told} == {("warming up", 600)}


def test_progress_says_how_the_steps_were_taken():
    told = []
    chains = begun([mode()], 2)
    _, draws = advance(*problem(), chains, 60, progress=lambda *what: told.append(what))
    accepted, diverged = (draws.stats[name] for name in ("acceptance_rate", "diverging"))
    assert told[-1][-1] == f"acceptance {accepted.mean():.2f}, {diverged.sum()} divergent"


def test_what_is_compiled_ahead_is_what_runs():
    before = len(driver._programs)
    compile_ahead(*problem())
    good()
    compile_ahead(*problem())
    assert len(driver._programs) <= before + 1
    compile_ahead(*prepared(clear_rows(20, seed=8), known_covariance, 1))
    assert len(driver._programs) <= before + 1


# --- when another warm-up is worth it -------------------------------------------------------------


def test_draws_that_ask_for_nothing_lead_to_no_other_warm_up():
    chains, draws = good()
    assert adapt_again(*problem(), chains, draws) is None


def test_divergences_lead_to_another_warm_up_once_and_with_more_care():
    chains, draws = good()
    diverging = draws.stats["diverging"].copy()
    diverging[:, :50] = True
    spoilt = draws._replace(stats=draws.stats | {"diverging": diverging})
    again = adapt_again(*problem(), chains, spoilt)
    assert again is not None
    assert again.accept == max(Settings().accept_probs)
    assert (again.stage, again.sampling, again.again) == (chains.stage + 1, False, True)
    settled = warm_up(*problem(), again)
    assert settled.stage == chains.stage + 2
    assert adapt_again(*problem(), settled, spoilt) is None
    assert_exact(advance(*problem(), settled, STEPS)[1].z)


def test_draws_of_another_shape_than_the_whitening_lead_to_another_warm_up():
    chains, draws = good()
    factors = (10 * np.asarray(chains.place(0).factors[0]),)
    wrong = Place(np.asarray(chains.place(0).loc), factors)
    again = adapt_again(*problem(), chains._replace(places={0: wrong}), draws)
    assert again is not None
    found = again.place(0).factors[0][0]
    np.testing.assert_allclose(found @ found.T, COVARIANCE, rtol=0.1)


@pytest.mark.parametrize(
    ("means", "sds", "groups"),
    [
        ([0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]),
        ([0, 1, 0, 2], [1, 2, 1, 1], [0, 0, 0, 0]),
        ([0, 0, 50, 50], [1, 1, 1, 1], [0, 0, 2, 2]),
        ([0, 0, 0, 0], [1, 100, 1, 100], [0, 1, 0, 1]),
    ],
)
def test_chains_that_explore_the_same_are_one_group(means, sds, groups):
    noise = np.random.default_rng(0).normal(size=(4, 300, 2))
    draws = np.array(means)[:, None, None] + np.array(sds)[:, None, None] * noise
    assert adaptation._groups(draws) == groups


def test_a_start_without_a_finite_potential_is_told():
    with pytest.raises(InputError, match="not finite around its mode"):
        begun([mode_at(np.full(2, np.nan), np.eye(2))], 2)


def test_chains_know_their_group():
    chains = begun([mode(), mode(shift=3.0)], 3)
    assert isinstance(chains, Chains)
    np.testing.assert_array_equal(chains.members(chains.groups[0]), np.array(chains.groups) == 0)


def test_draws_that_stand_still_say_nothing_of_a_shape():
    blocks = Blocks(2, np.array([[0, 1]]))
    place = Place(np.zeros(2), (np.eye(2)[None],))
    moving = np.random.default_rng(0).normal(size=(1, 50, 2)) * 9.0
    assert adaptation._pooled(blocks, place, moving) is not None
    for still in ([0.0, 1.0], [0.0, 0.0]):
        assert adaptation._pooled(blocks, place, moving * still) is None
