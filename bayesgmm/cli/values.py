"""What the options' texts mean, and how errors name what was typed."""

import argparse
import re
from collections.abc import Sequence
from typing import Any

from bayesgmm.data.errors import InputError
from bayesgmm.data.ranges import component_range

MOST_KS = 1000
TYPED = {
    "n_components": "-k",
    "num_chains": "--chains",
    "num_draws": "--draws",
    "num_warmup": "--warmup",
    "max_draws": "--max-draws",
    "n_init": "--starts",
    "n_resamples": "--resamples",
    "n_simulations": "--calibrate",
    "n_folds": "--kfold",
    "random_state": "--seed",
    "covariance_type": "--families",
    "checkpoint": "--checkpoint",
    "criterion": "--criterion",
    "inference": "--inference",
    "model": "--model",
    "sample_weight": "--weights",
}


def as_typed(message: str) -> str:
    """The message with options in place of Python's arguments.

    >>> as_typed("num_draws=5 must be at least 100.")
    '--draws 5 must be at least 100.'
    """
    given = rf"(?<![-\w])({'|'.join(TYPED)})="
    message = re.sub(given, lambda found: f"{TYPED[found[1]]} ", message)
    named = rf"\b({'|'.join(name for name in TYPED if '_' in name)})\b"
    return re.sub(named, lambda found: TYPED[found[1]], message)


def table_of(options: argparse.Namespace) -> Any:
    """The data, checked."""
    from bayesgmm.data.table import read_table

    columns = options.columns.split(",") if options.columns is not None else None
    return read_table(options.data, columns, options.weights)


def numbers_of_components(text: str) -> list[int]:
    """The numbers in "1:6", "3" or "1,2,5", sorted.

    >>> numbers_of_components("1:3")
    [1, 2, 3]
    """
    try:
        if ":" in text:
            low, high = map(int, text.split(":"))
            given = list(range(low, min(high, low + MOST_KS) + 1))
        else:
            given = [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"-k {text!r} is not a range; write 1:6, 3 or 1,2,5.") from None
    if len(given) > MOST_KS:
        raise InputError(f"-k {text} has more than {MOST_KS:,} numbers of components.")
    return component_range(given)


def one_or_each(text: str) -> int | list[int]:
    """The number in "3", or the numbers in "3,2", in their order."""
    try:
        ks = [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(
            f"-k {text!r} is not for --models; write -k 3, or one k for each program: -k 3,2."
        ) from None
    return ks[0] if len(ks) == 1 else ks


def priors_of(given: Sequence[str]) -> dict[str, object]:
    """Priors by name, as numbers or lists of them."""
    priors: dict[str, object] = {}
    for text in given:
        name, equals, value = text.partition("=")
        try:
            numbers = [float(part) for part in value.split(",")]
        except ValueError:
            numbers = []
        if not equals or not numbers:
            raise InputError(f"--prior {text!r} is not NAME=VALUE; write such as weights=2.")
        priors[name] = numbers[0] if len(numbers) == 1 else numbers
    return priors


def settings_of(options: argparse.Namespace) -> Any:
    """How the posterior is found."""
    from bayesgmm.bayes.settings import Settings

    counts = (options.chains, options.warmup, options.draws, options.max_draws)
    return Settings(options.inference, *counts, options.guide)


def told(options: argparse.Namespace) -> dict[str, Any]:
    """What of it is kept with the results, by the names that Python calls it."""
    return {
        "inference": options.inference,
        "num_chains": options.chains,
        "num_warmup": options.warmup,
        "num_draws": options.draws,
        "max_draws": options.max_draws,
        "guide": options.guide,
        "n_init": options.starts,
    }
