"""Names that are known without what they name."""

from bayesgmm.bayes import vi
from bayesgmm.data.choices import FAMILIES, GUIDES
from bayesgmm.gaussian import families


def test_names_are_those_of_what_there_is() -> None:
    assert tuple(vi.GUIDES) == GUIDES
    assert tuple(family.name for family in families.FAMILIES) == FAMILIES
