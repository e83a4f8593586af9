"""What fits warn of."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = str(Path(__file__).parent.parent)


class DegenerateFitWarning(UserWarning):
    """No admissible fit was found; the best of the others is returned."""


class NotConvergedWarning(UserWarning):
    """EM stopped at `max_iter` before its tolerance was met."""


def warn(message: str, category: type[UserWarning]) -> None:
    """Warn at the line outside this library that asked for the fit."""
    warnings.warn(message, category, skip_file_prefixes=(PACKAGE,), stacklevel=2)


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing is told of fits of simulated rows, which are counted instead."""
    with warnings.catch_warnings():
        for category in (DegenerateFitWarning, NotConvergedWarning):
            warnings.simplefilter("ignore", category)
        yield
