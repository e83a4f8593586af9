import numpy as np
from matplotlib.figure import Figure

from bayesgmm.plots import predictive

SETS = np.random.default_rng(0).normal(size=(8, 50))


def test_one_curve_for_each_data_set_and_one_for_the_data() -> None:
    ax = predictive(SETS[0], SETS[1:], column="waiting")
    assert len(ax.lines) == 8
    assert ax.get_xlabel() == "waiting"
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["data", "7 predicted data sets"]


def test_arviz_draws_on_the_axes_given() -> None:
    ax = Figure().add_subplot()
    assert predictive(SETS[0], SETS[1:], ax=ax) is ax
    assert len(ax.lines) == 8


def test_heavy_tails_hide_no_data() -> None:
    x, (tame, wild) = np.linspace(-2, 2, 50), SETS[:2].copy()
    wild[0] = 1e6
    ax = predictive(x, np.stack([tame, wild]))
    assert ax.get_xlim() == (-3, 3)
    near = [np.abs(line.get_xdata()) < 3 for line in ax.lines]
    assert min(part.sum() for part in near) > 100
