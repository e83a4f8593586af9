"""Draws that were made elsewhere, with everything that the library says of its own."""

from collections.abc import Sequence
from typing import Any

from bayesgmm.comparison.elsewhere import adopt
from bayesgmm.comparison.imported import Names
from bayesgmm.data.randomness import generator
from bayesgmm.data.scalars import whole
from bayesgmm.data.table import check_counts, check_spread, read_table
from bayesgmm.estimators.bayesian import BayesianMixture
from bayesgmm.ml.problem import Problem
from bayesgmm.ml.restarts import Settings


def relabel(
    draws: Any,
    X: object,
    *,
    weights: str = "weights",
    means: str = "means",
    covariances: str | None = None,
    scale_tril: str | None = None,
    sds: str | None = None,
    cluster_dims: Sequence[str] = (),
    method: str = "stephens",
    sample_weight: object = None,
    n_init: int = 60,
    random_state: object = None,
) -> BayesianMixture:
    """Put right the labels of a Gaussian mixture's draws from Stan, PyMC, NumPyro or elsewhere.

    The rows are fitted by maximum likelihood too, whose components number those of the draws. The
    result is a fit like any other: summary, verdict, memberships, co-clustering, partition, LOO,
    prediction, saving. Every chain and draw is kept.

    Args:
        draws: ArviZ's DataTree or InferenceData, a Dataset, or a dict of arrays (chain, draw, ...),
            such as NumPyro's `get_samples(group_by_chain=True)`. The log posterior, energies and
            divergences are read from its group sample_stats, if it has one.
        X: the rows they were drawn for, in the same units.
        weights: name of the mixture weights, (k).
        means: name of the means, (k, d), or (k) for one column.
        covariances: name of the covariances, (k, d, d), or (d, d) if components share one; (k)
            variances for one column.
        scale_tril: name of lower Cholesky factors, instead.
        sds: name of standard deviations, (k, d), or (k) for one column or spheres, instead; only
            of components without correlations.
        cluster_dims: further dimensions that count the components; variables with one of them, or
            with one of those above, move with their component, and the others stay as they are.
        method: as in `BayesianMixture.relabel`.
        sample_weight: counts of the rows.
        n_init: EM starts.
        random_state: int, Generator or None, for EM.

    Raises:
        InputError: a variable that is not there or has another shape, weights that do not sum to
            one, matrices that are not positive definite, bad rows.
    """
    table = read_table(X, weights=sample_weight)  # type: ignore[arg-type]
    check_spread(table)
    check_counts(table, "for which a posterior is not defined")
    rng, seed = generator(random_state)
    found = adopt(
        draws,
        Problem.of(table),
        Names(weights, means, covariances, scale_tril, sds),
        cluster_dims,
        method,
        Settings(n_init=whole("n_init", n_init)),
        rng,
        seed,
    )
    fit = BayesianMixture(found.n_components, n_init=n_init, random_state=random_state)
    fit._adopt(found)
    fit._remember(X, table)
    return fit
