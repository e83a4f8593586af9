"""What people read of a Gaussian mixture, and the scales on which its estimates are near normal."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit, logit

from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.mixture import Mixture, full


class Quantities(NamedTuple):
    """Numbers in the user's units: of an estimate, of its standard errors, or of many refits.

    Attributes:
        weights: shape (..., k).
        means: shape (..., k, d).
        sds: standard deviations of the components, shape (..., k, d).
        correlations: shape (..., k, d, d).
        covariances: shape (..., k, d, d).
    """

    weights: Float[Array, "*s k"]
    means: Float[Array, "*s k d"]
    sds: Float[Array, "*s k d"]
    correlations: Float[Array, "*s k d d"]
    covariances: Float[Array, "*s k d d"]


def reordered(found: Quantities, order: Int[np.ndarray, " k"]) -> Quantities:
    """Those of one mixture with its components in another order."""
    return Quantities(*(np.asarray(part)[order] for part in found))


def quantities(mixture: Mixture) -> Quantities:
    """Those of a mixture or a stack of them; NumPy arrays give NumPy arrays."""
    whole = full(mixture)
    xp = np if isinstance(whole.scale_tril, np.ndarray) else jnp
    sds = xp.sqrt(xp.square(whole.scale_tril).sum(-1))
    rows = whole.scale_tril / sds[..., None]
    correlations = rows @ xp.swapaxes(rows, -1, -2)
    return Quantities(mixture.weights, mixture.means, sds, correlations, whole.covariances)


class Scale(NamedTuple):
    """A change of scale, its inverse, and its derivative."""

    to: Callable[[np.ndarray], np.ndarray]
    back: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]


IDENTITY = Scale(lambda x: x, lambda x: x, np.ones_like)
LOG = Scale(np.log, np.exp, lambda x: 1 / x)
LOGIT = Scale(logit, expit, lambda x: 1 / (x * (1 - x)))
ATANH = Scale(np.arctanh, np.tanh, lambda x: 1 / (1 - x**2))
SCALES = Quantities(LOGIT, IDENTITY, LOG, ATANH, IDENTITY)
"""Weights on the logit scale, standard deviations on the log, correlations on the atanh scale."""


def normal_intervals(
    estimates: Quantities, errors: Quantities, width: float
) -> tuple[Quantities, Quantities]:
    """Estimate +- width standard errors on each quantity's own scale; variances on the log scale.

    An error of zero gives the estimate itself; a missing one, a missing interval.
    """
    ends = []
    for sign in (-1, 1):
        parts = [
            _moved(scale, np.asarray(x), sign * width * np.asarray(se))
            for scale, x, se in zip(SCALES, estimates, errors, strict=True)
        ]
        diagonal = np.eye(estimates.means.shape[-1], dtype=bool)
        by = np.where(diagonal, sign * width * np.asarray(errors.covariances), 0.0)
        on_log = _moved(LOG, np.where(diagonal, estimates.covariances, 1.0), by)
        parts[-1] = np.where(diagonal, on_log, parts[-1])
        ends.append(Quantities(*parts))
    return ends[0], ends[1]


def _moved(scale: Scale, x: np.ndarray, by: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = scale.back(scale.to(x) + scale.slope(x) * by)
    return np.where(by == 0, x, moved)
