"""Ranks: uniform ones pass as often as they should, bent ones are caught."""

import numpy as np
import pytest

from bayesgmm.bayes.uniformity import shares, uniformity

DRAWS = 99


@pytest.mark.parametrize("m", [20, 100])
def test_uniform_ranks_are_rejected_no_more_often_than_they_should_be(m):
    rng = np.random.default_rng(m)
    found = [uniformity(rng.integers(DRAWS + 1, size=m), DRAWS) for _ in range(400)]
    for level in (0.05, 0.2):
        limit = level + 4 * np.sqrt(level / 400)
        assert np.mean([one.chi_square < level for one in found]) < limit
        assert np.mean([one.ecdf < level for one in found]) < limit


def test_what_bends_ranks_is_told_apart():
    """An even spread has mean one half and spread one; each failure moves its own number."""
    even = np.arange(DRAWS + 1)
    good = uniformity(even, DRAWS)
    assert good.mean == pytest.approx(0.5, abs=0.01)
    assert good.spread == pytest.approx(1.0, abs=0.01)
    assert good.p == 1.0
    low, narrow, wide = even // 2, np.where(even < 50, even // 5, 99 - even // 5), 25 + even // 2
    assert uniformity(low, DRAWS).mean < 0.3
    assert uniformity(narrow, DRAWS).spread > 1.2
    assert uniformity(wide, DRAWS).spread < 0.6
    for bent in (low, narrow, wide):
        assert uniformity(bent, DRAWS).p < 1e-3


def test_twenty_ranks_at_the_ends_are_enough():
    """As of labels that were left as they fell."""
    found = uniformity(np.repeat([0, DRAWS], 10), DRAWS)
    assert found.ecdf < 1e-6
    assert found.spread == pytest.approx(np.sqrt(3), rel=0.03)


def test_shares_keep_the_order_of_ranks():
    ranks = np.random.default_rng(0).integers(DRAWS + 1, size=50)
    found = shares(ranks, DRAWS)
    assert (np.floor(found * (DRAWS + 1)).astype(int) == ranks).all()


@pytest.mark.parametrize("m", [1, 2])
def test_next_to_no_ranks_prove_nothing(m):
    assert uniformity(np.zeros(m, int), DRAWS).p > 0.01
