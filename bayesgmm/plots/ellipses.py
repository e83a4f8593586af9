"""Ellipses that hold a given mass of a bivariate Gaussian."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

MASS = 0.95
RADIUS = float(np.sqrt(-2 * np.log1p(-MASS)))  # in standard deviations
POINTS = 73  # of the path


def ellipse_paths(
    means: ArrayLike, covariances: ArrayLike, *, mass: float = MASS, points: int = POINTS
) -> NDArray[np.float64]:
    """Closed paths (..., points, 2) around `mass` of each Gaussian.

    `mu + r A (cos t, sin t)` with `A A' = Sigma` and `r^2 = -2 log(1 - mass)`, the quantile of
    chi-square with two degrees of freedom. `A` is the symmetric root, which exists for singular
    covariances too.

    Args:
        means: (..., 2).
        covariances: (..., 2, 2).
        mass: probability inside.
        points: per path.
    """
    angle = np.linspace(0.0, 2 * np.pi, points)
    circle = np.sqrt(-2 * np.log1p(-mass)) * np.column_stack([np.cos(angle), np.sin(angle)])
    values, vectors = np.linalg.eigh(np.asarray(covariances, dtype=np.float64))
    axes = vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]
    root = axes @ np.swapaxes(vectors, -1, -2)
    return np.asarray(np.asarray(means, dtype=np.float64)[..., None, :] + circle @ root)
