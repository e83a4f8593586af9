"""The sweep of chunks: `sweep` itself, however many rows there are, in little memory."""

import jax
import numpy as np
import pytest

from bayesgmm.gaussian import chunks as module
from bayesgmm.gaussian.chunks import chunk_rows, sweep_chunks
from bayesgmm.gaussian.precision import float64
from bayesgmm.gaussian.sweep import frame_of, natural, sweep

ROWS = 64


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(module, "chunk_rows", lambda d: ROWS)


@float64
def problem(mixture, n, seed=0):
    """Natural parameters, rows, unequal weights and a frame."""
    rng = np.random.default_rng(seed)
    X, weights = 3 * rng.normal(size=(n, 2)), rng.uniform(0, 3, size=n)
    frame = frame_of(X, weights)
    return natural(mixture, frame), X, weights, frame


def assert_same(one, other, rtol=1e-12):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("n", [1, ROWS - 1, ROWS, ROWS + 1, 5 * ROWS - 1, 5 * ROWS])
@pytest.mark.usefixtures("small_chunks")
def test_chunks_add_up_to_the_sweep(n, mixture):
    arguments = problem(mixture, n)
    assert_same(sweep_chunks(*arguments), float64(sweep)(*arguments))


@pytest.mark.parametrize("offset", range(8))
@pytest.mark.parametrize("d", [1, 2, 3, 4, 10])
def test_chunks_see_every_row_once_and_begin_where_nothing_is_copied(d, offset):
    for n in (64, 65, 128, 1000):
        X = np.zeros(n * d + 64)[offset : offset + n * d].reshape(n, d)
        seen = np.zeros(n)
        for first, before in module.chunks(X, ROWS):
            assert 0 <= first <= before < first + ROWS <= n
            seen[before : first + ROWS] += 1
        assert (seen == 1).all()
        inner = [X.ctypes.data + 8 * d * first for first, _ in module.chunks(X, ROWS)[1:-1]]
        reachable = any((X.ctypes.data + 8 * d * i) % 64 == 0 for i in range(8))
        assert all(place % 64 == 0 for place in inner) or not reachable


@pytest.mark.usefixtures("small_chunks")
def test_a_stack_of_parameters_shares_the_chunks(make_mixture):
    arguments = problem(make_mixture(3, 2, 9, stack=(4,)), 300)
    values, statistics = sweep_chunks(*arguments)
    assert values.shape == (4,)
    for i, theta in enumerate(arguments[0]):
        alone = sweep_chunks(theta, *arguments[1:])
        assert_same((values[i], statistics[i]), alone)


@pytest.mark.usefixtures("small_chunks")
def test_the_number_of_cores_changes_no_bit(mixture):
    arguments = problem(mixture, 1000)
    first, *others = [sweep_chunks(*arguments, cores=cores) for cores in (1, 2, 5)]
    for other in others:
        np.testing.assert_array_equal(first[0], other[0])
        np.testing.assert_array_equal(first[1], other[1])


@pytest.mark.usefixtures("small_chunks")
def test_weights_without_memory_and_rows_in_any_order_are_taken(mixture):
    theta, X, _, frame = problem(mixture, 300)
    plain = sweep_chunks(theta, X, np.ones(300), frame)
    rows = np.asfortranarray(X)
    assert_same(sweep_chunks(theta, rows, np.broadcast_to(1.0, 300), frame), plain)


@pytest.mark.usefixtures("small_chunks")
def test_the_arguments_are_left_alone(mixture):
    theta, X, weights, frame = problem(mixture, 300)
    before = [np.array(part) for part in (theta, X, weights, *frame)]
    sweep_chunks(theta, X, weights, frame)
    for part, old in zip((theta, X, weights, *frame), before, strict=True):
        np.testing.assert_array_equal(part, old)


@pytest.mark.usefixtures("small_chunks")
def test_one_program_serves_every_number_of_rows(mixture):
    sweep_chunks(*problem(mixture, 200))
    compiled = module._compiled._cache_size()
    for n in (100, 1001, 5000):
        sweep_chunks(*problem(mixture, n))
    assert module._compiled._cache_size() == compiled


@pytest.mark.usefixtures("small_chunks")
def test_results_are_float64_whatever_the_setting(mixture):
    arguments = problem(mixture, 200)
    values = []
    for setting in (False, True):
        with jax.enable_x64(setting):
            values.append(sweep_chunks(*arguments))
    assert values[0][0] == values[1][0]
    np.testing.assert_array_equal(values[0][1], values[1][1])


def test_memory_does_not_grow_with_the_rows(mixture, peak_memory):
    def peak(n):
        arguments = problem(mixture, n)
        peak_memory(sweep_chunks, *arguments)  # compiles
        return peak_memory(sweep_chunks, *arguments)[0]

    assert peak(4 * 10**5) < 1.5 * peak(2 * 10**5) + 2**18


@pytest.mark.parametrize("d", [1, 2, 10, 50, 1000, 10**6])
def test_a_chunk_is_a_megabyte_or_the_smallest(d):
    rows = chunk_rows(d)
    assert rows.bit_count() == 1
    assert rows == 64 or module.CHUNK / 2 < 8 * d * rows <= module.CHUNK
