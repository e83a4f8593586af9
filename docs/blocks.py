"""Run the code blocks of pages of Markdown, and write what they answer back into the pages.

    python docs/blocks.py docs/guides/*.md

A page's Python blocks share one namespace, and its `bayesgmm` commands the folder they run in. A
`text` block below a block holds what the block prints, and an image below it the figure it draws.
Blocks of another language, and those in a `{code-block}` directive, are only for reading.
"""

import re
import shlex
import sys
from collections.abc import Callable
from contextlib import chdir, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

BLOCK = re.compile(
    r"^```(?P<language>python|sh)\n(?P<code>.*?)^```\n"
    r"(?P<answer>\n```text\n.*?^```\n)?"
    r"(?P<figure>\n!\[[^]]*\]\((?P<image>[^)]*)\))?",
    re.DOTALL | re.MULTILINE,
)


def codes(page: str, language: str) -> list[str]:
    """The blocks of a language."""
    return [block["code"] for block in BLOCK.finditer(page) if block["language"] == language]


def commands(code: str) -> list[str]:
    """The lines of a block of shell that start bayesgmm, without their comments."""
    lines = code.replace("\\\n", " ").splitlines()
    return [line.split("  #")[0].strip() for line in lines if line.startswith("bayesgmm")]


def run_page(path: Path) -> None:
    """Run every block in the working folder; an error names the page and its line."""
    namespace = {"__name__": path.stem}
    page = path.read_text(encoding="utf-8")
    for block in BLOCK.finditer(page):
        _run(block, path, namespace)


def renewed(path: Path, keep_figure: Callable[[Path], None]) -> str:
    """The page with what its blocks print now; figures are kept where its images point."""
    namespace = {"__name__": path.stem}

    def answered(block: re.Match[str]) -> str:
        printed = StringIO()
        with redirect_stdout(printed):
            _run(block, path, namespace)
        text = block[0]
        if block["answer"]:
            lines = "\n".join(line.rstrip() for line in printed.getvalue().strip("\n").splitlines())
            text = text.replace(block["answer"], f"\n```text\n{lines}\n```\n")
        if block["figure"]:
            keep_figure(path.parent / block["image"])
        return text

    return BLOCK.sub(answered, path.read_text(encoding="utf-8"))


def _run(block: re.Match[str], path: Path, namespace: dict[str, Any]) -> None:
    if block["language"] == "sh":
        for command in commands(block["code"]):
            _command(command)
        return
    above = block.string.count("\n", 0, block.start("code"))
    exec(compile("\n" * above + block["code"], str(path.resolve()), "exec"), namespace)


def _command(line: str) -> None:
    """A command in this process, which has compiled much of it already."""
    from bayesgmm.cli import main

    words, _, target = line.partition(" > ")
    printed = StringIO()
    with redirect_stdout(printed):
        status = main(shlex.split(words)[1:])
    if status:
        raise RuntimeError(f"{line} ended with status {status}")
    if target:
        Path(target.strip()).write_text(printed.getvalue(), encoding="utf-8")
    else:
        print(printed.getvalue(), end="")


def _keep_figure(path: Path) -> None:
    import matplotlib.pyplot as plt

    path.parent.mkdir(exist_ok=True)
    plt.gcf().savefig(path, dpi=120, bbox_inches="tight")
    plt.close("all")


def main(paths: list[str]) -> None:
    """Renew the pages in place."""
    import matplotlib as mpl

    mpl.use("agg")
    for path in (Path(each).resolve() for each in paths):
        print(path.name, file=sys.stderr)
        with TemporaryDirectory() as folder, chdir(folder):
            text = renewed(path, _keep_figure)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
