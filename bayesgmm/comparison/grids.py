"""The report's own tables: diagnostics of every k, how it was searched, covariance families."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bayesgmm.bayes.diagnose import Thresholds
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.words import INFERENCES, fixed, listed
from bayesgmm.gaussian.families import family, family_label
from bayesgmm.ml.calibration import Calibration
from bayesgmm.ml.coverage import Coverage

if TYPE_CHECKING:
    from bayesgmm.comparison.compare import Comparison

SHOWN_MODES = 4


class GridRow(NamedTuple):
    """A row: its label, its cells, and "chosen", "undecided" or ""."""

    label: str
    cells: tuple[str, ...]
    kind: str = ""


class Grid(NamedTuple):
    """A table with a caption; `words` are the columns, counted from 0, that hold words."""

    caption: str
    head: tuple[str, ...]
    rows: list[GridRow]
    words: tuple[int, ...] = ()


def diagnostics(comparison: "Comparison") -> list[tuple[Grid, list[str]]]:
    """Sampler, leave-one-out and search of every k, each with its explanations."""
    nuts = comparison.fits[0].posterior.inference == "nuts"
    return [
        _sampler(comparison) if nuts else _approximation(comparison),
        _prediction(comparison),
        _search(comparison),
        _modes(comparison),
    ]


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
        f"Intervals: the share, in %, of 95 % intervals that cover the truth in {size} simulated "
        f"from the maximum-likelihood fit of k = {k}, each as large as the data.",
        ("intervals from", *quantities),
        covered,
        (0,),
    )
    recovered = Grid(
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


def _rows(comparison: "Comparison", cells: Sequence[tuple[str, ...]]) -> list[GridRow]:
    chosen = comparison.chosen_
    return [
        GridRow(str(each.n_components), own, _kind(each, chosen))
        for each, own in zip(comparison.fits, cells, strict=True)
    ]


def _kind(both: Both, chosen: Both) -> str:
    if both is chosen:
        return "chosen"
    return "" if both.posterior.verdict.usable else "undecided"


def _sampler(comparison: "Comparison") -> tuple[Grid, list[str]]:
    limits = Thresholds()
    head = ("k", "chains x draws", "worst R-hat", "quantity", "lowest ESS", "quantity")
    grid = Grid(
        "The sampler, judged on quantities that do not depend on labels.",
        (*head, "divergent", "E-BFMI"),
        _rows(comparison, [_sampler_cells(each) for each in comparison.fits]),
        words=(3, 5),
    )
    note = (
        "R-hat compares the spread between chains with that within them: 1 when they agree, and at "
        f"most {limits.r_hat:g} here. ESS, the effective sample size, is what the draws are worth "
        f"after allowing for their dependence; at least {limits.ess:g} are asked for, in centre "
        f"and tails. Divergent transitions, more than {100 * limits.divergent:g} % of the "
        f"draws, or an E-BFMI below {limits.e_bfmi:g} mean that the sampler could not follow the "
        "shape of the posterior."
    )
    return grid, [note]


def _sampler_cells(both: Both) -> tuple[str, ...]:
    found = both.posterior.diagnostics
    c, s = both.posterior.margin.shape
    ess = {name: min(found.ess_bulk[name], found.ess_tail[name]) for name in found.ess_bulk}
    return (
        f"{c} x {s}",
        fixed(found.worst_r_hat, 3),
        _extreme(found.r_hat, max),
        fixed(found.lowest_ess, 0),
        _extreme(ess, min),
        str(found.divergences),
        fixed(found.e_bfmi, 2),
    )


def _extreme(values: Mapping[str, float], worst: Callable[..., str]) -> str:
    """The quantity of the worst value; one that is not a number is the worst of all."""
    undefined = [name for name, value in values.items() if np.isnan(value)]
    return undefined[0] if undefined else worst(values, key=values.__getitem__)


def _thousands(value: float) -> str:
    return f"{value:,.0f}" if np.isfinite(value) else "-"


def _approximation(comparison: "Comparison") -> tuple[Grid, list[str]]:
    cells = []
    for each in comparison.fits:
        c, s = each.posterior.margin.shape
        cells.append((str(c * s), fixed(each.posterior.diagnostics.pareto_k, 2)))
    grid = Grid(
        f"The {INFERENCES[comparison.fits[0].posterior.inference]}.",
        ("k", "independent draws", "Pareto k-hat"),
        _rows(comparison, cells),
    )
    note = (
        "Pareto k-hat says how far the approximation is from the posterior, by the tail of its "
        f"importance ratios; above {Thresholds().pareto_k:g} it cannot be trusted."
    )
    return grid, [note]


def _prediction(comparison: "Comparison") -> tuple[Grid, list[str]]:
    good = fixed(comparison.chosen_.posterior.loo.good_k, 2)
    head = ("k", "elpd", "± se", "p_loo", "largest Pareto k", "rows above its limit")
    grid = Grid(
        "Prediction of rows left out (PSIS-LOO), occupation, and labels.",
        (*head, "all k occupied", "ambiguous labels"),
        _rows(comparison, [_prediction_cells(each) for each in comparison.fits]),
    )
    note = (
        "elpd is the log density that the fit gives to a row when it is left out, summed over "
        f"rows; higher is better. A row whose Pareto k exceeds its limit ({good} for as many "
        "draws as the chosen fit has) weighs so much that its own contribution is uncertain. All "
        "k occupied: the share of draws in which every component holds rows. Ambiguous labels: "
        "the share of draws whose components could be numbered in another way nearly as well."
    )
    return grid, [note]


def _prediction_cells(both: Both) -> tuple[str, ...]:
    loo, found = both.posterior.loo, both.posterior.diagnostics
    return (
        fixed(loo.elpd, 1),
        fixed(loo.se, 1),
        fixed(loo.p_loo, 1),
        fixed(float(np.max(loo.pareto_k)), 2),
        str(loo.n_bad),
        f"{100 * found.occupied:.0f} %",
        f"{100 * found.ambiguous:.0f} %",
    )


def _search(comparison: "Comparison") -> tuple[Grid, list[str]]:
    head = ("k", "starts", "reached the best", "distinct optima", "of them refused")
    grid = Grid(
        "How EM searched: starts, and the optima in which they ended.",
        (*head, "next best below", "smallest component", "converged"),
        _rows(comparison, [_search_cells(each) for each in comparison.fits]),
    )
    note = (
        "Few starts at the best optimum mean that a better one may have been missed. Refused are "
        "optima whose components shrink onto too few rows or onto a line; the likelihood has no "
        "upper bound there. Next best below: how much log-likelihood the second optimum lacks. "
        "The smallest component is given in expected rows."
    )
    return grid, [note, *_refused(comparison)]


def _search_cells(both: Both) -> tuple[str, ...]:
    ml = both.ml
    return (
        str(ml.n_starts),
        str(ml.hits),
        str(len(ml.optima)),
        str(sum(not optimum.admissible for optimum in ml.optima)),
        fixed(ml.second_gap, 2),
        _thousands(float(ml.counts.min())),
        "yes" if ml.converged else "no",
    )


def _refused(comparison: "Comparison") -> list[str]:
    return [
        f"The best fit of k = {each.n_components} is not admissible: {each.ml.optima[0].reason}."
        for each in comparison.fits
        if not each.ml.optima[0].admissible
    ]


def _modes(comparison: "Comparison") -> tuple[Grid, list[str]]:
    cells = []
    for each in comparison.fits:
        kept, modes = each.posterior.kept, len(set(each.posterior.diagnostics.chain_modes))
        used = f"{kept.sum()} of {len(kept)}" if not kept.all() else "all"
        cells.append((_shares(each), str(modes), used))
    grid = Grid(
        "Modes of the posterior that were found before sampling, and where the chains went.",
        ("k", "modes, with their share of the Laplace mass", "modes sampled", "chains used"),
        _rows(comparison, cells),
        words=(1,),
    )
    note = (
        "The Laplace mass is the probability under the mode, taken as normal: a rough weight that "
        "decides where chains start. Where chains stay in different modes, averages use those of "
        "the mode that predicts best."
    )
    return grid, [note]


def _shares(both: Both) -> str:
    modes = both.posterior.modes
    told = [f"{origin}: {_percent(share)}" for origin, share in modes[:SHOWN_MODES]]
    rest = len(modes) - SHOWN_MODES
    return "; ".join(told + ([f"and {rest} more"] if rest > 0 else []))


def _percent(share: float) -> str:
    if 0 < share < 0.001:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if share < 0.9995 else "100 %"


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
    return Grid(caption, ("family", "covariance matrices", *(f"k = {k}" for k in ks)), rows, (0, 1))


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
