"""Many starts of many cells at once: all of them to the end, or a race and the best to the end."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float
from numpy.random import Generator

from bayesgmm.gaussian.families import Family
from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.gaussian.sweep import Frame
from bayesgmm.ml import em
from bayesgmm.ml.admissible import refusals

ROWS = 4000
MAPS = 24
FINALISTS, WINNERS = 8, 3
SAME_PLACE = 1e-3


class Heat(NamedTuple):
    """One cell: a family, and starts of k components, stacked."""

    family: Family
    starts: Mixture

    @property
    def size(self) -> int:
        return int(self.starts.weights.shape[0])


@dataclass(frozen=True)
class Track:
    """What all starts climb on; the arguments of `em.run`."""

    X: Float[np.ndarray, "n d"]
    row_weights: Float[np.ndarray, " n"]
    frame: Frame
    floor: Float[np.ndarray, " d"]
    prior: em.Prior | None
    tol: float
    max_iter: int


def climb(heats: Sequence[Heat], track: Track, max_iter: int | None = None) -> list[em.EMResult]:
    """EM from every start of every cell, as one batch; one result for each cell."""
    families = tuple({heat.family.durable_name: heat.family for heat in heats}.values())
    k_max = max(heat.starts.n_components for heat in heats)
    padded = [_pad(heat.starts, k_max) for heat in heats]
    result = em.run(
        Mixture(*(np.concatenate(parts) for parts in zip(*padded, strict=True))),
        track.X,
        track.row_weights,
        track.frame,
        families,
        tol=track.tol,
        max_iter=track.max_iter if max_iter is None else max_iter,
        floor=track.floor,
        which=np.concatenate([[families.index(h.family)] * h.size for h in heats]),
        prior=track.prior,
    )
    ends = np.cumsum([heat.size for heat in heats])
    return [
        _unpadded(jax.tree.map(lambda leaf, i=i, j=j: leaf[i:j], result), heat)
        for heat, i, j in zip(heats, [0, *ends], ends, strict=False)
    ]


def raced(
    heats: Sequence[Heat], track: Track, finalists: int | None, rng: Generator
) -> list[em.EMResult]:
    """The starts that won their race, at their ends; all starts where no race is worth while.

    Args:
        heats: the cells.
        track: the data and the choices of EM.
        finalists: how many starts of each cell run to the end; None for all of them, or for
            `WINNERS` where there are more than `ROWS` rows.
        rng: chooses the rows of the first round where there are so many.
    """
    many = len(track.X) > ROWS
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


class Leaders(NamedTuple):
    """Where the leading starts of a cell are, and what they did so far."""

    kept: Heat
    result: em.EMResult


def _leaders(heat: Heat, result: em.EMResult, most: int) -> Leaders:
    """The best starts of a cell, admissible ones first, each place once while there are others."""
    values, state = result.state.log_likelihood, result.state
    regular = np.isfinite(values) & ~state.collapsed
    reasons = refusals(heat.family, state.mixture, result.counts, regular)
    order = sorted(range(len(values)), key=lambda i: (bool(reasons[i]), -values[i]))
    again = [i for before, i in itertools.pairwise(order) if _same(values, before, i, reasons)]
    chosen = np.array(([i for i in order if i not in again] + again)[:most])
    kept: em.EMResult = jax.tree.map(lambda leaf: leaf[chosen], result)
    return Leaders(Heat(heat.family, kept.state.mixture), kept)


def _same(values: np.ndarray, i: int, j: int, reasons: Sequence[str]) -> bool:
    return bool(abs(values[i] - values[j]) < SAME_PLACE and bool(reasons[i]) == bool(reasons[j]))


def _continued(race: em.EMResult, end: em.EMResult) -> em.EMResult:
    """What starts did in the race and after it."""
    state = end.state._replace(n_maps=race.state.n_maps + end.state.n_maps)
    return em.EMResult(state, np.concatenate([race.history, end.history], axis=1), end.counts)


def _some_rows(track: Track, rng: Generator) -> Track:
    used = np.flatnonzero(track.row_weights > 0)
    rows = np.sort(rng.choice(used, min(ROWS, used.size), replace=False))
    content: dict[str, Any] = vars(track) | {
        "X": track.X[rows],
        "row_weights": track.row_weights[rows],
    }
    return Track(**content)


def _pad(batch: Mixture, k: int) -> Mixture:
    """The same mixtures with absent components, of weight zero, up to k."""
    extra = k - batch.n_components
    s, _, d = batch.means.shape
    eye = np.broadcast_to(np.eye(d), (s, extra, d, d))
    return Mixture(
        np.concatenate([batch.weights, np.zeros((s, extra))], 1),
        np.concatenate([batch.means, np.zeros((s, extra, d))], 1),
        np.concatenate([batch.scale_tril, eye], 1),
    )


def _unpadded(result: em.EMResult, heat: Heat) -> em.EMResult:
    k = heat.starts.n_components
    mixture = Mixture(*(part[:, :k] for part in result.state.mixture))
    state = result.state._replace(mixture=mixture)
    return em.EMResult(state, result.history, result.counts[:, :k])
