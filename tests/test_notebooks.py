"""Every notebook runs from top to bottom, and what is committed is what it shows."""

import re
from itertools import groupby
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from scripts.notebooks import bare

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
OF_ONE_MACHINE = re.compile(r"(?<![\w/.:])/(home|root|tmp|usr|var|work|Users)/")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_the_notebooks_are_numbered_without_a_gap() -> None:
    assert [path.stem[:3] for path in NOTEBOOKS] == [f"{i:02}_" for i in range(1, 13)]


@each_notebook
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the kernel's own libraries
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_notebook_runs_and_shows_what_is_committed(path: Path, tmp_path: Path) -> None:
    committed, book = _read(path), _read(path)
    at = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(book, timeout=300, kernel_name="python3", resources=at).execute()
    for before, after in zip(_code(committed), _code(book), strict=True):
        assert _kinds(after) == _kinds(before), after.source


@each_notebook
def test_notebook_is_committed_in_the_order_of_its_cells(path: Path) -> None:
    cells = _code(_read(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


@each_notebook
def test_notebook_holds_nothing_that_differs_from_run_to_run(path: Path) -> None:
    book = _read(path)
    assert bare(_read(path)) == book


@each_notebook
def test_notebook_opens_with_its_question_and_closes_with_what_was_learned(path: Path) -> None:
    cells = _read(path).cells
    assert cells[0].cell_type == "markdown"
    assert re.match(r"# .+\n\n.+", cells[0].source)
    assert cells[-1].cell_type == "markdown"
    assert "What was learned" in cells[-1].source


@each_notebook
def test_notebook_shows_figures_and_nothing_that_was_not_meant(path: Path) -> None:
    outputs = [output for cell in _code(_read(path)) for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not any(output.output_type == "error" for output in outputs)
    assert not any(output.get("name") == "stderr" for output in outputs)
    assert not any(OF_ONE_MACHINE.search(text) for output in outputs for text in _texts(output))


@each_notebook
def test_notebook_is_small_enough_to_load_in_a_browser(path: Path) -> None:
    assert path.stat().st_size < 1_000_000


def _read(path: Path) -> NotebookNode:
    book: NotebookNode = nbformat.read(path, as_version=4)
    return book


def _code(book: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in book.cells if cell.cell_type == "code"]


def _kinds(cell: NotebookNode) -> list[tuple[str, ...]]:
    """Of every output what it is: a stream's name, or the formats in which it is shown.

    A stream may arrive in pieces.
    """
    kinds = [
        (each.output_type, each.get("name", ""), *sorted(each.get("data", {})))
        for each in cell.outputs
    ]
    return [kind for kind, _ in groupby(kinds)]


def _texts(output: NotebookNode) -> list[str]:
    data = output.get("data", {})
    shown = [text for kind, text in data.items() if kind.startswith("text/")]
    return [output.get("text", ""), *shown]
