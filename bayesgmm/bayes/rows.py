"""Everything that crosses draws with rows, in blocks of draws: nothing of s x n x k is stored."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Bool, Float

from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.lowering import portable, remembered
from bayesgmm.gaussian.mixture import Mixture, log_joint
from bayesgmm.gaussian.precision import float64

BLOCK_NUMBERS = 2_000_000
BLOCK_DRAWS = 1000

type LogJoint = Callable[[Any, Any, Array], Array]
"""From a draw, a context shared by all draws, and rows (n, d), to log joint densities (n, k)."""


@portable
class DrawRows(NamedTuple):
    """What one pass over draws and rows yields.

    Attributes:
        log_likelihood: log mixture density, shape (s, n).
        cost: of calling component a of a draw the pivot's component b, shape (s, k, k).
        occupied: whether an allocation drawn for each row puts any row there, shape (s, k).
    """

    log_likelihood: Float[Array, "s n"]
    cost: Float[Array, "s k k"]
    occupied: Bool[Array, "s k"]


def gaussian_log_joint(draw: Mixture, context: None, X: Array) -> Array:
    """The log joint density of a draw that is kept as a Gaussian mixture."""
    return log_joint(draw, X)


@float64
def cross(
    log_joint: LogJoint,
    draws: Any,
    context: Any,
    X: Float[Array, "n d"],
    row_weights: Float[Array, " n"],
    log_pivot: Float[Array, "n k"],
    key: Array,
) -> DrawRows:
    """Cross s draws (a pytree with leading axis s) with n rows.

    Args:
        log_joint: gives one draw's log joint densities.
        draws: parameters, stacked.
        context: passed on to `log_joint`.
        X: rows.
        row_weights: shape (n,).
        log_pivot: log responsibilities of the pivot, shape (n, k).
        key: for the drawn allocations.
    """
    result = _cross(
        log_joint, _batch(draws, log_pivot), draws, context, X, row_weights, log_pivot, key
    )
    log_likelihood, cost, occupied = map(np.asarray, result)
    return DrawRows(log_likelihood, cost, occupied)


@remembered(2)
def _cross(
    log_joint: LogJoint,
    batch: int,
    draws: Any,
    context: Any,
    X: Array,
    row_weights: Array,
    log_pivot: Array,
    key: Array,
) -> DrawRows:
    s = jax.tree.leaves(draws)[0].shape[0]

    def one(item: tuple[Any, Array]) -> DrawRows:
        draw, one_key = item
        joint = log_joint(draw, context, X)
        log_density = jax.nn.logsumexp(joint, axis=-1)
        resp = jnp.exp(joint - log_density[:, None])
        weighted = resp * row_weights[:, None]
        entropy = jnp.sum(
            jnp.where(resp > 0, weighted * jnp.log(jnp.where(resp > 0, resp, 1)), 0), 0
        )
        cost = entropy[:, None] - weighted.T @ log_pivot
        return DrawRows(log_density, cost, _allocated(resp, row_weights, one_key))

    return lax.map(one, (draws, jax.random.split(key, s)), batch_size=batch)


def _allocated(resp: Array, row_weights: Array, key: Array) -> Array:
    """Which components get at least one row when each row draws its component.

    A row of weight w holds w units, whose chances of missing a component are treated as
    independent between components; for weight one the draw is exact.
    """
    uniform = jax.random.uniform(key, (resp.shape[0], 1))
    upper = jnp.cumsum(resp, -1)
    single = (uniform < upper) & (uniform >= upper - resp)
    several = jax.random.uniform(key, resp.shape) >= (1 - resp) ** row_weights[:, None]
    used = jnp.where(row_weights[:, None] == 1, single, several) & (row_weights[:, None] > 0)
    occupied = used.any(0)
    likeliest = jnp.arange(resp.shape[1]) == jnp.argmax(row_weights @ resp)
    return jnp.where(occupied.any(), occupied, likeliest)


class Prediction(NamedTuple):
    """Averages over draws for each row: log mean density (n,), mean membership (n, k)."""

    log_density: Float[np.ndarray, " n"]
    membership: Float[np.ndarray, "n k"]


@float64
def predict(
    log_joint: LogJoint,
    draws: Any,
    context: Any,
    order: np.ndarray,
    X: Float[Array, "n d"],
) -> Prediction:
    """Posterior mean membership and posterior predictive density of rows X.

    Args:
        log_joint: gives one draw's log joint densities.
        draws: parameters, stacked, labels as they were drawn.
        context: passed on to `log_joint`.
        order: the relabelling, shape (s, k).
        X: rows; they need not be the fitted ones.
    """
    n, (s, k) = X.shape[0], order.shape
    log_total, membership = np.full(n, -np.inf), np.zeros((n, k))
    for begin in range(0, s, BLOCK_DRAWS):  # padded, so that one program serves any number
        block = np.arange(begin, begin + BLOCK_DRAWS)
        rows = np.minimum(block, s - 1)
        part = jax.tree.map(lambda leaf, rows=rows: leaf[rows], (draws, order))
        some, resp = map(np.asarray, _predict(log_joint, *part, block < s, context, X))
        log_total, membership = np.logaddexp(log_total, some), membership + resp
    return Prediction(log_total - np.log(s), membership / s)


@remembered(1)
def _predict(
    log_joint: LogJoint, draws: Any, order: Array, counted: Array, context: Any, X: Array
) -> tuple[Array, Array]:
    """Log of the summed densities, and summed memberships, over the draws that are counted."""
    n, k = X.shape[0], order.shape[1]

    def add(
        carry: tuple[Array, Array], item: tuple[Any, Array, Array]
    ) -> tuple[tuple[Array, Array], None]:
        draw, places, counts = item
        joint = log_joint(draw, context, X)[:, places]
        log_density = jax.nn.logsumexp(joint, axis=-1)
        resp = jnp.where(counts, jnp.exp(joint - log_density[:, None]), 0.0)
        log_total = jnp.logaddexp(carry[0], jnp.where(counts, log_density, -jnp.inf))
        return (log_total, carry[1] + resp), None

    zero = (jnp.full(n, -jnp.inf), jnp.zeros((n, k)))
    return lax.scan(add, zero, (draws, order, counted))[0]


def _batch(draws: Any, log_pivot: np.ndarray) -> int:
    """Draws at a time: a power of two of them, within the block's memory."""
    s = jax.tree.leaves(draws)[0].shape[0]
    room = max(1, BLOCK_NUMBERS // max(1, log_pivot.size))
    batch = 1
    while batch * 2 <= min(room, s) and s % (batch * 2) == 0:
        batch *= 2
    return batch
