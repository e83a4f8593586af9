"""EM for a batch of starts: `init`, `step`, `terminate`, and one driver.

One EM map is one sweep and one projection. A step is a SQUAREM cycle: two maps, an extrapolation
along them, and a third map from there, kept only if the objective there is no lower than after the
first. So the objective, the log-likelihood or with a prior the log posterior, never descends.

Starts do not wait for each other: each climbs alone, as long as it has to, blocks of them side by
side on all cores. One compiled program serves any number of starts and several families at once.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Bool, Float, Int

from bayesgmm.gaussian.arrays import Array, Number
from bayesgmm.gaussian.chunks import available_cores, needs_chunks, sweep_chunks
from bayesgmm.gaussian.families import Family
from bayesgmm.gaussian.lowering import portable, remembered
from bayesgmm.gaussian.mixture import Mixture, half_log_det, whitener
from bayesgmm.gaussian.precision import float64
from bayesgmm.gaussian.sweep import Frame, Statistics, log_jacobian, natural, sweep, unpack
from bayesgmm.ml.squarem import Path, extrapolate

BLOCK = 16
CYCLES_PER_CALL = 64
WORK_PER_CALL = 1e9
MAPS_PER_CYCLE = 3
COLLAPSED_SD = 1e-7


@portable
class Prior(NamedTuple):
    """A conjugate prior of every component, normal-inverse-Wishart (Fraley and Raftery 2007).

    Attributes:
        mean: where means are expected, shape (d,).
        shrinkage: how many rows that is worth.
        freedom: degrees of freedom of the inverse Wishart.
        scatter: its scale matrix, shape (d, d).
    """

    mean: Float[Array, " d"]
    shrinkage: Number
    freedom: Number
    scatter: Float[Array, "d d"]


@portable
class Data(NamedTuple):
    """What EM sees: rows (n, d), row weights (n,), the frame, a variance floor (d,), a prior."""

    X: Float[Array, "n d"]
    row_weights: Float[Array, " n"]
    frame: Frame
    floor: Float[Array, " d"]
    prior: Prior | None = None


@portable
class EMState(NamedTuple):
    """What a batch of s starts carries from step to step.

    Attributes:
        mixture: the current parameters, stacked over starts.
        log_likelihood: what is maximised, at the start of the last step, shape (s,).
        gain: Aitken estimate of what is still to be gained per row, shape (s,).
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
    """The state where every start ended, and what was maximised, step by step (s, steps).

    The state's `log_likelihood` is that of its mixture, without the prior.
    """

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
    prior: Prior | None = None,
) -> Mixture:
    """The M-step: from expected sufficient statistics to the family's most likely mixture.

    Families without a closed form climb from the `current` Cholesky factors. With a prior, the most
    probable one; a family that shares covariances has the product of its components' priors.
    """
    counts, means, scatter = statistics
    d = floor.shape[0]
    present = counts > 0
    rows = counts
    if prior is not None:
        trust = counts / (counts + prior.shrinkage)
        apart = means - prior.mean
        pull = prior.shrinkage * trust[..., None, None] * apart[..., :, None] * apart[..., None, :]
        scatter = scatter + prior.scatter + pull
        means = prior.mean + trust[..., None] * apart
        rows = jnp.where(present, counts + prior.freedom + d + 2, 0.0)
        scatter = jnp.where(present[..., None, None], scatter, 0.0)
    scatter = scatter + rows[..., None, None] * jnp.diag(floor)
    covariances = family.project(rows, scatter, current)
    covariances = jnp.where(present[..., None, None], covariances, jnp.eye(d))
    shares = present.astype(counts.dtype) if family.equal_weights else counts
    weights = shares / shares.sum(-1, keepdims=True)
    return Mixture(weights, means, jnp.linalg.cholesky(covariances))


def log_prior(mixture: Mixture, prior: Prior) -> Float[Array, "*s"]:
    """Log density of the components that are present, up to a constant."""
    white = whitener(mixture.scale_tril)
    apart = jnp.einsum("...ab,...b->...a", white, mixture.means - prior.mean)
    spread = jnp.einsum("...ab,bc,...ac->...", white, prior.scatter, white)
    power = prior.freedom + mixture.means.shape[-1] + 2
    each = power * half_log_det(mixture.scale_tril) + spread / 2
    each = each + prior.shrinkage * jnp.square(apart).sum(-1) / 2
    return -jnp.where(mixture.weights > 0, each, 0.0).sum(-1)


def projected(mixture: Mixture, family: Family) -> Mixture:
    """The family's mixture that is nearest to any other, component by component."""
    if family.free(*mixture.means.shape[-2:]):
        return mixture
    scatter = mixture.weights[..., None, None] * mixture.covariances
    statistics = Statistics(mixture.weights, mixture.means, scatter)
    return maximisation(statistics, family, jnp.zeros(scatter.shape[-1]), mixture.scale_tril)


def em_map(mixture: Mixture, data: Data, family: Family) -> tuple[Array, Mixture]:
    """What is maximised at the mixture, in the user's units, and the mixture after one EM map."""
    value, statistics = expectation(mixture, data)
    if data.prior is not None:
        value = value + log_prior(mixture, data.prior)
    return value, maximisation(statistics, family, data.floor, mixture.scale_tril, data.prior)


def init(mixture: Mixture) -> EMState:
    """The state before the first step of a stack of starting mixtures."""
    s = mixture.weights.shape[0]
    nothing, everything = np.full(s, -np.inf), np.full(s, np.inf)
    return EMState(
        mixture, nothing, everything, np.zeros(s, int), np.zeros(s, bool), np.zeros(s, bool)
    )


def step(
    state: EMState, data: Data, families: Sequence[Family], which: Number, tol: Number
) -> EMState:
    """One SQUAREM cycle of one start, in the family of that number."""

    def one_map(path: Path, i: Array) -> tuple[Path, tuple[Array, Mixture]]:
        leap, _ = extrapolate(path, data.frame)
        leap = _in_family(families, which, projected, leap)  # only members are comparable
        mixture = _select(i == 2, leap, path.third)
        value, statistics = expectation(mixture, data)
        image = _in_family(families, which, _image, statistics, mixture.scale_tril, data)
        return Path(path.second, path.third, image), (_objective(value, mixture, data), image)

    start = Path(state.mixture, state.mixture, state.mixture)
    _, (values, images) = lax.scan(one_map, start, jnp.arange(MAPS_PER_CYCLE))
    path = Path(*(jax.tree.map(lambda a, i=i: a[i], images) for i in range(3)))
    return _settle(state, tuple(values), path, data.frame, data.row_weights.sum(), tol)


def _objective(value: Array, mixture: Mixture, data: Data) -> Array:
    return value if data.prior is None else value + log_prior(mixture, data.prior)


def _image(statistics: Statistics, current: Array, data: Data, family: Family) -> Mixture:
    return maximisation(statistics, family, data.floor, current, data.prior)


def _in_family(
    families: Sequence[Family], which: Number, function: Callable[..., Mixture], *operands: Any
) -> Mixture:
    """The function of the operands and of the family of that number."""
    branches = [partial(function, family=family) for family in families]
    return branches[0](*operands) if len(branches) == 1 else lax.switch(which, branches, *operands)


def _settle(
    state: EMState,
    values: tuple[Array, Array, Array],
    path: Path,
    frame: Frame,
    total: Number,
    tol: Number,
) -> EMState:
    """The state after three maps, of which the third began at the leap."""
    first, (second, third, landed) = state.mixture, path
    value_0, value_1, value_2 = values
    _, rate = extrapolate(Path(first, second, third), frame)
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


def terminate(state: EMState, max_iter: Number) -> Bool[Array, "*s"]:
    """Whether each start is done: converged, collapsed, or out of EM maps."""
    return state.converged | state.collapsed | (state.n_maps >= max_iter)


@float64
def run(
    starts: Mixture,
    X: Float[np.ndarray, "n d"],
    row_weights: Float[np.ndarray, " n"],
    frame: Frame,
    families: Family | Sequence[Family],
    *,
    tol: float,
    max_iter: int,
    floor: Float[np.ndarray, " d"],
    which: Int[np.ndarray, " s"] | None = None,
    prior: Prior | None = None,
) -> EMResult:
    """EM from every start, each until it is done.

    Args:
        starts: stacked mixtures, shape (s, k, ...); a weight of zero pads a smaller mixture.
        X: rows, shape (n, d).
        row_weights: shape (n,).
        frame: shift and scale of the sweep.
        families: the covariance family, or several of them.
        tol: stop when the Aitken estimate of the gain per row still to come is below it.
        max_iter: EM maps at most, for each start; a step that has begun finishes its three.
        floor: variances added to each covariance, shape (d,); zeros for maximum likelihood.
        which: the family of each start by its number; the first by default.
        prior: of every component, for the most probable mixture instead of the most likely one.
    """
    members = (families,) if isinstance(families, Family) else tuple(families)
    data = Data(X, row_weights, frame, floor, prior)
    state = jax.tree.map(np.asarray, init(Mixture(*(np.array(part) for part in starts))))
    s, k = state.mixture.weights.shape
    numbers = np.zeros(s, int) if which is None else np.asarray(which)
    counts = np.zeros((s, k))
    history: History = [[] for _ in range(s)]
    runner = _run_in_chunks if needs_chunks(X) else _run_in_blocks
    runner(state, counts, history, members, numbers, data, tol, max_iter)
    return EMResult(state, _padded(history), counts)


type History = list[list[np.ndarray]]
"""For every start its objective, part by part."""


def _padded(history: History) -> np.ndarray:
    """One row for each start, NaN after its end."""
    joined = [np.concatenate([np.zeros(0), *parts]) for parts in history]
    full = np.full((len(joined), max(map(len, joined), default=0)), np.nan)
    for i, row in enumerate(joined):
        full[i, : len(row)] = row
    return full


def _put(state: Any, some: np.ndarray, new: Any) -> None:
    def put(leaf: np.ndarray, values: Array) -> None:
        leaf[some] = np.asarray(values)[: len(some)]

    jax.tree.map(put, state, new)


def _run_in_blocks(
    state: EMState,
    counts: np.ndarray,
    history: History,
    members: tuple[Family, ...],
    which: np.ndarray,
    data: Data,
    tol: float,
    max_iter: int,
) -> None:
    """Climb in place, a block of starts on each core at a time."""
    k, (n, d) = counts.shape[1], data.X.shape
    cycle = MAPS_PER_CYCLE * n * k * (d + 1) * (d + 2)
    most = int(np.clip(WORK_PER_CALL / cycle, 1, BLOCK))
    cycles = np.int64(np.clip(WORK_PER_CALL / cycle / most, 1, CYCLES_PER_CALL))

    @float64
    def climb(some: np.ndarray) -> tuple[np.ndarray, Any]:
        rows = np.resize(some, BLOCK)  # repeats fill the block up; they are not climbed from
        block = jax.tree.map(lambda leaf: leaf[rows], (state, which))
        limits = (np.int64(len(some)), cycles, np.float64(tol), np.int64(max_iter))
        return some, jax.tree.map(np.asarray, _climb(members, *block, data, *limits))

    left = np.arange(len(counts))
    cores = available_cores()
    with ThreadPoolExecutor(cores) as pool:
        while left.size:
            size = max(1, min(most, -(-left.size // cores)))
            blocks = [left[i : i + size] for i in range(0, left.size, size)]
            for some, (new, held, values) in pool.map(climb, blocks):
                _put(state, some, new)
                _put(counts, some, held)
                for i, row in zip(some, values, strict=False):
                    history[i].append(row[np.isfinite(row)])
            left = left[~terminate(state, max_iter)[left]]


@remembered(1)
def _climb(
    members: tuple[Family, ...],
    block: EMState,
    which: Array,
    data: Data,
    n_starts: Array,
    cycles: Array,
    tol: Array,
    max_iter: Array,
) -> tuple[EMState, Array, Array]:
    """Advance the first starts of a block, one after another, until they end or for some cycles.

    Returns:
        The block with log-likelihoods of its mixtures, their expected counts, and what was
        maximised cycle by cycle.
    """

    def one_start(i: Array, carry: tuple[EMState, Array, Array]) -> tuple[EMState, Array, Array]:
        states, counts, values = carry
        one = jax.tree.map(lambda leaf: leaf[i], states)
        mixture = lax.cond(
            one.n_maps == 0,
            lambda mixture: _in_family(members, which[i], projected, mixture),
            lambda mixture: mixture,
            one.mixture,
        )

        def unfinished(carry: tuple[Array, EMState, Array]) -> Array:
            return (carry[0] < cycles) & ~terminate(carry[1], max_iter)

        def cycle(carry: tuple[Array, EMState, Array]) -> tuple[Array, EMState, Array]:
            j, old, row = carry
            new = step(old, data, members, which[i], tol)
            return j + 1, new, row.at[j].set(new.log_likelihood)

        row = jnp.full(CYCLES_PER_CALL, jnp.nan)
        begin = (jnp.zeros((), int), one._replace(mixture=mixture), row)
        _, one, row = lax.while_loop(unfinished, cycle, begin)
        value, statistics = expectation(one.mixture, data)
        one = one._replace(log_likelihood=value)
        states = jax.tree.map(lambda leaf, new: leaf.at[i].set(new), states, one)
        return states, counts.at[i].set(statistics.counts), values.at[i].set(row)

    s, k = block.mixture.weights.shape
    empty = (jnp.zeros((s, k)), jnp.full((s, CYCLES_PER_CALL), jnp.nan))
    return lax.fori_loop(0, n_starts, one_start, (block, *empty))


def _run_in_chunks(
    state: EMState,
    counts: np.ndarray,
    history: History,
    members: tuple[Family, ...],
    which: np.ndarray,
    data: Data,
    tol: float,
    max_iter: int,
) -> None:
    """Climb in place from outside jit, where every map is one sweep of chunks of rows."""
    for number in np.unique(which):
        family, left = members[number], np.flatnonzero(which == number)
        _put(state.mixture, left, _projected(_part(state, left).mixture, family))
        while left.size:
            some = np.resize(left, 2 ** (left.size - 1).bit_length())
            new = jax.tree.map(np.asarray, _step_in_chunks(_part(state, some), data, family, tol))
            _put(state, left, new)
            for i, value in zip(left, new.log_likelihood, strict=False):
                history[i].append(value[None][np.isfinite(value[None])])
            left = left[~terminate(state, max_iter)[left]]
    values, raw = _sweep_in_chunks(state.mixture, data)
    state.log_likelihood[:] = values + log_jacobian(data.row_weights, data.frame)
    counts[:] = raw[..., 0]


def _part(state: EMState, some: np.ndarray) -> EMState:
    return jax.tree.map(lambda leaf: leaf[some], state)


def _step_in_chunks(state: EMState, data: Data, family: Family, tol: Number) -> EMState:
    first, total = state.mixture, data.row_weights.sum()

    def one_map(mixture: Mixture) -> tuple[Array, Mixture]:
        value, raw = _sweep_in_chunks(mixture, data)
        rest = (data.frame, data.floor, data.prior)
        image, bonus = _images(mixture, raw, *rest, family)
        return value - total * np.log(data.frame.scale).sum() + bonus, image

    value_0, second = one_map(first)
    value_1, third = one_map(second)
    value_2, landed = one_map(_leaps(Path(first, second, third), data.frame, family))
    values, path = (value_0, value_1, value_2), Path(second, third, landed)
    return _settled(state, values, path, data.frame, total, tol)


def _sweep_in_chunks(mixture: Mixture, data: Data) -> tuple[Array, Array]:
    theta = _natural(mixture, data.frame)
    return sweep_chunks(theta, data.X, data.row_weights, data.frame)


_natural = jax.jit(natural)


@partial(jax.jit, static_argnames="family")
def _projected(mixture: Mixture, family: Family) -> Mixture:
    return jax.vmap(partial(projected, family=family))(mixture)


@partial(jax.jit, static_argnames="family")
def _images(
    mixture: Mixture, raw: Array, frame: Frame, floor: Array, prior: Prior | None, family: Family
) -> tuple[Mixture, Array]:
    """After the M-step; and the log prior before it."""

    def image(raw: Array, current: Array) -> Mixture:
        return maximisation(unpack(raw, frame), family, floor, current, prior)

    bonus = 0.0 if prior is None else log_prior(mixture, prior)
    return jax.vmap(image)(raw, mixture.scale_tril), bonus + jnp.zeros(raw.shape[0])


@partial(jax.jit, static_argnames="family")
def _leaps(path: Path, frame: Frame, family: Family) -> Mixture:
    return jax.vmap(lambda one: projected(extrapolate(one, frame)[0], family))(path)


@jax.jit
def _settled(
    state: EMState,
    values: tuple[Array, Array, Array],
    path: Path,
    frame: Frame,
    total: Number,
    tol: Number,
) -> EMState:
    def settle(state: EMState, values: tuple[Array, Array, Array], path: Path) -> EMState:
        return _settle(state, values, path, frame, total, tol)

    return jax.vmap(settle)(state, values, path)


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
