"""Ranges of the number of components."""

from __future__ import annotations

from collections.abc import Iterable
from typing import SupportsIndex

from bayesgmm.data.errors import InputError
from bayesgmm.data.scalars import whole


def component_range(n_components: SupportsIndex | Iterable[SupportsIndex]) -> list[int]:
    """Sorted distinct numbers of components.

    >>> component_range(range(3, 1, -1))
    [2, 3]

    Raises:
        InputError: none are given, or one is no whole number, or below 1.
    """
    several = isinstance(n_components, Iterable) and not isinstance(n_components, str)
    given = n_components if several else [n_components]
    ks = sorted({whole("n_components", k) for k in given})  # type: ignore[union-attr]
    if not ks:
        raise InputError("n_components is empty; give at least one number of components.")
    return ks
