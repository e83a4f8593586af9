"""Numbers that the user chose: taken as they are meant, or refused in one line."""

import numpy as np
import pytest

from bayesgmm.data.errors import InputError
from bayesgmm.data.scalars import non_negative, whole


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_whole_numbers_become_ints(value):
    assert type(whole("n_init", value)) is int
    assert whole("n_init", value) == 3


@pytest.mark.parametrize("value", [2.0, np.float64(2), True, np.True_, "2", None, [2], np.nan])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(InputError, match=r"^n_init=.* must be a whole number, such as 2\.$"):
        whole("n_init", value)


def test_numbers_below_the_least_are_refused():
    assert whole("n_init", 0, least=0) == 0
    with pytest.raises(InputError, match=r"^n_init=0 must be at least 1\.$"):
        whole("n_init", 0)


@pytest.mark.parametrize("value", [0, 1e-9, np.float32(0.5), np.int64(2)])
def test_real_numbers_become_floats(value):
    assert type(non_negative("tol", value)) is float
    assert non_negative("tol", value) == value


@pytest.mark.parametrize("value", [np.nan, np.inf, True, np.True_, "1", None, [1.0]])
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(InputError, match=r"^tol=.* must be a finite number\.$"):
        non_negative("tol", value)


def test_negative_numbers_are_refused():
    with pytest.raises(InputError, match=r"^tol=-0\.1 must not be negative\.$"):
        non_negative("tol", -0.1)
