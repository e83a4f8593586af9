"""Numbers of components: sorted, distinct, and at least one."""

import inspect

import numpy as np
import pytest

from bayesgmm.data.errors import InputError
from bayesgmm.data.ranges import component_range


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (3, [3]),
        (range(1, 4), [1, 2, 3]),
        (range(4, 1, -1), [2, 3, 4]),
        ([5, 2, 2, 5], [2, 5]),
        ({1}, [1]),
        ((k for k in (2, 1)), [1, 2]),
        (np.int64(3), [3]),
        (np.arange(2, 4), [2, 3]),
    ],
)
def test_components_come_sorted_and_once_each(given, expected):
    found = component_range(given)
    assert found == expected
    assert all(type(k) is int for k in found)


@pytest.mark.parametrize("wrong", [0, -2, [0, 1], [3, -1]])
def test_fewer_than_one_component_is_refused(wrong):
    with pytest.raises(InputError, match="must be at least 1"):
        component_range(wrong)


@pytest.mark.parametrize("nothing", [[], range(3, 3), ()])
def test_an_empty_range_is_refused(nothing):
    with pytest.raises(InputError, match="n_components is empty"):
        component_range(nothing)


@pytest.mark.parametrize("wrong", [2.5, [2.7], np.array([1.0]), "15", ["2"], None, True])
def test_what_is_no_whole_number_is_refused(wrong):
    with pytest.raises(InputError, match=r"n_components=.* must be a whole number, such as 2\.$"):
        inspect.unwrap(component_range)(wrong)  # without the check of its annotation
