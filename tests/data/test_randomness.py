"""Seeds, generators and entropy; the global states are never touched."""

import numpy as np
import pytest

from bayesgmm.data.errors import InputError
from bayesgmm.data.randomness import generator


@pytest.mark.parametrize("seed", [0, 7, 2**40, np.int64(7), np.uint8(3)])
def test_a_seed_gives_the_same_numbers_each_time(seed):
    one, other = generator(seed), generator(seed)
    assert one[1] == other[1] == int(seed)
    assert type(one[1]) is int
    np.testing.assert_array_equal(one[0].random(5), other[0].random(5))


def test_different_seeds_give_different_numbers():
    assert generator(1)[0].random() != generator(2)[0].random()


def test_a_generator_is_used_as_it_is():
    rng = np.random.default_rng(3)
    assert generator(rng) == (rng, None)


def test_a_random_state_is_drawn_from():
    one, other = np.random.RandomState(5), np.random.RandomState(5)
    assert generator(one)[0].random() == generator(other)[0].random()
    assert generator(one)[0].random() != generator(np.random.RandomState(5))[0].random()


def test_entropy_differs_each_time_and_its_seed_repeats_it():
    (one, seed), (_, another) = generator(None), generator(None)
    assert seed is not None
    assert seed != another
    assert one.random() == generator(seed)[0].random()


@pytest.mark.parametrize("wrong", [-1, 1.5, "a", [1, 2], np.nan])
def test_anything_else_is_refused(wrong):
    with pytest.raises(InputError, match=r"random_state=.* must be a non-negative int"):
        generator(wrong)


@pytest.mark.parametrize("state", [None, 4, np.int64(4)])
def test_the_global_state_is_not_touched(state):
    before = np.random.get_state()
    generator(state)[0].random(10)
    after = np.random.get_state()
    assert before[0] == after[0]
    np.testing.assert_array_equal(before[1], after[1])
    assert before[2:] == after[2:]
