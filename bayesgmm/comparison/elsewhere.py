"""A posterior whose draws were made elsewhere, by Stan, PyMC, NumPyro or any other program."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Int

from bayesgmm.bayes import rows
from bayesgmm.bayes.crossing import STORED_BYTES, Crossed, held_rows
from bayesgmm.bayes.diagnose import Thresholds
from bayesgmm.bayes.draws import Draws
from bayesgmm.bayes.labels import labelled
from bayesgmm.bayes.posterior import Posterior
from bayesgmm.bayes.structure import WEIGHTS
from bayesgmm.comparison.both import Both, provenance_of
from bayesgmm.comparison.imported import Names, family_of, groups, mixture_of, structure_of
from bayesgmm.gaussian.mixture import Mixture, responsibilities
from bayesgmm.ml import restarts
from bayesgmm.ml.problem import Problem, check_components

NOTES = ("diverging", "energy")
BLOCK_NUMBERS = 2**22  # of draws x rows at a time


def adopt(
    draws: Any,
    problem: Problem,
    names: Names,
    cluster_dims: Sequence[str],
    method: str,
    ml_settings: restarts.Settings,
    seed: np.random.Generator,
    provenance_seed: int | None,
) -> Both:
    """Both halves: the maximum-likelihood fit of the rows, and the draws relabelled beside it.

    Raises:
        InputError: a variable that is not there or has another shape, weights that are not
            weights, matrices that are not positive definite.
    """
    posterior, stats = groups(draws)
    mixture = mixture_of(posterior, names, len(problem.table.columns))
    k = mixture.n_components
    check_components(k, problem)
    structure = structure_of(posterior, names, mixture, cluster_dims)
    sites = {
        WEIGHTS if name == names.weights else str(name): array.values
        for name, array in posterior.data_vars.items()
    }
    ml = restarts.fit(problem.table, k, family_of(posterior, names, mixture), seed, ml_settings)
    crossed = _crossed(mixture, sites, stats, problem)
    found = Posterior.of(
        structure,
        "draws",
        crossed,
        problem.X,
        np.array(problem.row_weights),
        Thresholds(),
    )
    reference = responsibilities(ml.mixture, problem.X)
    relabelled = labelled(found, reference, method)
    told = provenance_of(problem, None, provenance_seed, {"names": names._asdict()})
    return Both(problem, "draws", "", True, ml.in_full(), relabelled, told | {"model": "draws"})


def _crossed(
    mixture: Mixture, sites: dict[str, np.ndarray], stats: xr.Dataset, problem: Problem
) -> Crossed:
    """The draws crossed with the rows, labels as they came."""
    c, s, k = mixture.weights.shape
    row_weights, n = np.array(problem.row_weights), len(problem.X)
    flat = Mixture(*(part.reshape(c * s, *part.shape[2:]) for part in mixture))
    stored = 8 * c * s * n <= STORED_BYTES
    total, each, held = np.zeros(c * s), [], held_rows(n)
    size = max(1, BLOCK_NUMBERS // (c * s))
    for begin in range(0, n, size):
        block = slice(begin, begin + size)
        own = (rows.gaussian_log_joint, flat, None, c * s, problem.X[block], k)
        found = rows.log_densities(*own)
        total += found @ row_weights[block]
        each += [found] if stored else []
    some = rows.log_densities(rows.gaussian_log_joint, flat, None, c * s, problem.X[held], k)
    log_likelihood = total.reshape(c, s)
    log_posterior = np.asarray(stats["lp"].values, float) if "lp" in stats else log_likelihood
    notes = {name: np.asarray(stats[name].values) for name in NOTES if name in stats}
    return Crossed(
        Draws(np.empty((c, s, 0)), log_posterior, None, notes),
        sites,
        mixture,
        np.broadcast_to(np.arange(k), (c, s, k)).copy(),
        np.full((c, s), np.nan),
        _n_occupied(flat, problem).reshape(c, s),
        log_likelihood,
        some.reshape(c, s, -1),
        np.concatenate(each, axis=1).reshape(c, s, n) if stored else None,
    )


def _n_occupied(flat: Mixture, problem: Problem) -> Int[np.ndarray, " s"]:
    """Components that hold rows in an allocation drawn for each draw; units of a row are many."""
    s, k = flat.weights.shape
    rng, counts = np.random.default_rng(0), np.array(problem.row_weights)
    used, order = np.zeros((s, k), bool), np.broadcast_to(np.arange(k), (s, k))
    own = (rows.gaussian_log_joint, flat, None, order, problem.X)
    for places, found in rows.by_draw(*own):
        resp = found.membership
        single = rng.random(resp.shape[:2])[..., None]
        upper = np.cumsum(resp, -1)
        one = (single < upper) & (single >= upper - resp)
        weights = counts[places, None]
        several = rng.random(resp.shape) >= (1 - resp) ** weights
        used |= (np.where(weights == 1, one, several) & (weights > 0)).any(1)
    return np.maximum(used.sum(1), 1)
