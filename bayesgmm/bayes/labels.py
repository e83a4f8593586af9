"""The labels of a posterior: a fixed point, another method's, or in an order that is asked for."""

import numpy as np
from jaxtyping import Bool, Float, Int

from bayesgmm.bayes.posterior import Posterior
from bayesgmm.bayes.relabel import METHODS, Blocks, Relabelling, match, reorder, settle

PIVOT_NUMBERS = 2**22
PIVOT_LEAST_DRAWS = 500
"""Draws for the pivot: all but where draws x rows x clusters pass so many; this many at least."""


def settled(
    posterior: Posterior, reference: Float[np.ndarray, "n k"], method: str = "stephens"
) -> Posterior:
    """Every draw agrees best with the average of all, as they are relabelled.

    Of many draws some, evenly spaced, settle the average; all are then matched to it.

    Args:
        posterior: relabelled already, in some way.
        reference: memberships whose numbering the clusters take over, such as EM's.
        method: one of `relabel.METHODS`.

    Raises:
        InputError: the program is not normal, and its code is not there.
    """
    own, weights = METHODS[method], posterior.row_weights
    chains, every = np.ones(len(posterior.kept), bool), _every(posterior)
    few = list(_clusters(posterior, chains, every))
    found = settle(lambda: few, weights, own, _as_they_are(posterior, every))
    pivot = np.concatenate(
        [np.nan_to_num(reorder(resp, found.order, -1)).mean(0) for _, resp in few]
    )
    names = match([(slice(None), pivot[None])], weights, own, lambda *_: reference).order[0]
    pivot = pivot[:, names]
    found = match(_clusters(posterior, chains), weights, own, lambda places, _: pivot[places])
    return _with(posterior, found)


def ordered(posterior: Posterior, values: Float[np.ndarray, "c s k"]) -> Posterior:
    """Every draw's clusters by increasing values; the margin is the least step between two.

    Raises:
        InputError: the program is not normal, and its code is not there.
    """
    steps = np.diff(np.sort(values, -1), axis=-1)
    margin = steps.min(-1) if steps.shape[-1] else np.full(values.shape[:-1], np.inf)
    return posterior.relabelled(values.argsort(-1), margin)


def _every(posterior: Posterior) -> int:
    s, n = posterior.margin.size, len(posterior.X)
    most = max(1, s // PIVOT_LEAST_DRAWS)
    return int(np.clip(-(-s * n * posterior.structure.k // PIVOT_NUMBERS), 1, most))


def _as_they_are(posterior: Posterior, every: int) -> Int[np.ndarray, "s k"]:
    k, s = posterior.structure.k, posterior.margin[:, ::every].size
    return np.broadcast_to(np.arange(k), (s, k))


def _clusters(posterior: Posterior, chains: Bool[np.ndarray, " c"], every: int = 1) -> Blocks:
    """Memberships of the clusters; a background's are left out."""
    for places, resp in posterior.every_membership(chains, every):
        yield places, resp[..., : posterior.structure.k]


def _with(posterior: Posterior, found: Relabelling) -> Posterior:
    shape = posterior.margin.shape
    return posterior.relabelled(found.order.reshape(*shape, -1), found.margin.reshape(shape))
