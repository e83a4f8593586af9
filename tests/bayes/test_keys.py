"""Keys come from NumPy's generators: the same seed, the same keys, whatever the user's settings."""

import jax
import numpy as np
import pytest

from bayesgmm.bayes.keys import KIND, new_key, new_keys, wrapped


def numbers(key):
    return np.asarray(jax.random.key_data(key))


def test_the_same_seed_gives_the_same_keys():
    first, second = (np.random.default_rng(3) for _ in range(2))
    for _ in range(3):
        np.testing.assert_array_equal(numbers(new_key(first)), numbers(new_key(second)))
    np.testing.assert_array_equal(numbers(new_keys(first, 4)), numbers(new_keys(second, 4)))


def test_no_key_is_met_twice():
    rng, other = np.random.default_rng(3), np.random.default_rng(4)
    own = [numbers(new_key(rng)) for _ in range(50)] + list(numbers(new_keys(rng, 50)))
    found = np.stack(own + [numbers(new_key(other)) for _ in range(50)])
    assert len(np.unique(found, axis=0)) == len(found)


def test_spawned_generators_have_keys_of_their_own():
    rngs = np.random.default_rng(3).spawn(20)
    assert len(np.unique([numbers(new_key(rng)) for rng in rngs], axis=0)) == 20


def test_every_number_of_a_key_is_random():
    """Of 400 words each bit is set about half the time: 5 standard errors."""
    words = numbers(new_keys(np.random.default_rng(0), 200)).ravel()
    bits = (words[:, None] >> np.arange(32, dtype=np.uint32)) & 1
    assert np.abs(bits.mean(0) - 0.5).max() < 5 * 0.5 / 20


def test_a_stack_holds_as_many_keys_as_are_asked_for():
    keys = new_keys(np.random.default_rng(0), 5)
    assert keys.shape == (5,)
    assert new_key(np.random.default_rng(0)).shape == ()
    draws = jax.vmap(jax.random.uniform)(keys)
    assert len(np.unique(draws)) == 5


def test_a_key_holds_the_numbers_it_was_made_of():
    given = np.array([7, 2**32 - 1], np.uint32)
    np.testing.assert_array_equal(numbers(wrapped(given)), given)


@pytest.mark.parametrize("kind", ["rbg", "unsafe_rbg", "threefry2x32"])
def test_the_users_default_kind_of_keys_changes_nothing(kind):
    expected = jax.random.normal(new_key(np.random.default_rng(5)), (3,))
    before = jax.config.jax_default_prng_impl
    try:
        jax.config.update("jax_default_prng_impl", kind)
        key = new_key(np.random.default_rng(5))
        assert str(jax.random.key_impl(key)) == KIND
        np.testing.assert_array_equal(jax.random.normal(key, (3,)), expected)
    finally:
        jax.config.update("jax_default_prng_impl", before)
