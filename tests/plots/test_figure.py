from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bayesgmm.plots import figure_of_clusters

Mixture = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(("d", "panels"), [(1, 1), (2, 1), (3, 6)])
def test_dimension_decides_the_figure(mixture: Mixture, d: int, panels: int) -> None:
    assert len(figure_of_clusters(**mixture(d)).axes) == panels


def test_single_column_may_come_without_its_axis(mixture: Mixture) -> None:
    fit = mixture(1)
    fit["X"] = fit["X"][:, 0]
    (ax,) = figure_of_clusters(**fit, columns=["velocity"]).axes
    assert ax.get_xlabel() == "velocity"


def test_band_needs_draws_of_the_weights(
    mixture: Mixture, weight_draws: Callable[..., np.ndarray]
) -> None:
    (without,) = figure_of_clusters(**mixture(1)).axes
    (band,) = figure_of_clusters(**mixture(1), posterior_weights=weight_draws()).axes
    assert len(without.collections) == 0
    assert len(band.collections) == 1


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_rows_are_enough(mixture: Mixture, d: int, n: int) -> None:
    assert figure_of_clusters(**mixture(d, 2, n)).axes
