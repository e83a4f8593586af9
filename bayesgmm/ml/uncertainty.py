"""Standard errors of a maximum-likelihood fit, from the information or robust against its failure.

The information is taken in unconstrained coordinates around the fit (log-ratio weights, means, the
family's volumes, shapes and orientations) and carried to the user's units by the delta method.
Where it is near singular, standard errors are missing, with the reason; nothing near singular is
inverted.
"""

from dataclasses import dataclass, fields
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from bayesgmm.data.errors import unknown
from bayesgmm.gaussian.arrays import Array, blocks
from bayesgmm.gaussian.families import Family
from bayesgmm.gaussian.mixture import Mixture, full
from bayesgmm.gaussian.precision import float64
from bayesgmm.gaussian.sweep import Frame, features, mixture_log_likelihood, natural
from bayesgmm.ml.derivatives import jacobian_at_once
from bayesgmm.ml.optima import MaximumLikelihood
from bayesgmm.ml.problem import Problem
from bayesgmm.ml.quantities import Quantities, normal_intervals, quantities

MIN_SCALED_EIGENVALUE = 1e-6
ROWS_PER_PARAMETER = 5
MOST_PARAMETERS = 2000
KINDS = ("information", "sandwich")


@dataclass(frozen=True)
class StandardErrors:
    """Standard errors in the user's units; NaN where `reasons` says why.

    Attributes:
        weights: shape (k,).
        means: shape (k, d).
        sds: of the components' standard deviations, shape (k, d).
        correlations: shape (k, d, d); NaN on the diagonal and where the family has none.
        covariances: shape (k, d, d); NaN off the diagonal where the family has no correlations.
        reasons: for every component why its entries are missing, or "".
        kind: "information" or "sandwich".
    """

    weights: Float[np.ndarray, " k"]
    means: Float[np.ndarray, "k d"]
    sds: Float[np.ndarray, "k d"]
    correlations: Float[np.ndarray, "k d d"]
    covariances: Float[np.ndarray, "k d d"]
    reasons: tuple[str, ...]
    kind: str = "information"

    @property
    def values(self) -> Quantities:
        """The errors alone."""
        return Quantities(*(getattr(self, field.name) for field in fields(self)[:5]))

    def intervals(self, mixture: Mixture, width: float = 1.959964) -> tuple[Quantities, Quantities]:
        """Ends of intervals, 95 % by default: of weights on the logit scale, of standard deviations
        and variances on the log, of correlations on the atanh scale."""
        return normal_intervals(quantities(mixture), self.values, width)


@float64
def standard_errors(
    fit: MaximumLikelihood, problem: Problem, kind: str = "information"
) -> StandardErrors:
    """Standard errors of weights, means, standard deviations, correlations and covariances.

    Args:
        fit: the maximum-likelihood fit.
        problem: the data that it was fitted to.
        kind: "information", the inverse observed information; or "sandwich", which also holds
            where the family is wrong, and for weights that are not counts.

    Raises:
        InputError: another kind.

    Source: observed information and the delta method; McLachlan and Peel (2000), section 2.15.
        Sandwich: White (1982), theorem 3.2.
    """
    if kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    k, d = fit.mixture.means.shape
    family, frame = fit.family, problem.frame
    n_parameters = family.n_parameters(k, d)
    if n_parameters > MOST_PARAMETERS:
        reason = f"{n_parameters} parameters are too many for their information matrix"
        return _missing(k, d, reason, kind)
    if kind == "information" and not problem.table.frequency:
        return _missing(k, d, "row weights are not counts; ask for kind='sandwich'", kind)
    centre = Mixture(*(np.asarray(part) for part in full(fit.mixture)))
    point = np.zeros(n_parameters)

    def scores(points: np.ndarray) -> Array:
        return _scores(points, centre, problem.X, problem.row_weights, frame, family)

    def reported(points: np.ndarray) -> Array:
        return _reported_at(points, centre, frame, family)

    raw = -jacobian_at_once(scores, point)
    covariance, reason = _inverse((raw + raw.T) / 2)
    if reason:
        return _missing(k, d, reason, kind)
    if kind == "sandwich":
        covariance = covariance @ _meat(point, centre, problem, family) @ covariance
    rows = jacobian_at_once(reported, point)
    flat = np.sqrt(np.maximum(np.einsum("ma,ab,mb->m", rows, covariance, rows), 0.0))
    return _reported(fit, _shaped(flat, k, d), kind)


def _missing(k: int, d: int, reason: str, kind: str) -> StandardErrors:
    nothing = np.full((k, d, d), np.nan)
    flat = nothing[:, 0]
    return StandardErrors(flat[:, 0], flat, flat, nothing, nothing, (reason,) * k, kind)


def _shaped(flat: np.ndarray, k: int, d: int) -> Quantities:
    shapes = [(k,), (k, d), (k, d), (k, d, d), (k, d, d)]
    parts = np.split(flat, np.cumsum([np.prod(shape) for shape in shapes])[:-1])
    return Quantities(*(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)))


def _meat(point: np.ndarray, centre: Mixture, problem: Problem, family: Family) -> np.ndarray:
    """The sum over rows of w s s', s being a row's score; of w^2 s s' for weights not counts.

    A row's score is J' (r x phi): its responsibilities times its features, carried to the
    coordinates by the Jacobian J of the natural parameters.
    """
    X, frame = problem.X, problem.frame
    k, p = centre.n_components, (frame.scale.size + 1) * (frame.scale.size + 2) // 2
    theta = np.asarray(_theta_at(point[None], centre, frame, family)).reshape(k, p)
    slopes = jacobian_at_once(lambda at: _theta_at(at, centre, frame, family), point)
    slopes = slopes.reshape(*theta.shape, -1)
    power = 1 if problem.table.frequency else 2
    total = np.zeros((point.size, point.size))
    for part in blocks(len(X), 8 * theta.size):
        phi = np.asarray(features((X[part] - frame.shift) / frame.scale, theta.shape[-1]))
        joint = theta @ phi
        resp = np.exp(joint - joint.max(0))
        resp /= resp.sum(0)
        scores = np.einsum("kb,pb,kpq->bq", resp, phi, slopes, optimize=True)
        total += (scores.T * problem.row_weights[part] ** power) @ scores
    return total


@partial(jax.jit, static_argnames="family")
def _theta_at(points: Array, centre: Mixture, frame: Frame, family: Family) -> Array:
    def theta(point: Array) -> Array:
        return natural(_around(centre, point, family, frame), frame).ravel()

    return jax.vmap(theta)(points)


@partial(jax.jit, static_argnames="family")
def _reported_at(points: Array, centre: Mixture, frame: Frame, family: Family) -> Array:
    def reported(point: Array) -> Array:
        parts = quantities(_around(centre, point, family, frame))
        return jnp.concatenate([jnp.ravel(part) for part in parts])

    return jax.vmap(reported)(points)


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
def _scores(
    points: Array, centre: Mixture, X: Array, row_weights: Array, frame: Frame, family: Family
) -> Array:
    def log_likelihood(point: Array) -> Array:
        mixture = _around(centre, point, family, frame)
        return mixture_log_likelihood(mixture, X, row_weights, frame)

    return lax.map(jax.grad(log_likelihood), points)


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


def _reported(fit: MaximumLikelihood, errors: Quantities, kind: str) -> StandardErrors:
    d = errors.means.shape[1]
    needed = ROWS_PER_PARAMETER * (d + 1)
    reasons = []
    for j, count in enumerate(fit.counts):
        few = f"fewer than {needed} rows ({count:.1f})" if count < needed else ""
        wide = (
            "its standard error is above half the weight"
            if errors.weights[j] > fit.mixture.weights[j] / 2
            else ""
        )
        reasons.append(few or wide)
    missing = np.array([bool(reason) for reason in reasons])
    on = np.eye(d, dtype=bool)
    correlations = np.where(~on & (errors.correlations > 0), errors.correlations, np.nan)
    covariances = np.where(on | (errors.covariances > 0), errors.covariances, np.nan)
    parts = [*errors[:3], correlations, covariances]
    weights, means, sds, correlations, covariances = (
        np.where(missing.reshape(-1, *[1] * (part.ndim - 1)), np.nan, part) for part in parts
    )
    return StandardErrors(weights, means, sds, correlations, covariances, tuple(reasons), kind)
