"""Programs are compiled once, and chains do not depend on who runs beside them."""

import threading
import time
from itertools import count
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


def walk(c, state):
    """One chunk of a random walk that knows only its own number and state."""
    key, place = state
    key, step = jax.random.split(key)
    place = place + jax.random.normal(step, (5,)).sum()
    return (key, place), np.asarray(place)


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_a_chain_does_not_depend_on_the_number_of_threads(monkeypatch, threads):
    monkeypatch.setattr(driver, "available_cores", lambda: threads)
    states = [(jax.random.key(c), jnp.zeros(())) for c in range(4)]
    _, outputs = side_by_side(walk, states, 3, lambda: None)
    alone = [side_by_side(walk, [state], 3, lambda: None)[1][0] for state in states]
    np.testing.assert_array_equal(outputs, alone)
    assert np.asarray(outputs).dtype == np.float64


def test_outputs_come_chain_by_chain_and_in_order():
    def chunk(c, state):
        return state + 1, (c, state)

    ticks = count()
    states, outputs = side_by_side(chunk, [0, 10, 20], 2, lambda: next(ticks))
    assert states == [2, 12, 22]
    assert outputs == [[(0, 0), (0, 1)], [(1, 10), (1, 11)], [(2, 20), (2, 21)]]
    assert next(ticks) == 6


def test_a_failure_in_one_chain_stops_the_others(monkeypatch):
    monkeypatch.setattr(driver, "available_cores", lambda: 2)
    running, done = threading.Event(), []

    def chunk(c, state):
        if c == 0:
            running.wait()
            raise FloatingPointError("chain 0")
        running.set()
        done.append(time.sleep(0.001))
        return state, None

    with pytest.raises(FloatingPointError, match="chain 0"):
        side_by_side(chunk, [0, 0], 2000, lambda: None)
    assert 0 < len(done) < 2000


def test_an_interrupted_tick_ends_the_run():
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        side_by_side(lambda c, state: (state, None), [0, 0], 5, interrupt)


def test_there_is_at_least_one_core_and_silence_is_silent(capsys):
    assert available_cores() >= 1
    silent("sampling", 1, 2)
    assert capsys.readouterr().out == ""
