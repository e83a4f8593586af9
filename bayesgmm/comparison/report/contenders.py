"""The fits of a report, under the names that tell them apart."""

from typing import NamedTuple

from bayesgmm.comparison.both import Both
from bayesgmm.comparison.compare import Comparison
from bayesgmm.comparison.programs import ProgramComparison


class Contenders(NamedTuple):
    """Fits that are compared.

    Attributes:
        what: tells them apart: "k" or "program".
        labels: of the rows of tables.
        names: in sentences.
        fits: as many.
        chosen: the one that is shown in full.
    """

    what: str
    labels: tuple[str, ...]
    names: tuple[str, ...]
    fits: tuple[Both, ...]
    chosen: Both

    @property
    def sampled(self) -> bool:
        """Whether the posteriors were sampled, and not approximated."""
        return self.fits[0].posterior.inference == "nuts"

    @property
    def undecided(self) -> list[str]:
        """The names of those that did not converge."""
        named = zip(self.names, self.fits, strict=True)
        return [name for name, each in named if not each.posterior.verdict.usable]

    def label(self, both: Both) -> str:
        """Of its rows; in brackets where it did not converge."""
        label = self.labels[next(j for j, each in enumerate(self.fits) if each is both)]
        return label if both.posterior.verdict.usable else f"({label})"

    def kind(self, both: Both) -> str:
        """How its rows are marked: "chosen", "undecided" or ""."""
        if both is self.chosen:
            return "chosen"
        return "" if both.posterior.verdict.usable else "undecided"


def of_components(comparison: Comparison) -> Contenders:
    """Every number of components."""
    labels = tuple(str(each.n_components) for each in comparison.fits)
    names = tuple(f"k = {label}" for label in labels)
    return Contenders("k", labels, names, comparison.fits, comparison.chosen_)


def of_programs(comparison: ProgramComparison) -> Contenders:
    """Every program; the best is shown in full."""
    names = tuple(comparison.name_of(each) for each in comparison.fits)
    return Contenders("program", names, names, comparison.fits, comparison.fits[0])
