"""Which modes the draws came near: what was missed, and the mode that they lie around."""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Bool

from bayesgmm.bayes.crossing import Crossed
from bayesgmm.bayes.posterior import Peak
from bayesgmm.bayes.start import MIN_MASS, Mode, shares

FAR = 10.0  # standard deviations


def heavy(found: Sequence[Mode]) -> list[Mode]:
    """The modes with much of the Laplace mass; the first at least."""
    return [
        mode for mode, share in zip(found, shares(found), strict=True) if share >= MIN_MASS
    ] or [found[0]]


def near(at: Crossed, drawn: Crossed) -> Bool[np.ndarray, "m c"]:
    """Whether chains came near modes, by the log density at held rows.

    A mode lies off the centre of the draws around it, by less than five of their standard
    deviations wherever that was looked at; another mode lies hundreds away.

    Args:
        at: the modes, as m draws of one chain.
        drawn: c chains.
    """
    with np.errstate(all="ignore"):
        apart = (at.held[0][:, None] - drawn.held.mean(1)) / drawn.held.std(1)
    return ~(np.abs(apart).max(-1) > FAR)


def unseen(
    found: Sequence[Mode], came_near: Bool[np.ndarray, "m c"]
) -> tuple[tuple[str, float], ...]:
    """Origin and mass of the heavy modes that no chain came near."""
    mass = dict(zip(map(id, found), shares(found), strict=True))
    return tuple(
        (mode.origin, float(mass[id(mode)]))
        for mode, chains in zip(heavy(found), came_near, strict=True)
        if not chains.any()
    )


def peak(at: Crossed, came_near: Bool[np.ndarray, " m"]) -> Peak | None:
    """The highest of the modes that were come near; None if none was."""
    if not came_near.any():
        return None
    best = int(np.where(came_near, at.draws.log_posterior[0], -np.inf).argmax())
    own = Peak(at.sites, at.mixture)
    return jax.tree.map(lambda leaf: leaf[:, best : best + 1], own)
