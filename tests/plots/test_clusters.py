from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from bayesgmm.plots import clusters, figure_of

Mixture = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(("d", "panels"), [(1, ()), (2, ()), (3, (3, 3))])
def test_dimension_decides_the_figure(mixture: Mixture, d: int, panels: tuple[int, ...]) -> None:
    assert np.shape(clusters(**mixture(d))) == panels


def test_single_column_may_come_without_its_axis(mixture: Mixture) -> None:
    fit = mixture(1)
    fit["X"] = fit["X"][:, 0]
    ax = clusters(**fit, columns=["velocity"])
    assert isinstance(ax, Axes)
    assert ax.get_xlabel() == "velocity"


def test_band_needs_draws_of_the_weights(
    mixture: Mixture, weight_draws: Callable[..., np.ndarray]
) -> None:
    without = clusters(**mixture(1))
    band = clusters(**mixture(1), posterior_weights=weight_draws())
    assert isinstance(without, Axes)
    assert isinstance(band, Axes)
    assert len(without.collections) == 0
    assert len(band.collections) == 1


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_rows_are_enough(mixture: Mixture, d: int, n: int) -> None:
    assert figure_of(clusters(**mixture(d, 2, n))).axes
