"""What many starts found: distinct optima, and the best admissible one of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from bayesgmm.gaussian.families import Family
from bayesgmm.gaussian.mixture import Mixture, full, log_likelihoods, permute
from bayesgmm.ml import criteria
from bayesgmm.ml.admissible import relative_eigenvalues
from bayesgmm.ml.driver import EMResult
from bayesgmm.ml.problem import Problem
from bayesgmm.ml.race import Heat, Track

SAME_OPTIMUM, SAME_PLACE = 1e-4, 0.5


@dataclass(frozen=True)
class Optimum:
    """A distinct stationary point: its value, how many starts ended there, and why it was refused.

    `reason` is empty for an admissible optimum.
    """

    log_likelihood: float
    hits: int
    mixture: Mixture
    reason: str

    @property
    def admissible(self) -> bool:
        return not self.reason


@dataclass(frozen=True, repr=False)
class MaximumLikelihood:
    """A maximum-likelihood fit and everything that its starts taught.

    Attributes:
        mixture: the best admissible optimum, in the user's units, NumPy arrays.
        family: its covariance family.
        log_likelihood: total, weighted by the row weights.
        n: sum of the row weights.
        n_iter: EM maps that the winning start took.
        converged: whether its tolerance was met.
        history: its log-likelihoods, one each `em.MAPS_PER_CYCLE` EM maps.
        histories: those of every start.
        optima: distinct optima, best admissible first, then by log-likelihood.
        n_starts: starts that ran to their end.
        n_raced: starts that a race was held among, to find those.
        shares: expected share of the rows in each component, where the weights do not say it.
        penalty: what the fit has that is not likelihood, "a prior" or "a variance floor", or "".
        aic, aicc, bic, icl: criteria, smaller is better; NaN where the weights are not frequencies.
        smallest_eigenvalue: the smallest of inv(W) Sigma_k over components.
    """

    mixture: Mixture
    family: Family
    log_likelihood: float
    n: float
    n_iter: int
    converged: bool
    history: Float[np.ndarray, " steps"]
    histories: tuple[Float[np.ndarray, " _"], ...]
    optima: tuple[Optimum, ...]
    n_starts: int
    n_raced: int
    aic: float
    aicc: float
    bic: float
    icl: float
    smallest_eigenvalue: float
    shares: Float[np.ndarray, " k"] | None = None
    penalty: str = ""

    def __repr__(self) -> str:
        told = f"log-likelihood {self.log_likelihood:.2f}, BIC {self.bic:.1f}"
        found = f"{self.hits} of {self.n_starts} starts"
        return f"<{self.family.name}, k = {self.n_components}: {told}, reached by {found}>"

    @property
    def n_components(self) -> int:
        return self.mixture.n_components

    @property
    def d(self) -> int:
        """Columns of the data."""
        return int(self.mixture.means.shape[-1])

    @property
    def n_parameters(self) -> int:
        return self.family.n_parameters(self.n_components, self.d)

    @property
    def hits(self) -> int:
        """How many starts reached the best admissible optimum."""
        return self.optima[0].hits

    @property
    def counts(self) -> Float[np.ndarray, " k"]:
        """Expected rows of each component."""
        return self.n * (self.mixture.weights if self.shares is None else self.shares)

    def in_full(self) -> "MaximumLikelihood":
        """The same with whole Cholesky factors, also where their diagonals say everything."""
        optima = tuple(replace(one, mixture=full(one.mixture)) for one in self.optima)
        return replace(self, mixture=full(self.mixture), optima=optima)

    def reordered(self, order: Int[np.ndarray, " k"]) -> "MaximumLikelihood":
        """The same with its components in another order; other optima keep theirs."""
        mixture = permute(self.mixture, order)
        best = replace(self.optima[0], mixture=mixture)
        shares = None if self.shares is None else self.shares[order]
        return replace(self, mixture=mixture, optima=(best, *self.optima[1:]), shares=shares)

    @property
    def second_gap(self) -> float:
        """How far below the best admissible optimum the next lies; infinity if none was seen."""
        others = [o.log_likelihood for o in self.optima[1:] if o.admissible]
        return self.log_likelihood - max(others) if others else float("inf")


def summarise(
    problem: Problem, heat: Heat, result: EMResult, track: Track, *, keep_order: bool
) -> MaximumLikelihood | None:
    """The fit that the ends of many starts amount to; None if none of them is regular.

    Args:
        problem: the data.
        heat: the cell.
        result: where its starts ended.
        track: what they climbed on.
        keep_order: whether components keep the order of the start; else that of their means.
    """
    if not keep_order:
        result = _by_position(result)
    state, mixtures = result.state, result.state.mixture
    reasons = result.reasons(heat.family)
    order = sorted(
        (i for i in range(len(reasons)) if np.isfinite(state.log_likelihood[i])),
        key=lambda i: (bool(reasons[i]), -state.log_likelihood[i]),
    )
    if not order or state.collapsed[order[0]]:
        return None
    optima = _distinct(mixtures, state.log_likelihood, reasons, order)
    fitted = _result(problem, heat, optima[0].mixture, result, order[0], optima)
    if heat.family.equal_weights:
        counts = result.counts[order[0]]
        fitted = replace(fitted, shares=counts / counts.sum())
    penalty = "a variance floor" if track.data.floor.any() else ""
    return replace(fitted, penalty="a prior" if track.data.prior is not None else penalty)


def _alike(a: Mixture, b: Mixture) -> bool:
    """Whether components lie at the same places, to a part of their standard deviations."""
    apart = np.square(np.asarray(a.means) - np.asarray(b.means)) / np.asarray(a.variances)
    return bool((apart < SAME_PLACE**2).all())


def _by_position(result: EMResult) -> EMResult:
    """Components in the order of their means, first column first."""
    mixture = result.state.mixture
    order = np.stack([np.lexsort(each.T[::-1]) for each in mixture.means])
    state = result.state._replace(mixture=permute(mixture, order))
    return result._replace(state=state, counts=np.take_along_axis(result.counts, order, 1))


def _result(
    problem: Problem,
    heat: Heat,
    mixture: Mixture,
    result: EMResult,
    best: int,
    optima: tuple[Optimum, ...],
) -> MaximumLikelihood:
    value = float(result.state.log_likelihood[best])
    n, df = float(problem.row_weights.sum()), heat.family.n_parameters(*mixture.means.shape)
    frequency = problem.table.frequency
    soft, hard = log_likelihoods(mixture, problem.X, problem.row_weights)
    histories = tuple(row[np.isfinite(row)] for row in np.asarray(result.history))
    return MaximumLikelihood(
        mixture=mixture,
        family=heat.family,
        log_likelihood=value,
        n=n,
        n_iter=int(result.state.n_maps[best]),
        converged=bool(result.state.converged[best]),
        history=np.append(histories[best], value),
        histories=histories,
        optima=optima,
        n_starts=len(histories),
        n_raced=heat.size,
        aic=criteria.aic(value, df),
        aicc=criteria.aicc(value, df, n) if frequency else float("nan"),
        bic=criteria.bic(value, df, n) if frequency else float("nan"),
        icl=criteria.icl(value, df, n, float(hard - soft)) if frequency else float("nan"),
        smallest_eigenvalue=float(relative_eigenvalues(mixture).min()),
    )


def _distinct(
    mixtures: Mixture, values: np.ndarray, reasons: Sequence[str], order: Sequence[int]
) -> tuple[Optimum, ...]:
    """Ends of one value, components and admissibility are one optimum, best first.

    Data that are symmetric have optima of one value that are not the same.
    """

    def same(a: int, b: int) -> bool:
        near = bool(abs(values[a] - values[b]) < SAME_OPTIMUM)
        near = near and bool(reasons[a]) == bool(reasons[b])
        return near and _alike(*(Mixture(*(part[i] for part in mixtures)) for i in (a, b)))

    groups: list[list[int]] = []
    for i in order:
        home = next((group for group in groups if same(group[0], i)), None)
        groups.append([i]) if home is None else home.append(i)
    return tuple(
        Optimum(
            float(values[g[0]]),
            len(g),
            Mixture(*(part[g[0]] for part in mixtures)),
            reasons[g[0]],
        )
        for g in groups
    )
