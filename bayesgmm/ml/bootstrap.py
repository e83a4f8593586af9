"""The bootstrap of a maximum-likelihood fit: many refits as one batch, labels aligned to the fit.

Source: weighted likelihood, Newton and Raftery (1994), O'Hagan, Murphy, Scrucca and Gormley (2019);
multinomial and parametric, Efron (1979), McLachlan and Peel (2000), section 2.16; jackknife, Efron
(1982), chapter 3.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import jax
import numpy as np
from jaxtyping import Float, Int
from numpy.random import Generator
from scipy.special import ndtri

from bayesgmm.data.errors import InputError, counted, unknown
from bayesgmm.data.lines import wrapped
from bayesgmm.gaussian.alignment import assignments, divergences
from bayesgmm.gaussian.mixture import Mixture, permute, responsibilities
from bayesgmm.ml.driver import EMResult, run
from bayesgmm.ml.em import Data
from bayesgmm.ml.memberships import check_pairs, entropy, interval_ends
from bayesgmm.ml.optima import MaximumLikelihood
from bayesgmm.ml.problem import Problem
from bayesgmm.ml.quantities import Quantities, normal_intervals, quantities
from bayesgmm.ml.race import Track
from bayesgmm.ml.replicates import BLOCK, MAX_ITER, TOL
from bayesgmm.ml.simulation import draw_rows
from bayesgmm.ml.warnings import DegenerateFitWarning, NotConvergedWarning, warn

if TYPE_CHECKING:
    import xarray as xr

KINDS = ("weighted", "multinomial", "parametric", "jackknife")
MOST_COLLAPSED = 0.05
ROUNDING = 1e-12


@dataclass(frozen=True, repr=False)
class Bootstrap:
    """The refits of a fit, labels aligned to it.

    Attributes:
        fit: the fit.
        problem: its data.
        kind: "weighted", "multinomial", "parametric" or "jackknife".
        n_resamples: refits that were begun.
        mixtures: those that are admissible, stacked, shape (b, k, ...).
        copies: how many units each stands for, shape (b,); ones except for the jackknife of counts.
        collapsed: refits that are not admissible, which nothing here uses.
        switched: refits whose labels had to be changed.
        unconverged: refits that stopped before their tolerance was met; they are used.
    """

    fit: MaximumLikelihood
    problem: Problem = field(repr=False)
    kind: str
    n_resamples: int
    mixtures: Mixture = field(repr=False)
    copies: Float[np.ndarray, " b"] = field(repr=False)
    collapsed: int
    switched: int
    unconverged: int

    def reordered(self, order: Int[np.ndarray, " k"]) -> "Bootstrap":
        """The same with the components of the fit and of every refit in another order."""
        fit, every = self.fit.reordered(order), np.broadcast_to(order, self.mixtures.weights.shape)
        return replace(self, fit=fit, mixtures=permute(self.mixtures, every))

    @cached_property
    def quantities(self) -> Quantities:
        """What the refits estimate, shape (b, ...)."""
        return quantities(self.mixtures)

    @cached_property
    def standard_errors(self) -> Quantities:
        """The refits' standard deviation; for the jackknife Efron's (1982), equation 3.5."""
        mass = self.copies / self.copies.sum()
        factor = self.copies.sum() - 1 if self.kind == "jackknife" else 1.0

        def error(values: np.ndarray) -> np.ndarray:
            centre = np.tensordot(mass, values, 1)
            spread = np.tensordot(mass, np.square(values - centre), 1)
            known = spread < np.square(ROUNDING * centre)  # such as equal weights
            return np.where(known, 0.0, np.sqrt(factor * spread))

        return Quantities(*(error(part) for part in self.quantities))

    def intervals(self, level: float = 0.95) -> tuple[Quantities, Quantities]:
        """Ends of percentile intervals; for the jackknife, of normal ones on each one's own scale.

        Args:
            level: how much they hold, between 0 and 1.

        Raises:
            InputError: another level.
        """
        ends = interval_ends(level)
        if self.kind == "jackknife":
            width = float(ndtri(ends[1]))
            return normal_intervals(quantities(self.fit.mixture), self.standard_errors, width)
        low, high = zip(*(np.quantile(part, ends, axis=0) for part in self.quantities), strict=True)
        return Quantities(*low), Quantities(*high)

    def memberships(self, level: float = 0.95) -> "xr.Dataset":
        """Each row's probability of each component: mean, and ends of percentile intervals.

        Returns:
            "mean", "low" and "high", all (obs_id, cluster), and "entropy" of the mean (obs_id), as
            a posterior's memberships are kept.

        Raises:
            InputError: of a jackknife, whose refits are far closer together than estimates are; a
                level that is not between 0 and 1.
        """
        import xarray as xr

        X, k, ends = self.problem.X, self.fit.n_components, interval_ends(level)
        self._refuse_jackknife("memberships")
        rows = max(1, BLOCK // (8 * k * len(self.copies)))
        parts = []
        for first in range(0, len(X), rows):
            resp = responsibilities(self.mixtures, X[first : first + rows])
            mean = np.tensordot(self.copies / self.copies.sum(), resp, 1)
            parts.append(np.stack([mean, *np.quantile(resp, ends, axis=0)]))
        mean, low, high = np.concatenate(parts, axis=1)
        dims = ("obs_id", "cluster")
        content = {"mean": (dims, mean), "low": (dims, low), "high": (dims, high)}
        return xr.Dataset(content | {"entropy": (("obs_id",), entropy(mean))})

    def co_clustering(self) -> "xr.DataArray":
        """The probability that two rows belong to one component, (obs_id, obs_id_bis).

        Raises:
            InputError: of a jackknife; there are too many rows for a matrix of them.
        """
        import xarray as xr

        self._refuse_jackknife("co_clustering")
        X, mass = self.problem.X, self.copies / self.copies.sum()
        check_pairs(len(X))
        together = np.zeros((len(X), len(X)))
        for i, share in enumerate(mass):
            resp = responsibilities(Mixture(*(part[i] for part in self.mixtures)), X)
            together += share * (resp @ resp.T)
        np.fill_diagonal(together, 1.0)
        return xr.DataArray(together, dims=("obs_id", "obs_id_bis"), name="co_clustering")

    def _refuse_jackknife(self, what: str) -> None:
        if self.kind == "jackknife":
            raise InputError(
                f"{what} of kind='jackknife': leaving out one row at a time does not show how far "
                "memberships may be off; use another kind."
            )

    def __str__(self) -> str:
        fit = self.fit
        head = f"bootstrap of {fit.family.name} with {counted(fit.n_components, 'component')}"
        return "\n".join([f"{head}, {self.problem.table.name}", *wrapped(self.sentences())])

    def __repr__(self) -> str:
        return str(self)

    def sentences(self) -> list[str]:
        """What became of the refits."""
        total = f"{self.n_resamples} {self.kind} refits"
        parts = [
            f"{number} {what}"
            for number, what in (
                (self.collapsed, "collapsed and are left out"),
                (self.switched, "switched labels, which were put right"),
                (self.unconverged, "did not converge"),
            )
            if number
        ]
        return [f"{total}: {'; '.join(parts) if parts else 'all converged, none switched labels'}."]


def bootstrap(
    fit: MaximumLikelihood,
    problem: Problem,
    track: Track,
    rng: Generator,
    *,
    n_resamples: int = 999,
    kind: str = "weighted",
) -> Bootstrap:
    """Refits of resampled data, from the fit, all in one batch.

    Args:
        fit: the maximum-likelihood fit.
        problem: the data that it was fitted to.
        track: floor and prior that it was fitted with.
        rng: source of the resamples.
        n_resamples: how many; the jackknife leaves out each unit once, whatever is asked for.
        kind: "weighted" (Dirichlet row weights; none is zero, so fewer refits collapse),
            "multinomial", "parametric" (rows drawn from the fit), or "jackknife".

    Raises:
        InputError: fewer than two resamples, another kind, row weights that are not counts, a fit
            that is not admissible.

    Warns:
        NotConvergedWarning: the fit did not converge.
        DegenerateFitWarning: more than one refit in twenty collapsed.
    """
    _check(fit, problem, n_resamples, kind)
    parts, copies = [], []
    for data, multiplicity in _resampled(fit, problem, track.data, rng, n_resamples, kind):
        parts.append(_refitted(fit, data, len(multiplicity)))
        copies.append(multiplicity)
    state = jax.tree.map(lambda *leaves: np.concatenate(leaves), *[part.state for part in parts])
    reasons = [reason for part in parts for reason in part.reasons(fit.family)]
    kept = np.array([not reason for reason in reasons])
    if kept.sum() < 2:
        raise InputError(
            f"{len(kept) - kept.sum()} of {len(kept)} refits collapsed ({reasons[0]}); fit fewer "
            "components or a simpler covariance_type."
        )
    mixtures = Mixture(*(part[kept] for part in state.mixture))
    order = assignments(divergences(fit.mixture, mixtures))
    found = Bootstrap(
        fit,
        problem,
        kind,
        len(kept),
        permute(mixtures, order),
        np.concatenate(copies)[kept],
        int((~kept).sum()),
        int((order != np.arange(order.shape[1])).any(1).sum()),
        int((~state.converged[kept]).sum()),
    )
    if found.collapsed > MOST_COLLAPSED * found.n_resamples:
        warn(
            f"{found.collapsed} of {found.n_resamples} refits collapsed and are left out: what "
            "remains is too certain. Fit fewer components or a simpler covariance_type.",
            DegenerateFitWarning,
        )
    return found


def _check(fit: MaximumLikelihood, problem: Problem, n_resamples: int, kind: str) -> None:
    if kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    if n_resamples < 2:
        raise InputError(f"n_resamples={n_resamples} must be at least 2; 999 is usual.")
    if not problem.table.frequency:
        raise InputError(
            "sample_weight holds weights that are not counts, which cannot be resampled; give "
            "counts, or use standard errors of kind='sandwich'."
        )
    if not fit.optima[0].admissible:
        raise InputError(
            f"the fit is not admissible ({fit.optima[0].reason}), and its bootstrap would say "
            "nothing; use fewer components or a simpler covariance_type."
        )
    if not fit.converged:
        warn(
            "the fit did not converge, and its bootstrap is about other points than it; increase "
            "max_iter.",
            NotConvergedWarning,
        )


def _resampled(
    fit: MaximumLikelihood,
    problem: Problem,
    data: Data,
    rng: Generator,
    n_resamples: int,
    kind: str,
) -> Iterator[tuple[Data, Float[np.ndarray, " b"]]]:
    """Blocks of resamples, and how many units each of them stands for."""
    n, d = problem.X.shape
    total, counts = round(fit.n), problem.row_weights
    if kind == "jackknife":
        used = np.flatnonzero(counts > 0)
        for some in np.array_split(used, -(-8 * n * used.size // BLOCK)):
            row_weights = np.tile(counts, (some.size, 1))
            row_weights[np.arange(some.size), some] -= 1
            yield data._replace(row_weights=row_weights), counts[some] + 0.0
        return
    size = 8 * (total * d if kind == "parametric" else n)
    most = max(1, BLOCK // size)
    for first in range(0, n_resamples, most):
        b = min(most, n_resamples - first)
        if kind == "parametric":
            X = draw_rows(fit.mixture, b * total, rng)[0].reshape(b, total, d)
            resample = data._replace(X=X, row_weights=np.ones(total))
        elif kind == "multinomial":
            row_weights = rng.multinomial(total, counts / total, size=b).astype(float)
            resample = data._replace(row_weights=row_weights)
        else:
            gamma = rng.standard_gamma(counts, size=(b, n))
            resample = data._replace(row_weights=total * gamma / gamma.sum(1, keepdims=True))
        yield resample, np.ones(b)


def _refitted(fit: MaximumLikelihood, data: Data, b: int) -> EMResult:
    starts = Mixture(*(np.broadcast_to(part, (b, *part.shape)) for part in fit.mixture))
    return run(starts, data, fit.family, tol=TOL, max_iter=MAX_ITER)
