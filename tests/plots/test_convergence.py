import numpy as np
import pytest
from matplotlib.collections import LineCollection

from bayesgmm.plots import convergence
from bayesgmm.plots.convergence import FLOOR

ITERATION = np.arange(40)
HIGH = -100 - 50 * 0.5**ITERATION
LOW = -110 - 50 * 0.5**ITERATION


def test_winner_is_the_start_that_ended_highest() -> None:
    ax = convergence([LOW, HIGH])
    drawn = np.asarray(ax.lines[0].get_ydata())
    np.testing.assert_allclose(drawn[:5], 50 * 0.5 ** ITERATION[:5], rtol=1e-6)


def test_lower_optimum_levels_off_at_its_distance() -> None:
    ax = convergence([HIGH, LOW])
    (others,) = (c for c in ax.collections if isinstance(c, LineCollection))
    assert others.get_segments()[0][-1][1] == pytest.approx(10.0, rel=1e-6)


def test_entries_stand_at_the_maps_after_which_they_were_taken() -> None:
    ax = convergence([HIGH, LOW], every=3)
    x = np.asarray(ax.lines[0].get_xdata())
    np.testing.assert_array_equal(x, 3 * np.arange(x.size))
    (others,) = (c for c in ax.collections if isinstance(c, LineCollection))
    assert others.get_segments()[0][-1][0] == 3 * ITERATION[-1]


def test_start_above_the_given_best_is_shown_as_rejected() -> None:
    legend = convergence([LOW, HIGH, LOW - 3], best=0).get_legend()
    assert legend is not None
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["best start", "1 other start", "1 rejected above it"]


@pytest.mark.parametrize("histories", [[[-3.0]], [[-3.0, -3.0], [-3.0]], [[-np.inf, -4.0, -3.0]]])
def test_short_histories_can_be_drawn(histories: list[list[float]]) -> None:
    ax = convergence(histories)
    assert ax.get_ylim()[0] == FLOOR
    assert ax.get_xlabel() == "EM maps"
