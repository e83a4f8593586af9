"""Rows drawn from mixtures, and data sets drawn from a fit."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.random import Generator

from bayesgmm.data.errors import InputError
from bayesgmm.data.table import Table
from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.ml.em import Data
from bayesgmm.ml.optima import MaximumLikelihood
from bayesgmm.ml.race import Track
from bayesgmm.ml.replicates import Replicates, fit_replicates

MORE_COMPONENTS = 2


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


class Simulated(NamedTuple):
    """Data sets drawn from a fit, and their best admissible fits of every k.

    Attributes:
        data: X (m, n, d).
        fits: m for each k.
        kept: the data sets with an admissible fit of as many components as the truth has.
        n_init: EM starts of each.
    """

    data: Data
    fits: Mapping[int, Replicates]
    kept: Int[np.ndarray, " _m"]
    n_init: int


def simulate(
    fit: MaximumLikelihood,
    track: Track,
    rng: Generator,
    n_simulations: int,
    n_init: int,
    progress: Callable[[str, int, int], None],
) -> Simulated:
    """Data sets of the data's own size, fitted with k from one below the truth's to two above.

    Arguments are those of `ml.calibration.calibrate`.

    Raises:
        InputError: nearly none has an admissible fit.
    """
    m, n, d, own = n_simulations, round(fit.n), fit.d, fit.n_components
    X = draw_rows(fit.mixture, m * n, rng)[0].reshape(m, n, d)
    data = track.data._replace(X=X, row_weights=np.ones(n))
    ks = [k for k in range(max(1, own - 1), own + MORE_COMPONENTS + 1) if k <= n]
    fits = {}
    for done, k in enumerate(ks):
        progress("simulated data sets, every k", done, len(ks))
        fits[k] = fit_replicates(data, k, fit.family, n_init, rng)
    kept = np.flatnonzero(fits[own].admissible)
    if kept.size < 2:
        raise InputError(
            f"{m - kept.size} of {m} simulated data sets have no admissible fit of {own} "
            "components; fit fewer."
        )
    return Simulated(data, fits, kept, n_init)


def simulated_table(X: Float[np.ndarray, "n d"]) -> Table:
    """One data set as a table."""
    return Table(X, tuple(f"x{j}" for j in range(X.shape[1])), None, "simulated", "simulated")
