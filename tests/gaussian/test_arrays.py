"""Sizes that few data sets differ in, rows that fill up to them, and blocks of rows."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesgmm.gaussian.arrays import BLOCK, SMALLEST_SIZE, blocks, filled_up, similar_size
from bayesgmm.gaussian.mixture import log_likelihoods

SIZES = st.integers(1, 10**9)


@given(SIZES)
def test_a_similar_size_is_not_below_and_at_most_an_eighth_above(n):
    size = similar_size(n)
    assert n <= size
    assert size == SMALLEST_SIZE or 8 * (size - n) < n


@given(SIZES, SIZES)
def test_more_rows_have_no_smaller_size(n, more):
    assert similar_size(n) <= similar_size(n + more)


@given(SIZES)
def test_a_similar_size_is_similar_to_itself(n):
    assert similar_size(similar_size(n)) == similar_size(n)


def test_sizes_are_few_and_a_sixteenth_above_on_average():
    n, octaves = range(SMALLEST_SIZE, 2**14), 14 - 6
    sizes = np.array([similar_size(each) for each in n])
    assert len(np.unique(sizes)) <= 8 * octaves + 1
    assert (sizes / np.array(n) - 1).mean() < 1 / 16


@pytest.mark.parametrize(("row_axes", "weight_axes"), [((), ()), ((), (3,)), ((3,), (3,))])
@pytest.mark.parametrize("n", [1, 63, 64, 65, 100])
def test_rows_that_fill_up_weigh_nothing_and_the_others_stay(n, row_axes, weight_axes):
    rng = np.random.default_rng(n)
    X, weights = rng.normal(size=(*row_axes, n, 2)), rng.uniform(size=(*weight_axes, n))
    filled, filled_weights = filled_up(X, weights)
    m = similar_size(n)
    assert filled.shape == (*row_axes, m, 2)
    assert filled_weights.shape == (*weight_axes, m)
    np.testing.assert_array_equal(filled[..., :n, :], X)
    np.testing.assert_array_equal(filled_weights[..., :n], weights)
    assert not filled_weights[..., n:].any()


def test_rows_that_fill_up_lie_where_rows_lie(mixture, rows):
    """So that they are in every range that rows are in, and their densities are finite."""
    weights = np.random.default_rng(0).uniform(size=len(rows))
    filled, filled_weights = filled_up(rows, weights)
    assert len(filled) > len(rows)
    np.testing.assert_array_equal(np.unique(filled, axis=0), np.unique(rows, axis=0))
    plain, padded = (
        log_likelihoods(mixture, *each) for each in ((rows, weights), (filled, filled_weights))
    )
    np.testing.assert_allclose(padded, plain, rtol=1e-14)


def test_rows_of_a_common_size_are_not_copied():
    X, weights = np.ones((64, 2)), np.ones(64)
    same, same_weights = filled_up(X, weights)
    assert same is X
    assert same_weights is weights


@given(st.integers(0, 10**6), st.integers(1, 10**7))
def test_blocks_are_all_rows_once_and_in_order(n, row_bytes):
    parts = blocks(n, row_bytes)
    assert parts[0].start == 0
    assert parts[-1].stop == n
    for before, after in pairwise(parts):
        assert before.stop == after.start
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) * row_bytes <= max(BLOCK, 64 * row_bytes)
