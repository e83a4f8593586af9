"""Rows drawn from mixtures."""

import numpy as np
from jaxtyping import Float, Int
from numpy.random import Generator

from bayesgmm.gaussian.mixture import Mixture


def draw_rows(
    mixture: Mixture, n: int, rng: Generator
) -> tuple[Float[np.ndarray, "n d"], Int[np.ndarray, " n"]]:
    """Rows and their components, from one mixture, or from n stacked ones, a row of each."""
    stacked, last = mixture.weights.ndim == 2, mixture.weights.shape[-1] - 1
    uniform, below = rng.uniform(size=n), np.cumsum(mixture.weights, -1)
    labels = (uniform[:, None] > below).sum(1) if stacked else np.searchsorted(below, uniform)
    labels = np.minimum(labels, last)
    at = (np.arange(n), labels) if stacked else (labels,)
    means = mixture.means[at]
    noise = rng.standard_normal(means.shape)
    if mixture.is_diagonal:
        return means + mixture.scale_tril[at] * noise, labels
    if stacked:
        factors = mixture.scale_tril[at]
        return means + np.einsum("nab,nb->na", factors, noise), labels
    for j, factor in enumerate(mixture.scale_tril):
        noise[labels == j] = noise[labels == j] @ factor.T
    return means + noise, labels
