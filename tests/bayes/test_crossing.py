"""Draws crossed with rows: parts, blocks and what is left out change nothing else."""

import jax
import numpy as np
import pytest

from bayesgmm.bayes import rows
from bayesgmm.bayes.crossing import Crossed, cross, held_rows, joined
from bayesgmm.bayes.draws import Draws, first, rest
from bayesgmm.bayes.keys import new_key
from bayesgmm.gaussian.mixture import log_responsibilities
from tests.bayes.cases import clear_rows, mixtures, prepared

X = clear_rows(20)
PIVOT = mixtures(k=2)
TARGET, DATA = prepared(X, "gaussian", 2)
LOG_PIVOT = log_responsibilities(PIVOT, np.asarray(DATA.X))
KEY = new_key(np.random.default_rng(0))


def drawn(c: int, s: int) -> Draws:
    z = np.random.default_rng(1).normal(size=(c, s, TARGET.size))
    return Draws(z, np.zeros((c, s)), None, {})


def crossed(draws: Draws, begin: int = 0, *, each_row: bool = True) -> Crossed:
    return cross(TARGET, DATA, LOG_PIVOT, draws, begin, KEY, n_rows=len(X), each_row=each_row)


def assert_same(a: Crossed, b: Crossed) -> None:
    flat, structure = jax.tree.flatten(a)
    others, same = jax.tree.flatten(b)
    assert structure == same
    for one, other in zip(flat, others, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_parts_end_to_end_are_the_whole() -> None:
    draws = drawn(2, 9)
    parts = [crossed(first(draws, 4)), crossed(rest(draws, 4), 4)]
    assert_same(joined(parts), crossed(draws))


@pytest.mark.parametrize("fewer", [8, 5])
def test_how_many_draws_a_call_takes_changes_nothing(
    fewer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = drawn(2, 9)
    whole = crossed(draws)
    monkeypatch.setattr(rows, "MANY_ROWS", 10)
    monkeypatch.setattr(rows, "FEWER_DRAWS", fewer)
    assert rows.block_draws(len(DATA.X)) == fewer
    assert_same(whole, crossed(draws))


def test_rows_that_are_not_kept_change_nothing_else() -> None:
    draws = drawn(2, 9)
    kept = crossed(draws)
    assert_same(kept._replace(each_row=None), crossed(draws, each_row=False))


def test_the_whole_lacks_what_a_part_lacks() -> None:
    draws = drawn(1, 6)
    parts = [crossed(first(draws, 3)), crossed(rest(draws, 3), 3, each_row=False)]
    assert joined(parts).each_row is None


def test_held_rows_are_rows_of_the_data() -> None:
    draws = drawn(1, 3)
    found = crossed(draws)
    assert found.each_row is not None
    np.testing.assert_array_equal(found.held, found.each_row[..., held_rows(len(X))])


def test_clusters_follow_the_pivots_order() -> None:
    """A draw and its mirror image are the same once their labels are put right."""
    found = crossed(drawn(1, 20))
    assert found.mixture is not None
    other = cross(
        TARGET, DATA, LOG_PIVOT[:, ::-1], drawn(1, 20), 0, KEY, n_rows=len(X), each_row=True
    )
    assert other.mixture is not None
    np.testing.assert_array_equal(found.mixture.means, other.mixture.means[..., ::-1, :])
