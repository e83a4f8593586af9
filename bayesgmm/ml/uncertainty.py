"""Standard errors of a maximum-likelihood fit, from the observed information.

The information is taken in unconstrained coordinates around the fit (log-ratio weights, means, the
family's volumes, shapes and orientations) and carried to the user's units by the delta method.
Where it is near singular, standard errors are missing, with the reason; nothing near singular is
inverted.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.families import Family
from bayesgmm.gaussian.mixture import Mixture, full
from bayesgmm.gaussian.precision import float64
from bayesgmm.gaussian.sweep import Frame, mixture_log_likelihood
from bayesgmm.ml.derivatives import hessian, jacobian
from bayesgmm.ml.optima import MaximumLikelihood
from bayesgmm.ml.problem import Problem

MIN_SCALED_EIGENVALUE = 1e-6
ROWS_PER_PARAMETER = 5


@dataclass(frozen=True)
class StandardErrors:
    """Standard errors in the user's units; NaN where `reason` or `reasons` says why.

    Attributes:
        weights: shape (k,).
        means: shape (k, d).
        sds: of the components' standard deviations, shape (k, d).
        correlations: shape (k, d, d); NaN on the diagonal and where the family has none.
        reasons: for every component why its entries are missing, or "".
    """

    weights: Float[np.ndarray, " k"]
    means: Float[np.ndarray, "k d"]
    sds: Float[np.ndarray, "k d"]
    correlations: Float[np.ndarray, "k d d"]
    reasons: tuple[str, ...]


def sds(scale_tril: Array) -> Array:
    """Standard deviations from Cholesky factors: (..., d, d) to (..., d)."""
    return jnp.sqrt(jnp.square(scale_tril).sum(-1))


def correlations(scale_tril: Array) -> Array:
    """Correlation matrices from Cholesky factors, same shape."""
    rows = scale_tril / sds(scale_tril)[..., None]
    return rows @ jnp.swapaxes(rows, -1, -2)


@float64
def standard_errors(fit: MaximumLikelihood, problem: Problem) -> StandardErrors:
    """Standard errors of weights, means, standard deviations and correlations.

    Args:
        fit: the maximum-likelihood fit.
        problem: the data that it was fitted to.

    Source: observed information and the delta method; McLachlan and Peel (2000), section 2.15.
    """
    k, d = fit.mixture.means.shape
    family, frame = fit.family, problem.frame
    centre = Mixture(*(np.asarray(part) for part in full(fit.mixture)))
    point = np.zeros(family.n_parameters(k, d))

    def score(point: np.ndarray) -> Array:
        return _score(point, centre, problem.X, problem.row_weights, frame, family)

    def reported(point: np.ndarray) -> np.ndarray:
        return np.asarray(_reported_at(point, centre, frame, family))

    covariance, reason = _inverse(-hessian(score, point))
    if reason:
        nothing = np.full((k, d, d), np.nan)
        return StandardErrors(
            nothing[:, 0, 0], nothing[:, 0], nothing[:, 0], nothing, (reason,) * k
        )
    rows = jacobian(reported, point)
    flat = np.sqrt(np.maximum(np.einsum("ma,ab,mb->m", rows, covariance, rows), 0.0))
    weights, means, sd, corr = np.split(flat, np.cumsum([k, k * d, k * d]))
    return _reported(fit, weights, means.reshape(k, d), sd.reshape(k, d), corr.reshape(k, d, d))


@partial(jax.jit, static_argnames="family")
def _reported_at(point: Array, centre: Mixture, frame: Frame, family: Family) -> Array:
    mixture = _around(centre, point, family, frame)
    factors = mixture.scale_tril
    parts = (mixture.weights, mixture.means, sds(factors), correlations(factors))
    return jnp.concatenate([jnp.ravel(part) for part in parts])


def _around(centre: Mixture, steps: Array, family: Family, frame: Frame) -> Mixture:
    """The mixture `steps` away in log-ratio weights, scaled means and the family's coordinates."""
    k, d = centre.means.shape
    n_ratios = 0 if family.equal_weights else k - 1
    log_ratios, means, factors = jnp.split(steps, [n_ratios, n_ratios + k * d])
    log_ratios = jnp.append(log_ratios, jnp.zeros(k - n_ratios))
    return Mixture(
        jax.nn.softmax(jnp.log(centre.weights) + log_ratios),
        centre.means + frame.scale * means.reshape(k, d),
        family.around(centre.scale_tril, factors),
    )


@partial(jax.jit, static_argnames="family")
def _score(
    point: Array, centre: Mixture, X: Array, row_weights: Array, frame: Frame, family: Family
) -> Array:
    def log_likelihood(point: Array) -> Array:
        mixture = _around(centre, point, family, frame)
        return mixture_log_likelihood(mixture, X, row_weights, frame)

    return jax.grad(log_likelihood)(point)


def _inverse(information: np.ndarray) -> tuple[np.ndarray, str]:
    """The inverse, or the reason why there is none worth having."""
    diagonal = np.diagonal(information)
    if not np.isfinite(information).all() or (diagonal <= 0).any():
        return information, "the information is not positive definite at this fit"
    scale = np.sqrt(diagonal)
    values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    if values[0] < MIN_SCALED_EIGENVALUE:
        return information, f"the information is near singular (eigenvalue {values[0]:.0e})"
    return (vectors / values) @ vectors.T / np.outer(scale, scale), ""


def _reported(
    fit: MaximumLikelihood,
    weights: np.ndarray,
    means: np.ndarray,
    sd: np.ndarray,
    corr: np.ndarray,
) -> StandardErrors:
    d = means.shape[1]
    needed = ROWS_PER_PARAMETER * (d + 1)
    reasons = []
    for j, count in enumerate(fit.counts):
        few = f"fewer than {needed} rows ({count:.1f})" if count < needed else ""
        wide = (
            "its standard error is above half the weight"
            if weights[j] > fit.mixture.weights[j] / 2
            else ""
        )
        reasons.append(few or wide)
    keep = np.array([not reason for reason in reasons])
    off = ~np.eye(d, dtype=bool) & (corr > 0)
    return StandardErrors(
        np.where(keep, weights, np.nan),
        np.where(keep[:, None], means, np.nan),
        np.where(keep[:, None], sd, np.nan),
        np.where(keep[:, None, None] & off, corr, np.nan),
        tuple(reasons),
    )
