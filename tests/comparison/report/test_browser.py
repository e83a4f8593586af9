"""The report in a browser without a network: it is silent, its tables sort, and it prints."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from bayesgmm.comparison.compare import Comparison
from bayesgmm.comparison.report.document import render
from bayesgmm.comparison.report.typography import DASH, MINUS
from tests.comparison.report.pages import browse, browser

pytestmark = pytest.mark.skipif(browser() is None, reason="no Chromium is installed")

SCRIPT = (
    files("bayesgmm.comparison.report").joinpath("templates", "sort.js").read_text(encoding="utf-8")
)

# Presses headings by their numbers, and tells the columns that come out.
DRIVER = """
const tables = [...document.querySelectorAll("main table")];
const cells = (table, j) =>
  [...table.tBodies].map((body) => [...body.rows].map((row) => row.cells[j]?.textContent));
const told = PRESSES.map(([i, j, times]) => {
  const heading = tables[i].tHead.lastElementChild.cells[j];
  for (let press = 0; press < times; press++) heading.querySelector("button").click();
  return [heading.getAttribute("aria-sort"), cells(tables[i], j), cells(tables[i], 0)];
});
document.title = JSON.stringify(told);
"""


@pytest.fixture(scope="module")
def text(make_comparison: Callable[[], Comparison]) -> str:
    return render(make_comparison())


def pressed(text: str, folder: Path, presses: list[tuple[int, int, int]]) -> list[Any]:
    """What columns look like after presses: table, column, how often."""
    script = DRIVER.replace("PRESSES", json.dumps(presses))
    own = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    driven = text.replace("script-src ", f"script-src 'sha256-{own}' ", 1)
    driven = driven.replace("</body>", f"<script>{script}</script></body>", 1)
    path = folder / "driven.html"
    path.write_text(driven, encoding="utf-8")
    dom, log = browse(path, "--dump-dom")
    assert "CONSOLE" not in log
    title, *_ = re.findall(r"<title>(.*?)</title>", dom)
    told: list[Any] = json.loads(title)
    return told


def test_it_loads_without_a_complaint(text: str, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(text, encoding="utf-8")
    dom, log = browse(path, "--dump-dom")
    assert "CONSOLE" not in log
    assert dom.count('<button type="button"') > 50
    path.write_text(text.replace("script-src", "x-src"), encoding="utf-8")
    assert "CONSOLE" in browse(path, "--dump-dom")[1]  # so that silence means something


def test_a_press_sorts_and_the_next_one_turns_round(
    text: str, make_comparison: Callable[[], Comparison], tmp_path: Path
) -> None:
    rows = make_comparison().rows()
    rising, falling = pressed(text, tmp_path, [(0, 4, 1), (0, 4, 1)])
    by_bic = [str(row.k) for row in sorted(rows, key=lambda row: row.d_bic)]
    assert rising[0] == "ascending"
    assert rising[2] == [by_bic]
    assert falling[0] == "descending"
    assert falling[2] == [by_bic[::-1]]


def test_brackets_and_missing_values_stay_behind(tmp_path: Path) -> None:
    bracketed = f"({MINUS}9.0)"
    rows = "".join(f"<tr><td>{each}</td></tr>" for each in (bracketed, DASH, "12.5*", "3.0"))
    head = '<thead><tr><th scope="col">ΔLOO</th></tr></thead>'
    table = f"<main><table>{head}<tbody>{rows}</tbody></table></main>"
    page = f"<title></title><body>{table}<script>{SCRIPT}</script></body>"
    rising, falling = pressed(page, tmp_path, [(0, 0, 1), (0, 0, 1)])
    assert rising[1] == [["3.0", "12.5*", bracketed, DASH]]
    assert falling[1] == [["12.5*", "3.0", bracketed, DASH]]


def test_parameters_are_sorted_within_their_components(text: str, tmp_path: Path) -> None:
    ((_, found, _),) = pressed(text, tmp_path, [(2, 1, 1)])
    assert len(found) > 1
    for group in found:
        numbers = [
            float(cell.replace(MINUS, "-")) for cell in group[1:]
        ]  # the first is the heading
        assert numbers == sorted(numbers)


def test_it_prints_on_several_pages(text: str, tmp_path: Path) -> None:
    path, pdf = tmp_path / "report.html", tmp_path / "report.pdf"
    path.write_text(text, encoding="utf-8")
    browse(path, f"--print-to-pdf={pdf}", "--no-pdf-header-footer")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf.read_bytes())) > 3
