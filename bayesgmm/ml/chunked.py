"""EM of many rows, from outside jit: every map is one pass over chunks of rows on all cores."""

from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from bayesgmm.gaussian.arrays import Array, Number
from bayesgmm.gaussian.chunks import sweep_chunks
from bayesgmm.gaussian.families import Family
from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.gaussian.passes import Pass
from bayesgmm.gaussian.sweep import Frame
from bayesgmm.ml import em
from bayesgmm.ml.em import Data, EMState, Rules, own_rows
from bayesgmm.ml.ledger import Ledger
from bayesgmm.ml.squarem import Path, extrapolate


def climb(ledger: Ledger, data: Data, rules: Rules) -> None:
    """Take every start of the ledger to its end; those of one family share each pass."""
    for number in np.unique(ledger.which):
        together = np.flatnonzero(ledger.which == number)
        alone = data.X.ndim > 2 or data.row_weights.ndim > 1
        for some in np.split(together, together.size) if alone else [together]:
            seen = own_rows(data, some[0]) if alone else data
            _climb_together(ledger, some, seen, rules, rules.families[number])


def _climb_together(
    ledger: Ledger, left: Int[np.ndarray, " s"], data: Data, rules: Rules, family: Family
) -> None:
    state, _ = ledger.part(left)
    state = state._replace(mixture=jax.tree.map(np.asarray, _projected(state.mixture, family)))
    counts = np.zeros((left.size, state.mixture.n_components))
    nothing, total = np.full((left.size, 1), np.nan), float(data.row_weights.sum())
    ledger.enter(left, state, counts, nothing)
    every = left
    while left.size:
        some = np.resize(left, 2 ** (left.size - 1).bit_length())  # so few shapes are compiled
        state = jax.tree.map(np.asarray, _step(ledger.part(some)[0], data, total, rules, family))
        ledger.enter(left, state, counts, state.log_likelihood[:, None])
        left = ledger.unfinished(left, rules)
    state, _ = ledger.part(every)
    value, sums = _pass(_prepared(state.mixture, data.frame, rules.form), data, total, rules.form)
    ledger.enter(every, state._replace(log_likelihood=value), sums[..., 0], nothing)


def _step(state: EMState, data: Data, total: float, rules: Rules, family: Family) -> EMState:
    """One SQUAREM cycle of every start."""
    first, nothing = state.mixture, np.zeros(0)
    rest = data._replace(X=nothing[None], row_weights=nothing)

    def one_map(mixture: Mixture, prepared: Any) -> tuple[Array, Mixture, Any]:
        value, sums = _pass(prepared, data, total, rules.form)
        return _images(value, sums, mixture, rest, family, rules.form)

    value_0, second, prepared = one_map(first, _prepared(first, data.frame, rules.form))
    value_1, third, _ = one_map(second, prepared)
    leap, prepared = _leaps(Path(first, second, third), data.frame, family, rules.form)
    value_2, landed, _ = one_map(leap, prepared)
    values, path = (value_0, value_1, value_2), Path(second, third, landed)
    return _settled(state, values, path, rest, total, rules.tol)


def _pass(prepared: Any, data: Data, total: float, form: Pass) -> tuple[Array, Array]:
    """Log-likelihoods in the user's units, and the sums."""
    alone = jax.tree.leaves(prepared)[0].shape[0] == 1
    if alone:  # without an axis for one start, XLA takes a quarter less time
        prepared = jax.tree.map(lambda leaf: leaf[0], prepared)
    value, sums = sweep_chunks(prepared, data.X, data.row_weights, data.frame, form=form)
    if alone:
        value, sums = value[None], sums[None]
    return value - total * np.log(data.frame.scale).sum(), sums


@partial(jax.jit, static_argnames="form")
def _prepared(mixture: Mixture, frame: Frame, form: Pass) -> Any:
    return form.prepare(mixture, frame)


@partial(jax.jit, static_argnames="family")
def _projected(mixture: Mixture, family: Family) -> Mixture:
    return jax.vmap(partial(em.projected, family=family))(mixture)


@partial(jax.jit, static_argnames=("family", "form"))
def _images(
    value: Array, sums: Array, mixture: Mixture, rest: Data, family: Family, form: Pass
) -> tuple[Array, Mixture, Any]:
    """What is maximised at the mixtures; the mixtures after the M-step, prepared for a pass too."""

    def image(value: Array, sums: Array, mixture: Mixture) -> tuple[Array, Mixture]:
        statistics = form.statistics(sums, mixture, rest.frame)
        after = em.maximisation(statistics, mixture, family, rest.floor, rest.prior)
        return em.objective(value, mixture, rest.prior), after

    maximised, after = jax.vmap(image)(value, sums, mixture)
    return maximised, after, form.prepare(after, rest.frame)


@partial(jax.jit, static_argnames=("family", "form"))
def _leaps(path: Path, frame: Frame, family: Family, form: Pass) -> tuple[Mixture, Any]:
    leap = jax.vmap(lambda one: em.projected(extrapolate(one, frame).mixture, family))(path)
    return leap, form.prepare(leap, frame)


@jax.jit
def _settled(
    state: EMState,
    values: tuple[Array, Array, Array],
    path: Path,
    rest: Data,
    total: Number,
    tol: Number,
) -> EMState:
    def settle(state: EMState, values: tuple[Array, Array, Array], path: Path) -> EMState:
        return em.settle(state, values, path, rest, total, tol)

    return jax.vmap(settle)(state, values, path)
