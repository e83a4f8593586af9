"""What fits warn of."""

import warnings
from pathlib import Path

PACKAGE = str(Path(__file__).parent.parent)


class DegenerateFitWarning(UserWarning):
    """No admissible fit was found; the best of the others is returned."""


class NotConvergedWarning(UserWarning):
    """EM stopped at `max_iter` before its tolerance was met."""


def warn(message: str, category: type[UserWarning]) -> None:
    """Warn at the line outside this library that asked for the fit."""
    warnings.warn(message, category, skip_file_prefixes=(PACKAGE,), stacklevel=2)
