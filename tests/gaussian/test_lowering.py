"""Lowered programs are kept for later processes, where everything they rest on is known."""

import gc
import subprocess
import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayesgmm.gaussian import lowering, memory
from bayesgmm.gaussian.compilation import VARIABLE, remember_compilations
from bayesgmm.gaussian.lowering import durable_name, portable, remembered
from bayesgmm.gaussian.mixture import Mixture, log_joint


@portable
class Pair(NamedTuple):
    left: jax.Array
    right: jax.Array


TRACED = []


def power(exponent, pair, factor):
    TRACED.append(exponent)
    return {"sum": Pair(pair.left**exponent, pair.right * factor), "nothing": None}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A cache of one's own, empty."""
    before = jax.config.jax_compilation_cache_dir
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    jax.config.update("jax_compilation_cache_dir", None)
    remember_compilations.cache_clear()
    remember_compilations()
    TRACED.clear()
    yield tmp_path / "lowered"
    remember_compilations.cache_clear()
    jax.config.update("jax_compilation_cache_dir", before)


def fresh(function=power):
    """What a new process would have: nothing in memory."""
    return remembered(1)(function)


PAIR = Pair(np.array([2.0, 3.0], np.float32), np.array([5.0], np.float32))


def test_a_second_process_need_not_trace(folder):
    first = fresh()(2, PAIR, np.float32(10))
    assert TRACED == [2]
    assert len(list(folder.iterdir())) == 1
    second = fresh()(2, PAIR, np.float32(10))
    assert TRACED == [2]
    assert type(second["sum"]) is Pair
    assert second["nothing"] is None
    np.testing.assert_array_equal(second["sum"].left, [4.0, 9.0])
    jax.tree.map(np.testing.assert_array_equal, first, second)


@pytest.mark.parametrize("change", ["static", "shape", "dtype", "source", "versions", "settings"])
def test_whatever_the_program_rests_on_makes_it_another(change, monkeypatch):
    with jax.default_matmul_precision("default"):
        fresh()(2, PAIR, np.float32(10))
    exponent, pair = 2, PAIR
    if change == "static":
        exponent = 3
    elif change == "shape":
        pair = Pair(np.ones(3, np.float32), PAIR.right)
    elif change == "dtype":
        pair = Pair(np.array([2, 3], np.int32), PAIR.right)
    elif change == "source":
        monkeypatch.setattr(lowering, "_source", lambda: "edited")
    elif change == "versions":
        monkeypatch.setattr(lowering, "_versions", lambda: "jax 99")
    with jax.default_matmul_precision("highest" if change == "settings" else "default"):
        fresh()(exponent, pair, np.float32(10))
    assert len(TRACED) == 2


def test_in_one_process_shapes_are_traced_once_and_statics_kept_apart():
    function = fresh()
    for _ in range(2):
        for exponent in (2, 3):
            result = function(exponent, PAIR, np.float32(1))
            np.testing.assert_array_equal(result["sum"].left, PAIR.left**exponent)
    assert sorted(TRACED) == [2, 3]


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 5000])
def test_a_damaged_file_is_written_again(damage, folder):
    fresh()(2, PAIR, np.float32(10))
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage)
    fresh()(2, PAIR, np.float32(10))
    assert TRACED == [2, 2]
    assert path.read_bytes()[: lowering.DIGEST_BYTES] != damage[: lowering.DIGEST_BYTES]
    assert len(path.read_bytes()) == len(whole)


def test_without_the_cache_nothing_is_written(folder, monkeypatch):
    monkeypatch.setenv(VARIABLE, "off")
    result = fresh()(2, PAIR, np.float32(10))
    np.testing.assert_array_equal(result["sum"].left, [4.0, 9.0])
    assert not folder.exists()


def test_what_cannot_be_named_is_traced_each_time(folder):
    def scaled(function, x):
        TRACED.append(function)
        return function(x)

    for _ in range(2):
        np.testing.assert_array_equal(fresh(scaled)(lambda x: 2 * x, jnp.ones(2)), [2.0, 2.0])
    assert len(TRACED) == 2
    assert not folder.exists()


def test_names_tell_statics_apart_and_admit_ignorance():
    names = [durable_name(static) for static in (1, 1.0, "1", True, None, (1, 2), Pair(1, 2))]
    assert len(set(names)) == len(names)
    assert all(names)
    assert durable_name(log_joint) == "bayesgmm.gaussian.mixture.log_joint"
    for unknown in (object(), lambda x: x, np.ones(2), (1, object())):
        assert durable_name(unknown) == ""


def test_another_process_finds_what_this_one_wrote(tmp_path, monkeypatch):
    """The same digest in both, and the same bits."""
    program = (
        "import numpy as np, bayesgmm as bg\n"
        "from bayesgmm.gaussian import lowering\n"
        "made = []\n"
        "write = lowering._write\n"
        "lowering._write = lambda *a: (made.append(a), write(*a))\n"
        "X = np.random.default_rng(0).normal(size=(40, 1))\n"
        "fit = bg.BayesianMixture(1, num_chains=2, num_draws=250, random_state=0).fit(X)\n"
        "print(len(made), fit.both_.posterior.draws.z.sum().hex())\n"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(2)
    ]
    assert int(told[0][0]) > 0
    assert int(told[1][0]) == 0
    assert told[0][1] == told[1][1]
    monkeypatch.setenv(VARIABLE, "off")
    without = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert without == ["0", told[0][1]]


def test_a_mixture_crosses_the_border():
    assert isinstance(Mixture, type)
    moved = remembered(0)(lambda mixture: Mixture(*(2 * part for part in mixture)))
    doubled = moved(Mixture(np.ones(2), np.ones((2, 1)), np.ones((2, 1, 1))))
    assert type(doubled) is Mixture


def test_the_longest_unused_programs_are_let_go(monkeypatch):
    """A process may have no more mappings than its system allows; every program has hundreds."""
    monkeypatch.setattr(lowering, "MOST_PROGRAMS", 2)
    double = remembered(0)(lambda x: 2 * x)
    for n in (1, 2, 1, 3):
        np.testing.assert_array_equal(double(np.ones(n)), 2)
    kept = [shapes[0][0] for _, _, shapes in double.programs]
    assert kept == [(1,), (3,)]


def test_programs_are_let_go_where_a_process_can_hold_few_more(monkeypatch):
    function = fresh()
    for size in range(1, 9):
        function(2, Pair(np.ones(size), np.ones(1)), np.float32(1))
    monkeypatch.setattr(lowering, "crowded", lambda: True)
    function(2, Pair(np.ones(9), np.ones(1)), np.float32(1))
    assert len(function.programs) == 5
    TRACED.clear()
    function(2, Pair(np.ones(8), np.ones(1)), np.float32(1))
    assert TRACED == []  # the latest stayed
    monkeypatch.setattr(lowering, "crowded", lambda: False)
    function(2, Pair(np.ones(10), np.ones(1)), np.float32(1))
    assert len(function.programs) == 6


@pytest.mark.skipif(not memory.LIMIT.exists(), reason="no limit of mappings on this system")
def test_a_program_that_is_let_go_gives_its_mappings_back():
    def mappings():
        return memory.MAPS.read_bytes().count(b"\n")

    function = fresh()
    for size in range(1, 25):
        function(2, Pair(np.ones(size), np.ones(1)), np.float32(1))
    gc.collect()
    before = mappings()
    function.keep(0)
    gc.collect()
    assert mappings() < before - 24
