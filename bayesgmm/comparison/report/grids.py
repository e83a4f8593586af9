"""The report's own tables: what they are made of, covariance families, calibration."""

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bayesgmm.bayes.loo import difference
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.verdicts import tied
from bayesgmm.comparison.words import fixed, listed
from bayesgmm.gaussian.families import family, family_label
from bayesgmm.ml.calibration import Calibration
from bayesgmm.ml.coverage import Coverage

if TYPE_CHECKING:
    from bayesgmm.comparison.compare import Comparison
    from bayesgmm.comparison.programs import ProgramComparison


class GridRow(NamedTuple):
    """A row: its label, its cells, and "chosen", "undecided" or ""."""

    label: str
    cells: tuple[str, ...]
    kind: str = ""


class Grid(NamedTuple):
    """A table with a name and a caption.

    `words` are the columns, counted from 0, that hold words.
    """

    name: str
    caption: str
    head: tuple[str, ...]
    rows: list[GridRow]
    words: tuple[int, ...] = ()


def calibration(found: Calibration) -> list[tuple[Grid, list[str]]]:
    """How often intervals cover and criteria find k, over data simulated from the fit."""
    quantities = list(dict.fromkeys(each.quantity for each in found.coverages))
    methods = dict.fromkeys(each.method for each in found.coverages)
    at = {(each.method, each.quantity): each for each in found.coverages}
    covered = [
        GridRow(method, tuple(_covered(at.get((method, quantity))) for quantity in quantities))
        for method in methods
    ]
    ks = list(next(iter(found.recovered.values())))
    best = [
        GridRow(name.upper(), tuple(f"{100 * shares[k]:.0f}" for k in ks))
        for name, shares in found.recovered.items()
    ]
    k, size = found.fit.n_components, f"{found.n_simulations} data sets"
    intervals = Grid(
        "coverage of intervals",
        f"Intervals: the share, in %, of 95 % intervals that cover the truth in {size} simulated "
        f"from the maximum-likelihood fit of k = {k}, each as large as the data.",
        ("intervals from", *quantities),
        covered,
        (0,),
    )
    recovered = Grid(
        "k by criteria",
        "Criteria: the share, in %, of those data sets for which each k is best.",
        ("criterion", *(f"k = {k}" for k in ks)),
        best,
        (0,),
    )
    return [(intervals, []), (recovered, found.sentences())]


def _covered(coverage: Coverage | None) -> str:
    if coverage is None or not np.isfinite(coverage.share):
        return "-"
    return f"{100 * coverage.share:.1f} ± {100 * coverage.error:.1f}"


def families(comparison: "Comparison") -> Grid:
    """The criterion of every covariance family and k, as the distance from the best."""
    cells, own = comparison.families.cells, comparison.chosen_.ml.family.name
    d, name = len(comparison.table.columns), comparison.criterion
    value = {
        (cell.covariance_type, cell.n_components): getattr(cell.fit, name) if cell.fit else np.nan
        for cell in cells
    }
    ks = sorted({k for _, k in value})
    best = np.nanmin([*value.values(), np.inf])
    rows = [
        GridRow(
            family_label(member, d),
            (family(member).meaning, *(_distance(value[member, k] - best) for k in ks)),
            "chosen" if member == own and comparison.chosen_.same_likelihood else "",
        )
        for member in dict.fromkeys(cell.covariance_type for cell in cells)
    ]
    caption = (
        f"{name.upper()} of every covariance family, by maximum likelihood, as the distance from "
        f"the best ({fixed(float(best), 1)}); 0 (*) is best."
    )
    head = ("family", "covariance matrices", *(f"k = {k}" for k in ks))
    return Grid("covariance families", caption, head, rows, (0, 1))


def differences(comparison: "ProgramComparison") -> Grid:
    """How much better one program predicts than another, for every pair that converged."""
    return Grid(
        "differences",
        "Differences in the elpd of rows left out, for every pair of programs that converged; "
        "positive where the first predicts better.",
        ("program", "against", "difference in elpd", "± se", "reading"),
        [_difference(comparison, *pair) for pair in combinations(comparison.usable, 2)],
        (0, 1, 4),
    )


def _difference(comparison: "ProgramComparison", one: Both, other: Both) -> GridRow:
    gap, se = difference(one.posterior.loo, other.posterior.loo, one.problem.row_weights)
    better = f"{comparison.name_of(one)} is better"
    cells = (fixed(gap, 1), fixed(se, 1), "a tie" if tied(one, other) else better)
    return GridRow(comparison.name_of(one), (comparison.name_of(other), *cells))


def _distance(value: float) -> str:
    return fixed(value, 1) + ("*" if value == 0 else "")


def families_notes(comparison: "Comparison") -> list[str]:
    """Why cells are empty, and what the highlighted row is."""
    notes = []
    if comparison.chosen_.same_likelihood:
        notes.append(
            "Highlighted is the family of the fitted model. A family restricts the shape, size and "
            "direction of the components, and so needs fewer parameters for each."
        )
    missing: dict[str, list[str]] = {}
    for cell in comparison.families.cells:
        if cell.fit is None:
            at = f"{cell.covariance_type} with k = {cell.n_components}"
            missing.setdefault(cell.reason, []).append(at)
    notes += [f"Not fitted: {listed(where)}: {reason}." for reason, where in missing.items()]
    return notes
