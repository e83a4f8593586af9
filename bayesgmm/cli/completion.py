"""`bayesgmm completion`: what the shell needs to complete commands, options, names and files."""

import argparse
from collections.abc import Iterable, Iterator
from typing import Any

from bayesgmm.cli.options import command, help_option
from bayesgmm.data.choices import FAMILIES, model_names
from bayesgmm.data.datasets import dataset_names

SHELLS = ("bash", "zsh", "tcsh")
EXAMPLES = """\
to install it, once:
  bash   bayesgmm completion bash > ~/.bayesgmm.bash
         echo 'source ~/.bayesgmm.bash' >> ~/.bashrc
  zsh    bayesgmm completion zsh > DIR/_bayesgmm     DIR is one of $fpath
  tcsh   bayesgmm completion tcsh > ~/.bayesgmm.tcsh
         echo 'source ~/.bayesgmm.tcsh' >> ~/.tcshrc
to try it in this bash alone:
  eval "$(bayesgmm completion bash)"
"""


def add_to(commands: Any) -> None:
    """Make the command known."""
    parser = command(
        commands,
        "bayesgmm completion bash|zsh|tcsh",
        _run,
        "print the script that completes words in a shell",
        EXAMPLES,
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or tcsh")
    help_option(parser)


def _run(options: argparse.Namespace) -> None:
    print(script(options.shell))


def script(shell: str) -> str:
    """The script that completes `bayesgmm` in that shell."""
    import shtab

    from bayesgmm.cli.parser import whole_parser

    parser, kinds = whole_parser(), _kinds()
    for action in _actions(parser):
        if action.dest in kinds:
            action.complete = kinds[action.dest]  # type: ignore[attr-defined]
        elif "FILE" in str(action.metavar):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell, preamble=_functions()))  # type: ignore[arg-type]


def _kinds() -> dict[str, dict[str, str]]:
    """What completes the options whose values are names that the parser does not check."""
    data = _names_or_files("data", dataset_names())
    program = _names_or_files("program", model_names())
    families = {
        "bash": "_bayesgmm_family",
        "zsh": f"({' '.join(FAMILIES)})",
        "tcsh": f"({' '.join(FAMILIES)})",
    }
    return {
        "data": data,
        "model": program,
        "models": program,
        "name": program,
        "families": families,
    }


def _names_or_files(kind: str, names: Iterable[str]) -> dict[str, str]:
    own = f"_bayesgmm_{kind}_or_files"
    return {"bash": own, "zsh": own, "tcsh": f"`echo {' '.join(names)}; ls`"}


def _functions() -> dict[str, str]:
    """The functions that complete a name or a file, in each shell that has functions."""
    kinds = {"data": " ".join(dataset_names()), "program": " ".join(model_names())}
    bash = [
        f'_bayesgmm_{kind}_or_files() {{\n  compgen -W "{names}" -- "$1"\n  compgen -f -- "$1"\n}}'
        for kind, names in kinds.items()
    ]
    bash.append(f'_bayesgmm_family() {{\n  compgen -W "{" ".join(FAMILIES)}" -- "$1"\n}}')
    zsh = [
        f'_bayesgmm_{kind}_or_files() {{\n  _alternative "{kind}:{kind}:({names})" '
        '"files:file:_files"\n}'
        for kind, names in kinds.items()
    ]
    return {"bash": "\n".join(bash), "zsh": "\n".join(zsh)}


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Of the parser and of its commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _actions(each)
        else:
            yield action
