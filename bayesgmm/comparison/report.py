"""The report: one HTML file that explains a comparison to a reader without Python."""

from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from bayesgmm import store
from bayesgmm.bayes.diagnose import APPROXIMATE, STABLE, Thresholds
from bayesgmm.comparison import grids, pictures
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.legends import comparison_legend, parameters_legend
from bayesgmm.comparison.methods import methods
from bayesgmm.comparison.references import references
from bayesgmm.comparison.repeat import command_line, python_call
from bayesgmm.comparison.typography import captioned, pages, prose
from bayesgmm.comparison.words import counted, fixed, listed
from bayesgmm.gaussian.families import family_label

if TYPE_CHECKING:
    from bayesgmm.comparison.compare import Comparison

ONE_PAGE = 28  # rows; a longer table may break over pages
SECTIONS = {
    "comparison": "Comparison",
    "chosen": "Chosen mixture",
    "verdicts": "Verdicts",
    "diagnostics": "Diagnostics",
    "families": "Covariance families",
    "calibration": "Calibration",
    "methods": "Methods",
    "references": "References",
    "repeat": "To repeat this",
}
NOTHING_FOUND = {
    STABLE: "nothing was found that would make its numbers untrustworthy",
    APPROXIMATE: "the importance ratios show no large error; it remains an approximation",
}


def write(comparison: "Comparison", path: Path) -> Path:
    """Write the report, whole or not at all.

    Raises:
        InputError: the path cannot be written.
    """
    store.writable(path)
    store.write_atomically(path, render(comparison).encode())
    return path


def render(comparison: "Comparison") -> str:
    """The report as HTML; the same comparison gives the same text."""
    text = files("bayesgmm.comparison").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"prose": prose, "pages": pages}
    return environment.from_string(text).render(_content(comparison))


def _content(comparison: "Comparison") -> dict[str, Any]:
    chosen = comparison.chosen_
    found = [findings(each, chosen) for each in comparison.fits]
    told, explained = methods(comparison), comparison_legend(comparison)
    legend = parameters_legend(chosen)
    calibrated = comparison.calibration
    return {
        "title": comparison.table.name,
        "byline": byline(comparison),
        "sections": [each for each in SECTIONS.items() if calibrated or each[0] != "calibration"],
        "answer": answer(comparison.sentences()),
        **_tables(comparison),
        "legend": explained,
        "parameters_legend": legend,
        "criteria": pictures.criteria(comparison),
        "pictures": pictures.of_fit(chosen),
        "k": chosen.n_components,
        "verdict": chosen.posterior.verdict.name,
        "usable": chosen.posterior.verdict.usable,
        "chosen_findings": findings(chosen, chosen),
        "remarks": remarks(comparison),
        "findings": found,
        "otherwise": chosen.posterior.verdict.otherwise,
        "diagnostics": grids.diagnostics(comparison),
        "families": grids.families(comparison),
        "families_notes": grids.families_notes(comparison),
        "calibration": grids.calibration(calibrated) if calibrated else [],
        "methods": told,
        "references": references([*told, *(meaning for _, meaning in [*explained, *legend])]),
        **_record(comparison),
    }


def _tables(comparison: "Comparison") -> dict[str, Markup]:
    k = comparison.chosen_.n_components
    summary = comparison.summary()
    kind = "parameters long" if len(summary.rows) > ONE_PAGE else "parameters"
    kind += " resampled" if summary.has_bootstrap else ""
    return {
        "comparison_table": captioned(
            comparison.html_table(),
            "Every number of components k, by maximum likelihood and by Bayes. The chosen k is "
            "marked; what did not converge is grey and in brackets, and is not ranked.",
        ),
        "weights_table": captioned(
            comparison.html_weights(),
            "Weights of the components, largest first within each fit and each draw.",
        ),
        "parameters_table": captioned(
            summary.html_table().replace("<table>", f'<table class="{kind}">', 1),
            f"Parameters of the mixture of k = {k}, in the units of the data: maximum likelihood "
            "on the left, posterior on the right.",
        ),
    }


class Sentence(NamedTuple):
    """A sentence of the answer, whether it warns, and the commands to run next."""

    text: str
    warning: bool
    commands: tuple[str, ...] = ()


def answer(lines: Sequence[str]) -> list[Sentence]:
    """The sentences of a comparison, with commands joined to the sentence before them."""
    told: list[Sentence] = []
    for line in lines:
        text = line.strip()
        if line.startswith("  next: ") and told:
            command = text.removeprefix("next: ")
            told[-1] = told[-1]._replace(commands=(*told[-1].commands, command))
        else:
            told.append(Sentence(text.removeprefix("! "), text.startswith("! ")))
    return told


def byline(comparison: "Comparison") -> list[str]:
    """What was analysed, and how."""
    table, first = comparison.table, comparison.fits[0]
    rows = counted(table.n_rows, "row")
    if table.row_weights is not None:
        rows += f" of total weight {table.total_weight:,.0f}"
    d = len(table.columns)
    names = listed(list(table.columns)) if d <= 6 else f"{', '.join(table.columns[:6])}, …"
    family = first.ml.family
    model = (
        f"{family_label(family.name, d)}: {family.meaning}"
        if first.same_likelihood
        else "components of the user's own kind"
    )
    return [
        f"{rows}, {counted(d, 'column')}: {names}. Source: {table.source}",
        f"Model {first.model} ({model}). Fitted {comparison.provenance['date']}",
    ]


class Finding(NamedTuple):
    """A flag of one fit, or one line that says that none was raised."""

    k: int
    name: str
    number: str
    meaning: str
    next: str
    kind: str
    flagged: bool


def findings(both: Both, chosen: Both) -> list[Finding]:
    """Everything that was found of one fit, worst first."""
    verdict = both.posterior.verdict
    kind = "chosen" if both is chosen else "" if verdict.usable else "undecided"
    k = both.n_components
    if verdict.flags:
        return [
            Finding(k, flag.name, flag.number, flag.meaning, flag.next, kind, True)
            for flag in verdict.flags
        ]
    meaning = NOTHING_FOUND.get(verdict.name, NOTHING_FOUND[STABLE])
    return [Finding(k, verdict.name, passed(both), meaning, "", kind, False)]


def passed(both: Both) -> str:
    """The numbers by which a fit without a flag passed."""
    found, limits = both.posterior.diagnostics, Thresholds()
    if both.posterior.inference != "nuts":
        return f"Pareto k-hat {fixed(found.pareto_k, 2)} <= {limits.pareto_k:g}"
    return (
        f"R-hat {fixed(found.worst_r_hat, 3)} <= {limits.r_hat:g}; "
        f"ESS {fixed(found.lowest_ess, 0)} >= {limits.ess:g}"
    )


def remarks(comparison: "Comparison") -> list[str]:
    """The summary's remarks but for the flags, which are told apart."""
    flags = comparison.chosen_.posterior.verdict.flags
    return [
        remark.removeprefix("* ")
        for remark in comparison.summary().remarks()
        if not any(remark.startswith(f"{flag.name}: {flag.number}") for flag in flags)
    ]


def _record(comparison: "Comparison") -> dict[str, Any]:
    program = comparison.fits[0].program
    told, line = comparison.provenance, command_line(comparison)
    repeat = [("On the command line:", line)] if line else []
    return {
        "repeat": [*repeat, ("In Python:", python_call(comparison))],
        "record": list(_provenance(comparison)),
        "model": comparison.fits[0].model,
        "program": program.text.strip() if program else "",
        "version": told["versions"]["bayesgmm"],
    }


def _provenance(comparison: "Comparison") -> Iterable[tuple[str, str | Markup]]:
    told = comparison.provenance
    code = Markup("<code>{}</code>").format
    yield "data", f"{told['data']}; {told['source']}"
    yield "rows, columns", f"{told['rows']}; {', '.join(told['columns'])}"
    yield "sha256 of the data", code(told["data_sha256"])
    yield "model", told["model"]
    yield "sha256 of its file", code(told["model_sha256"] or "none: not from a file")
    yield "seed", "none: a generator was given" if told["seed"] is None else str(told["seed"])
    yield "options", "; ".join(f"{name} = {value}" for name, value in told["options"].items())
    yield "versions", ", ".join(f"{name} {v}" for name, v in told["versions"].items())
    yield "date", told["date"]
