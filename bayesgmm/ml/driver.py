"""Starts climb, each until it is done: blocks of them side by side on all cores, under jit.

Starts do not wait for each other: each climbs alone, as long as it has to. One compiled program
serves any number of starts and several families at once. Where there are many rows, the cores share
them instead (`ml.chunked`).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Int

from bayesgmm.gaussian.arrays import Array, filled_up
from bayesgmm.gaussian.chunks import needs_chunks
from bayesgmm.gaussian.cores import available_cores, threads
from bayesgmm.gaussian.families import Family
from bayesgmm.gaussian.lowering import remembered
from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.gaussian.passes import Pass, pass_for
from bayesgmm.gaussian.precision import float64
from bayesgmm.ml import chunked, em
from bayesgmm.ml.admissible import refusals
from bayesgmm.ml.em import (
    MAPS_PER_CYCLE,
    Data,
    EMState,
    Rules,
    expectation,
    in_family,
    own_rows,
    step,
)
from bayesgmm.ml.ledger import Ledger

BLOCK = 16
CYCLES_PER_CALL = 64
WORK_PER_CALL = 1e9


class EMResult(NamedTuple):
    """The state where every start ended, and what was maximised, step by step (s, steps).

    The state's `log_likelihood` is that of its mixture, without the prior.
    """

    state: EMState
    history: Float[np.ndarray, "s steps"]
    counts: Float[np.ndarray, "s k"]

    def reasons(self, family: Family) -> list[str]:
        """For each start why its end is not admissible; empty if it is."""
        regular = np.isfinite(self.state.log_likelihood) & ~self.state.collapsed
        return refusals(family, self.state.mixture, self.counts, regular)


@float64
def run(
    starts: Mixture,
    data: Data,
    families: Family | Sequence[Family],
    *,
    tol: float,
    max_iter: int,
    which: Int[np.ndarray, " s"] | None = None,
) -> EMResult:
    """EM from every start, each until it is done.

    Args:
        starts: stacked mixtures, shape (s, k, ...); a weight of zero pads a smaller mixture.
        data: rows, row weights and so on; NumPy arrays.
        families: the covariance family, or several of them.
        tol: stop when the Aitken estimate of the gain per row still to come is below it.
        max_iter: EM maps at most, for each start; a step that has begun finishes its three.
        which: the family of each start by its number; the first by default.
    """
    members = (families,) if isinstance(families, Family) else tuple(families)
    form = pass_for(Mixture(*(np.asarray(part)[0] for part in starts)), data.frame)
    rules = Rules(members, form, tol, max_iter)
    ledger = Ledger.of(starts, which)
    if needs_chunks(*data.X.shape[-2:]):
        chunked.climb(ledger, data, rules)
    else:
        _climb_in_blocks(ledger, data, rules)
    return EMResult(ledger.state, ledger.padded_history(), ledger.counts)


def _climb_in_blocks(ledger: Ledger, data: Data, rules: Rules) -> None:
    """A block of starts on each core at a time."""
    X, row_weights = filled_up(data.X, data.row_weights)
    data = data._replace(X=X, row_weights=row_weights)
    k, (n, d) = ledger.counts.shape[1], data.X.shape[-2:]
    cycle = MAPS_PER_CYCLE * n * k * (d + 1) * (d + 2)
    most = int(np.clip(WORK_PER_CALL / cycle, 1, BLOCK))
    cycles = np.int64(np.clip(WORK_PER_CALL / cycle / most, 1, CYCLES_PER_CALL))

    @float64
    def climb(some: np.ndarray) -> tuple[np.ndarray, Any]:
        rows = np.resize(some, BLOCK)  # repeats fill the block up; they are not climbed from
        block, which = ledger.part(rows)
        limits = (np.int64(len(some)), cycles, np.float64(rules.tol), np.int64(rules.max_iter))
        seen = own_rows(data, rows)
        result = _climb(rules.families, rules.form, block, which, seen, *limits)
        return some, jax.tree.map(np.asarray, result)

    left = np.arange(ledger.size)
    cores = available_cores()
    while left.size:
        size = max(1, min(most, -(-left.size // cores)))
        blocks = [left[i : i + size] for i in range(0, left.size, size)]
        for some, (state, counts, values) in threads(cores).map(climb, blocks):
            ledger.enter(some, state, counts, values)
        left = ledger.unfinished(left, rules)


@remembered(2)
def _climb(
    families: tuple[Family, ...],
    form: Pass,
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
    rules = Rules(families, form, tol, max_iter)

    def one_start(i: Array, carry: tuple[EMState, Array, Array]) -> tuple[EMState, Array, Array]:
        states, counts, values = carry
        seen = own_rows(data, i)
        one = jax.tree.map(lambda leaf: leaf[i], states)
        mixture = lax.cond(
            one.n_maps == 0,
            lambda mixture: in_family(families, which[i], em.projected, mixture),
            lambda mixture: mixture,
            one.mixture,
        )

        def unfinished(carry: tuple[Array, EMState, Array]) -> Array:
            return (carry[0] < cycles) & ~em.terminate(carry[1], max_iter)

        def cycle(carry: tuple[Array, EMState, Array]) -> tuple[Array, EMState, Array]:
            j, old, row = carry
            new = step(old, seen, rules, which[i])
            return j + 1, new, row.at[j].set(new.log_likelihood)

        row = jnp.full(CYCLES_PER_CALL, jnp.nan)
        begin = (jnp.zeros((), int), one._replace(mixture=mixture), row)
        _, one, row = lax.while_loop(unfinished, cycle, begin)
        value, statistics = expectation(one.mixture, seen, form)
        one = one._replace(log_likelihood=value)
        states = jax.tree.map(lambda leaf, new: leaf.at[i].set(new), states, one)
        return states, counts.at[i].set(statistics.counts), values.at[i].set(row)

    s, k = block.mixture.weights.shape
    empty = (jnp.zeros((s, k)), jnp.full((s, CYCLES_PER_CALL), jnp.nan))
    return lax.fori_loop(0, n_starts, one_start, (block, *empty))
