"""The parser of the command line, whose errors are one line that suggests the nearest name."""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from bayesgmm import __version__
from bayesgmm.data.errors import InputError, nearest, unknown

EXAMPLES = """\
examples:
  bayesgmm compare faithful -k 1:6 --report faithful.html   how many, both ways
  bayesgmm fit faithful -k 2 --save fit.nc                  every parameter
  bayesgmm fit my.csv -k 3 --columns height,weight          your own table
  bayesgmm select iris -k 1:9                               families by BIC
  bayesgmm show fit.nc                                      a saved fit
  bayesgmm models gaussian > mine.py                        a program to change

bayesgmm COMMAND --help: what it takes, with defaults in brackets and examples.
"""


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Commands are listed as options are, without a line of their own above them."""

    def _format_action(self, action: argparse.Action) -> str:
        if isinstance(action, argparse._SubParsersAction):
            return "".join(map(super()._format_action, action._get_subactions()))
        return super()._format_action(action)


class Parser(argparse.ArgumentParser):
    """A parser of whole option names that says what it does not know, and what is nearest."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(
            formatter_class=Formatter,
            allow_abbrev=False,
            add_help=False,
            **keywords,
        )

    def error(self, message: str) -> NoReturn:
        message = message.replace("the following arguments are required", "missing")
        raise InputError(f"{message}; see {self.prog} --help.")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        for option in self._options_in(args or ()):
            if not self._knows(option):
                hint = nearest(option, self._option_string_actions) or "."
                raise InputError(
                    f"{option} is no option of {self.prog}{hint} See {self.prog} --help."
                )
        return super().parse_known_args(args, namespace)

    def _options_in(self, words: Sequence[str]) -> Iterator[str]:
        """The words that are options, without what is given to them; those of a command are its."""
        for word in words:
            if word == "--" or (self._subparsers and not word.startswith("-")):
                return
            if word.startswith("-") and word.strip("-")[:1].isalpha():
                yield word.partition("=")[0]

    def _knows(self, option: str) -> bool:
        glued = not option.startswith("--") and option[:2] in self._option_string_actions  # -k2
        return glued or option in self._option_string_actions

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise InputError(
                str(unknown(_called(action), value, action.choices)).replace("=", " ", 1)
            )


def _called(action: argparse.Action) -> str:
    """What the user calls it."""
    return action.option_strings[0] if action.option_strings else str(action.metavar).lower()


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of one command, with its `run`.

    Raises:
        InputError: an unknown command or option, a value that is not allowed, one too many.
    """
    import sys

    words = sys.argv[1:] if arguments is None else list(arguments)
    options, rest = whole_parser().parse_known_args(words)
    if rest:
        raise InputError(f"{rest[0]!r} is one word too many; see bayesgmm {words[0]} --help.")
    return options


def whole_parser() -> Parser:
    """The parser with all its commands."""
    from bayesgmm.cli import compare, completion, fit, select, small
    from bayesgmm.cli.options import help_option

    parser = Parser(
        prog="bayesgmm",
        usage="bayesgmm COMMAND [options]",
        description="Mixtures fitted by maximum likelihood and by Bayes, side by side.",
        epilog=EXAMPLES,
    )
    commands = parser.add_subparsers(
        title="commands",
        prog="bayesgmm",
        dest="command",
        required=True,
        metavar="COMMAND",
        parser_class=Parser,
    )
    for room in (fit, compare, select, small, completion):
        room.add_to(commands)
    help_option(parser).add_argument(
        "--version", action="version", version=f"bayesgmm {__version__}", help="show it and end"
    )
    return parser
