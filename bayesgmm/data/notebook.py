"""What a notebook shows of a result: lines above a table, and sentences below it."""

import html
from collections.abc import Iterable

STYLE = (
    "<style>"
    ".bayesgmm table{border-collapse:collapse;margin:.4em 0;font-variant-numeric:tabular-nums}"
    ".bayesgmm th,.bayesgmm td{padding:.15em .6em;text-align:right;white-space:nowrap}"
    ".bayesgmm thead th{border-bottom:1px solid currentColor}"
    ".bayesgmm tbody th,.bayesgmm thead th:first-child,.bayesgmm table.weights td,"
    ".bayesgmm td.verdict{text-align:left}"
    ".bayesgmm tbody th{font-weight:normal}"
    ".bayesgmm tr.under th{padding-left:1.6em}"
    ".bayesgmm tr.group th{font-weight:bold;padding-top:.5em}"
    ".bayesgmm tr.chosen>*{font-weight:bold}"
    ".bayesgmm tr.undecided>*{opacity:.6}"
    ".bayesgmm p{margin:.3em 0}"
    "</style>"
)
COMMAND = "next: "


def shown(above: Iterable[str], table: str, below: Iterable[str]) -> str:
    """HTML that needs nothing but itself.

    Args:
        above: lines of text.
        table: a `<table>`, or several.
        below: sentences and commands.
    """
    return f'<div class="bayesgmm">{STYLE}{_lines(above)}{table}{_lines(below)}</div>'


def _lines(lines: Iterable[str]) -> str:
    told = "<br>".join(map(_line, lines))
    return f"<p>{told}</p>" if told else ""


def _line(line: str) -> str:
    text = line.strip()
    if text.startswith(COMMAND):
        return f"{COMMAND}<code>{html.escape(text.removeprefix(COMMAND))}</code>"
    return html.escape(text)
