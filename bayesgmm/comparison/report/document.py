"""The report: one HTML file that explains a comparison to a reader without Python."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from bayesgmm import store
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.compare import Comparison
from bayesgmm.comparison.programs import ProgramComparison
from bayesgmm.comparison.repeat import (
    command_line,
    programs_command_line,
    programs_python_call,
    python_call,
    record,
)
from bayesgmm.comparison.report import abstract, contenders, diagnostics, grids, methods, pictures
from bayesgmm.comparison.report.contenders import Contenders
from bayesgmm.comparison.report.findings import all_findings, findings, remarks
from bayesgmm.comparison.report.legends import (
    Legend,
    comparison_legend,
    parameters_legend,
    programs_legend,
    verdicts_legend,
)
from bayesgmm.comparison.report.page import page
from bayesgmm.comparison.report.references import references
from bayesgmm.comparison.report.typography import captioned
from bayesgmm.comparison.summary import Summary
from bayesgmm.comparison.words import counted, listed
from bayesgmm.gaussian.families import family_label

ONE_PAGE = 28  # rows; a longer table may break over pages
SECTIONS = {
    "answer": "Answer",
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


def write(comparison: Comparison | ProgramComparison, path: Path) -> Path:
    """Write the report, whole or not at all.

    Raises:
        InputError: the path cannot be written.
    """
    store.writable(path)
    store.write_atomically(path, render(comparison).encode())
    return path


def render(comparison: Comparison | ProgramComparison) -> str:
    """The report as HTML; the same comparison gives the same text."""
    if isinstance(comparison, ProgramComparison):
        return page("programs.html.j2", _of_programs(comparison))
    return page("comparison.html.j2", _of_components(comparison))


def _of_components(comparison: Comparison) -> dict[str, Any]:
    found, summary = contenders.of_components(comparison), comparison.summary()
    explained, calibrated = comparison_legend(comparison), comparison.calibration
    told = methods.of_components(comparison)
    absent = set() if calibrated else {"calibration"}
    return {
        **_shared(found, summary, explained, told, absent),
        "title": f"{comparison.table.name}: how many components?",
        "byline": [*_data(found), _model(comparison), f"Fitted {comparison.provenance['date']}"],
        "abstract": abstract.of_components(comparison, summary.rows),
        "answer": answer(comparison.sentences()),
        "fitted_twice": "Every k is fitted twice:",
        "comparison_table": captioned(
            comparison.html_table(),
            "Every number of components k, by maximum likelihood and by Bayes. The chosen k is "
            "marked; what did not converge is grey and in brackets, and is not ranked.",
        ),
        "weights_table": captioned(
            comparison.html_weights(),
            "Weights of the components, largest first within each fit and each draw.",
        ),
        "criteria": pictures.criteria(comparison),
        "chosen_title": f"The chosen mixture, k = {found.chosen.n_components}",
        "families": grids.families(comparison),
        "families_notes": grids.families_notes(comparison),
        "calibration": grids.calibration(calibrated) if calibrated else [],
        "repeat": _repeat(command_line(comparison), python_call(comparison)),
        "record": list(record(comparison.provenance)),
        "version": comparison.provenance["versions"]["bayesgmm"],
    }


def _of_programs(comparison: ProgramComparison) -> dict[str, Any]:
    found = contenders.of_programs(comparison)
    summary, explained = Summary.of(found.chosen), programs_legend(found)
    told = methods.of_programs(comparison)
    repeat = programs_command_line(comparison), programs_python_call(comparison)
    return {
        **_shared(found, summary, explained, told, {"families", "calibration"}),
        "title": f"{comparison.table.name}: which program?",
        "byline": [*_data(found), f"Fitted {comparison.provenance['date']}"],
        "abstract": abstract.of_programs(comparison, summary.rows),
        "answer": answer(comparison.sentences()),
        "fitted_twice": "Every program is fitted after a mixture of normal components:",
        "comparison_table": captioned(
            comparison.html_table(),
            "Every program, the best prediction first. What did not converge is grey and in "
            "brackets, and is not ranked.",
        ),
        "differences": grids.differences(comparison),
        "programs_picture": pictures.programs(comparison),
        "chosen_title": _best(comparison),
        "repeat": _repeat(*repeat),
        "record": list(record(comparison.provenance)),
        "version": comparison.provenance["versions"]["bayesgmm"],
    }


def _shared(
    found: Contenders, summary: Summary, explained: Legend, told: list[str], absent: set[str]
) -> dict[str, Any]:
    """What the reports of both kinds hold."""
    chosen, legend = found.chosen, parameters_legend(found.chosen)
    shown = pictures.of_fit(chosen)
    meanings = [meaning for _, meaning in [*explained, *legend]]
    captions = [each.caption for _, group in shown for each in group]
    return {
        "sections": [each for each in SECTIONS.items() if each[0] not in absent],
        "legend": explained,
        "parameters_table": _parameters(summary, chosen),
        "parameters_legend": legend,
        "pictures": [(name, group) for name, group in shown if group],
        "verdict": chosen.posterior.verdict.name,
        "usable": chosen.posterior.verdict.usable,
        "chosen_findings": findings(chosen),
        "remarks": remarks(chosen, summary.remarks()),
        "verdicts_legend": verdicts_legend(sampled=found.sampled),
        "findings": all_findings(found),
        "diagnostics": diagnostics.diagnostics(found),
        "methods": told,
        "references": references([*told, *meanings, *captions]),
        "programs": _programs(found),
    }


def _best(comparison: ProgramComparison) -> str:
    first = comparison.fits[0]
    which = "The best program" if comparison.usable else "One of the programs"
    return f"{which}: {first.model}, k = {first.n_components}"


def _parameters(summary: Summary, chosen: Both) -> Markup:
    kind = "parameters long" if len(summary.rows) > ONE_PAGE else "parameters"
    kind += " resampled" if summary.has_bootstrap else ""
    return captioned(
        summary.html_table().replace("<table>", f'<table class="{kind}">', 1),
        f"Parameters of the mixture of k = {chosen.n_components}, in the units of the data: "
        "maximum likelihood on the left, posterior on the right.",
    )


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


def _data(found: Contenders) -> list[str]:
    """What was analysed."""
    table = found.chosen.problem.table
    rows = counted(table.n_rows, "row")
    if table.row_weights is not None:
        rows += f" of total weight {table.total_weight:,.0f}"
    d = len(table.columns)
    names = listed(list(table.columns)) if d <= 6 else f"{', '.join(table.columns[:6])}, …"
    return [f"{rows}, {counted(d, 'column')}: {names}. Source: {table.source}"]


def _model(comparison: Comparison) -> str:
    first, d = comparison.fits[0], len(comparison.table.columns)
    family = first.ml.family
    what = (
        f"{family_label(family.name, d)}: {family.meaning}"
        if first.same_likelihood
        else first.program.summary.rstrip(".")
        if first.program
        else "components of the user's own kind"
    )
    return f"Model {first.model} ({what})"


def _repeat(command: str | None, call: str) -> list[tuple[str, str]]:
    told = [("On the command line:", command)] if command else []
    return [*told, ("In Python:", call)]


def _programs(found: Contenders) -> list[tuple[str, str]]:
    """The text of every program, once."""
    programs = {each.model: each.program for each in found.fits if each.program}
    return [(name, program.text.strip()) for name, program in programs.items()]
