"""Many starts of many cells at once: all of them to the end, or a race and the best to the end.

Then the best of each cell is taken apart and put together in other ways (split and merge, Ueda et
al. 2000), twice if that finds better, and families of one k try each other's optima.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
import numpy as np
from numpy.random import Generator

from bayesgmm.gaussian.families import Family
from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.ml.driver import EMResult, run
from bayesgmm.ml.em import Data

ROWS = 4000
MAPS = 24
FINALISTS, WINNERS = 8, 3
SAME_PLACE = 1e-3
IMPROVEMENTS = 8
SPLIT = 0.8


class Heat(NamedTuple):
    """One cell: a family, and starts of k components, stacked."""

    family: Family
    starts: Mixture

    @property
    def size(self) -> int:
        return int(self.starts.weights.shape[0])


@dataclass(frozen=True)
class Track:
    """What all starts climb on, and when they stop; the arguments of `driver.run`."""

    data: Data
    tol: float
    max_iter: int
    rows_per_weight: float = 1.0


def climb(heats: Sequence[Heat], track: Track, max_iter: int | None = None) -> list[EMResult]:
    """EM from every start of every cell, as one batch; one result for each cell.

    Its expected counts are effective rows.
    """
    families = tuple({heat.family.durable_name: heat.family for heat in heats}.values())
    k_max = max(heat.starts.n_components for heat in heats)
    padded = [_pad(heat.starts, k_max) for heat in heats]
    result = run(
        Mixture(*(np.concatenate(parts) for parts in zip(*padded, strict=True))),
        track.data,
        families,
        tol=track.tol,
        max_iter=track.max_iter if max_iter is None else max_iter,
        which=np.concatenate([[families.index(h.family)] * h.size for h in heats]),
    )
    result = result._replace(counts=result.counts * track.rows_per_weight)
    ends = np.cumsum([heat.size for heat in heats])
    return [
        _unpadded(jax.tree.map(lambda leaf, i=i, j=j: leaf[i:j], result), heat)
        for heat, i, j in zip(heats, [0, *ends], ends, strict=False)
    ]


def raced(
    heats: Sequence[Heat], track: Track, finalists: int | None, rng: Generator
) -> list[EMResult]:
    """The starts that won their race, at their ends; all starts where no race is worth while.

    Args:
        heats: the cells.
        track: the data and the choices of EM.
        finalists: how many starts of each cell run to the end; None for all of them, or for
            `WINNERS` where there are more than `ROWS` rows.
        rng: chooses the rows of the first round where there are so many.
    """
    many = len(track.data.X) > ROWS
    if all(heat.size <= (finalists or WINNERS) for heat in heats) or not (many or finalists):
        return climb(heats, track)
    rounds = [(track, finalists or WINNERS)]
    if many:
        rounds.insert(0, (_some_rows(track, rng), max(finalists or 0, FINALISTS)))
    for ground, most in rounds:
        results = climb(heats, ground, MAPS)
        ahead = [_leaders(heat, result, most) for heat, result in zip(heats, results, strict=True)]
        heats = [lead.kept for lead in ahead]
    ends = climb(heats, track)
    return [_continued(lead.result, end) for lead, end in zip(ahead, ends, strict=True)]


def improved(heats: Sequence[Heat], results: Sequence[EMResult], track: Track) -> list[EMResult]:
    """The results, and with them whatever rearranging their best mixtures found better.

    Nothing is tried for a single start, whose end was asked for, nor where every try would be dear.
    """
    found = list(results)
    if len(track.data.X) > ROWS:
        return found
    left = [i for i, heat in enumerate(heats) if heat.size > 1 and heat.starts.n_components > 1]
    tops = {i: _best(heats[i].family, found[i]) for i in left}
    others = {i: [tops[j] for j in left if j != i and _alike(heats[i], heats[j])] for i in left}
    for _ in range(IMPROVEMENTS):
        left = [i for i in left if tops[i] is not None]
        tries = [Heat(heats[i].family, _stacked(tops[i], others.pop(i, []))) for i in left]
        if not tries:
            break
        rounds = climb(tries, track, MAPS)
        ahead = [_leaders(one, r, WINNERS) for one, r in zip(tries, rounds, strict=True)]
        ends = climb([lead.kept for lead in ahead], track)
        better = []
        for i, lead, end in zip(left, ahead, ends, strict=True):
            top, before = _best(heats[i].family, end), tops[i]
            if before is not None and top is not None and top.value > before.value + SAME_PLACE:
                found[i] = _joined(found[i], _continued(lead.result, end))
                tops[i] = top
                better.append(i)
        left = better
    return found


class Top(NamedTuple):
    """The best admissible end of a cell."""

    value: float
    mixture: Mixture


def _alike(one: Heat, other: Heat) -> bool:
    return one.starts.n_components == other.starts.n_components


def _best(family: Family, result: EMResult) -> Top | None:
    state = result.state
    values = np.where(result.reasons(family), -np.inf, state.log_likelihood)
    i = int(np.argmax(values))
    if not np.isfinite(values[i]):
        return None
    return Top(float(values[i]), Mixture(*(part[i] for part in state.mixture)))


def _stacked(top: Top | None, others: Sequence[Top | None]) -> Mixture:
    """The rearrangements of a cell's best mixture, and the best of other cells."""
    assert top is not None
    given = [rearranged(top.mixture)] + [
        Mixture(*(part[None] for part in other.mixture)) for other in others if other
    ]
    return Mixture(*(np.concatenate(parts) for parts in zip(*given, strict=True)))


def rearranged(mixture: Mixture) -> Mixture:
    """For each pair of components the mixture without the one and with the other split in two.

    A component is split along its longest axis into halves that keep its moments.

    Returns:
        Stacked, shape (k (k - 1), k, ...).
    """
    k = mixture.n_components
    lost, halved = (index.ravel() for index in np.nonzero(~np.eye(k, dtype=bool)))
    step, halves = _halves(mixture)
    weights, means, factors = (np.repeat(part[None], len(lost), 0) for part in mixture)
    every = np.arange(len(lost))
    weights[every, halved] = weights[every, lost] = mixture.weights[halved] / 2
    means[every, halved] = mixture.means[halved] + step[halved]
    means[every, lost] = mixture.means[halved] - step[halved]
    factors[every, halved] = factors[every, lost] = halves[halved]
    weights /= weights.sum(1, keepdims=True)
    return Mixture(weights, means, factors)


def _halves(mixture: Mixture) -> tuple[np.ndarray, np.ndarray]:
    """How far the halves of each component lie from its mean, and the factors of both."""
    if mixture.is_diagonal:
        d = mixture.means.shape[1]
        step = SPLIT * mixture.scale_tril * (np.arange(d) == mixture.scale_tril.argmax(1)[:, None])
        return step, np.sqrt(mixture.variances - np.square(step))
    values, vectors = np.linalg.eigh(mixture.covariances)
    step = SPLIT * np.sqrt(values[:, -1:]) * vectors[:, :, -1]
    return step, np.linalg.cholesky(mixture.covariances - step[:, :, None] * step[:, None, :])


def _joined(one: EMResult, more: EMResult) -> EMResult:
    """The starts of both."""
    steps = max(one.history.shape[1], more.history.shape[1])
    histories = [
        np.pad(part.history, ((0, 0), (0, steps - part.history.shape[1])), constant_values=np.nan)
        for part in (one, more)
    ]
    state = jax.tree.map(lambda a, b: np.concatenate([a, b]), one.state, more.state)
    return EMResult(state, np.concatenate(histories), np.concatenate([one.counts, more.counts]))


class Leaders(NamedTuple):
    """Where the leading starts of a cell are, and what they did so far."""

    kept: Heat
    result: EMResult


def _leaders(heat: Heat, result: EMResult, most: int) -> Leaders:
    """The best starts of a cell, admissible ones first, each place once while there are others."""
    values, reasons = result.state.log_likelihood, result.reasons(heat.family)
    order = sorted(range(len(values)), key=lambda i: (bool(reasons[i]), -values[i]))
    again = [i for before, i in itertools.pairwise(order) if _same(values, before, i, reasons)]
    chosen = np.array(([i for i in order if i not in again] + again)[:most])
    kept: EMResult = jax.tree.map(lambda leaf: leaf[chosen], result)
    return Leaders(Heat(heat.family, kept.state.mixture), kept)


def _same(values: np.ndarray, i: int, j: int, reasons: Sequence[str]) -> bool:
    return bool(abs(values[i] - values[j]) < SAME_PLACE and bool(reasons[i]) == bool(reasons[j]))


def _continued(race: EMResult, end: EMResult) -> EMResult:
    """What starts did in the race and after it."""
    state = end.state._replace(n_maps=race.state.n_maps + end.state.n_maps)
    return EMResult(state, np.concatenate([race.history, end.history], axis=1), end.counts)


def _some_rows(track: Track, rng: Generator) -> Track:
    X, row_weights = track.data.X, track.data.row_weights
    used = np.flatnonzero(row_weights > 0)
    rows = np.sort(rng.choice(used, min(ROWS, used.size), replace=False))
    return replace(track, data=track.data._replace(X=X[rows], row_weights=row_weights[rows]))


def _pad(batch: Mixture, k: int) -> Mixture:
    """The same mixtures with absent components, of weight zero, up to k."""
    extra = k - batch.n_components
    s, _, d = batch.means.shape
    unit = np.ones(d) if batch.is_diagonal else np.eye(d)
    alone = np.broadcast_to(unit, (s, extra, *unit.shape))
    return Mixture(
        np.concatenate([batch.weights, np.zeros((s, extra))], 1),
        np.concatenate([batch.means, np.zeros((s, extra, d))], 1),
        np.concatenate([batch.scale_tril, alone], 1),
    )


def _unpadded(result: EMResult, heat: Heat) -> EMResult:
    k = heat.starts.n_components
    mixture = Mixture(*(part[:, :k] for part in result.state.mixture))
    state = result.state._replace(mixture=mixture)
    return EMResult(state, result.history, result.counts[:, :k])
