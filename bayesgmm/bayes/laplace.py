"""Laplace's approximation: a normal distribution at every mode that has mass.

Modes and their curvature are known from the start; the draws say of themselves, by Pareto k-hat
(Yao et al. 2018), how much of the posterior they miss. Source: Tierney and Kadane (1986).
"""

from collections.abc import Sequence

import numpy as np

from bayesgmm.bayes.draws import Draws
from bayesgmm.bayes.driver import Progress, silent
from bayesgmm.bayes.metric import Blocks
from bayesgmm.bayes.start import MIN_MASS, Mode, shares, values
from bayesgmm.bayes.target import Data, Target
from bayesgmm.gaussian.mixture import LOG_2PI
from bayesgmm.gaussian.precision import float64


@float64
def approximate(
    target: Target,
    data: Data,
    modes: Sequence[Mode],
    num_chains: int,
    num_draws: int,
    rng: np.random.Generator,
    progress: Progress = silent,
) -> Draws:
    """Independent draws from the normal distributions at the modes, each by its Laplace mass.

    They are arranged as chains so that every function for draws takes them; R-hat means nothing
    for them.
    """
    share = shares(modes)
    heavy = [m for m in range(len(modes)) if share[m] >= MIN_MASS] or [0]
    share = share[heavy] / share[heavy].sum()
    size = num_chains * num_draws
    chosen = rng.choice(len(heavy), size=size, p=share)
    u = rng.normal(size=(size, target.size))
    z = np.empty_like(u)
    for m, mode in enumerate(heavy):
        z[chosen == m] = target.blocks.spread(modes[mode].place, u[chosen == m])
    log_q = np.logaddexp.reduce(
        [
            np.log(part) + _log_density(target.blocks, modes[mode], z)
            for part, mode in zip(share, heavy, strict=True)
        ]
    )
    progress("approximating", 0, size)
    log_p = -values(target, data, z)
    progress("approximating", size, size)
    shape = (num_chains, num_draws)
    return Draws(z.reshape(*shape, -1), log_p.reshape(shape), log_q.reshape(shape), {})


def _log_density(blocks: Blocks, mode: Mode, z: np.ndarray) -> np.ndarray:
    u = blocks.backward(mode.place, z)
    return -np.square(u).sum(-1) / 2 - blocks.half_log_det(mode.place) - u.shape[-1] * LOG_2PI / 2
