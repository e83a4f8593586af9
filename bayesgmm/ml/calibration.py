"""Does what is said of a fit hold? Data simulated from it, at its own size, are fitted again.

Of every simulated data set the truth is known, so that one can count how often intervals cover it,
how often a criterion recovers the number of components, and how often the starts find the optimum
that the truth itself leads to.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

from bayesgmm.data.errors import InputError
from bayesgmm.data.plain import plain
from bayesgmm.data.table import check_counts
from bayesgmm.gaussian.alignment import assignments, divergences
from bayesgmm.gaussian.families import family_label
from bayesgmm.gaussian.mixture import Mixture, log_likelihoods, permute
from bayesgmm.ml import criteria
from bayesgmm.ml.bootstrap import bootstrap
from bayesgmm.ml.coverage import LEVEL, REPORTED, Coverage, coverages, covers
from bayesgmm.ml.driver import run
from bayesgmm.ml.em import Data
from bayesgmm.ml.optima import SAME_OPTIMUM, MaximumLikelihood
from bayesgmm.ml.problem import Problem
from bayesgmm.ml.quantities import Quantities, quantities
from bayesgmm.ml.race import Track
from bayesgmm.ml.replicates import MAX_ITER, TOL, Replicates
from bayesgmm.ml.simulation import Simulated, simulate, simulated_table
from bayesgmm.ml.told import Told
from bayesgmm.ml.uncertainty import standard_errors
from bayesgmm.ml.warnings import DegenerateFitWarning

if TYPE_CHECKING:
    import pandas as pd

N_SIMULATIONS = 200
N_RESAMPLES = 199
N_INIT = 8
MUCH = 0.01
MOST_BYTES = 2**31  # of simulated rows
CRITERIA = ("aic", "bic", "icl")


@dataclass(frozen=True, repr=False)
class Calibration(Told):
    """What simulation says of a fit's intervals, of the criteria, and of the starts.

    Attributes:
        fit: what was simulated from.
        n_simulations: data sets.
        coverages: of 95 % intervals, method by method.
        recovered: for each criterion the share of data sets whose best k it was, k by k.
        found: share of data sets whose starts reached an optimum no lower than EM does from the
            truth.
        lost: data sets that had no admissible fit.
        n_init: starts of each.
        undecided: for each k the data sets whose posterior did not converge, if there were any.
        remarks: what else is to be told.
    """

    fit: MaximumLikelihood
    name: str
    n_simulations: int
    coverages: tuple[Coverage, ...]
    recovered: Mapping[str, Mapping[int, float]]
    found: float
    lost: int
    n_init: int
    undecided: Mapping[int, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def table(self) -> "pd.DataFrame":
        """One row for each kind of interval and of parameter."""
        import pandas as pd

        return pd.DataFrame([vars(each) for each in self.coverages])

    def to_dict(self) -> dict[str, Any]:
        """The same numbers that the text shows, ready for JSON."""
        content = {
            "data": self.name,
            "n_simulations": self.n_simulations,
            "coverage": [vars(each) for each in self.coverages],
            "recovered": {name: dict(shares) for name, shares in self.recovered.items()},
            "found": self.found,
            "lost": self.lost,
            "undecided": dict(self.undecided),
            "sentences": self.sentences(),
        }
        return dict(plain(content))

    def lines(self) -> list[str]:
        """Two tables: coverage of intervals, and the k that each criterion finds."""
        k, family = self.fit.n_components, family_label(self.fit.family.name, self.fit.d)
        methods = list(dict.fromkeys(each.method for each in self.coverages))
        shown = [q for q in REPORTED if any(c.quantity == q for c in self.coverages)]
        at = {(each.method, each.quantity): each for each in self.coverages}
        lines = [
            f"{self.name}: {self.n_simulations} data sets simulated from {family}, k = {k}",
            "",
            f"{'coverage, % (asked: 95)':28}" + "".join(f"{name:>13}" for name in shown),
        ]
        for method in methods:
            entries = "".join(_entry(at.get((method, quantity))) for quantity in shown)
            lines.append(f" {method:27}{entries}")
        ks = list(self.recovered[CRITERIA[0]])
        head = "".join(f"{f'k = {each}':>9}" for each in ks)
        lines += ["", f"{'best k, % of data sets':28}{head}"]
        for name, shares in self.recovered.items():
            lines.append(
                f" {name.upper():27}" + "".join(f"{100 * shares[each]:9.0f}" for each in ks)
            )
        return lines

    def header(self) -> list[str]:
        """What was simulated."""
        return self.lines()[:1]

    def html_table(self) -> str:
        """Both tables as HTML."""
        import pandas as pd

        covered = 100 * self.table.pivot_table("share", "method", "quantity", sort=False)
        shown = [quantity for quantity in REPORTED if quantity in covered]
        found = 100 * pd.DataFrame(self.recovered).T.rename(str.upper)
        return _html(covered[shown], "coverage, % (asked: 95)") + _html(found, "best k, %")

    def sentences(self) -> list[str]:
        """What the tables say."""
        k = self.fit.n_components
        best = max(self.recovered, key=lambda name: self.recovered[name][k])
        lines = [
            *self._trust(),
            f"{best.upper()} finds k = {k} in {100 * self.recovered[best][k]:.0f} % of data sets "
            "of this size.",
            f"{self.n_init} starts reach an optimum as high as the truth's in "
            f"{100 * self.found:.0f} %.",
        ]
        short = [c for c in self.coverages if c.share + 2 * c.error < LEVEL - 0.02]
        if short:
            worst = min(short, key=lambda c: c.share)
            lines.append(
                f"! {worst.method} intervals of {worst.quantity} cover {100 * worst.share:.0f} %, "
                "not 95 %: too narrow at this size."
            )
        for each in self.coverages:
            if each.missing > MUCH and each.quantity == "means":
                lines.append(f"{100 * each.missing:.0f} % of {each.method} intervals are missing.")
        if self.lost:
            lines.append(f"{self.lost} data sets had no admissible fit of {k} and are left out.")
        return [*lines, *self.remarks]

    def _trust(self) -> list[str]:
        """From what to what 95 % intervals of each method cover."""
        shares: dict[str, list[float]] = {}
        for each in self.coverages:
            if np.isfinite(each.share):
                shares.setdefault(each.method, []).append(100 * each.share)
        spans = [f"{method} {_span(each)} %" for method, each in shares.items()]
        told = f"At {self.fit.n:,.0f} rows 95 % intervals cover: {', '.join(spans)}."
        return [told] if spans else []


def calibrate(
    fit: MaximumLikelihood,
    problem: Problem,
    track: Track,
    rng: Generator,
    *,
    n_simulations: int = N_SIMULATIONS,
    n_resamples: int = N_RESAMPLES,
    n_init: int = N_INIT,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Calibration:
    """Simulate from the fit at the data's own size, and count what holds.

    Args:
        fit: the maximum-likelihood fit, the truth of the simulation.
        problem: the data that it was fitted to.
        track: floor and prior that it was fitted with.
        rng: source of the data sets.
        n_simulations: how many.
        n_resamples: bootstrap refits of each; 0 leaves the bootstrap out.
        n_init: EM starts of each data set and each k.
        progress: called with what is being done, how much is done, and how much there is.

    Raises:
        InputError: fewer than two simulations; row weights that are not counts; a fit that is not
            admissible.
    """
    check(fit, problem, n_simulations, n_resamples)
    sets = simulate(fit, track, rng, n_simulations, n_init, progress)
    return count(fit, problem.table.name, sets, rng, n_resamples, progress)


def count(
    fit: MaximumLikelihood,
    name: str,
    sets: Simulated,
    rng: Generator,
    n_resamples: int,
    progress: Callable[[str, int, int], None],
) -> Calibration:
    """What holds of maximum likelihood in simulated data sets; `name` is that of the data."""
    own, m = sets.fits[fit.n_components], len(sets.data.X)
    return Calibration(
        fit,
        name,
        m,
        tuple(_coverages(fit, own, sets.data, sets.kept, n_resamples, rng, progress)),
        _recovered(fit, sets.fits, sets.data.X),
        _found(fit, sets.data, own, sets.kept),
        m - sets.kept.size,
        sets.n_init,
    )


def check(fit: MaximumLikelihood, problem: Problem, m: int, n_resamples: int) -> None:
    """Refuse what cannot be simulated; `calibrate` says what."""
    if m < 2:
        raise InputError(f"n_simulations={m} must be at least 2; 200 is usual.")
    if n_resamples == 1:
        raise InputError("n_resamples=1 must be at least 2, or 0 to leave the bootstrap out.")
    check_counts(problem.table, "which cannot be simulated")
    if not fit.optima[0].admissible:
        raise InputError(
            f"the fit is not admissible ({fit.optima[0].reason}), and data simulated from it would "
            "say nothing; use fewer components or a simpler covariance_type."
        )
    one = 8 * round(fit.n) * fit.d
    if m * one > MOST_BYTES:
        raise InputError(
            f"n_simulations={m} data sets as large as this one need more than "
            f"{MOST_BYTES / 2**30:.0f} GiB; simulate at most {MOST_BYTES // one}."
        )


def _coverages(
    fit: MaximumLikelihood,
    own: Replicates,
    data: Data,
    kept: np.ndarray,
    n_resamples: int,
    rng: Generator,
    progress: Callable[[str, int, int], None],
) -> list[Coverage]:
    truth = quantities(fit.mixture)
    order = assignments(divergences(fit.mixture, own.mixture))
    aligned = permute(own.mixture, order)
    inside: dict[str, list[Quantities]] = {}
    for done, i in enumerate(kept):
        progress("intervals of simulated data sets", done, len(kept))
        problem = Problem.of(simulated_table(data.X[i]))
        mixture = Mixture(*(part[i] for part in aligned))
        one = replace(
            fit, mixture=mixture, log_likelihood=float(own.log_likelihood[i]), converged=True
        )
        ends = standard_errors(one, problem).intervals(mixture)
        inside.setdefault("standard error", []).append(covers(truth, *ends))
        if n_resamples:
            ends = _resampled(one, problem, data, n_resamples, rng)
            inside.setdefault("weighted bootstrap", []).append(covers(truth, *ends))
    return [
        coverage
        for method, each in inside.items()
        for coverage in coverages(method, each, fit.family)
    ]


def _resampled(
    fit: MaximumLikelihood, problem: Problem, data: Data, n_resamples: int, rng: Generator
) -> tuple[Quantities, Quantities]:
    """Bootstrap intervals; missing ones where nearly every refit collapsed."""
    seen = data._replace(X=problem.X, row_weights=problem.row_weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateFitWarning)
        try:
            drawn = bootstrap(fit, problem, Track(seen, 0.0, 0), rng, n_resamples=n_resamples)
        except InputError:
            nothing = Quantities(*(np.full(part.shape, np.nan) for part in quantities(fit.mixture)))
            return nothing, nothing
    return drawn.intervals()


def _recovered(
    fit: MaximumLikelihood, fits: Mapping[int, Replicates], X: np.ndarray
) -> dict[str, dict[int, float]]:
    """How often each k is the best by each criterion; without an admissible fit it is not."""
    n, d = float(X.shape[1]), X.shape[2]
    values: dict[str, list[np.ndarray]] = {name: [] for name in CRITERIA}
    for k, found in fits.items():
        df = fit.family.n_parameters(k, d)
        certainty = np.array(
            [_certainty(found, i, X[i]) if found.admissible[i] else 0.0 for i in range(len(X))]
        )
        heights = np.where(found.admissible, found.log_likelihood, -np.inf)
        values["aic"].append(np.array([criteria.aic(one, df) for one in heights]))
        values["bic"].append(np.array([criteria.bic(one, df, n) for one in heights]))
        values["icl"].append(
            np.array([criteria.icl(a, df, n, b) for a, b in zip(heights, certainty, strict=True)])
        )
    return {name: best_shares(dict(zip(fits, rows, strict=True))) for name, rows in values.items()}


def best_shares(values: Mapping[int, Float[np.ndarray, " m"]]) -> dict[int, float]:
    """How often each k has the least value; a data set whose values are all infinite has no best.

    Args:
        values: of m data sets, for each k.
    """
    least = np.min(list(values.values()), axis=0)
    ks = np.array(list(values))
    best = np.where(np.isfinite(least), ks[np.argmin(list(values.values()), axis=0)], 0)
    return {k: float((best == k).mean()) for k in values}


def _certainty(found: Replicates, i: int, X: np.ndarray) -> float:
    soft, hard = log_likelihoods(Mixture(*(part[i] for part in found.mixture)), X, np.ones(len(X)))
    return float(hard - soft)


def _found(fit: MaximumLikelihood, data: Data, own: Replicates, kept: np.ndarray) -> float:
    """How often the starts end no lower than EM from the truth does."""
    starts = Mixture(*(np.broadcast_to(part, (len(data.X), *part.shape)) for part in fit.mixture))
    result = run(starts, data, fit.family, tol=TOL, max_iter=MAX_ITER)
    refused = np.array([bool(why) for why in result.reasons(fit.family)])
    ends = np.where(refused, -np.inf, result.state.log_likelihood)
    return float((own.log_likelihood[kept] >= ends[kept] - SAME_OPTIMUM).mean())


def _span(shares: Sequence[float]) -> str:
    ends = dict.fromkeys(f"{end(shares):.0f}" for end in (min, max))
    return " to ".join(ends)


def _entry(coverage: Coverage | None) -> str:
    if coverage is None or not np.isfinite(coverage.share):
        return f"{'-':>13}"
    return f"{100 * coverage.share:.1f} +-{100 * coverage.error:.1f}".rjust(13)


def _html(percent: "pd.DataFrame", corner: str) -> str:
    """A table of whole per cents, named in its corner."""
    named = percent.rename_axis(index=None, columns=corner)
    return named.to_html(float_format="{:.0f}".format, na_rep="-", border=0)
