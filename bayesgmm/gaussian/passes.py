"""Two forms of the one pass, and which of them serves.

Measured with blocks of 4096 rows: features are 2 to 3 times faster for 5 components or more, the
whitened form 1.3 to 1.8 times for 2 in 50 columns or more; at 5 components they are equal from
50 columns to 200. In features, log densities are off by the condition number of the covariances in
units of rounding, 2e-8 at 1e8.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.gaussian.sweep import Frame, Statistics, natural, sweep, unpack
from bayesgmm.gaussian.whitened import (
    whitened_slope,
    whitened_statistics,
    whitened_sweep,
    whitening,
)

WHITEN_COLUMNS, WHITEN_COMPONENTS = 50, 4
WHITEN_CONDITION = 1e6


@dataclass(frozen=True)
class Pass:
    """A form of the pass: what it takes of a mixture, the pass itself, and what its sums mean.

    Attributes:
        durable_name: what it is in any process.
        prepare: from a mixture and a frame to the first argument of `run`.
        run: from that, rows, their weights and the frame to the log-likelihood in the frame, and
            sums over rows.
        statistics: from the sums, the mixture and the frame to expected sufficient statistics.
        slope: from the sums and the first argument of `run` to the derivative of the log-likelihood
            with respect to it.
    """

    durable_name: str
    prepare: Callable[[Mixture, Frame], Any]
    run: Callable[[Any, Array, Array, Frame], tuple[Array, Array]]
    statistics: Callable[[Array, Mixture, Frame], Statistics]
    slope: Callable[[Array, Any], Any]


def _unpacked(raw: Array, mixture: Mixture, frame: Frame) -> Statistics:
    return unpack(raw, frame)


def _itself(raw: Array, theta: Array) -> Array:
    return raw


FEATURES = Pass("features", natural, sweep, _unpacked, _itself)
WHITENED = Pass("whitened", whitening, whitened_sweep, whitened_statistics, whitened_slope)


def pass_for(mixture: Mixture, frame: Frame) -> Pass:
    """The form for mixtures such as this one, whose pooled covariance shows how columns relate."""
    k, d = mixture.means.shape
    if mixture.is_diagonal:
        return FEATURES
    many = d >= WHITEN_COLUMNS and k <= WHITEN_COMPONENTS
    return WHITENED if many or _condition(mixture, frame) > WHITEN_CONDITION else FEATURES


def _condition(mixture: Mixture, frame: Frame) -> Float[np.floating, ""]:
    """Of the pooled within-component covariance, columns scaled to unit variance."""
    pooled = np.tensordot(mixture.weights, mixture.covariances, 1)
    sds = np.sqrt(np.diagonal(pooled))
    return np.linalg.cond(pooled / np.outer(sds, sds))
