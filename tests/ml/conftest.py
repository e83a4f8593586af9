"""One small table and one start on it, so that every law reuses the same compiled programs."""

import numpy as np
import pytest

from bayesgmm.data.table import Table, read_table
from bayesgmm.gaussian.mixture import Mixture


@pytest.fixture(scope="session")
def table() -> Table:
    """Eighty rows of two overlapping clusters in two columns of very different units."""
    rng = np.random.default_rng(12)
    left = rng.normal(size=(50, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]])
    right = rng.normal(size=(30, 2)) @ np.array([[0.6, -0.2], [0.0, 1.3]]) + [2.5, 1.5]
    X = np.concatenate([left, right]) * [1.0, 20.0] + [3.0, -50.0]
    return read_table(X)


@pytest.fixture(scope="session")
def start(table) -> Mixture:
    """Two components with the columns' variances, which lies in every family but the spherical."""
    sds = table.X.std(0)
    means = np.array([[3.0, -55.0], [5.0, -20.0]])
    return Mixture(np.array([0.6, 0.4]), means, np.broadcast_to(np.diag(sds), (2, 2, 2)).copy())
