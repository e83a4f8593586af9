"""What is printed, and what is written where."""

import argparse
import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bayesgmm.cli.colour import on_terminal, painted
from bayesgmm.store import writable

USES = {
    "json": "the numbers above",
    "report": "open it in a browser",
    "save": "bayesgmm show {} prints it again",
    "checkpoint": "the same command goes on from it",
}


def show(what: object) -> None:
    """Print it, in colour where stdout is a terminal that has some."""
    print(painted(str(what), on_terminal(sys.stdout)))


def outputs_of(options: argparse.Namespace, *names: str) -> dict[str, Path | None]:
    """Where to write, checked before any long work."""
    given = {name: getattr(options, name) for name in names}
    return {name: writable(path) if path is not None else None for name, path in given.items()}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """The numbers as JSON, whole or not at all."""
    from bayesgmm.store import write_atomically

    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def say_written(outputs: Mapping[str, Path | None]) -> None:
    """One line for each file: where it is, how large, and what to do with it."""
    lines = [
        f"written: {path} ({_size(path)}): {USES[name].format(shlex.quote(str(path)))}"
        for name, path in outputs.items()
        if path
    ]
    if lines:
        show("\n".join(["", *lines]))


def _size(path: Path) -> str:
    """In kilobytes or megabytes of a thousand."""
    kilobytes = path.stat().st_size / 1000
    return f"{kilobytes / 1000:.1f} MB" if kilobytes >= 1000 else f"{max(kilobytes, 1):.0f} kB"
