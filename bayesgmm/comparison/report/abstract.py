"""Three sentences for a reader without statistics, whose numbers are those of the tables.

How many groups and how sure, or which program; what the groups are; where maximum likelihood and
Bayes agree, and what to be careful about.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from bayesgmm.bayes.diagnose import AMBIGUOUS, COLLAPSED, INTERRUPTED, MULTIMODAL, OVER_FITTED
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.compare import Comparison
from bayesgmm.comparison.parameters import Parameter
from bayesgmm.comparison.programs import ProgramComparison
from bayesgmm.comparison.report.groups import groups
from bayesgmm.comparison.verdicts import better_family, tied
from bayesgmm.comparison.words import counted, fixed, listed, number
from bayesgmm.gaussian.families import family_label

SMALL_MARGIN, WIDE_MARGIN = 2.0, 10.0  # in BIC, as Kass and Raftery (1995) read it
MOST_CAUTIONS = 2
ONE = "one group"
NAMES = {"weight": "weight", "mean": "mean", "sd": "spread (sd)", "corr": "correlation"}


def of_components(comparison: Comparison, rows: Sequence[Parameter]) -> list[str]:
    """The summary of a comparison of numbers of components.

    Args:
        comparison: what is summarised.
        rows: the parameters of its chosen fit.
    """
    chosen = comparison.chosen_
    ks = [
        each.n_components
        for each in comparison.fits
        if not each.posterior.verdict.usable and each is not chosen
    ]
    numbers = _groups(ks[0]) if len(ks) == 1 else f"{listed([str(k) for k in ks])} groups"
    worries = [*_of_fit(chosen), *_undecided(numbers, ks), *_of_families(comparison)]
    return [_how_many(comparison), groups(chosen, rows), _care(chosen, rows, worries)]


def of_programs(comparison: ProgramComparison, rows: Sequence[Parameter]) -> list[str]:
    """The summary of a comparison of programs, `rows` being the parameters of the best."""
    best = comparison.fits[0]
    others = [
        comparison.name_of(each)
        for each in comparison.fits[1:]
        if not each.posterior.verdict.usable
    ]
    worries = [*_of_fit(best), *_undecided(listed(others), others)]
    return [_which(comparison), groups(best, rows), _care(best, rows, worries)]


def _groups(k: int) -> str:
    return ONE if k == 1 else f"{k} groups"


def _observations(both: Both) -> str:
    """The data, in a reader's words."""
    table = both.problem.table
    if table.row_weights is None:
        return f"the {counted(table.n_rows, 'row')} of {table.name}"
    return f"the {table.total_weight:,.0f} observations in {table.name}"


def _how_many(comparison: Comparison) -> str:
    chosen, data = comparison.chosen_, _observations(comparison.chosen_)
    k, name = _groups(chosen.n_components), comparison.criterion.upper()
    if not chosen.posterior.verdict.usable:
        have = "has" if chosen.n_components == 1 else "have"
        return (
            f"How many groups {data} form is not settled: no computation is reliable, and "
            f"{k}, which {have} the lowest {name}, can only be provisional."
        )
    usable = [each for each in comparison.fits if each.posterior.verdict.usable]
    ahead = _ahead(comparison)
    opening = f"{_capital(data)} are best described as {k}"
    if ahead:
        opening = f"Of what could be computed reliably, {k} describe{'s' * (k == ONE)} {data} best"
    reasons = [*(ahead or _behind(comparison, usable)), *_predictions(comparison, usable)]
    if not reasons:
        return f"{opening}, with no other number to compare it with."
    return f"{opening}: {'; '.join(reasons)}."


def _ahead(comparison: Comparison) -> list[str]:
    """An undecided number that the criterion puts ahead of the chosen."""
    name = comparison.criterion
    best = min(comparison.fits, key=lambda each: getattr(each.ml, name))
    gap = getattr(comparison.chosen_.ml, name) - getattr(best.ml, name)
    if best is comparison.chosen_ or not gap > 0:
        return []
    return [
        f"{_groups(best.n_components)}, which would be ahead by {fixed(gap, 1)} points of "
        f"{name.upper()}, could not"
    ]


def _behind(comparison: Comparison, usable: Sequence[Both]) -> Iterator[str]:
    """How far the next best number is behind by the criterion."""
    chosen, name = comparison.chosen_, comparison.criterion
    others = [each for each in usable if each is not chosen]
    if not others:
        return
    second = min(others, key=lambda each: getattr(each.ml, name))
    gap = getattr(second.ml, name) - getattr(chosen.ml, name)
    k = _groups(second.n_components)
    size = f", {_size(gap)}" if name == "bic" else ""
    yield f"{k} come{'s' * (k == ONE)} next, {fixed(gap, 1)} points of {name.upper()} behind{size}"


def _size(gap: float) -> str:
    if round(gap, 1) <= SMALL_MARGIN:
        return "a margin that hardly counts"
    return "a fair margin" if gap < WIDE_MARGIN else "a wide margin"


def _predictions(comparison: Comparison, usable: Sequence[Both]) -> Iterator[str]:
    """Whether another number predicts rows better that were left out."""
    chosen = comparison.chosen_
    if len(usable) < 2:
        return
    best = max(usable, key=lambda each: each.posterior.loo.elpd)
    if best is chosen:
        yield "no other number predicts new rows better"
    elif tied(chosen, best):
        yield "no other number predicts new rows clearly better"
    else:
        row = next(each for each in comparison.rows() if each.k == chosen.n_components)
        apart = f"{fixed(row.d_loo, 1)} ± {fixed(row.d_loo_se, 1)}"
        yield f"yet {_groups(best.n_components)} predict new rows better (ΔLOO {apart})"


def _which(comparison: ProgramComparison) -> str:
    data, usable = _observations(comparison.fits[0]), comparison.usable
    if not usable:
        return f"Which program describes {data} best is not settled: no computation is reliable."
    best, *others = usable
    name = comparison.name_of(best)
    if not others:
        return f"Only {name} converged on {data}, so that there is nothing to rank."
    ties = [each for each in others if tied(each, best)]
    worse = [each for each in others if not tied(each, best)]
    told = [f"{_named(comparison, ties)} not clearly worse"] if ties else []
    told += [f"{_named(comparison, worse)} clearly worse"] if worse else []
    return f"Of the programs {name} predicts new rows best on {data}; {' and '.join(told)}."


def _named(comparison: ProgramComparison, fits: Sequence[Both]) -> str:
    """Programs with their distances, as the subject of a sentence."""
    rows = dict(zip(map(id, comparison.fits), comparison.rows(), strict=True))
    told = [
        f"{comparison.name_of(each)} (ΔLOO {fixed(rows[id(each)].d_loo, 1)} ± "
        f"{fixed(rows[id(each)].d_loo_se, 1)})"
        for each in fits
    ]
    return f"{listed(told)} {'is' if len(told) == 1 else 'are'}"


def _care(both: Both, rows: Sequence[Parameter], worries: Sequence[str]) -> str:
    """Whether maximum likelihood and Bayes agree, and what to be careful about."""
    told = list(worries[:MOST_CAUTIONS])
    careful = f"be careful: {'; '.join(told)}" if told else "nothing else calls for care"
    return f"{_agreement(both, rows)}; {careful}."


def _agreement(both: Both, rows: Sequence[Parameter]) -> str:
    if not both.posterior.verdict.usable:
        return "The Bayesian numbers are provisional and not to be compared with the others"
    if not both.same_likelihood:
        return (
            "Maximum likelihood is here that of normal components, another model, and serves as a "
            "yardstick only"
        )
    compared = [row for row in rows if np.isfinite(row.shift)]
    if not compared:
        return "Maximum likelihood has no standard errors to compare the Bayesian numbers with"
    apart = [row for row in compared if abs(row.mean - row.ml) > max(row.se, row.sd)]
    most = max(apart or compared, key=lambda row: abs(row.shift))
    values = f"from {number(most.ml, most.sd)} to {number(most.mean, most.sd)}"
    if apart:
        return f"Maximum likelihood and Bayes disagree, most in the {_estimate(most)} ({values})"
    which = "estimate with a standard error" if _unknown(rows) else "estimate"
    return (
        f"Maximum likelihood and Bayes agree: no {which} moves by more than its uncertainty (the "
        f"largest move is that of the {_estimate(most)}, {values})"
    )


def _unknown(rows: Sequence[Parameter]) -> bool:
    """Whether there are estimates of which no standard error is known."""
    return any(np.isfinite(row.ml) and not np.isfinite(row.se) for row in rows)


def _estimate(row: Parameter) -> str:
    """A parameter in a reader's words."""
    columns = row.column.replace(", ", " and ")
    named = f"{NAMES.get(row.name, row.name)}{f' of {columns}' if columns else ''}"
    if not row.component:
        return named
    return f"{named} {'in' if columns else 'of'} group {row.component}"


def _of_fit(both: Both) -> Iterator[str]:
    """What the flags of a fit mean to a reader, and rows that could not be left out."""
    told = {
        INTERRUPTED: "the computation was interrupted",
        COLLAPSED: "a group has shrunk onto equal rows, so that nothing else means anything",
        MULTIMODAL: "the data allow quite different groups, of which these are one kind",
        OVER_FITTED: "some groups are usually empty, so that fewer would do",
        AMBIGUOUS: "groups overlap, so that single ones blend into each other",
    }
    yield from (told[flag.name] for flag in both.posterior.verdict.flags if flag.name in told)
    n_bad = both.posterior.loo.n_bad
    if n_bad:
        yield f"{counted(n_bad, 'row')} could not be left out reliably to test predictions"


def _undecided(named: str, fits: Sequence[object]) -> Iterator[str]:
    if fits:
        yield f"the computation for {named} is not reliable, which leaves the matter open"


def _of_families(comparison: Comparison) -> Iterator[str]:
    """Another shape of components that the criterion prefers."""
    best = better_family(comparison)
    if best is not None:
        k, name = _groups(best.n_components), comparison.criterion.upper()
        have = "has" if k == ONE else "have"
        label = family_label(best.covariance_type, len(comparison.table.columns))
        yield f"{k} of another shape ({label}) {have} a lower {name}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
