"""Float64 inside, and the user's JAX left as it was."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayesgmm.gaussian.precision import float64


@float64
def third(x: float) -> jax.Array:
    """One third of x."""
    return jnp.asarray(x) / 3


@float64
def fail() -> None:
    raise RuntimeError("inside")


@pytest.mark.parametrize("setting", [False, True])
def test_results_are_float64_under_either_setting(setting):
    with jax.enable_x64(setting):
        result = third(1.0)
        assert jax.config.jax_enable_x64 is setting
    assert result.dtype == np.float64
    assert float(result) == 1 / 3


@pytest.mark.parametrize("setting", [False, True])
def test_an_error_inside_leaves_the_setting_as_it_was(setting):
    with jax.enable_x64(setting):
        with pytest.raises(RuntimeError, match="inside"):
            fail()
        assert jax.config.jax_enable_x64 is setting


def test_other_threads_keep_their_setting():
    inside, seen = threading.Event(), []
    answered = threading.Event()

    @float64
    def hold() -> None:
        inside.set()
        answered.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait(10)
    seen.append(jnp.ones(()).dtype)
    answered.set()
    holder.join()
    assert seen == [np.dtype(np.float32)]


def test_the_function_keeps_its_name_and_docstring():
    assert (third.__name__, third.__doc__) == ("third", "One third of x.")
