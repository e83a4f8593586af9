"""Mixtures and rows that the laws of this room are checked on."""

import numpy as np
import pytest

from bayesgmm.gaussian.mixture import Mixture


def random_mixture(k: int, d: int, seed: int, stack: tuple[int, ...] = ()) -> Mixture:
    """A mixture with unequal weights and correlated, unequal components."""
    rng = np.random.default_rng(seed)
    factors = np.tril(0.5 * rng.normal(size=(*stack, k, d, d)), -1)
    factors += np.exp(0.3 * rng.normal(size=(*stack, k, d, 1))) * np.eye(d)
    weights = rng.dirichlet(np.full(k, 5.0), size=stack) if stack else rng.dirichlet(np.full(k, 5))
    return Mixture(weights, 2 * rng.normal(size=(*stack, k, d)), factors)


@pytest.fixture(scope="session")
def make_mixture():
    """A function from k, d, a seed and the stacking axes to a mixture."""
    return random_mixture


@pytest.fixture(scope="session")
def mixture() -> Mixture:
    """Three correlated components in two columns."""
    return random_mixture(3, 2, 1)


@pytest.fixture(scope="session")
def rows() -> np.ndarray:
    """Fifty rows, (50, 2), around the mixture."""
    return 3 * np.random.default_rng(2).normal(size=(50, 2))
