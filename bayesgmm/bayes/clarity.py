"""How clear labels are: whether another labelling of a draw looks plausible among the draws."""

from collections.abc import Mapping
from itertools import permutations

import numpy as np
from jaxtyping import Float
from scipy.linalg import solve_triangular

from bayesgmm.bayes.relabel import ENUMERATED, least_margin
from bayesgmm.bayes.structure import WEIGHTS, Structure
from bayesgmm.gaussian.mixture import Mixture

TAILS = 4.0  # degrees of freedom: relabelled components are skewed where labels are not clear


def clarity(features: Float[np.ndarray, "s k q"]) -> Float[np.ndarray, " s"]:
    """How much more plausible a draw's labels are than the best others: a difference of logs.

    The relabelled draws of each component are taken for a multivariate t distribution with `TAILS`
    degrees of freedom, and each draw's components are judged by it under every labelling (Sperrin,
    Jaki and Wit 2010, for the idea). Below log 19 another labelling has more than 5 % of the two's
    probability; a negative number prefers another labelling.

    Args:
        features: what describes a component, of relabelled draws, such as its log weight, means and
            log standard deviations.
    """
    s, k, _ = features.shape
    if k == 1 or not np.isfinite(features).all():
        return np.full(s, np.inf if k == 1 else np.nan)
    cost = np.stack([_cost_of(features, features[:, b]) for b in range(k)], axis=-1)
    if k > ENUMERATED:
        return np.array([least_margin(one.T, np.arange(k)) for one in cost])
    given, *others = permutations(range(k))
    totals = [cost[:, order, np.arange(k)].sum(-1) for order in others]
    return np.min(totals, axis=0) - cost[:, given, np.arange(k)].sum(-1)


def _cost_of(
    features: Float[np.ndarray, "s k q"], component: Float[np.ndarray, "s q"]
) -> Float[np.ndarray, "s k"]:
    """What it costs every component of every draw to be called that one: minus a log density.

    Correlations are shrunk, so that few draws of many features do for them.
    """
    centre, sd = component.mean(0), component.std(0)
    moving = sd > 1e-12 * (1 + np.abs(centre))
    u = (features - centre)[..., moving] / sd[moving]
    own = (component - centre)[:, moving] / sd[moving]
    s, q = own.shape
    trust = s / (s + q)
    correlation = trust * own.T @ own / s + (1 - trust) * np.eye(q)
    root = np.linalg.cholesky(correlation + 1e-9 * np.eye(q))
    white = solve_triangular(root, u.reshape(-1, len(root)).T, lower=True)
    distance = np.square(white).sum(0).reshape(u.shape[:-1])
    log_det = np.log(np.diagonal(root)).sum() + np.log(sd[moving]).sum()
    return (TAILS + q) / 2 * np.log1p(distance / TAILS) + log_det


def features(
    sites: Mapping[str, Float[np.ndarray, "c s *_"]], mixture: Mixture | None, structure: Structure
) -> Float[np.ndarray, "draws k q"]:
    """What describes the clusters of relabelled draws.

    Log weights with means and log standard deviations, or with all of a cluster's sites where it is
    not normal.
    """
    k = structure.k
    weights = sites[WEIGHTS][..., :k]
    with np.errstate(divide="ignore"):
        parts = [np.log(np.maximum(weights, np.finfo(float).tiny))[..., None]]
        if mixture is not None:
            parts += [mixture.means, np.log(mixture.variances) / 2]
        else:
            axes = dict(structure.cluster_axes)
            parts += [
                np.moveaxis(sites[name], axis, 2).reshape(*weights.shape, -1)
                for name, axis in axes.items()
                if name != WEIGHTS
            ]
    every = np.concatenate(parts, axis=-1)
    return every.reshape(-1, k, every.shape[-1])
