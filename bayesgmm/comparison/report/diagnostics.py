"""The tables of diagnostics: how every fit was searched, sampled and judged."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bayesgmm.bayes.diagnose import Thresholds
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.report.contenders import Contenders
from bayesgmm.comparison.report.grids import Grid, GridRow
from bayesgmm.comparison.words import INFERENCES, fixed

SHOWN_MODES = 4


def diagnostics(contenders: Contenders) -> list[tuple[Grid, list[str]]]:
    """Sampler, leave-one-out, search and modes of every fit, each with its explanations."""
    return [
        _sampler(contenders) if contenders.sampled else _approximation(contenders),
        _prediction(contenders),
        _search(contenders),
        _modes(contenders),
    ]


def _rows(contenders: Contenders, cells: Callable[[Both], tuple[str, ...]]) -> list[GridRow]:
    return [
        GridRow(contenders.label(each), cells(each), contenders.kind(each))
        for each in contenders.fits
    ]


def _grid(
    contenders: Contenders,
    name: str,
    caption: str,
    head: Sequence[str],
    cells: Callable[[Both], tuple[str, ...]],
    words: tuple[int, ...] = (),
) -> Grid:
    """A table of one row for every fit."""
    named = (0,) if contenders.what == "program" else ()
    rows = _rows(contenders, cells)
    return Grid(name, caption, (contenders.what, *head), rows, named + words)


def _sampler(contenders: Contenders) -> tuple[Grid, list[str]]:
    limits = Thresholds()
    head = ("chains x draws", "worst R-hat", "quantity", "lowest ESS", "quantity")
    grid = _grid(
        contenders,
        "the sampler",
        "The sampler, judged on quantities that do not depend on labels.",
        (*head, "divergent", "E-BFMI"),
        _sampler_cells,
        (3, 5),
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


def _approximation(contenders: Contenders) -> tuple[Grid, list[str]]:
    grid = _grid(
        contenders,
        "the approximation",
        f"The {INFERENCES[contenders.chosen.posterior.inference]}.",
        ("independent draws", "Pareto k-hat"),
        _approximation_cells,
    )
    note = (
        "Pareto k-hat says how far the approximation is from the posterior, by the tail of its "
        f"importance ratios; above {Thresholds().pareto_k:g} it cannot be trusted."
    )
    return grid, [note]


def _approximation_cells(both: Both) -> tuple[str, ...]:
    posterior = both.posterior
    return str(posterior.margin.size), fixed(posterior.diagnostics.pareto_k, 2)


def _prediction(contenders: Contenders) -> tuple[Grid, list[str]]:
    good = fixed(contenders.chosen.posterior.loo.good_k, 2)
    head = ("elpd", "± se", "p_loo", "largest Pareto k", "rows above its limit")
    grid = _grid(
        contenders,
        "prediction",
        "Prediction of rows left out (PSIS-LOO), occupation, and labels.",
        (*head, "all k occupied", "ambiguous labels"),
        _prediction_cells,
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


def _search(contenders: Contenders) -> tuple[Grid, list[str]]:
    head = ("starts", "reached the best", "distinct optima", "of them refused")
    grid = _grid(
        contenders,
        "the search of EM",
        "How EM searched: starts, and the optima in which they ended.",
        (*head, "next best below", "smallest component", "converged"),
        _search_cells,
    )
    note = (
        "Few starts at the best optimum mean that a better one may have been missed. Refused are "
        "optima whose components shrink onto too few rows or onto a line; the likelihood has no "
        "upper bound there. Next best below: how much log-likelihood the second optimum lacks. "
        "The smallest component is given in expected rows."
    )
    return grid, [note, *_refused(contenders)]


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


def _refused(contenders: Contenders) -> list[str]:
    return [
        f"The best fit of {name} is not admissible: {each.ml.optima[0].reason}."
        for name, each in zip(contenders.names, contenders.fits, strict=True)
        if not each.ml.optima[0].admissible
    ]


def _modes(contenders: Contenders) -> tuple[Grid, list[str]]:
    grid = _grid(
        contenders,
        "modes",
        "Modes of the posterior that were found before sampling, and where the chains went.",
        ("modes, with their share of the Laplace mass", "modes sampled", "chains used"),
        _mode_cells,
        (1,),
    )
    note = (
        "The Laplace mass is the probability under the mode, taken as normal: a rough weight that "
        "decides where chains start. Where chains stay in different modes, averages use those of "
        "the mode that predicts best."
    )
    return grid, [note]


def _mode_cells(both: Both) -> tuple[str, ...]:
    kept, modes = both.posterior.kept, len(set(both.posterior.diagnostics.chain_modes))
    used = f"{kept.sum()} of {len(kept)}" if not kept.all() else "all"
    return _shares(both), str(modes), used


def _shares(both: Both) -> str:
    modes = both.posterior.modes
    told = [f"{origin}: {_percent(share)}" for origin, share in modes[:SHOWN_MODES]]
    rest = len(modes) - SHOWN_MODES
    return "; ".join(told + ([f"and {rest} more"] if rest > 0 else []))


def _percent(share: float) -> str:
    if 0 < share < 0.001:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if share < 0.9995 else "100 %"
