"""The answer in words, made from the numbers of a comparison."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesgmm.bayes.loo import difference
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.repeat import data_word
from bayesgmm.comparison.words import counted, listed
from bayesgmm.ml.selection import Cell

if TYPE_CHECKING:
    from bayesgmm.comparison.compare import Comparison

MOST_REFITS = 10
CLEARLY = "over"  # by three standard errors
TIE = 4.0
TIE_SE = 2.0
PROGRAM_OF_FAMILY = {
    "VVV": "gaussian",
    "EEE": "gaussian_tied",
    "VVI": "gaussian_diag",
    "VII": "gaussian_spherical",
}


def sentences(comparison: "Comparison") -> list[str]:
    """The answer first, then what each criterion says, then where to be careful."""
    return [
        _answer(comparison),
        *_lower_bound(comparison),
        *_criteria(comparison),
        *_prediction(comparison),
        *_undecided(comparison),
        *_interrupted(comparison),
        *_edge(comparison),
        *_families(comparison),
        "LOO ranks predictions; BIC and ICL count clusters by approximation; AIC and BIC lose "
        "their ground where there are more components than the data need.",
    ]


def tied(a: Both, b: Both) -> bool:
    """Whether two fits predict alike: less than 4 in elpd, or 2 standard errors, apart."""
    gap, se = difference(a.posterior.loo, b.posterior.loo, a.problem.row_weights)
    return abs(gap) < TIE or abs(gap) < TIE_SE * se


def _usable(comparison: "Comparison") -> list[Both]:
    return [each for each in comparison.fits if each.posterior.verdict.usable]


def _answer(comparison: "Comparison") -> str:
    chosen = comparison.chosen_
    how = f"lowest {comparison.criterion.upper()}"
    if not _usable(comparison):
        return (
            f"No k converged. k = {chosen.n_components} has the {how}, but its posterior is "
            "provisional."
        )
    others = len(comparison.fits) - len(_usable(comparison))
    among = " among the converged fits" if others else ""
    return f"Chosen: k = {chosen.n_components}, {how}{among}; verdict: {chosen.posterior.verdict}."


def _lower_bound(comparison: "Comparison") -> list[str]:
    usable = _usable(comparison)
    if len(usable) < 2:
        return []
    best = max(usable, key=lambda each: each.posterior.loo.elpd)
    worse = []
    for each in usable:
        if tied(each, best) or each is best:
            break
        worse.append(each)
    if not worse or worse[-1].n_components >= best.n_components:
        return []
    ks, far = [each.n_components for each in worse], all(_far(each, best) for each in worse)
    predict = "predicts" if len(ks) == 1 else "predict"
    return [f"At least {ks[-1] + 1}: k = {_runs(ks)} {predict} {'far ' if far else ''}worse."]


def _far(each: Both, best: Both) -> bool:
    """Whether a fit predicts worse by more than three standard errors."""
    gap, se = difference(best.posterior.loo, each.posterior.loo, each.problem.row_weights)
    return _strength(gap, se) == CLEARLY


def _criteria(comparison: "Comparison") -> list[str]:
    best: dict[int, list[str]] = {}
    for name in ("bic", "icl", "aic"):
        values = [getattr(each.ml, name) for each in comparison.fits]
        if np.isfinite(values).all():
            k = comparison.fits[int(np.argmin(values))].n_components
            best.setdefault(k, []).append(name.upper())
    told = "; ".join(f"{listed(names)}: {k}" for k, names in best.items())
    return [f"{told}."] if told else []


def _prediction(comparison: "Comparison") -> list[str]:
    usable = sorted(_usable(comparison), key=lambda each: -each.posterior.loo.elpd)
    if len(usable) < 2:
        return []
    best, second = usable[:2]
    named = [(f"k = {each.n_components}", each) for each in usable]
    told = compared(str(best.n_components), best, str(second.n_components), second)
    return [told, *unreliable(named)]


def compared(name: str, best: Both, other: str, second: Both) -> str:
    """How much better the best fit predicts than the second."""
    gap, se = difference(best.posterior.loo, second.posterior.loo, best.problem.row_weights)
    return (
        f"LOO: {name}, {_strength(gap, se)} {other} "
        f"(difference {gap:.1f} +- {se:.1f} in elpd{': a tie' if tied(best, second) else ''})."
    )


def unreliable(named: Sequence[tuple[str, Both]]) -> list[str]:
    """Warnings of the fits whose LOO is not reliable for some rows, and what to run next."""
    bad = [(name, each) for name, each in named if each.posterior.loo.n_bad]
    lines = [
        f"! LOO of {name} is unreliable for {counted(each.posterior.loo.n_bad, 'row')} "
        f"(Pareto k above {each.posterior.loo.good_k:.2f})."
        for name, each in bad
    ]
    return lines + [f"  next: {_without_rows(each)}" for _, each in bad[:1]]


def _without_rows(fitted: Both) -> str:
    """The command that leaves rows out by refits: one each while they are few, else in folds."""
    how = "--reloo" if fitted.posterior.loo.n_bad <= MOST_REFITS else "--kfold 10"
    data = shlex.quote(data_word(fitted.problem.table) or "DATA")
    path = fitted.program.path if fitted.program and not fitted.program.is_ours else ""
    model = shlex.quote(path or fitted.model)
    return f"bayesgmm fit {data} -k {fitted.n_components} --model {model} {how}"


def _strength(gap: float, se: float) -> str:
    if gap < TIE or gap < se:
        return "no better than"
    return "weakly over" if gap < 3 * se else CLEARLY


def _interrupted(comparison: "Comparison") -> list[str]:
    if not comparison.interrupted:
        return []
    missing = comparison.provenance.get("interrupted_before_k") or []
    not_fitted = f"k = {listed([str(k) for k in missing])} not fitted, " if missing else ""
    return [f"! Interrupted: {not_fitted}and the last of the others perhaps cut short."]


def _undecided(comparison: "Comparison") -> list[str]:
    ks = [each.n_components for each in comparison.fits if not each.posterior.verdict.usable]
    named = [f"k = {_runs(ks)}"] if ks else []
    return outlook(named, comparison.fits[0].posterior.inference)


def outlook(undecided: list[str], inference: str) -> list[str]:
    """What is said of fits that did not converge."""
    if not undecided:
        return []
    sampled = inference == "nuts"
    failed = "the sampler did not converge within its budget"
    why = failed if sampled else "the approximation is poor"
    return [f"Undecided: {listed(undecided)}: {why}, which says nothing against them."]


def _runs(ks: Sequence[int]) -> str:
    if len(ks) > 2 and list(ks) == list(range(ks[0], ks[-1] + 1)):
        return f"{ks[0]} to {ks[-1]}"
    return listed([str(k) for k in ks])


def _edge(comparison: "Comparison") -> list[str]:
    """Criteria that choose the largest k that was tried."""
    last, ml = len(comparison.fits) - 1, comparison.fits[-1].ml
    values = {
        name: [getattr(each.ml, name) for each in comparison.fits] for name in ("aic", "bic", "icl")
    }
    names = [
        name.upper()
        for name, found in values.items()
        if last and np.isfinite(found).all() and int(np.argmin(found)) == last
    ]
    if not names:
        return []
    doubtful = ml.hits < ml.n_starts / 5 or ml.counts.min() < ml.family.min_rows(ml.d) * 5
    advice = "distrust it" if doubtful else "look further"
    return [
        f"! {listed(names)}: {ml.n_components} is the edge of the range, reached by {ml.hits} of "
        f"{ml.n_starts} starts, smallest component {counted(ml.counts.min(), 'row')}: {advice}."
    ]


def better_family(comparison: "Comparison") -> Cell | None:
    """The cell of the covariance families that the criterion prefers to the chosen fit.

    None where no family is better by what is printed, and for programs of another likelihood.
    """
    cells, own, name = comparison.families.fitted, comparison.chosen_.ml, comparison.criterion
    if not cells or not comparison.chosen_.same_likelihood:
        return None
    assert cells[0].fit is not None
    return cells[0] if round(getattr(own, name) - getattr(cells[0].fit, name), 1) > 0 else None


def _families(comparison: "Comparison") -> list[str]:
    best, own, name = better_family(comparison), comparison.chosen_.ml, comparison.criterion
    if best is None:
        return []
    n_families = len({cell.covariance_type for cell in comparison.families.cells})
    lines = [
        f"! Over {n_families} families {name.upper()} prefers {_cell(best)} "
        f"({getattr(best.fit, name):.1f}) to {own.family.name},{own.n_components} "
        f"({getattr(own, name):.1f})."
    ]
    if best.covariance_type != own.family.name:
        lines.append(f"  next: {_other_family(comparison, best)}")
    return lines


def _other_family(comparison: "Comparison", best: Cell) -> str:
    """The command that compares again with the program of the better family, if it has one."""
    ks = [each.n_components for each in comparison.fits]
    data = shlex.quote(data_word(comparison.table) or "DATA")
    grid = f"{data} -k {ks[0]}:{ks[-1]}"
    model = PROGRAM_OF_FAMILY.get(best.covariance_type)
    return f"bayesgmm compare {grid} --model {model}" if model else f"bayesgmm select {grid}"


def _cell(cell: Cell) -> str:
    return f"{cell.covariance_type},{cell.n_components}"
