"""Derivatives of smooth functions by five-point differences.

A gradient that is exact makes its differences good to about ten digits, at the price of a few calls
of a function that is compiled already; second derivatives would have to be compiled first, which
takes seconds.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

STEP = 1e-3
MOST_POINTS = 512


def jacobian(
    function: Callable[[np.ndarray], np.ndarray],
    point: Float[np.ndarray, " q"],
    step: float | Float[np.ndarray, " q"] = STEP,
) -> Float[np.ndarray, "m q"]:
    """d function_i / d point_j, with an error of order step^4.

    Args:
        function: from (q,) to (m,).
        point: where, shape (q,), in coordinates whose natural scale is one.
        step: one step for all coordinates, or one for each.
    """
    return jacobian_at_once(lambda at: np.stack([function(one) for one in at]), point, step)


def jacobian_at_once(
    function: Callable[[np.ndarray], np.ndarray],
    point: Float[np.ndarray, " q"],
    step: float | Float[np.ndarray, " q"] = STEP,
) -> Float[np.ndarray, "m q"]:
    """`jacobian` of a function that takes its points together, from (s, q) to (s, m).

    No more than `MOST_POINTS` at once; where there are more, every call gets as many.
    """
    shifts = np.diag(np.broadcast_to(np.asarray(step, float), point.shape))
    places = np.concatenate([point + times * shifts for times in (1, -1, 2, -2)])
    size = min(len(places), MOST_POINTS)
    filled = np.resize(places, (-(-len(places) // size) * size, point.size))
    parts = [np.asarray(function(some)) for some in np.split(filled, len(filled) // size)]
    values = np.concatenate(parts)[: len(places)]
    near, back, far, behind = values.reshape(4, point.size, -1)
    return (8 * (near - back) - (far - behind)).T / (12 * shifts.sum(0))


def hessian(
    gradient: Callable[[np.ndarray], np.ndarray],
    point: Float[np.ndarray, " q"],
    step: float | Float[np.ndarray, " q"] = STEP,
) -> Float[np.ndarray, "q q"]:
    """The symmetric matrix of second derivatives, from an exact gradient."""
    raw = jacobian(gradient, point, step)
    return (raw + raw.T) / 2
