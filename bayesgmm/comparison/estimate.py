"""The summary of a maximum-likelihood fit: estimates, how uncertain, and what the starts found."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesgmm.comparison.tables import Column, Name, Row, by_column, grouped, grouped_html, heading
from bayesgmm.comparison.words import counted, fixed, number
from bayesgmm.data.lines import wrapped
from bayesgmm.data.notebook import shown
from bayesgmm.data.plain import plain
from bayesgmm.gaussian.families import family_label
from bayesgmm.ml.bootstrap import Bootstrap
from bayesgmm.ml.optima import MaximumLikelihood
from bayesgmm.ml.places import Place, places
from bayesgmm.ml.problem import Problem
from bayesgmm.ml.quantities import Quantities, quantities
from bayesgmm.ml.uncertainty import StandardErrors

if TYPE_CHECKING:
    import pandas as pd

NAN = float("nan")


@dataclass(frozen=True)
class Estimate:
    """A parameter's estimate with its uncertainty; NaN where a value does not exist.

    Attributes:
        place: which parameter.
        ml: the estimate.
        se: its standard error.
        low, high: 95 % interval from it, on the parameter's own scale.
        boot_se, boot_low, boot_high: the bootstrap's standard error and 95 % interval.
    """

    place: Place
    ml: float
    se: float
    low: float
    high: float
    boot_se: float = NAN
    boot_low: float = NAN
    boot_high: float = NAN


@dataclass(frozen=True)
class EstimateSummary:
    """A table of estimates under what the starts found; prints as text, and as HTML in a notebook.

    Attributes:
        fit: the fit.
        problem: its data.
        errors: its standard errors.
        refits: its bootstrap, if there is one.
    """

    fit: MaximumLikelihood
    problem: Problem
    errors: StandardErrors
    refits: Bootstrap | None = None

    @cached_property
    def rows(self) -> tuple[Estimate, ...]:
        """One for each parameter."""
        columns, k = self.problem.table.columns, self.fit.n_components
        estimates = quantities(self.fit.mixture)
        groups = [estimates, self.errors.values, *self.errors.intervals(self.fit.mixture)]
        if self.refits is not None:
            groups += [self.refits.standard_errors, *self.refits.intervals()]
        return tuple(
            Estimate(place, *(float(place.of(Quantities(*group))) for group in groups))
            for place in places(self.fit.family, k, columns)
        )

    def to_frame(self) -> "pd.DataFrame":
        """The numbers, one row per parameter, indexed by component and name."""
        import pandas as pd

        records = [
            {"component": row.place.component or "all", "parameter": row.place.label}
            | {name: value for name, value in vars(row).items() if name != "place"}
            for row in self.rows
        ]
        return pd.DataFrame(records).set_index(["component", "parameter"])

    def to_latex(self) -> str:
        """The table for a paper."""
        return str(self.to_frame().to_latex(float_format="%.3g", na_rep="--", escape=True))

    def to_dict(self) -> dict[str, Any]:
        """The same numbers that the text shows, ready for JSON; NaN becomes None."""
        fit = self.fit
        content = {
            "data": self.problem.table.name,
            "covariance_type": fit.family.name,
            "n_components": fit.n_components,
            "log_likelihood": fit.log_likelihood,
            "df": fit.n_parameters,
            "aic": fit.aic,
            "aicc": fit.aicc,
            "bic": fit.bic,
            "icl": fit.icl,
            "hits": fit.hits,
            "n_starts": fit.n_starts,
            "errors": self.errors.kind,
            "parameters": self.to_frame().reset_index().to_dict("records"),
            "remarks": self.remarks(),
        }
        return dict(plain(content))

    def __str__(self) -> str:
        return "\n".join([*wrapped(self.headline()), "", *self.table(), *wrapped(self.remarks())])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        table = grouped_html(*self._grouped(), self._columns())
        return shown(self.headline(), table, self.remarks())

    def headline(self) -> list[str]:
        """What was fitted, how well, and what the starts found."""
        fit, table = self.fit, self.problem.table
        k, name = fit.n_components, family_label(fit.family.name, fit.d)
        gap = fit.second_gap
        second = f", the next {gap:.2f} below" if np.isfinite(gap) else ""
        penalised = f"with {fit.penalty}; " if fit.penalty else ""
        admissible = sum(optimum.admissible for optimum in fit.optima)
        return [
            f"GaussianMixture({k}), {table.name}, {name}: {table.n_rows} rows x "
            f"{counted(len(table.columns), 'column')}",
            f"{penalised}log-likelihood {fit.log_likelihood:.2f}  df {fit.n_parameters}  "
            f"AIC {fixed(fit.aic, 1)}  BIC {fixed(fit.bic, 1)}  ICL {fixed(fit.icl, 1)}",
            f"{fit.hits} of {counted(fit.n_starts, 'start')} reached it; "
            f"{counted(admissible, 'admissible optimum').replace('optimums', 'optima')}{second}; "
            f"smallest component {fit.counts.min():.1f} rows",
        ]

    def table(self) -> list[str]:
        """The table as lines of text; without the interval where that would be too wide."""
        columns = self._columns()
        narrow = [column for column in columns if column.key != "interval"]
        return grouped(*self._grouped(), columns, narrow)

    def _columns(self) -> list[Column]:
        name = "jackknife" if self.refits and self.refits.kind == "jackknife" else "bootstrap"
        boot = [Column("bar", ""), Column("boot_se", "SE"), Column("boot", f"95% {name}")]
        columns = [Column("ml", "ML"), Column("se", "SE"), Column("interval", "95% interval")]
        return [*columns, *(boot if self.refits else [])]

    def _grouped(self) -> tuple[list[Row], dict[int, str]]:
        """The rows in order, and what stands above those of each component."""
        names = [Name(row.place.component, row.place.name, row.place.column) for row in self.rows]
        rows = by_column(names, [_cells(row) for row in self.rows])
        return rows, {row.component: heading(row.component, self.fit.counts) for row in rows}

    def remarks(self) -> list[str]:
        """What is missing and why, what became of the refits, and what to do next."""
        fit = self.fit
        lines = [] if fit.converged else ["! EM did not converge; increase max_iter."]
        best = fit.optima[0]
        lines += [] if best.admissible else [f"! Not admissible: {best.reason}."]
        kind = {"information": "the observed information", "sandwich": "the sandwich"}
        if not all(self.errors.reasons):
            lines.append(f"Standard errors from {kind[self.errors.kind]}.")
        reasons: dict[str, list[str]] = {}
        for j, why in enumerate(self.errors.reasons, 1):
            reasons.setdefault(why, []).append(str(j))
        for why, numbers in reasons.items():
            some = "s" if len(numbers) > 1 else ""
            lines += [f"None for component{some} {', '.join(numbers)}: {why}."] if why else []
        if self.refits:
            return lines + self.refits.sentences()
        possible = best.admissible and self.problem.table.frequency
        return lines + (["  next: fit.bootstrap()"] if possible else [])


def _cells(row: Estimate) -> dict[str, str]:
    spread = row.se if np.isfinite(row.se) and row.se > 0 else row.boot_se
    return {
        "ml": number(row.ml, spread),
        "se": number(row.se, row.se),
        "interval": f"{number(row.low, spread)} {number(row.high, spread)}",
        "bar": "|",
        "boot_se": number(row.boot_se, row.boot_se),
        "boot": f"{number(row.boot_low, spread)} {number(row.boot_high, spread)}",
    }
