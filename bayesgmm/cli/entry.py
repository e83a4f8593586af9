"""Where the command line begins, and how it ends."""

import os
import sys
import warnings
from collections.abc import Sequence

from bayesgmm.cli.colour import on_terminal, painted
from bayesgmm.cli.interrupts import INTERRUPTED, heard_interrupts, leave
from bayesgmm.cli.parser import parse
from bayesgmm.cli.values import as_typed
from bayesgmm.data.errors import InputError

BAD_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    try:
        options = parse(arguments)
        with warnings.catch_warnings(), heard_interrupts():
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            status: int = options.run(options) or 0
        print(end="", flush=True)
    except InputError as error:
        _say(as_typed(str(error)))
        return BAD_INPUT
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print(file=sys.stderr)
        _say("interrupted; nothing was written.")
        leave(INTERRUPTED)
    return status


def _show_warning(message: Warning | str, *_: object) -> None:
    _say(f"warning: {message}")


def _say(message: str) -> None:
    print(painted(f"bayesgmm: {message}", on_terminal(sys.stderr)), file=sys.stderr)
