"""Programs are compiled once, and chains do not depend on who runs beside them."""

import threading
import time
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayesgmm.bayes import driver
from bayesgmm.bayes.driver import compile_once, side_by_side, silent
from bayesgmm.gaussian.cores import available_cores


@pytest.fixture
def name():
    """A key that no other test uses."""
    return object()


def lowering(calls, value=1.0):
    def lower():
        calls.append(threading.current_thread().name)
        return jax.jit(lambda x: x + value).lower(jnp.zeros(3))

    return lower


def run(program, x):
    with jax.enable_x64(True):
        return np.asarray(program.result()(jnp.full(3, x)))


def test_a_key_is_compiled_once(name):
    calls = []
    first = compile_once(name, lowering(calls))
    second = compile_once(name, lowering(calls))
    assert first is second
    np.testing.assert_array_equal(run(first, 0.0), 1.0)
    assert len(calls) == 1


def test_another_key_is_another_program(name):
    calls = []
    compile_once((name, 1), lowering(calls, 1.0))
    two = compile_once((name, 2), lowering(calls, 2.0))
    np.testing.assert_array_equal(run(two, 0.0), 2.0)
    assert len(calls) == 2


def test_tracing_happens_here_and_compilation_elsewhere_in_float64(name):
    calls, compiled_by = [], []

    def lower():
        lowered = lowering(calls)()
        return SimpleNamespace(
            compile=lambda: compiled_by.append(threading.current_thread().name) or lowered.compile()
        )

    found = run(compile_once(name, lower), 0.0)
    assert calls == [threading.current_thread().name] != compiled_by
    assert found.dtype == np.float64
    assert jnp.zeros(1).dtype == np.float32


def test_a_failed_compilation_is_told_and_tried_again(name):
    calls = []

    def fail():
        calls.append("failed")
        raise ValueError("no such shape")

    with pytest.raises(ValueError, match="no such shape"):
        compile_once(name, fail).result()
    np.testing.assert_array_equal(run(compile_once(name, lowering(calls)), 1.0), 2.0)
    assert len(calls) == 2


def walk(into):
    """A random walk that knows only its own number and state, and writes down where it was."""

    def advance(c, state, n_steps):
        key, place = state
        for _ in range(n_steps):
            key, step = jax.random.split(key)
            place = place + jax.random.normal(step, (5,)).sum()
            into[c].append(float(place))
        return key, place

    return advance


def walked(n_chains, n_steps, most=7, some=None):
    into = [[] for _ in range(n_chains)]
    states = [(jax.random.key(c), jnp.zeros(())) for c in range(n_chains)]
    side_by_side(walk(into), states, some or [n_steps] * n_chains, most)
    return into


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_a_chain_does_not_depend_on_the_number_of_threads_or_the_length_of_calls(
    monkeypatch, threads
):
    monkeypatch.setattr(driver, "available_cores", lambda: threads)
    expected = walked(4, 20, most=20)
    assert walked(4, 20, most=3) == expected
    monkeypatch.setattr(driver, "SECONDS", 0.0)  # a step at a time
    assert walked(4, 20) == expected


def test_every_chain_goes_as_far_as_it_has_to():
    assert [len(each) for each in walked(4, 0, some=[5, 0, 12, 1])] == [5, 0, 12, 1]


def test_numbers_are_float64_in_every_thread():
    seen = []

    def note(c, state, n_steps):
        seen.append(jnp.zeros(()).dtype)
        return state

    side_by_side(note, [0, 0], [5, 5], 5)
    assert set(seen) == {np.dtype("float64")}


def test_all_chains_are_about_as_far_at_any_time(monkeypatch):
    monkeypatch.setattr(driver, "available_cores", lambda: 2)
    far, apart = [0] * 4, []

    def advance(c, state, n_steps):
        far[c] += n_steps
        apart.append(max(far) - min(far))
        return state

    side_by_side(advance, [0] * 4, [200] * 4, 10)
    assert far == [200] * 4
    assert max(apart) <= 20


def test_a_failure_in_one_chain_stops_the_others(monkeypatch):
    monkeypatch.setattr(driver, "available_cores", lambda: 2)
    running, done = threading.Event(), []

    def advance(c, state, n_steps):
        if c == 0:
            running.wait()
            raise FloatingPointError("chain 0")
        running.set()
        done.append(time.sleep(0.001))
        return state

    with pytest.raises(FloatingPointError, match="chain 0"):
        side_by_side(advance, [0, 0], [2000, 2000], 1)
    assert 0 < len(done) < 2000


def test_an_interrupt_ends_the_run():
    def interrupt(c, state, n_steps):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        side_by_side(interrupt, [0, 0], [5, 5], 1)


def test_calls_are_as_long_as_a_moment(monkeypatch):
    """They grow while they are shorter than that, and no longer than they may."""
    monkeypatch.setattr(driver, "available_cores", lambda: 1)
    lengths = []

    def advance(c, state, n_steps):
        lengths.append(n_steps)
        return state

    side_by_side(advance, [0], [1000], 250)
    assert lengths[:3] == [driver.FIRST_CALL, 4 * driver.FIRST_CALL, 16 * driver.FIRST_CALL]
    assert max(lengths) <= 250
    assert sum(lengths) == 1000


def test_there_is_at_least_one_core_and_silence_is_silent(capsys):
    assert available_cores() >= 1
    silent("sampling", 1, 2)
    assert capsys.readouterr().out == ""
