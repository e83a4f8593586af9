"""The components of a fit under other labels: by another method, or in an order that is named."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from bayesgmm.bayes import labels
from bayesgmm.bayes.relabel import KULLBACK_LEIBLER, match
from bayesgmm.bayes.structure import WEIGHTS
from bayesgmm.comparison.both import Both
from bayesgmm.data.errors import InputError, unknown
from bayesgmm.gaussian.mixture import responsibilities


def labelled(both: Both, method: str) -> Both:
    """The draws' components matched by that method, and numbered as maximum likelihood's.

    Raises:
        InputError: an unknown method; the program is not normal, and its code is not there.
    """
    return replace(both, posterior=labels.labelled(both.posterior, _reference(both), method))


def ordered(both: Both, by: str) -> Both:
    """Every draw's components by increasing weight, mean of a column or value of a site.

    Maximum likelihood's follow: by its own weights or means, or else as they agree with the draws'.

    Args:
        both: the fit.
        by: "weights", a column or a site; with a minus before it the largest comes first.

    Raises:
        InputError: no such thing, or one with several entries for each component; the program is
            not normal, and its code is not there.
    """
    name, sign = (by[1:], -1.0) if by.startswith("-") else (by, 1.0)
    found = replace(both, posterior=labels.ordered(both.posterior, sign * _values(both, name)))
    known = _estimates(both, name)
    return found.reordered(_agreeing(found) if known is None else (sign * known).argsort())


def _reference(both: Both) -> Float[np.ndarray, "n k"]:
    return responsibilities(both.ml.mixture, both.problem.X)


def _values(both: Both, name: str) -> Float[np.ndarray, "c s k"]:
    posterior, columns = both.posterior, list(both.problem.table.columns)
    axes = dict(posterior.structure.cluster_axes)
    if name in axes:
        values = np.moveaxis(posterior.sites[name], axes[name], 2)[:, :, : both.n_components]
        if values.size == posterior.margin.size * both.n_components:
            return values.reshape(*values.shape[:3])
        raise InputError(
            f"by={name!r} has several entries for each component; name a column, whose means are "
            "taken, or a site that has one."
        )
    if name in columns and posterior.mixture is not None:
        return posterior.mixture.means[..., columns.index(name)]
    raise unknown("by", name, [*axes, *(columns if posterior.mixture is not None else [])])


def _estimates(both: Both, name: str) -> Float[np.ndarray, " k"] | None:
    """What maximum likelihood has of that name."""
    columns = list(both.problem.table.columns)
    if name == WEIGHTS:
        return np.asarray(both.ml.mixture.weights)
    return np.asarray(both.ml.mixture.means)[:, columns.index(name)] if name in columns else None


def _agreeing(both: Both) -> Int[np.ndarray, " k"]:
    """Maximum likelihood's components in the order in which they agree best with the draws'."""
    mean = both.posterior.membership[:, : both.n_components]
    own, weights = [(slice(None), _reference(both)[None])], both.posterior.row_weights
    return match(own, weights, KULLBACK_LEIBLER, lambda *_: mean).order[0]
