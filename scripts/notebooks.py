"""Execute notebooks in place; a second run changes nothing but what they show.

python scripts/notebooks.py notebooks/*.ipynb
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def execute(path: Path) -> None:
    """Run every cell from top to bottom, and keep what they show."""
    book = nbformat.read(path, as_version=4)
    at = {"metadata": {"path": str(path.parent)}}
    NotebookClient(
        book, timeout=600, kernel_name="python3", record_timing=False, resources=at
    ).execute()
    nbformat.write(bare(book), path)


def bare(book: NotebookNode) -> NotebookNode:
    """The notebook without what differs from run to run and from machine to machine."""
    book.metadata = nbformat.from_dict(METADATA)
    for cell in book.cells:
        cell.metadata.pop("execution", None)
    return book


def main() -> None:
    """Execute the notebooks that the command line names."""
    for name in sys.argv[1:]:
        print(name, flush=True)
        execute(Path(name))


if __name__ == "__main__":
    main()
