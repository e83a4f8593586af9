"""EM for a batch of starts: `init`, `step`, `terminate`, and one driver.

One EM map is one sweep and one projection. A step is a SQUAREM cycle: two maps, an extrapolation
along them, and a third map from there, kept only if the log-likelihood there is no lower than after
the first (Varadhan and Roland 2008, third step length). So the log-likelihood never descends.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Bool, Float, Int

from bayesgmm.gaussian.arrays import Array, Number
from bayesgmm.gaussian.chunks import needs_chunks, sweep_chunks
from bayesgmm.gaussian.families import Family
from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.gaussian.precision import float64
from bayesgmm.gaussian.sweep import Frame, Statistics, log_jacobian, natural, sweep, unpack

CYCLES_PER_CALL = 32
TAIL = 64
MAPS_PER_CYCLE = 3
COLLAPSED_SD = 1e-7


class Data(NamedTuple):
    """What EM sees: rows (n, d), row weights (n,), the frame, and the variance floor (d,)."""

    X: Float[Array, "n d"]
    row_weights: Float[Array, " n"]
    frame: Frame
    floor: Float[Array, " d"]


class EMState(NamedTuple):
    """What a batch of s starts carries from step to step.

    Attributes:
        mixture: the current parameters, stacked over starts.
        log_likelihood: of the parameters at the start of the last step, shape (s,).
        gain: Aitken estimate of the log-likelihood per row still to be gained, shape (s,).
        n_maps: EM maps spent, shape (s,).
        converged: the gain fell below the tolerance, shape (s,).
        collapsed: a covariance became singular; the last regular parameters are kept, shape (s,).
    """

    mixture: Mixture
    log_likelihood: Float[Array, " s"]
    gain: Float[Array, " s"]
    n_maps: Int[Array, " s"]
    converged: Bool[Array, " s"]
    collapsed: Bool[Array, " s"]


class EMResult(NamedTuple):
    """The state where every start ended, and its log-likelihoods step by step (s, steps)."""

    state: EMState
    history: Float[np.ndarray, "s steps"]
    counts: Float[np.ndarray, "s k"]


def expectation(mixture: Mixture, data: Data) -> tuple[Array, Statistics]:
    """The E-step: the log-likelihood in the user's units, and expected sufficient statistics."""
    theta = natural(mixture, data.frame)
    value, raw = sweep(theta, data.X, data.row_weights, data.frame)
    return value + log_jacobian(data.row_weights, data.frame), unpack(raw, data.frame)


def maximisation(
    statistics: Statistics,
    family: Family,
    floor: Float[Array, " d"],
    current: Float[Array, "*s k d d"],
) -> Mixture:
    """The M-step: from expected sufficient statistics to the family's most likely mixture.

    Families without a closed form climb from the `current` Cholesky factors.
    """
    counts = statistics.counts
    present = counts > 0
    scatter = statistics.scatter + counts[..., None, None] * jnp.diag(floor)
    covariances = family.project(counts, scatter, current)
    covariances = jnp.where(present[..., None, None], covariances, jnp.eye(floor.shape[0]))
    shares = present.astype(counts.dtype) if family.equal_weights else counts
    weights = shares / shares.sum(-1, keepdims=True)
    return Mixture(weights, statistics.means, jnp.linalg.cholesky(covariances))


def projected(mixture: Mixture, family: Family) -> Mixture:
    """The family's mixture that is nearest to any other, component by component."""
    scatter = mixture.weights[..., None, None] * mixture.covariances
    statistics = Statistics(mixture.weights, mixture.means, scatter)
    return maximisation(statistics, family, jnp.zeros(scatter.shape[-1]), mixture.scale_tril)


def em_map(mixture: Mixture, data: Data, family: Family) -> tuple[Array, Mixture]:
    """The log-likelihood of the mixture in the user's units, and the mixture after one EM map."""
    value, statistics = expectation(mixture, data)
    return value, maximisation(statistics, family, data.floor, mixture.scale_tril)


def init(mixture: Mixture) -> EMState:
    """The state before the first step of a stack of starting mixtures."""
    s = mixture.weights.shape[0]
    nothing, everything = np.full(s, -np.inf), np.full(s, np.inf)
    return EMState(
        mixture, nothing, everything, np.zeros(s, int), np.zeros(s, bool), np.zeros(s, bool)
    )


def step(state: EMState, data: Data, family: Family, tol: Number) -> EMState:
    """One SQUAREM cycle of one start (vmapped over starts by `run`)."""

    def one_map(path: _Path, i: Array) -> tuple[_Path, tuple[Array, Mixture]]:
        leap = _leap(path, data.frame, family)
        value, image = em_map(_select(i == 2, leap, path.third), data, family)
        return _Path(path.second, path.third, image), (value, image)

    start = _Path(state.mixture, state.mixture, state.mixture)
    _, (values, images) = lax.scan(one_map, start, jnp.arange(MAPS_PER_CYCLE))
    path = _Path(*(jax.tree.map(lambda a, i=i: a[i], images) for i in range(3)))
    return _settle(state, tuple(values), path, data.frame, data.row_weights.sum(), tol)


def step_in_chunks(state: EMState, data: Data, family: Family, tol: Number) -> EMState:
    """`step` for a batch of starts, from outside jit: every map is one sweep of chunks."""
    first, total = state.mixture, data.row_weights.sum()

    def one_map(mixture: Mixture) -> tuple[Array, Mixture]:
        value, raw = _sweep_in_chunks(mixture, data)
        image = _images(mixture, raw, data.frame, data.floor, family)
        return value - total * np.log(data.frame.scale).sum(), image

    value_0, second = one_map(first)
    value_1, third = one_map(second)
    value_2, landed = one_map(_leaps(_Path(first, second, third), data.frame, family))
    values, path = (value_0, value_1, value_2), _Path(second, third, landed)
    return _settled(state, values, path, data.frame, total, tol)


def _settle(
    state: EMState,
    values: tuple[Array, Array, Array],
    path: "_Path",
    frame: Frame,
    total: Number,
    tol: Number,
) -> EMState:
    """The state after three maps, of which the third began at the leap."""
    first, (second, third, landed) = state.mixture, path
    value_0, value_1, value_2 = values
    _, rate = _extrapolate(_Path(first, second, third), frame)
    usable = jnp.isfinite(value_2) & (value_2 >= value_1) & _regular(landed, frame)
    after = _select(usable, landed, third)

    gain = _remaining(value_1 - value_0, rate, value_1) / total
    collapsed = ~(jnp.isfinite(value_0 + value_1) & _regular(third, frame))
    converged = ~collapsed & (gain <= tol) & (state.gain <= 100 * tol)
    return EMState(
        _select(collapsed, first, after),
        jnp.where(jnp.isfinite(value_0), value_0, state.log_likelihood),
        gain,
        state.n_maps + MAPS_PER_CYCLE,
        converged,
        collapsed,
    )


def terminate(state: EMState, max_iter: Number) -> Bool[Array, " s"]:
    """Whether each start is done: converged, collapsed, or out of EM maps."""
    return state.converged | state.collapsed | (state.n_maps >= max_iter)


@float64
def run(
    starts: Mixture,
    X: Float[np.ndarray, "n d"],
    row_weights: Float[np.ndarray, " n"],
    frame: Frame,
    family: Family,
    *,
    tol: float,
    max_iter: int,
    floor: Float[np.ndarray, " d"],
) -> EMResult:
    """EM from every start, as one batch and then in smaller ones, until each is done.

    Args:
        starts: stacked mixtures, shape (s, k, ...); a weight of zero pads a smaller mixture.
        X: rows, shape (n, d).
        row_weights: shape (n,).
        frame: shift and scale of the sweep.
        family: the covariance family.
        tol: stop when the Aitken estimate of the gain per row still to come is below it.
        max_iter: EM maps at most, for each start; a step that has begun finishes its three.
        floor: variances added to each covariance, shape (d,); zeros for maximum likelihood.
    """
    data = Data(X, row_weights, frame, floor)
    state = jax.tree.map(np.asarray, init(Mixture(*(np.array(part) for part in starts))))
    s, large = len(state.converged), needs_chunks(X)
    evaluate = _evaluate_in_chunks if large else _evaluate
    history: list[tuple[np.ndarray, np.ndarray]] = []
    while (left := np.flatnonzero(~terminate(state, max_iter))).size:
        size = 2 ** (left.size - 1).bit_length() if large else TAIL if history else s
        some = np.resize(left, min(size, s))  # repeats fill the batch up
        history.append(_advance(state, some, data, family, tol, max_iter))
    final, counts = jax.tree.map(np.asarray, evaluate(state.mixture, data))
    state = state._replace(log_likelihood=final)
    return EMResult(state, _history(history, s), counts)


def _advance(
    state: EMState, some: np.ndarray, data: Data, family: Family, tol: float, max_iter: int
) -> tuple[np.ndarray, np.ndarray]:
    """Advance some of the starts, in place; returns which, and their log-likelihoods."""
    part = jax.tree.map(lambda leaf: leaf[some], state)
    if needs_chunks(data.X):
        part = jax.tree.map(np.asarray, step_in_chunks(part, data, family, tol))
        values = part.log_likelihood[None]
    else:
        part, values = jax.tree.map(np.asarray, _cycles(part, data, family, tol, max_iter))

    def put(leaf: np.ndarray, new: np.ndarray) -> None:
        leaf[some] = new

    jax.tree.map(put, state, part)
    return some, values


def _history(calls: list[tuple[np.ndarray, np.ndarray]], s: int) -> np.ndarray:
    """Log-likelihoods step by step, one row for each start, NaN after its end."""
    rows: list[list[np.ndarray]] = [[] for _ in range(s)]
    for some, values in calls:
        for i in np.unique(some):
            column = values[:, np.flatnonzero(some == i)[0]]
            rows[i].append(column[np.isfinite(column)])
    joined = [np.concatenate(row) for row in rows]
    full = np.full((s, max(map(len, joined))), np.nan)
    for i, row in enumerate(joined):
        full[i, : len(row)] = row
    return full


@partial(jax.jit, static_argnames="family")
def _cycles(
    state: EMState, data: Data, family: Family, tol: Number, max_iter: Number
) -> tuple[EMState, Array]:
    s = state.converged.shape[0]
    empty = jnp.full((CYCLES_PER_CALL, s), jnp.nan)

    def unfinished(carry: tuple[Array, EMState, Array]) -> Array:
        return (carry[0] < CYCLES_PER_CALL) & ~terminate(carry[1], max_iter).all()

    def cycle(carry: tuple[Array, EMState, Array]) -> tuple[Array, EMState, Array]:
        i, old, values = carry
        done = terminate(old, max_iter)
        new = jax.vmap(lambda one: step(one, data, family, tol))(old)
        values = values.at[i].set(jnp.where(done, jnp.nan, new.log_likelihood))
        return i + 1, _select(done, old, new), values

    _, state, values = lax.while_loop(unfinished, cycle, (jnp.array(0), state, empty))
    return state, values


@jax.jit
def _evaluate(mixture: Mixture, data: Data) -> tuple[Array, Array]:
    def one(mixture: Mixture) -> tuple[Array, Array]:
        value, statistics = expectation(mixture, data)
        return value, statistics.counts

    return jax.vmap(one)(mixture)


def _evaluate_in_chunks(mixture: Mixture, data: Data) -> tuple[Array, Array]:
    value, raw = _sweep_in_chunks(mixture, data)
    return value + log_jacobian(data.row_weights, data.frame), raw[..., 0]


def _sweep_in_chunks(mixture: Mixture, data: Data) -> tuple[Array, Array]:
    theta = _natural(mixture, data.frame)
    return sweep_chunks(theta, data.X, data.row_weights, data.frame)


_natural = jax.jit(natural)


@partial(jax.jit, static_argnames="family")
def _images(mixture: Mixture, raw: Array, frame: Frame, floor: Array, family: Family) -> Mixture:
    def image(raw: Array, current: Array) -> Mixture:
        return maximisation(unpack(raw, frame), family, floor, current)

    return jax.vmap(image)(raw, mixture.scale_tril)


@partial(jax.jit, static_argnames="family")
def _leaps(path: "_Path", frame: Frame, family: Family) -> Mixture:
    return jax.vmap(lambda one: _leap(one, frame, family))(path)


@jax.jit
def _settled(
    state: EMState,
    values: tuple[Array, Array, Array],
    path: "_Path",
    frame: Frame,
    total: Number,
    tol: Number,
) -> EMState:
    def settle(state: EMState, values: tuple[Array, Array, Array], path: _Path) -> EMState:
        return _settle(state, values, path, frame, total, tol)

    return jax.vmap(settle)(state, values, path)


def _leap(path: "_Path", frame: Frame, family: Family) -> Mixture:
    """Where SQUAREM begins its third map: a member of the family."""
    leap, _ = _extrapolate(path, frame)
    if family.free(*leap.means.shape):
        return leap
    return projected(leap, family)  # only members may be compared with members


def _select[T](mask: Array, yes: T, no: T) -> T:
    def pick(a: Array, b: Array) -> Array:
        return jnp.where(mask.reshape(mask.shape + (1,) * (a.ndim - mask.ndim)), a, b)

    return jax.tree.map(pick, yes, no)


def _regular(mixture: Mixture, frame: Frame) -> Array:
    """No component has shrunk to a point, a line or a plane, and everything is finite."""
    sds = jnp.diagonal(mixture.scale_tril, axis1=-2, axis2=-1) / frame.scale
    return jnp.all(sds > COLLAPSED_SD) & jnp.all(jnp.isfinite(mixture.scale_tril))


def _remaining(gained: Array, rate: Array, value: Array) -> Array:
    """Aitken: the distance to the optimum shrinks by `rate` a map, its gain by the square."""
    noise = 4 * jnp.finfo(value.dtype).eps * jnp.abs(value)
    ratio = jnp.clip(rate, 0.0, 1 - 1e-9) ** 2
    return jnp.where(gained <= noise, 0.0, gained / (1 - ratio))


class _Path(NamedTuple):
    """Three successive mixtures."""

    first: Mixture
    second: Mixture
    third: Mixture


def _extrapolate(path: _Path, frame: Frame) -> tuple[Mixture, Array]:
    """SQUAREM's leap from three successive mixtures, and the linear rate that they show."""
    present = path.first.weights > 0
    a, b, c = (_coordinates(mixture, frame, present) for mixture in path)
    r = jax.tree.map(jnp.subtract, b, a)
    v = jax.tree.map(lambda x, y, z: z - 2 * y + x, a, b, c)
    last = jax.tree.map(jnp.subtract, c, b)
    length = jnp.maximum(_norm(r) / jnp.maximum(_norm(v), 1e-300), 1.0)
    leap = jax.tree.map(lambda x, y, z: x + 2 * length * y + length**2 * z, a, r, v)
    return _from_coordinates(leap, frame, present), _norm(last) / jnp.maximum(_norm(r), 1e-300)


def _norm(tree: Mixture) -> Array:
    return jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in tree))


def _coordinates(mixture: Mixture, frame: Frame, present: Array) -> Mixture:
    """Unconstrained coordinates of comparable size: log weights, scaled means, log-Cholesky."""
    scaled = mixture.scale_tril / frame.scale[:, None]
    diagonal = jnp.eye(frame.scale.shape[0], dtype=bool)
    return Mixture(
        jnp.log(jnp.where(present, mixture.weights, 1.0)),
        (mixture.means - frame.shift) / frame.scale,
        jnp.where(diagonal, jnp.log(jnp.where(diagonal, scaled, 1.0)), scaled),
    )


def _from_coordinates(coordinates: Mixture, frame: Frame, present: Array) -> Mixture:
    log_weights = jnp.where(present, coordinates.weights, -jnp.inf)
    factors = coordinates.scale_tril
    diagonal = jnp.eye(frame.scale.shape[0], dtype=bool)
    return Mixture(
        jax.nn.softmax(log_weights),
        frame.shift + frame.scale * coordinates.means,
        jnp.where(diagonal, jnp.exp(factors), factors) * frame.scale[:, None],
    )
