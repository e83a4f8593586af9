"""What the draws of one stage of the warm-up decide about the next.

Chains are whitened anew, by the covariance of their draws, where the curvature at the mode was a
poor guide to the posterior's shape; step sizes adapt to a higher acceptance where trajectories
diverge or the posterior is no ellipse in whitened coordinates.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from bayesgmm.bayes.chains import Chains, State
from bayesgmm.bayes.diagnose import r_hat
from bayesgmm.bayes.draws import Draws
from bayesgmm.bayes.metric import Blocks, Place

FIRST_STAGE, LATER_STAGE = 100, 250
EFFECTIVE = 25.0
STILL = 1e-9  # the spread of draws that tell nothing of a shape
FULL_TREES = 0.75
SAME_HEIGHT_R_HAT = 1.1
DIVERGENT = 0.005
APART = 4.0  # standard deviations between chains that explore the same, at most
UNLIKE = 10.0  # ratio of their standard deviations


class Settings(NamedTuple):
    """Choices of a NUTS run.

    Attributes:
        num_warmup: steps of each stage of the warm-up; None for `FIRST_STAGE`, then `LATER_STAGE`.
        max_stages: of the warm-up.
        max_tree_depth: of the draws that are kept.
        warmup_tree_depth: of the others.
        accept_probs: what the step size is adapted to: at first; where the posterior is no ellipse
            in whitened coordinates; and where trajectories diverge in spite of that.
    """

    num_warmup: int | None = None
    max_stages: int = 4
    max_tree_depth: int = 8
    warmup_tree_depth: int = 6
    accept_probs: tuple[float, float, float] = (0.8, 0.9, 0.95)

    def steps(self, stage: int) -> int:
        """How many steps a stage of the warm-up takes."""
        return self.num_warmup or (FIRST_STAGE if stage == 0 else LATER_STAGE)


def next_accept(present: float, draws: Draws, settings: Settings, *, moved: bool) -> float:
    """The acceptance to adapt to after a stage, whose draws may have led to another whitening."""
    half = draws.z.shape[1] // 2
    diverged = draws.stats["diverging"][:, half:].mean() > DIVERGENT
    easy, crooked, careful = settings.accept_probs
    if diverged:
        return crooked if present == easy else careful
    return max(present, crooked) if moved else present


def settled(chains: Chains, settings: Settings) -> list[State]:
    """The states with a step size that all chains of their group share.

    It is the average of theirs, or the shortest, since some may not have seen the narrow places.
    """
    logs = np.array([float(state.averaging[1]) for state in chains.states])
    easy = chains.accept == settings.accept_probs[0]
    alike = [logs[chains.members(group)] for group in chains.groups]
    shared = [np.asarray(each.mean() if easy else each.min()) for each in alike]
    return [
        state._replace(averaging=(log, log, *state.averaging[2:]))
        for state, log in zip(chains.states, shared, strict=True)
    ]


def rewhitened(blocks: Blocks, chains: Chains, draws: Draws) -> Chains:
    """The chains, whitened as the second halves of their draws suggest; the same if they will do.

    Chains that explore the same are pooled; those that are apart from each other, under other
    labels perhaps, are not.
    """
    half = draws.z[:, draws.z.shape[1] // 2 :]
    if not np.isfinite(half).all():
        return chains
    groups = _groups(half)
    places, kept = {}, groups == chains.groups
    for group in set(groups):
        own = np.array(groups) == group
        place = chains.place(groups.index(group))
        better = _pooled(blocks, place, half[own])
        places[group] = better or place
        kept = kept and better is None
    return chains if kept else chains._replace(groups=groups, places=places)


def _groups(half: Float[np.ndarray, "c s p"]) -> list[int]:
    """For each chain the first that explores the same: they overlap in every coordinate."""
    means, sds = half.mean(1), half.std(1)
    groups: list[int] = []
    for c in range(len(half)):
        wider = np.maximum(sds[c], sds[:c])
        near = np.abs(means[c] - means[:c]) <= APART * wider
        alike = np.minimum(sds[c], sds[:c]) * UNLIKE >= wider
        met = np.flatnonzero((near & alike).all(1))
        groups.append(groups[met[0]] if met.size else c)
    return groups


def _pooled(blocks: Blocks, place: Place, half: Float[np.ndarray, "c s p"]) -> Place | None:
    """The whitening of pooled draws; None if the present one will do, or if they stand still.

    Correlations in the present coordinates are shrunk, as if every chain gave `EFFECTIVE`
    independent draws.
    """
    flat = half.reshape(-1, half.shape[-1])
    u = blocks.backward(place, flat)
    spread, shift = u.std(0), np.abs(u.mean(0))
    fits = spread.max() < 2 and spread.min() > 0.5 and shift.max() < 2
    if fits or not (spread > STILL * (1 + shift)).all():
        return None
    u, effective = u - u.mean(0), EFFECTIVE * len(half)
    factors = []
    for part, factor in zip(blocks.sets, place.factors, strict=True):
        own, b = u[:, part], part.shape[1]
        trust = effective / (effective + b)
        pooled = np.einsum("sga,sgb->gab", own, own) / len(u)
        shrunk = pooled * np.where(np.eye(b, dtype=bool), 1.0, trust)
        factors.append(np.asarray(factor) @ np.linalg.cholesky(shrunk))
    return jax.tree.map(jnp.asarray, Place(flat.mean(0), tuple(factors)))


def worth_it(draws: Draws, settings: Settings) -> bool:
    """Whether another whitening may help: the chains agree, or move without their longest trees."""
    half = slice(draws.z.shape[1] // 2, None)
    longest = 2**settings.warmup_tree_depth - 1
    agree = r_hat(draws.log_posterior[:, half]) < SAME_HEIGHT_R_HAT
    return bool(agree or draws.stats["n_steps"][:, half].mean() < FULL_TREES * longest)
