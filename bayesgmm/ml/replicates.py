"""The best admissible fit of each of many data sets, all started alike, in one batch."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float
from numpy.random import Generator

from bayesgmm.gaussian.families import Family, is_short
from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.gaussian.sweep import frame_of
from bayesgmm.ml import seeding
from bayesgmm.ml.driver import run
from bayesgmm.ml.em import Data, own_rows

TOL = 1e-7
MAX_ITER = 1000
BLOCK = 2**26  # bytes of rows that are made at a time, those of every start


class Replicates(NamedTuple):
    """One fit for each of m data sets.

    Attributes:
        log_likelihood: of the best admissible optimum, shape (m,); NaN where there is none.
        mixture: stacked, shape (m, k, ...).
        admissible: whether there is one, shape (m,).
    """

    log_likelihood: Float[np.ndarray, " m"]
    mixture: Mixture
    admissible: Bool[np.ndarray, " m"]


def fit_replicates(data: Data, k: int, family: Family, n_init: int, rng: Generator) -> Replicates:
    """The best admissible of `n_init` seeded starts for every data set; no races, no rearranging.

    Args:
        data: m data sets of one size, X (m, n, d); row weights (m, n) or, for all alike, (n,).
        k: number of components.
        family: their covariance family.
        n_init: starts of each data set; one where k is 1.
        rng: source of the starts.
    """
    m, n, d = data.X.shape
    s = n_init if k > 1 else 1
    most = max(1, BLOCK // (8 * n * d * s))
    parts = [
        _fit_some(own_rows(data, slice(first, first + most)), k, family, s, rng)
        for first in range(0, m, most)
    ]
    joined: Replicates = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    return joined


def _fit_some(data: Data, k: int, family: Family, s: int, rng: Generator) -> Replicates:
    m = len(data.X)
    short = is_short(family, data.X.shape[-1])
    each = [own_rows(data, i) for i in range(m)]
    seeds = [
        seeding.starts(
            one.X,
            one.row_weights,
            frame_of(one.X, one.row_weights),
            k,
            s,
            rng,
            correlated=not short,
        )
        for one in each
    ]
    starts = Mixture(*(np.concatenate(parts) for parts in zip(*seeds, strict=True)))
    row_weights = data.row_weights
    if row_weights.ndim == 2:
        row_weights = np.repeat(row_weights, s, 0)
    every = data._replace(X=np.repeat(data.X, s, 0), row_weights=row_weights)
    result = run(starts, every, family, tol=TOL, max_iter=MAX_ITER)
    state, refused = result.state, np.array([bool(why) for why in result.reasons(family)])
    values = np.where(refused, -np.inf, state.log_likelihood).reshape(m, s)
    best = values.argmax(1)
    top, places = values.max(1), np.arange(m) * s + best
    admissible = np.isfinite(top)
    mixture = Mixture(*(part[places] for part in state.mixture))
    return Replicates(np.where(admissible, top, np.nan), mixture, admissible)
