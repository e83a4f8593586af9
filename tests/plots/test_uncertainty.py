from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex

from bayesgmm.plots import component_colours, uncertainty
from bayesgmm.plots.uncertainty import entropy_bits

Mixture = Callable[..., dict[str, Any]]


def test_entropy_is_zero_when_certain_and_one_bit_for_a_coin_toss() -> None:
    p = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]]
    np.testing.assert_allclose(entropy_bits(p), [0.0, 1.0, np.log2(3)])


def test_uncertain_rows_are_larger_and_keep_their_component(mixture: Mixture) -> None:
    p = np.array([[1.0, 0.0], [0.6, 0.4], [0.8, 0.2], [0.1, 0.9]])
    ax = uncertainty(np.arange(8.0).reshape(4, 2), p)
    first, second = (c for c in ax.collections if isinstance(c, PathCollection))
    assert (np.diff(first.get_sizes()) > 0).all()
    np.testing.assert_array_equal(first.get_offsets(), [[0, 1], [4, 5], [2, 3]])
    np.testing.assert_array_equal(second.get_offsets(), [[6, 7]])


def test_axes_carry_the_first_two_columns_names(
    mixture: Mixture, memberships: Callable[..., np.ndarray]
) -> None:
    ax = uncertainty(mixture(3)["X"], memberships(), columns=["a", "b", "c"])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("a", "b")


@pytest.mark.parametrize("ndim", [1, 2])
def test_single_column_gives_one_curve_per_component(
    mixture: Mixture, memberships: Callable[..., np.ndarray], ndim: int
) -> None:
    X = mixture(1)["X"]
    ax = uncertainty(X[:, 0] if ndim == 1 else X, memberships(), columns=["velocity"])
    curves = [line for line in ax.lines if line.get_linestyle() == "-"]
    assert [line.get_color() for line in curves] == list(component_colours(3))
    assert all((np.diff(line.get_xdata()) >= 0).all() for line in curves)
    assert ax.get_xlabel() == "velocity"


def test_component_of_no_weight_has_no_rows(mixture: Mixture) -> None:
    p = np.tile([1.0, 0.0], (60, 1))
    for d in (1, 2):
        assert uncertainty(mixture(d)["X"], p).get_ylabel()


@pytest.mark.parametrize("d", [1, 2])
def test_background_is_grey_and_named(mixture: Mixture, d: int) -> None:
    p = np.tile([0.1, 0.2, 0.7], (60, 1))
    ax = uncertainty(mixture(d)["X"], p, background=True)
    legend = ax.get_legend()
    assert legend is not None
    assert legend.get_texts()[-1].get_text() == "background"
    used = {line.get_color() for line in ax.lines} | {
        to_hex(colour) for c in ax.collections for colour in c.get_facecolor()
    }
    assert component_colours(3)[2].lower() not in {str(colour).lower() for colour in used}
