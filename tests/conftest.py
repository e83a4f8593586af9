"""Fits that several test files look at."""

from collections.abc import Callable

import matplotlib as mpl
import pytest

import bayesgmm as bg

mpl.use("agg")


@pytest.fixture(scope="session")
def faithful_fit() -> bg.BayesianMixture:
    """Two components on Old Faithful, sampled."""
    model = bg.BayesianMixture(2, num_draws=500, random_state=0)
    return model.fit(bg.load_dataset("faithful"))


@pytest.fixture(scope="session")
def make_comparison() -> Callable[[], object]:
    """One comparison of k = 1 to 3 on Old Faithful, made once."""
    found: list[object] = []

    def make() -> object:
        if not found:
            found.append(bg.compare("faithful", [2, 3], num_draws=500, random_state=0))
        return found[0]

    return make
