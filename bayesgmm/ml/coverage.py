"""How often intervals cover what they should, over data sets whose truth is known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from bayesgmm.gaussian.families import Family
from bayesgmm.ml.quantities import Quantities

LEVEL = 0.95
REPORTED = ("weights", "means", "sds", "correlations")


@dataclass(frozen=True)
class Coverage:
    """How often intervals of one kind covered one kind of parameter.

    Attributes:
        method: where the intervals came from.
        quantity: "weights", "means", "sds" or "correlations".
        share: of intervals that covered, components and columns together.
        error: its Monte-Carlo standard error, simulations being the units.
        missing: share of intervals that were missing, with a reason.
    """

    method: str
    quantity: str
    share: float
    error: float
    missing: float


def covers(truth: Quantities, low: Quantities, high: Quantities) -> Quantities:
    """1 where an interval covers, 0 where it does not, NaN where there is none."""

    def within(value: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where(np.isfinite(a + b), (a <= value) & (value <= b), np.nan)

    return Quantities(*(within(*three) for three in zip(truth, low, high, strict=True)))


def coverages(method: str, inside: Sequence[Quantities], family: Family) -> list[Coverage]:
    """How often the intervals of one method covered, from what `covers` says of each data set."""
    found = []
    k, d = inside[0].means.shape
    for quantity in REPORTED:
        free = _free(quantity, family, k, d)
        if not free.any():
            continue
        values = np.stack([getattr(each, quantity)[free] for each in inside])
        missing = np.isnan(values)
        whole = ~missing.all(1)
        means = np.nanmean(values[whole], 1) if whole.any() else np.array([np.nan])
        error = float(means.std(ddof=1) / np.sqrt(means.size)) if means.size > 1 else float("nan")
        found.append(Coverage(method, quantity, float(means.mean()), error, float(missing.mean())))
    return found


def _free(quantity: str, family: Family, k: int, d: int) -> Bool[np.ndarray, "..."]:
    """Which entries are parameters: each pair of columns once, and no weight that is known."""
    if quantity == "weights":
        return np.full(k, k > 1 and not family.equal_weights)
    if quantity == "correlations":
        pairs = np.tril(np.ones((d, d), bool), -1) & (family.orientation != "I")
        return np.broadcast_to(pairs, (k, d, d))
    return np.full((k, d), True)
