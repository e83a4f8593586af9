"""Ranges of the number of components."""

from __future__ import annotations

from collections.abc import Iterable

from bayesgmm.data.errors import InputError


def component_range(n_components: int | Iterable[int]) -> list[int]:
    """Sorted distinct numbers of components.

    >>> component_range(range(3, 1, -1))
    [2, 3]

    Raises:
        InputError: none are given, or one is below 1.
    """
    given = [n_components] if isinstance(n_components, int) else list(n_components)
    ks = sorted({int(k) for k in given})
    if not ks:
        raise InputError("n_components is empty; give at least one number of components.")
    if ks[0] < 1:
        raise InputError(f"n_components={ks[0]} must be at least 1; choose a positive number.")
    return ks
