"""What is said when the input is bad: the error, and the words that several messages share."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Bad input, told in one line that names the argument, the place and the remedy.

    The command line prints that line and ends with status 2.
    """


class InputTypeError(InputError, TypeError):
    """Values that are no numbers; Python, too, calls that an error of type."""


def unknown(argument: str, value: object, names: Iterable[str]) -> InputError:
    """The error for a name that is not one of those there are; the nearest is suggested.

    >>> print(unknown("criterion", "bix", ["bic", "aic"]))
    criterion='bix' is not known; did you mean 'bic'? Choose one of bic, aic.
    """
    known = list(names)
    hint = nearest(str(value), known) or "."
    return InputError(f"{argument}={value!r} is not known{hint} Choose one of {', '.join(known)}.")


def nearest(name: str, names: Iterable[str]) -> str:
    """The end of a sentence that suggests the known name most like `name`, or nothing.

    >>> nearest("faithfull", ["faithful", "galaxies"])
    "; did you mean 'faithful'?"
    >>> nearest("xyz", ["faithful", "galaxies"])
    ''
    """
    known = {each.lower(): each for each in names}
    close = get_close_matches(name.lower(), known, n=1)
    return f"; did you mean '{known[close[0]]}'?" if close else ""


def listed(names: Iterable[str], limit: int = 12) -> str:
    """The names, quoted and with commas between them; beyond `limit` their number stands for them.

    >>> listed(["eruptions", "waiting"])
    "'eruptions', 'waiting'"
    """
    every = [f"'{name}'" for name in names]
    rest = f" and {len(every) - limit} more" if len(every) > limit else ""
    return ", ".join(every[:limit]) + rest


def one_line(error: BaseException) -> str:
    """What another library says, on one line and without its full stop."""
    return " ".join(str(error).split()).rstrip(".")


def counted(count: int, noun: str) -> str:
    """The count and its noun, in the plural where that is right.

    >>> counted(1, "field"), counted(3, "field")
    ('1 field', '3 fields')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
