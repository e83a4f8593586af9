"""EM: `init`, `step`, `terminate`; `ml.driver` takes starts from the first to the last.

One EM map is one pass over the data and one projection. A step is a SQUAREM cycle: two maps, an
extrapolation along them, and a third map from there, kept only if the objective there is no lower
than after the first. So the objective, the log-likelihood or with a prior the log posterior, never
descends.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Bool, Float, Int

from bayesgmm.gaussian.arrays import Array, Number
from bayesgmm.gaussian.families import Family
from bayesgmm.gaussian.lowering import portable
from bayesgmm.gaussian.mixture import Mixture, half_log_det, whitener
from bayesgmm.gaussian.passes import FEATURES, Pass
from bayesgmm.gaussian.projections import factors, per_component
from bayesgmm.gaussian.sweep import Frame, Statistics, log_jacobian
from bayesgmm.ml.squarem import Path, extrapolate

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
    """What EM sees: rows (n, d), row weights (n,), the frame, a variance floor (d,), a prior.

    Starts that each have rows or row weights of their own have them stacked.
    """

    X: Float[Array, "*s n d"]
    row_weights: Float[Array, "*s n"]
    frame: Frame
    floor: Float[Array, " d"]
    prior: Prior | None = None


def own_rows(data: Data, some: Number | slice) -> Data:
    """The data of some starts, where starts have rows or row weights of their own."""
    X = data.X if data.X.ndim == 2 else data.X[some]
    row_weights = data.row_weights if data.row_weights.ndim == 1 else data.row_weights[some]
    return data._replace(X=X, row_weights=row_weights)


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


class Rules(NamedTuple):
    """How a batch of starts climbs: families, the form of the pass, where to stop.

    Attributes:
        families: those of the starts.
        form: of the pass over the data.
        tol: stop when the Aitken estimate of the gain per row still to come is below it.
        max_iter: EM maps at most, for each start; a step that has begun finishes its three.
    """

    families: tuple[Family, ...]
    form: Pass
    tol: float
    max_iter: int


def expectation(mixture: Mixture, data: Data, form: Pass = FEATURES) -> tuple[Array, Statistics]:
    """The E-step: the log-likelihood in the user's units, and expected sufficient statistics."""
    frame = data.frame
    value, sums = form.run(form.prepare(mixture, frame), data.X, data.row_weights, frame)
    value = value + log_jacobian(data.row_weights, frame)
    return value, form.statistics(sums, mixture, frame)


def maximisation(
    statistics: Statistics,
    current: Mixture,
    family: Family,
    floor: Float[Array, " d"],
    prior: Prior | None = None,
) -> Mixture:
    """The M-step: from expected sufficient statistics to the family's most likely mixture.

    Families without a closed form climb from the `current` covariances. With a prior, the most
    probable one; a family that shares covariances has the product of its components' priors.
    """
    rows, (counts, means, scatter) = statistics.counts, statistics
    if prior is not None:
        rows, means, scatter = _with_prior(statistics, prior)
    present = counts > 0
    flat = current.is_diagonal
    scatter = scatter + per_component(rows, scatter) * (floor if flat else jnp.diag(floor))
    covariances = family.project(rows, scatter, current.scale_tril)
    absent = jnp.ones_like(floor) if flat else jnp.eye(floor.shape[0])
    covariances = jnp.where(per_component(present, scatter), covariances, absent)
    shares = present.astype(counts.dtype) if family.equal_weights else counts
    weights = shares / shares.sum(-1, keepdims=True)
    return Mixture(weights, means, factors(covariances, counts))


def _with_prior(statistics: Statistics, prior: Prior) -> tuple[Array, Array, Array]:
    """Counts, means and scatter as if the prior's rows had been seen too."""
    counts, means, scatter = statistics
    present, apart = counts > 0, means - prior.mean
    trust = counts / (counts + prior.shrinkage)
    if scatter.ndim == means.ndim:
        pull, spread = jnp.square(apart), jnp.diagonal(prior.scatter)
    else:
        pull, spread = apart[..., :, None] * apart[..., None, :], prior.scatter
    scatter = scatter + spread + prior.shrinkage * per_component(trust, pull) * pull
    rows = jnp.where(present, counts + prior.freedom + means.shape[-1] + 2, 0.0)
    scatter = jnp.where(per_component(present, scatter), scatter, 0.0)
    return rows, prior.mean + trust[..., None] * apart, scatter


def log_prior(mixture: Mixture, prior: Prior) -> Float[Array, "*s"]:
    """Log density of the components that are present, up to a constant."""
    apart = mixture.means - prior.mean
    if mixture.is_diagonal:
        half = jnp.log(mixture.scale_tril).sum(-1)
        spread = (jnp.diagonal(prior.scatter) / mixture.variances).sum(-1)
        distance = jnp.square(apart / mixture.scale_tril).sum(-1)
    else:
        half, white = half_log_det(mixture.scale_tril), whitener(mixture.scale_tril)
        spread = jnp.einsum("...ab,bc,...ac->...", white, prior.scatter, white)
        distance = jnp.square(jnp.einsum("...ab,...b->...a", white, apart)).sum(-1)
    power = prior.freedom + mixture.means.shape[-1] + 2
    each = power * half + spread / 2 + prior.shrinkage * distance / 2
    return -jnp.where(mixture.weights > 0, each, 0.0).sum(-1)


def projected(mixture: Mixture, family: Family) -> Mixture:
    """The family's mixture that is nearest to any other, component by component."""
    if family.free(*mixture.means.shape[-2:]):
        return mixture
    covariances = mixture.variances if mixture.is_diagonal else mixture.covariances
    scatter = per_component(mixture.weights, covariances) * covariances
    statistics = Statistics(mixture.weights, mixture.means, scatter)
    return maximisation(statistics, mixture, family, jnp.zeros(scatter.shape[-1]))


def objective(log_likelihood: Array, mixture: Mixture, prior: Prior | None) -> Array:
    """What is maximised: the log-likelihood, or with a prior the log posterior."""
    return log_likelihood if prior is None else log_likelihood + log_prior(mixture, prior)


def init(mixture: Mixture) -> EMState:
    """The state before the first step of a stack of starting mixtures."""
    s = mixture.weights.shape[0]
    nothing, everything = np.full(s, -np.inf), np.full(s, np.inf)
    return EMState(
        mixture, nothing, everything, np.zeros(s, int), np.zeros(s, bool), np.zeros(s, bool)
    )


def step(state: EMState, data: Data, rules: Rules, which: Number) -> EMState:
    """One SQUAREM cycle of one start, in the family of that number."""

    def image(statistics: Statistics, current: Mixture, family: Family) -> Mixture:
        return maximisation(statistics, current, family, data.floor, data.prior)

    def one_map(path: Path, i: Array) -> tuple[Path, tuple[Array, Mixture]]:
        leap = extrapolate(path, data.frame).mixture
        leap = in_family(rules.families, which, projected, leap)  # only members are comparable
        mixture = _select(i == 2, leap, path.third)
        value, statistics = expectation(mixture, data, rules.form)
        after = in_family(rules.families, which, image, statistics, mixture)
        return Path(path.second, path.third, after), (objective(value, mixture, data.prior), after)

    start = Path(state.mixture, state.mixture, state.mixture)
    _, (values, images) = lax.scan(one_map, start, jnp.arange(MAPS_PER_CYCLE))
    path = Path(*(jax.tree.map(lambda a, i=i: a[i], images) for i in range(3)))
    return settle(state, tuple(values), path, data, data.row_weights.sum(), rules.tol)


def in_family(
    families: Sequence[Family], which: Number, function: Callable[..., Mixture], *operands: Any
) -> Mixture:
    """The function of the operands and of the family of that number."""
    branches = [partial(function, family=family) for family in families]
    return branches[0](*operands) if len(branches) == 1 else lax.switch(which, branches, *operands)


def settle(
    state: EMState,
    values: tuple[Array, Array, Array],
    path: Path,
    data: Data,
    total: Number,
    tol: Number,
) -> EMState:
    """The state after three maps, of which the third began at the leap.

    With a floor the maps do not ascend, and what counts is how far their fixed point is.
    """
    frame, floored = data.frame, jnp.any(data.floor > 0)
    first, (second, third, landed) = state.mixture, path
    value_0, value_1, value_2 = values
    _, rate, last = extrapolate(Path(first, second, third), frame)
    usable = jnp.isfinite(value_2) & (value_2 >= value_1) & _regular(landed, frame)
    after = _select(usable, landed, third)

    gain = _remaining(value_1 - value_0, rate, value_1) / total
    away = last * rate / jnp.maximum(1 - rate, 1e-9)
    gain = jnp.where(floored, jnp.maximum(gain, jnp.square(away)), gain)
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


def _select[T](mask: Array, yes: T, no: T) -> T:
    def pick(a: Array, b: Array) -> Array:
        return jnp.where(mask.reshape(mask.shape + (1,) * (a.ndim - mask.ndim)), a, b)

    return jax.tree.map(pick, yes, no)


def _regular(mixture: Mixture, frame: Frame) -> Array:
    """No component has shrunk to a point, a line or a plane, and everything is finite."""
    sds = mixture.scale_tril
    if not mixture.is_diagonal:
        sds = jnp.diagonal(sds, axis1=-2, axis2=-1)
    sds = sds / frame.scale
    return jnp.all(sds > COLLAPSED_SD) & jnp.all(jnp.isfinite(mixture.scale_tril))


def _remaining(gained: Array, rate: Array, value: Array) -> Array:
    """Aitken: the distance to the optimum shrinks by `rate` a map, its gain by the square."""
    noise = 4 * jnp.finfo(value.dtype).eps * jnp.abs(value)
    ratio = jnp.clip(rate, 0.0, 1 - 1e-9) ** 2
    return jnp.where(gained <= noise, 0.0, gained / (1 - ratio))
