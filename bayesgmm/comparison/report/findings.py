"""What was found of every fit: flags with the numbers that raised them."""

from itertools import chain
from typing import NamedTuple

from bayesgmm.bayes.diagnose import APPROXIMATE, STABLE, Thresholds
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.report.contenders import Contenders
from bayesgmm.comparison.report.grids import Grid, GridRow
from bayesgmm.comparison.words import fixed

NOTHING_FOUND = {
    STABLE: "nothing was found that would make its numbers untrustworthy",
    APPROXIMATE: "the importance ratios show no large error; it remains an approximation",
}


class Finding(NamedTuple):
    """A flag of a fit, or one line that says that none was raised."""

    name: str
    number: str
    meaning: str
    next: str = ""
    flagged: bool = True


def findings(both: Both) -> list[Finding]:
    """Everything that was found of one fit, worst first."""
    verdict = both.posterior.verdict
    if verdict.flags:
        return [Finding(flag.name, flag.number, flag.meaning, flag.next) for flag in verdict.flags]
    meaning = NOTHING_FOUND.get(verdict.name, NOTHING_FOUND[STABLE])
    return [Finding(verdict.name, passed(both), meaning, flagged=False)]


def passed(both: Both) -> str:
    """The numbers by which a fit without a flag passed."""
    found, limits = both.posterior.diagnostics, Thresholds()
    if both.posterior.inference != "nuts":
        return f"Pareto k-hat {fixed(found.pareto_k, 2)} <= {limits.pareto_k:g}"
    return (
        f"R-hat {fixed(found.worst_r_hat, 3)} <= {limits.r_hat:g}; "
        f"ESS {fixed(found.lowest_ess, 0)} >= {limits.ess:g}"
    )


def all_findings(contenders: Contenders) -> Grid:
    """The findings of every fit, as a table."""
    return Grid(
        "verdicts",
        f"The verdict of every {contenders.what}, what raised it, and what to do; in brackets "
        "where it did not converge.",
        (contenders.what, "verdict", "numbers", "meaning", "next"),
        list(chain.from_iterable(_rows(contenders, each) for each in contenders.fits)),
        words=(1, 2, 3, 4) if contenders.what == "k" else (0, 1, 2, 3, 4),
    )


def _rows(contenders: Contenders, both: Both) -> list[GridRow]:
    label, kind = contenders.label(both), contenders.kind(both)
    kinds = [f"{kind} later".strip(), *[kind] * len(both.posterior.verdict.flags)]
    return [
        GridRow(label, (found.name, found.number, found.meaning, found.next or "-"), own)
        for found, own in zip(findings(both), kinds, strict=False)
    ]


def remarks(both: Both, lines: list[str]) -> list[str]:
    """The remarks of its summary but for the flags, which are told apart."""
    flags = both.posterior.verdict.flags
    return [
        line.removeprefix("* ")
        for line in lines
        if not any(line.startswith(f"{flag.name}: {flag.number}") for flag in flags)
    ]
