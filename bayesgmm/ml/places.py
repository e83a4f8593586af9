"""The parameters of a Gaussian mixture, one by one, in the order in which people read them."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from jaxtyping import Float

from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.families import Family
from bayesgmm.ml.quantities import Quantities

SHARED = 0


class Place(NamedTuple):
    """Where a parameter stands among the quantities of a mixture.

    Attributes:
        component: 1 to k, or `SHARED` for a parameter that all components share.
        name: "weight", "mean", "sd" or "corr".
        column: the data's column or pair of columns, or "".
        quantity: the field of `Quantities`.
        entry: which one of its last axes.
    """

    component: int
    name: str
    column: str
    quantity: str
    entry: tuple[int, ...]

    @property
    def label(self) -> str:
        return f"{self.name} {self.column}".strip()

    def of(self, quantities: Quantities) -> Float[Array, "*s"]:
        """The parameter's value, or those of a stack."""
        return getattr(quantities, self.quantity)[(..., *self.entry)]


def places(family: Family, k: int, columns: Sequence[str], *, free: bool = False) -> list[Place]:
    """Weights, means, standard deviations and correlations, component by component.

    Args:
        family: what its components share or lack is listed once or not at all.
        k: number of components.
        columns: names of the data's columns.
        free: whether covariances are unrestricted whatever the family.
    """
    tied = family.shares_covariance and not free and k > 1
    correlated = free or family.orientation != "I"
    return list(_places(k, columns, tied, correlated))


def _places(k: int, columns: Sequence[str], tied: bool, correlated: bool) -> Iterator[Place]:
    pairs = list(combinations(range(len(columns)), 2)) if correlated else []

    def corr(component: int, j: int) -> Iterator[Place]:
        for a, b in pairs:
            pair = f"{columns[a]}, {columns[b]}"
            yield Place(component, "corr", pair, "correlations", (j, a, b))

    for j in range(k):
        yield Place(j + 1, "weight", "", "weights", (j,))
        for a, column in enumerate(columns):
            yield Place(j + 1, "mean", column, "means", (j, a))
            if not tied:
                yield Place(j + 1, "sd", column, "sds", (j, a))
        if not tied:
            yield from corr(j + 1, j)
    if tied:
        for a, column in enumerate(columns):
            yield Place(SHARED, "sd", column, "sds", (0, a))
        yield from corr(SHARED, 0)
