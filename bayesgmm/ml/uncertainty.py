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
from jaxtyping import Float, Int

from bayesgmm.data.errors import unknown
from bayesgmm.gaussian.arrays import Array, blocks
from bayesgmm.gaussian.families import Family
from bayesgmm.gaussian.mixture import Mixture, full, responsibilities, uncorrelated, whitener
from bayesgmm.gaussian.precision import float64
from bayesgmm.gaussian.sweep import Frame, are_short, natural
from bayesgmm.ml.derivatives import jacobian_at_once
from bayesgmm.ml.optima import MaximumLikelihood
from bayesgmm.ml.problem import Problem
from bayesgmm.ml.quantities import Quantities, normal_intervals, quantities, reordered

MIN_SCALED_EIGENVALUE = 1e-6
ROWS_PER_PARAMETER = 5
MOST_PARAMETERS = 2000
MOST_WORK = 2e12  # rows x parameters squared; minutes
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

    def reordered(self, order: Int[np.ndarray, " k"]) -> "StandardErrors":
        """The same with the components in another order."""
        reasons = tuple(self.reasons[j] for j in order)
        return StandardErrors(*reordered(self.values, order), reasons, self.kind)

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

    Source: observed information, Louis (1982), equation 3.2, and the delta method; McLachlan and
        Peel (2000), section 2.15.
        Sandwich: White (1982), theorem 3.2.
    """
    if kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    k, d = fit.mixture.means.shape
    family = fit.family
    q = family.n_parameters(k, d)
    if reason := _refusal(fit, problem, kind, q):
        return _missing(k, d, reason, kind)
    centre = Mixture(*(np.asarray(part) for part in full(fit.mixture)))
    information, meat = _information(centre, problem, family)
    covariance, reason = _inverse(information)
    if reason:
        return _missing(k, d, reason, kind)
    if kind == "sandwich":
        covariance = covariance @ meat @ covariance
    rows = jacobian_at_once(lambda points: _reported_at(points, centre, family), np.zeros(q))
    flat = np.sqrt(np.maximum(np.einsum("ma,ab,mb->m", rows, covariance, rows), 0.0))
    return _reported(fit, problem, _shaped(flat, k, d), kind)


def _refusal(fit: MaximumLikelihood, problem: Problem, kind: str, q: int) -> str:
    """Why there are no standard errors to compute, or ""."""
    if fit.penalty:
        return f"the fit has {fit.penalty}, which the information leaves out; use the bootstrap"
    if q > MOST_PARAMETERS or len(problem.X) * q**2 > MOST_WORK:
        return f"{q} parameters and {len(problem.X)} rows are too many; use the bootstrap"
    if kind == "information" and not problem.table.frequency:
        return "row weights are not counts; ask for kind='sandwich'"
    return ""


def _missing(k: int, d: int, reason: str, kind: str) -> StandardErrors:
    nothing = np.full((k, d, d), np.nan)
    flat = nothing[:, 0]
    return StandardErrors(flat[:, 0], flat, flat, nothing, nothing, (reason,) * k, kind)


def _shaped(flat: np.ndarray, k: int, d: int) -> Quantities:
    shapes = [(k,), (k, d), (k, d), (k, d, d), (k, d, d)]
    parts = np.split(flat, np.cumsum([np.prod(shape) for shape in shapes])[:-1])
    return Quantities(*(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)))


def _information(
    centre: Mixture, problem: Problem, family: Family
) -> tuple[np.ndarray, np.ndarray]:
    """The observed information, and the sum over rows of w s s', s being a row's score.

    In natural parameters theta of each component, in whitened coordinates y of its own, a row's
    log density is logsumexp of theta_k phi(y_k); with responsibilities r its score is J' (r phi)
    and its second derivatives J' (diag(r) - r r') phi phi' J, J being the Jacobian of theta. What
    is left of the information is the curvature of theta itself, along the sum of r phi (Louis
    1982). Weights that are not counts enter the scores' sum squared.
    """
    point = np.zeros(family.n_parameters(*centre.means.shape))
    slopes = jacobian_at_once(lambda points: _thetas(points, centre, family), point)
    k = centre.n_components
    slopes = slopes.reshape(k, -1, point.size)
    p = slopes.shape[1]
    squares, scores_squared = np.zeros((k, p, p)), np.zeros((point.size, point.size))
    meat, sums = np.zeros_like(scores_squared), np.zeros((k, p))
    power = 1 if problem.table.frequency else 2
    for part in blocks(len(problem.X), 8 * k * p):
        X, weights = problem.X[part], problem.row_weights[part]
        resp, phi = responsibilities(centre, X).T, _local_features(centre, X, p)
        shared = resp[:, None, :] * phi
        squares += (shared * weights) @ np.swapaxes(phi, 1, 2)
        sums += shared @ weights
        scores = np.tensordot(shared, slopes, ((0, 1), (0, 1)))
        scores_squared += (scores.T * weights) @ scores
        meat += (scores.T * weights**power) @ scores
    curvature = jacobian_at_once(lambda points: _pulls(points, sums, centre, family), point)
    expected = np.einsum("kpa,kpr,krb->ab", slopes, squares, slopes, optimize=True)
    return scores_squared - expected - (curvature + curvature.T) / 2, meat


def _local_features(centre: Mixture, X: np.ndarray, p: int) -> np.ndarray:
    """phi of every row in the whitened coordinates of each component, (k, p, rows)."""
    apart = X[None] - centre.means[:, None, :]
    white = np.swapaxes(apart @ np.swapaxes(whitener(centre.scale_tril), 1, 2), 1, 2)
    columns = np.concatenate([np.ones((len(white), 1, len(X))), white], axis=1)
    if are_short(p, X.shape[1]):
        return np.concatenate([columns, np.square(white)], axis=1)
    rows, cols = np.triu_indices(columns.shape[1])
    return columns[:, rows] * columns[:, cols]


def _theta(point: Array, centre: Mixture, family: Family) -> Array:
    """Natural parameters of every component in the whitened coordinates of the centre's."""
    moved, white = _around(centre, point, family), whitener(centre.scale_tril)
    means = jnp.einsum("kab,kb->ka", white, moved.means - centre.means)
    local = Mixture(moved.weights, means, white @ moved.scale_tril)
    d = means.shape[1]
    local = uncorrelated(local) if family.orientation == "I" and d > 1 else local
    return natural(local, Frame(jnp.zeros(d), jnp.ones(d)))


@partial(jax.jit, static_argnames="family")
def _thetas(points: Array, centre: Mixture, family: Family) -> Array:
    return jax.vmap(lambda point: _theta(point, centre, family).ravel())(points)


@partial(jax.jit, static_argnames="family")
def _pulls(points: Array, sums: Array, centre: Mixture, family: Family) -> Array:
    """The gradients of sums . theta."""
    return jax.vmap(jax.grad(lambda point: jnp.vdot(sums, _theta(point, centre, family))))(points)


@partial(jax.jit, static_argnames="family")
def _reported_at(points: Array, centre: Mixture, family: Family) -> Array:
    def reported(point: Array) -> Array:
        parts = quantities(_around(centre, point, family))
        return jnp.concatenate([jnp.ravel(part) for part in parts])

    return jax.vmap(reported)(points)


def _around(centre: Mixture, steps: Array, family: Family) -> Mixture:
    """The mixture `steps` away: in log-ratio weights, in means, each in its component's own metric,
    and in the family's coordinates."""
    k, d = centre.means.shape
    n_ratios = 0 if family.equal_weights else k - 1
    log_ratios, means, factors = jnp.split(steps, [n_ratios, n_ratios + k * d])
    log_ratios = jnp.append(log_ratios, jnp.zeros(k - n_ratios))
    return Mixture(
        jax.nn.softmax(jnp.log(centre.weights) + log_ratios),
        centre.means + jnp.einsum("kab,kb->ka", centre.scale_tril, means.reshape(k, d)),
        family.around(centre.scale_tril, factors),
    )


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
    fit: MaximumLikelihood, problem: Problem, errors: Quantities, kind: str
) -> StandardErrors:
    d = errors.means.shape[1]
    needed = ROWS_PER_PARAMETER * (d + 1)
    reasons = []
    for j, count in enumerate(fit.counts * problem.rows_per_weight):
        few = f"fewer than {needed} rows ({count:.1f})" if count < needed else ""
        wide = (
            "its standard error is above half the weight"
            if errors.weights[j] > fit.mixture.weights[j] / 2
            else ""
        )
        reasons.append(few or wide)
    missing = np.array([bool(reason) for reason in reasons])
    shared = missing & (missing.all() or not fit.family.shares_covariance)
    on = np.eye(d, dtype=bool)
    correlations = np.where(~on & (errors.correlations > 0), errors.correlations, np.nan)
    covariances = np.where(on | (errors.covariances > 0), errors.covariances, np.nan)
    weights, means, sds, correlations, covariances = (
        np.where(gone.reshape(-1, *[1] * (part.ndim - 1)), np.nan, part)
        for part, gone in (
            (errors.weights, missing),
            (errors.means, missing),
            (errors.sds, shared),
            (correlations, shared),
            (covariances, shared),
        )
    )
    return StandardErrors(weights, means, sds, correlations, covariances, tuple(reasons), kind)
