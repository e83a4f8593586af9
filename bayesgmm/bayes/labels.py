"""The labels of a posterior: a fixed point, another method's, or in an order that is asked for."""

import numpy as np
from jaxtyping import Float

from bayesgmm.bayes.posterior import Posterior
from bayesgmm.bayes.relabel import (
    ALLOCATED,
    EXPECTED,
    KULLBACK_LEIBLER,
    Blocks,
    Cost,
    Relabelling,
    match,
    mean_of,
    settle,
)
from bayesgmm.data.errors import unknown

PIVOT_NUMBERS = 2**20
PIVOT_LEAST_DRAWS = 500
"""Draws for the pivot: all but where draws x rows x clusters pass so many; this many at least."""


def labelled(posterior: Posterior, reference: Float[np.ndarray, "n k"], method: str) -> Posterior:
    """The same draws, their clusters put in order by a method; numbers are those of the reference.

    Args:
        posterior: relabelled already, in some way.
        reference: memberships in the clusters as they are to be numbered, such as EM's.
        method: one of `METHODS`.

    Raises:
        InputError: an unknown method; the program is not normal, and its code is not there.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    cost, find = METHODS[method]
    return _with(posterior, find(posterior, reference, cost))


def ordered(posterior: Posterior, values: Float[np.ndarray, "c s k"]) -> Posterior:
    """Every draw's clusters by increasing values; the margin is the least step between two.

    Raises:
        InputError: the program is not normal, and its code is not there.
    """
    steps = np.diff(np.sort(values, -1), axis=-1)
    margin = steps.min(-1) if steps.shape[-1] else np.full(values.shape[:-1], np.inf)
    return posterior.relabelled(values.argsort(-1), margin)


def _matched(posterior: Posterior, reference: np.ndarray, cost: Cost) -> Relabelling:
    """Every draw agrees best with the reference."""
    blocks = _clusters(posterior)
    return match(blocks, posterior.row_weights, cost, lambda places, _: reference[places])


def _settled(posterior: Posterior, reference: np.ndarray, cost: Cost) -> Relabelling:
    """Every draw agrees best with the average of all, as they are relabelled; begins as `_matched`.

    Of many draws some, evenly spaced, settle the average; all are then matched to it.
    """
    weights = posterior.row_weights
    few = list(_clusters(posterior, _every(posterior)))
    start = match(few, weights, cost, lambda places, _: reference[places])
    found = settle(lambda: few, weights, cost, start.order)
    average = np.concatenate([mean_of(resp, found.order) for _, resp in few])
    own = [(slice(None), average[None])]
    (numbers,) = match(own, weights, cost, lambda *_: reference).order
    return _matched(posterior, average[:, numbers], cost)


METHODS = {
    "stephens": (KULLBACK_LEIBLER, _settled),
    "ecr-1": (ALLOCATED, _settled),
    "ecr-2": (EXPECTED, _settled),
    "kl": (KULLBACK_LEIBLER, _matched),
    "ecr": (ALLOCATED, _matched),
}
"""Stephens (2000), algorithm 2; ECR, iterative versions 1 and 2 (Papastamoulis and Iliopoulos 2010;
Papastamoulis 2016); and both with a pivot that stays, the reference."""


def _every(posterior: Posterior) -> int:
    s, n = posterior.margin.size, len(posterior.X)
    most = max(1, s // PIVOT_LEAST_DRAWS)
    return int(np.clip(-(-s * n * posterior.structure.k // PIVOT_NUMBERS), 1, most))


def _clusters(posterior: Posterior, every: int = 1) -> Blocks:
    """Memberships of the clusters; a background's are left out."""
    for places, resp in posterior.every_membership(every):
        yield places, resp[..., : posterior.structure.k]


def _with(posterior: Posterior, found: Relabelling) -> Posterior:
    shape = posterior.margin.shape
    return posterior.relabelled(found.order.reshape(*shape, -1), found.margin.reshape(shape))
