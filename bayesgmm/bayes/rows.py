"""Everything that crosses draws with rows, block by block: nothing of s x n x k is stored.

Draws go through one compiled program in blocks of one size, the last one filled up, so that any
number of them is served; rows in blocks that fit in a cache.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Bool, Float, Int

from bayesgmm.bayes.recognise import component_log_probs, gaussian_mixture
from bayesgmm.bayes.target import Data, Target
from bayesgmm.gaussian.arrays import Array, similar_size
from bayesgmm.gaussian.cores import available_cores, threads
from bayesgmm.gaussian.lowering import portable, remembered
from bayesgmm.gaussian.mixture import Mixture, log_joint
from bayesgmm.gaussian.precision import float64

BLOCK_DRAWS = 1000
FEWER_DRAWS, MANY_ROWS = 40, 4096
"""A call of XLA that runs beside another holds memory for every step until it returns, so that
with many rows calls are kept short."""
BLOCK_NUMBERS = 2**18  # of rows x components x columns at a time
MANY_NUMBERS = 2_000_000  # of draws x rows x components at a time
BLOCK_MEMBERSHIPS = 2**22  # of draws x rows x components that are handed out at a time

type LogJoint = Callable[[Any, Any, Array], Array]
"""From a draw, a context shared by all draws, and rows (n, d), to log joint densities (n, k)."""


@portable
class DrawRows(NamedTuple):
    """What one pass over draws and rows yields, for s draws.

    Attributes:
        sites: values of the program's sites, each (s, ...).
        mixture: the draws as Gaussian mixtures, where they are such.
        log_likelihood: weighted log-likelihood, shape (s,).
        held: log density of the held rows, shape (s, h).
        each_row: log density of every row, shape (s, n), where it was asked for.
        cost: of calling cluster a of a draw the pivot's cluster b, shape (s, k, k).
        occupied: whether an allocation drawn for each row puts any row there, shape (s, k).
    """

    sites: dict[str, Array]
    mixture: Mixture | None
    log_likelihood: Float[Array, " s"]
    held: Float[Array, "s h"]
    each_row: Float[Array, "s n"] | None
    cost: Float[Array, "s k k"]
    occupied: Bool[Array, "s k"]


def block_draws(n: int) -> int:
    """How many draws are crossed with n rows in one call."""
    return BLOCK_DRAWS if n <= MANY_ROWS else FEWER_DRAWS


@float64
def cross(
    target: Target,
    data: Data,
    z: Float[np.ndarray, "s p"],
    numbers: Int[np.ndarray, " s"],
    log_pivot: Float[Array, "n k"],
    held: Int[np.ndarray, " h"],
    key: Array,
    *,
    each_row: bool,
) -> DrawRows:
    """Constrain s draws, `block_draws` of them at most, and cross them with the rows.

    Args:
        target: the program.
        data: rows, weights and constants.
        z: unconstrained vectors.
        numbers: of the draws; an allocation depends on the key and its draw's number alone.
        log_pivot: log responsibilities of the pivot, one column for each cluster.
        held: places of rows whose log density is wanted of every draw.
        key: for the drawn allocations.
        each_row: whether the log density of every row is wanted.
    """
    places = np.minimum(np.arange(block_draws(len(log_pivot))), len(z) - 1)
    batch = _batch(len(places), *log_pivot.shape)
    part = _cross(target, batch, each_row, z[places], numbers[places], data, log_pivot, held, key)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[: len(z)], part)


def _batch(s: int, n: int, k: int) -> int:
    """Draws at a time: a power of two of them that divides s, within memory."""
    batch = 1
    while batch * 2 * n * k <= MANY_NUMBERS and s % (batch * 2) == 0:
        batch *= 2
    return batch


@remembered(3)
def _cross(
    target: Target,
    batch: int,
    each_row: bool,
    z: Array,
    numbers: Array,
    data: Data,
    log_pivot: Array,
    held: Array,
    key: Array,
) -> DrawRows:
    structure, (n, d) = target.structure, data.X.shape
    k = structure.k
    size = n if structure.by_row else _rows_at_once(structure.n_components, d)

    def one(item: tuple[Array, Array]) -> DrawRows:
        point = target.at(item[0], data)
        mixture = gaussian_mixture(point.mixture)
        flat = point.value.ndim == 1

        def joint(X: Array) -> Array:
            if mixture is not None:
                return log_joint(mixture, X)
            return component_log_probs(point.mixture, X[:, 0] if flat else X)

        own_key = jax.random.fold_in(key, item[1])

        def block(X: Array, row_weights: Array, pivot: Array, i: Array) -> tuple[Any, Array]:
            log_p = joint(X)
            log_density = jax.nn.logsumexp(log_p, axis=-1)
            resp = jnp.exp(log_p - log_density[:, None])
            seen = row_weights > 0
            weighted = resp * row_weights[:, None]
            log_resp = jnp.where(resp > 0, log_p - log_density[:, None], 0.0)
            cost = (weighted * log_resp)[:, :k].sum(0)[:, None] - weighted[:, :k].T @ pivot
            used = _allocated(resp, row_weights, jax.random.fold_in(own_key, i))
            total = jnp.where(seen, row_weights * log_density, 0.0).sum()
            return (total, cost, used.sum(0), weighted.sum(0)), log_density

        (total, cost, used, counts), log_density = _over_rows(block, data, log_pivot, size)
        likeliest = jnp.arange(k) == jnp.argmax(counts[:k])
        occupied = jnp.where((used > 0).any(), used[:k] > 0, likeliest)
        wanted = log_density if each_row else None
        return DrawRows(point.sites, mixture, total, log_density[held], wanted, cost, occupied)

    return lax.map(one, (z, numbers), batch_size=batch)


def _rows_at_once(k: int, d: int) -> int:
    """A power of two of rows."""
    return max(64, 2 ** ((BLOCK_NUMBERS // (k * d)).bit_length() - 1))


def _over_rows(
    block: Callable[..., tuple[Any, Array]], data: Data, log_pivot: Array, size: int
) -> tuple[Any, Float[Array, " n"]]:
    """Sums over all rows, and a number for each, of a function of blocks of them."""
    X, row_weights = data.X, data.row_weights
    n = X.shape[0]
    if n <= size:
        return block(X, row_weights, log_pivot, jnp.int32(0))

    def part(total: Any, i: Array) -> tuple[Any, Array]:
        first = jnp.minimum(i * size, n - size)  # the last block overlaps; its old rows weigh 0
        rows, weights, pivot = (
            lax.dynamic_slice_in_dim(leaf, first, size) for leaf in (X, row_weights, log_pivot)
        )
        sums, each = block(rows, weights * (first + jnp.arange(size) >= i * size), pivot, i)
        return jax.tree.map(jnp.add, total, sums), each

    shapes = jax.eval_shape(block, X[:size], row_weights[:size], log_pivot[:size], jnp.int32(0))[0]
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    n_blocks = -(-n // size)
    total, each = lax.scan(part, zero, jnp.arange(n_blocks))
    last = each[-1, size - (n - (n_blocks - 1) * size) :]
    return total, jnp.concatenate([each[:-1].reshape(-1), last])


def _allocated(resp: Array, row_weights: Array, key: Array) -> Bool[Array, "n k"]:
    """Which components get units of which rows when each unit draws its component.

    A row of weight w holds w units, whose chances of missing a component are treated as
    independent between components; for weight one the draw is exact.
    """
    uniform = jax.random.uniform(key, (resp.shape[0], 1))
    upper = jnp.cumsum(resp, -1)
    single = (uniform < upper) & (uniform >= upper - resp)
    several = jax.random.uniform(key, resp.shape) >= (1 - resp) ** row_weights[:, None]
    used = jnp.where(row_weights[:, None] == 1, single, several)
    return used & (row_weights[:, None] > 0)


class Prediction(NamedTuple):
    """Of each row, by one draw, by many, or on average: log density (n,), membership (n, k)."""

    log_density: Float[np.ndarray, "*s n"]
    membership: Float[np.ndarray, "*s n k"]


def gaussian_log_joint(draw: Mixture, context: None, X: Array) -> Array:
    """The log joint density of a draw that is kept as a Gaussian mixture."""
    return log_joint(draw, X)


@float64
def predict(
    log_joint: LogJoint,
    draws: Any,
    context: Any,
    order: Int[np.ndarray, "s k"],
    X: Float[Array, "n d"],
    *,
    at_once: bool = False,
) -> Prediction:
    """Posterior mean membership and posterior predictive density of rows X.

    Args:
        log_joint: gives one draw's log joint densities.
        draws: parameters, stacked.
        context: passed on to `log_joint`.
        order: the relabelling, shape (s, k).
        X: rows; they need not be the fitted ones.
        at_once: whether all rows have to be seen together.
    """
    n, (s, k) = X.shape[0], order.shape
    log_total, membership = np.full(n, -np.inf), np.zeros((n, k))
    parts = list(blocks_of_draws((draws, order), s))

    @float64
    def add(item: tuple[slice, Array]) -> None:
        places, seen = item
        for block, part in parts:
            found = _predict(log_joint, *part, block < s, context, seen)
            some, resp = (np.asarray(leaf)[: places.stop - places.start] for leaf in found)
            log_total[places] = np.logaddexp(log_total[places], some)
            membership[places] += resp

    _side_by_side(add, iter([(slice(0, n), X)]) if at_once else _blocks_of_rows(X, k))
    return Prediction(log_total - np.log(s), membership / s)


@float64
def log_densities(
    log_joint: LogJoint, draws: Any, context: Any, s: int, X: Float[Array, "n d"], k: int
) -> Float[np.ndarray, "s n"]:
    """Log density of every draw at every row.

    Args:
        log_joint: gives one draw's log joint densities.
        draws: parameters, stacked.
        context: passed on to `log_joint`.
        s: how many draws.
        X: rows; they need not be the fitted ones.
        k: components.
    """
    found = np.empty((s, X.shape[0]))
    parts = list(blocks_of_draws(draws, s))

    @float64
    def enter(item: tuple[slice, Array]) -> None:
        places, seen = item
        for block, part in parts:
            rows = slice(block[0], min(block[0] + BLOCK_DRAWS, s))
            values = np.asarray(_log_densities(log_joint, part, context, seen))
            found[rows, places] = values[: rows.stop - rows.start, : places.stop - places.start]

    _side_by_side(enter, _blocks_of_rows(X, k))
    return found


@float64
def by_draw(
    log_joint: LogJoint,
    draws: Any,
    context: Any,
    order: Int[np.ndarray, "s k"],
    X: Float[Array, "n d"],
    *,
    at_once: bool = False,
) -> Iterator[tuple[slice, Prediction]]:
    """What every draw says of rows, relabelled, block by block of the rows.

    Arguments are those of `predict`.
    """
    s, k = order.shape
    parts = list(blocks_of_draws((draws, order), s))
    size = max(64, 2 ** ((BLOCK_MEMBERSHIPS // (s * k)).bit_length() - 1))
    blocks = iter([(slice(0, len(X)), X)]) if at_once else _blocks_of_rows(X, k, size)
    for places, seen in blocks:
        found = [float64(_by_draw)(log_joint, *part, context, seen) for _, part in parts]
        leaves = (np.concatenate(leaf)[:s] for leaf in zip(*found, strict=True))
        yield places, Prediction(*(leaf[:, : places.stop - places.start] for leaf in leaves))


def _side_by_side(work: Callable[[Any], None], items: Iterator[Any]) -> None:
    """Work on the first item, which compiles, and then on the others on all cores."""
    for item in items:
        work(item)
        break
    for _ in threads(available_cores()).map(work, items):
        pass


def blocks_of_draws(draws: Any, s: int) -> Iterator[tuple[np.ndarray, Any]]:
    """Numbers of draws and the draws, in blocks of one size; the last draw fills the last up."""
    for begin in range(0, s, BLOCK_DRAWS):
        block = np.arange(begin, begin + BLOCK_DRAWS)
        places = np.minimum(block, s - 1)
        yield block, jax.tree.map(lambda leaf, places=places: leaf[places], draws)


def _blocks_of_rows(X: Array, k: int, most: int | None = None) -> Iterator[tuple[slice, Array]]:
    """Places of rows and the rows, in blocks of one size; the last row fills the last up.

    Rows that fit in one block are filled up to a similar size.
    """
    n, size = X.shape[0], _rows_at_once(k, X.shape[1])
    size = min(size, most or size, similar_size(n))
    for begin in range(0, n, size):
        places = np.minimum(np.arange(begin, begin + size), n - 1)
        yield slice(begin, min(begin + size, n)), X[places]


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


@remembered(1)
def _log_densities(log_joint: LogJoint, draws: Any, context: Any, X: Array) -> Array:
    return lax.map(lambda draw: jax.nn.logsumexp(log_joint(draw, context, X), axis=-1), draws)


@remembered(1)
def _by_draw(
    log_joint: LogJoint, draws: Any, order: Array, context: Any, X: Array
) -> tuple[Float[Array, "s n"], Float[Array, "s n k"]]:
    def one(item: tuple[Any, Array]) -> tuple[Array, Array]:
        draw, places = item
        joint = log_joint(draw, context, X)[:, places]
        log_density = jax.nn.logsumexp(joint, axis=-1)
        return log_density, jnp.exp(joint - log_density[:, None])

    return lax.map(one, (draws, order))
