"""Leave-one-out and k-fold prediction by refits.

A refit sees every row, but those left out weigh nothing: the prior constants stay those of the
whole fit, as in importance sampling, and every refit shares the compiled sampler.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import brentq
from scipy.special import expit, logsumexp

from bayesgmm.bayes import inference
from bayesgmm.bayes.driver import Progress, silent
from bayesgmm.bayes.inference import Ready
from bayesgmm.bayes.loo import BLOCK_BYTES, REFITTED, Loo, good_k, replaced, smoothed, summed
from bayesgmm.bayes.posterior import Posterior
from bayesgmm.bayes.settings import Settings
from bayesgmm.data.errors import InputError
from bayesgmm.data.notebook import shown
from bayesgmm.data.randomness import own_generator
from bayesgmm.gaussian.precision import float64
from bayesgmm.ml.optima import MaximumLikelihood

LEAST_OVERLAP = 4.0  # draws between two posteriors, for a standard error of about 0.5


@dataclass(frozen=True)
class KFold:
    """Expected log predictive density of rows in folds left out, summed over rows.

    The units of a row with a count are spread over folds, and its density is their mean.

    Attributes:
        elpd: the sum.
        se: its standard error.
        p: log density by the whole posterior less that, the effective number of parameters.
        pointwise: for each row, shape (n,).
        pareto_k: of each row's density over the draws, shape (n,); above `good_k` few draws make
            its mean, which is then not reliable.
        good_k: min(1 - 1 / log10(draws), 0.7).
        n_folds: how many refits there were.
        undecided: folds, from 1, whose refit did not converge.
    """

    elpd: float
    se: float
    p: float
    pointwise: Float[np.ndarray, " n"]
    pareto_k: Float[np.ndarray, " n"]
    good_k: float
    n_folds: int
    undecided: tuple[int, ...]

    @property
    def n_bad(self) -> int:
        """Rows whose value is not reliable."""
        return int((~(self.pareto_k <= self.good_k)).sum())

    def to_dict(self) -> dict[str, Any]:
        """The numbers, ready for JSON."""
        arrays = {"pointwise": self.pointwise.tolist(), "pareto_k": self.pareto_k.tolist()}
        return vars(self) | arrays | {"undecided": [*self.undecided]}

    def __str__(self) -> str:
        lines = [f"elpd_{self.n_folds}-fold {self.elpd:.1f} +- {self.se:.1f}  p {self.p:.1f}"]
        if self.undecided:
            told = ", ".join(map(str, self.undecided))
            lines.append(f"! Refits without these folds did not converge: {told}.")
        if self.n_bad:
            lines.append(f"! Rows whose density rests on few draws: {self.n_bad}.")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return shown(str(self).splitlines(), "", [])


def kfold(
    whole: Posterior,
    ready: Ready,
    ml: MaximumLikelihood,
    settings: Settings,
    rng: np.random.Generator,
    n_folds: int = 10,
    progress: Progress = silent,
) -> KFold:
    """Cross-validation in random folds of equal size.

    Args:
        whole: the posterior of all rows.
        ready: its program and data.
        ml: the EM fit, in whose optima every refit starts.
        settings: inference and its budget.
        rng: for the folds and the refits.
        n_folds: at least 2, and no more than there are units.
        progress: told which refit is done.

    Raises:
        InputError: too few folds, or more than units.
    """
    row_weights, undecided = whole.row_weights, []
    _check_folds(n_folds, row_weights)
    total, pareto_k = np.zeros(len(row_weights)), np.full(len(row_weights), -np.inf)
    for fold, held in enumerate(folds(row_weights, n_folds, rng), 1):
        progress("refits", fold - 1, n_folds)
        refit = without(held, ready, ml, settings, own_generator(rng))
        places = np.flatnonzero(held)
        mean, k = _mean_density(refit, places)
        total[places] += held[places] * mean
        pareto_k[places] = np.maximum(pareto_k[places], k)
        undecided += [] if refit.verdict.usable else [fold]
    pointwise = np.divide(total, row_weights, out=np.zeros_like(total), where=row_weights > 0)
    elpd, se = summed(pointwise, row_weights)
    by_all, _ = _mean_density(whole, np.arange(len(row_weights)))
    p, limit = float(row_weights @ by_all) - elpd, good_k(whole.margin[whole.kept].size)
    return KFold(elpd, se, p, pointwise, pareto_k, limit, n_folds, tuple(undecided))


def reloo(
    whole: Posterior,
    ready: Ready,
    ml: MaximumLikelihood,
    settings: Settings,
    rng: np.random.Generator,
    most: int,
    progress: Progress = silent,
) -> Loo:
    """LOO with the rows that were not reliable left out by a refit each.

    The mean density over the draws of a refit rests on few of them where a row is influential; the
    bridge between the two posteriors uses the draws of both.

    Args:
        whole: the posterior of all rows.
        ready: its program and data.
        ml: the EM fit, in whose optima every refit starts.
        settings: inference and its budget.
        rng: for the refits.
        most: how many refits are allowed.
        progress: told which refit is done.

    Returns:
        The same as `whole.loo` where a refit did not converge, or is too far away for a bridge;
        such rows remain unreliable.

    Raises:
        InputError: there are more such rows than refits allowed, or refits are approximate.
    """
    found, row_weights = whole.loo, whole.row_weights
    places = np.flatnonzero(found.bad & (row_weights > 0))
    _check_refits(len(places), most, settings)
    reached = {}
    for done, i in enumerate(places):
        progress("refits", done, len(places))
        one = np.zeros(len(row_weights))
        one[i] = 1.0
        refit = without(one, ready, ml, settings, own_generator(rng))
        densities = (_log_densities(each, np.array([i])).ravel() for each in (whole, refit))
        elpd, overlap = bridge(*densities)
        if refit.verdict.usable and overlap >= LEAST_OVERLAP:
            reached[i] = elpd
    where, elpds = np.array([*reached], dtype=int), np.array([*reached.values()], dtype=float)
    return replaced(found, where, elpds, np.zeros(len(where)), row_weights, REFITTED)


def bridge(
    with_row: Float[np.ndarray, " s"], without_row: Float[np.ndarray, " t"]
) -> tuple[float, float]:
    """Log ratio of the evidences with and without a row, which is its log predictive density.

    Args:
        with_row: log density of the row at draws of the posterior of all rows.
        without_row: the same at draws of the posterior without it.

    Returns:
        The log ratio, and how many draws lie where the posteriors overlap; its squared standard
        error is about the inverse of that number. The source is Bennett (1976), equation 12.
    """
    log_share = np.log(len(with_row) / len(without_row))

    def excess(ratio: float) -> float:
        above, below = ratio - with_row - log_share, without_row - ratio + log_share
        return float(expit(above).sum() - expit(below).sum())

    every = np.concatenate([with_row, without_row])
    ends = every.min() - abs(log_share) - 1, every.max() + abs(log_share) + 1
    ratio = float(brentq(excess, *ends))
    return ratio, float(expit(ratio - with_row - log_share).sum())


@float64
def without(
    held: Float[np.ndarray, " n"],
    ready: Ready,
    ml: MaximumLikelihood,
    settings: Settings,
    rng: np.random.Generator,
) -> Posterior:
    """The posterior without so many units of each row."""
    left = np.array(ready.problem.row_weights) - held
    filled = np.zeros(len(ready.data.X))
    filled[: len(left)] = left
    other = replace(
        ready,
        data=ready.data._replace(row_weights=jnp.asarray(filled)),
        problem=replace(ready.problem, row_weights=left),
    )
    found = inference.scout(other, ml, settings, rng)
    return inference.fit(other, ml, found, settings, rng)


def folds(
    row_weights: Float[np.ndarray, " n"], n_folds: int, rng: np.random.Generator
) -> Sequence[Float[np.ndarray, " n"]]:
    """Units of each row in each fold, drawn at random; sizes of folds differ by one at most."""
    left, held = row_weights.astype(np.int64), []
    for remaining in range(n_folds, 0, -1):
        size = int(left.sum()) // remaining
        drawn = rng.multivariate_hypergeometric(left, size, method="marginals")
        left = left - drawn
        held.append(drawn.astype(float))
    return held


def _mean_density(
    posterior: Posterior, places: Int[np.ndarray, " m"]
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Log of the mean density over the draws at some rows, and its k-hat."""
    parts = []
    for some in _blocks(places, posterior.margin[posterior.kept].size):
        by_row = np.moveaxis(_log_densities(posterior, some), -1, 0).reshape(len(some), -1)
        k = [smoothed(row, 1.0)[1] for row in by_row]
        parts.append((logsumexp(by_row, axis=1) - np.log(by_row.shape[1]), np.array(k)))
    mean, k_hat = (np.concatenate(part) for part in zip(*parts, strict=True))
    return mean, k_hat


def _blocks(places: np.ndarray, draws: int) -> Iterator[np.ndarray]:
    size = max(1, BLOCK_BYTES // (8 * draws))
    return (places[i : i + size] for i in range(0, len(places), size))


def _log_densities(
    posterior: Posterior, places: Int[np.ndarray, " m"]
) -> Float[np.ndarray, "c s m"]:
    each_row = posterior.log_likelihood
    if each_row is not None:
        return each_row[posterior.kept][..., places]
    return posterior.log_densities(posterior.kept, posterior.X[places])


def _check_refits(wanted: int, most: int, settings: Settings) -> None:
    if settings.inference != "nuts":
        raise InputError(
            f"refits by inference={settings.inference!r} are approximate too; fit with "
            "inference='nuts' (--inference nuts), or cross-validate: kfold() (--kfold 10)."
        )
    if wanted > most:
        raise InputError(
            f"LOO is unreliable for {wanted} rows, and max_refits={most}; allow more refits, or "
            "cross-validate in folds: kfold() (--kfold 10)."
        )


def _check_folds(n_folds: int, row_weights: Float[np.ndarray, " n"]) -> None:
    units = int(row_weights.sum())
    if not 2 <= n_folds <= units:
        raise InputError(f"n_folds={n_folds} must be at least 2, and at most {units}, the units.")
