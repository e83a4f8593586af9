"""Every covariance family with every number of components, by information criteria."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from bayesgmm.data.choices import CRITERIA
from bayesgmm.data.errors import InputError, unknown
from bayesgmm.data.lines import fitting
from bayesgmm.data.plain import plain
from bayesgmm.data.randomness import generator
from bayesgmm.data.ranges import component_range
from bayesgmm.data.scalars import whole
from bayesgmm.data.table import Table, check_spread, read_table
from bayesgmm.gaussian.families import families_for, family, family_label
from bayesgmm.ml import restarts
from bayesgmm.ml.optima import MaximumLikelihood
from bayesgmm.ml.problem import Problem, check_components
from bayesgmm.ml.told import Told

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FINALISTS = 16
KS_ABREAST = 9


@dataclass(frozen=True)
class Cell:
    """One family with one number of components: its fit, or why there is none."""

    covariance_type: str
    n_components: int
    fit: MaximumLikelihood | None = field(repr=False)
    reason: str = ""

    @property
    def height(self) -> float:
        """Its log-likelihood; minus infinity without a fit."""
        return self.fit.log_likelihood if self.fit else float("-inf")


@dataclass(frozen=True, repr=False)
class Selection(Told):
    """The grid of families and numbers of components.

    Attributes:
        name: of the data.
        data_sha256: of the data.
        cells: one for each family and k.
        criterion: what ranks them.
    """

    name: str
    data_sha256: str
    cells: tuple[Cell, ...]
    criterion: str = "bic"

    @property
    def fitted(self) -> list[Cell]:
        """Cells with an admissible fit and a defined criterion, best first."""
        usable = [c for c in self.cells if c.fit is not None and np.isfinite(self._value(c))]
        return sorted(usable, key=self._value)

    @property
    def best_(self) -> MaximumLikelihood:
        """The fit of the best cell.

        Raises:
            InputError: no cell could be fitted.
        """
        if not self.fitted or self.fitted[0].fit is None:
            raise InputError("no cell could be fitted; see the reasons in table.")
        return self.fitted[0].fit

    @property
    def table(self) -> "pd.DataFrame":
        """One row per cell; an undefined entry is missing, with the reason beside it."""
        import pandas as pd

        return pd.DataFrame(self._records())

    def merged(self, other: "Selection") -> "Selection":
        """Both grids as one; of a cell that is in both, the fit of higher log-likelihood.

        Raises:
            InputError: they are grids of different data.
        """
        if self.data_sha256 != other.data_sha256:
            raise InputError(
                f"the grids of {self.name} and {other.name} cannot be merged: the data differ; "
                "select on the same rows, columns and weights."
            )
        cells = {(cell.covariance_type, cell.n_components): cell for cell in self.cells}
        for cell in other.cells:
            place = (cell.covariance_type, cell.n_components)
            if place not in cells or cell.height > cells[place].height:
                cells[place] = cell
        return replace(self, cells=tuple(cells.values()))

    def _records(self) -> list[dict[str, object]]:
        places = {id(cell): place for place, cell in enumerate(self.fitted, 1)}
        best = self._best_value
        return [
            _record(cell)
            | {
                "rank": places.get(id(cell)),
                "difference": self._value(cell) - best,
                "reason": cell.reason,
            }
            for cell in self.cells
        ]

    def to_dict(self) -> dict[str, Any]:
        """The same numbers that the text shows, ready for JSON."""
        content = {
            "data": self.name,
            "criterion": self.criterion,
            "cells": self._records(),
            "sentences": self.sentences(),
        }
        return dict(plain(content))

    def edge(self) -> str:
        """A warning where the best k is the largest that was tried, or ""."""
        ks = {cell.n_components for cell in self.cells}
        if len(ks) > 1 and self.fitted and self.fitted[0].n_components == max(ks):
            return (
                f"the best k is {max(ks)}, the edge of the range: try more components before "
                "believing it."
            )
        return ""

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """The criterion against k, one line per family."""
        from bayesgmm import plots

        ks = sorted({cell.n_components for cell in self.cells})
        lines: dict[str, list[float]] = {}
        best = self._best_value
        for cell in self.cells:
            line = lines.setdefault(cell.covariance_type, [float("nan")] * len(ks))
            value = self._value(cell) if cell.fit is not None else float("nan")
            line[ks.index(cell.n_components)] = value - best
        return plots.families_by_k(ks, lines, criterion=self.criterion.upper(), ax=ax)

    def header(self) -> list[str]:
        """What the grid shows."""
        label, best = self.criterion.upper(), self._best_value
        told = f": {label} as the distance from the best, {best:.1f}; 0 = best (*)"
        if not self.fitted:
            told = f": {label}, of which no cell has any"
        return [f"{fitting(self.name, told)}{told}"]

    def lines(self) -> list[str]:
        """The grid as text: the criterion as the distance from the best cell."""
        grid, lines = self._grid(), self.header()
        for first in range(0, grid.shape[1], KS_ABREAST):
            some = grid.iloc[:, first : first + KS_ABREAST]
            lines += ["", "k =  " + "".join(f"{k:>7} " for k in some.columns)]
            lines += [
                f"{name:5}" + "".join(row)
                for name, row in zip(some.index, some.to_numpy(), strict=True)
            ]
        return [line.rstrip() for line in lines]

    def html_table(self) -> str:
        """The grid as HTML."""
        return str(self._grid().to_html(border=0))

    def _grid(self) -> "pd.DataFrame":
        """Entries of the table, families by numbers of components."""
        import pandas as pd

        types = list(dict.fromkeys(cell.covariance_type for cell in self.cells))
        ks = sorted({cell.n_components for cell in self.cells})
        at = {(cell.covariance_type, cell.n_components): cell for cell in self.cells}
        best = self._best_value
        entries = [[self._entry(at.get((name, k)), best) for k in ks] for name in types]
        return pd.DataFrame(entries, [self._label(name) for name in types], ks)

    def sentences(self) -> list[str]:
        """What the grid says."""
        if not self.fitted:
            return ["No cell could be fitted:"] + [f"  {c.reason}" for c in self.cells]
        best = self.fitted[0]
        assert best.fit is not None
        lines = [
            f"Best by {self.criterion.upper()}: {self._label(best.covariance_type)} with "
            f"{best.n_components} "
            f"({family(best.covariance_type).meaning})."
        ]
        if len(self.fitted) > 1:
            second = self.fitted[1]
            gap = self._value(second) - self._value(best)
            lines.append(
                f"Next: {self._label(second.covariance_type)} with {second.n_components}, "
                f"{gap:.1f} behind" + (" (a tie)." if gap < 2 else ".")
            )
        if edge := self.edge():
            lines.append(f"! {edge[:1].upper()}{edge[1:]}")
        unfitted = [cell for cell in self.cells if cell.fit is None]
        lines += [
            f"- {self._label(c.covariance_type)},{c.n_components}: {c.reason}" for c in unfitted[:5]
        ]
        return lines

    def _label(self, name: str) -> str:
        """The family's name; of one column E or V."""
        fit = self.fitted[0].fit if self.fitted else None
        return family_label(name, fit.d) if fit else name

    def _entry(self, cell: Cell | None, best: float) -> str:
        if cell is None or not np.isfinite(self._value(cell)):
            return f"{'-':>7} "
        distance = self._value(cell) - best
        return f"{distance:7.1f}{'*' if distance == 0 else ' '}"

    @property
    def _best_value(self) -> float:
        return self._value(self.fitted[0]) if self.fitted else float("nan")

    def _value(self, cell: Cell) -> float:
        return float(getattr(cell.fit, self.criterion)) if cell.fit else float("nan")


def select(
    X: object,
    n_components: SupportsIndex | Iterable[SupportsIndex] = range(1, 10),
    covariance_types: str | Collection[str] | None = None,
    *,
    columns: Sequence[str] | None = None,
    sample_weight: object = None,
    criterion: str = "bic",
    n_init: int = restarts.Settings.n_init,
    random_state: object = None,
) -> Selection:
    """The best covariance family and number of components by an information criterion.

    Args:
        X: a DataFrame, array (n, d), path or data set's name.
        n_components: numbers of components to try.
        covariance_types: one family's name or several; all by default.
        columns: columns of X to use.
        sample_weight: row weights (n,), or a column's name; counts only.
        criterion: "bic", "aic", "aicc" or "icl".
        n_init: EM starts for each cell, which race; the leading ones run to their end.
        random_state: int, Generator or None.

    Raises:
        InputError: bad data, an unknown family or criterion, weights that are not counts.
    """
    table = read_table(X, columns, sample_weight)  # type: ignore[arg-type]
    rng, _ = generator(random_state)
    if covariance_types is None:
        covariance_types = [member.name for member in families_for(len(table.columns))]
    ks = component_range(n_components)
    return scan(table, ks, covariance_types, rng, criterion, n_init)


def scan(
    table: Table,
    ks: Sequence[int],
    covariance_types: str | Collection[str],
    rng: np.random.Generator,
    criterion: str = "bic",
    n_init: int = restarts.Settings.n_init,
    known: Sequence[MaximumLikelihood] = (),
) -> Selection:
    """The grid; a cell that cannot be fitted says why instead of stopping the scan.

    Args:
        table: the data.
        ks: numbers of components.
        covariance_types: one family's name or several.
        rng: source of the starts.
        criterion: "bic", "aic" or "icl".
        n_init: EM starts for each cell.
        known: fits that need not be done again.
    """
    check_criterion(criterion, table)
    check_spread(table)
    done = {(fit.family.name, fit.n_components): fit for fit in known}
    names = _family_names(covariance_types)
    settings = restarts.Settings(n_init=whole("n_init", n_init), finalists=FINALISTS)
    usable = [k for k in ks if _reason(table, k) == ""]
    missing = [(name, k) for name in names for k in usable if (name, k) not in done]
    if missing:
        fits = restarts.fit_cells(table, missing, rng, settings, quiet=True)
        done |= dict(zip(missing, fits, strict=True))
    cells = [_cell(table, name, k, done) for name in names for k in ks]
    return Selection(table.name, table.sha256, tuple(cells), criterion)


def check_criterion(criterion: str, table: Table) -> None:
    """Raise an InputError unless the criterion exists and is defined for the table's weights."""
    if criterion not in CRITERIA:
        raise unknown("criterion", criterion, CRITERIA)
    if criterion != "aic" and not table.frequency:
        raise InputError(
            f"criterion={criterion!r} needs the number of rows, and sample_weight holds weights "
            "that are not counts; give counts, or use criterion='aic'."
        )


def _family_names(covariance_types: object) -> list[str]:
    """Each family once, by its own name."""
    given = [covariance_types] if isinstance(covariance_types, str) else covariance_types
    if not isinstance(given, Collection) or not all(isinstance(name, str) for name in given):
        raise InputError(
            f"covariance_types={covariance_types!r} must be the names of families, such as "
            "['full', 'tied']."
        )
    names = list(dict.fromkeys(family(name).name for name in given))
    if not names:
        raise InputError("covariance_types is empty; give at least one, such as ['full'].")
    return names


def _reason(table: Table, k: int) -> str:
    try:
        check_components(k, Problem.of(table))
    except InputError as error:
        return str(error)
    return ""


def _cell(table: Table, name: str, k: int, done: dict[tuple[str, int], MaximumLikelihood]) -> Cell:
    fit = done.get((name, k))
    if fit is None:
        return Cell(name, k, None, _reason(table, k))
    if not fit.optima[0].admissible:
        return Cell(name, k, None, fit.optima[0].reason)
    return Cell(name, k, fit)


def _record(cell: Cell) -> dict[str, object]:
    fit = cell.fit
    missing = float("nan")
    return {
        "covariance_type": cell.covariance_type,
        "n_components": cell.n_components,
        "loglik": fit.log_likelihood if fit else missing,
        "df": fit.n_parameters if fit else None,
        "aic": fit.aic if fit else missing,
        "aicc": fit.aicc if fit else missing,
        "bic": fit.bic if fit else missing,
        "icl": fit.icl if fit else missing,
        "hits": fit.hits if fit else None,
        "n_starts": fit.n_starts if fit else None,
        "n_raced": fit.n_raced if fit else None,
        "smallest_component": float(fit.counts.min()) if fit else missing,
    }
