"""Fits that several test files look at."""

import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import jax
import matplotlib as mpl
import pytest

import bayesgmm as bg
from bayesgmm.gaussian.memory import crowded

mpl.use("agg")


@pytest.fixture(scope="module", autouse=True)
def _room_for_programs() -> Iterator[None]:
    """What tests compile beside the library's programs is let go before a process is full of it."""
    yield
    if crowded():
        jax.clear_caches()
        gc.collect()


@pytest.fixture(autouse=True)
def _no_figures_left() -> Iterator[None]:
    """What a test draws is closed after it."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(scope="session")
def faithful_fit() -> bg.BayesianMixture:
    """Two components on Old Faithful, sampled."""
    model = bg.BayesianMixture(2, num_draws=500, random_state=0)
    return model.fit(bg.load_dataset("faithful"))


@pytest.fixture(scope="session")
def make_comparison() -> Callable[[], object]:
    """One comparison of k = 1 to 3 on Old Faithful, made once."""
    found: list[object] = []

    def make() -> object:
        if not found:
            found.append(bg.compare("faithful", [2, 3], num_draws=500, random_state=0))
        return found[0]

    return make


@pytest.fixture(scope="session")
def peak_memory() -> Iterator[Callable[..., tuple[int, object]]]:
    """How many bytes a call held at most, and what it returned.

    It runs in a process that traces from its start to its end: before Python 3.12.9 a process
    with threads of its own can crash where tracing stops (python/cpython#128679).
    """
    with ProcessPoolExecutor(1, get_context("spawn"), tracemalloc.start) as pool:
        yield lambda call, *arguments: pool.submit(_traced, call, *arguments).result()


def _traced(call: Callable[..., object], *arguments: object) -> tuple[int, object]:
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    found = call(*arguments)
    _, most = tracemalloc.get_traced_memory()
    return most - before, found
