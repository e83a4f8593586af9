"""What a result that is lines, sentences and a table shows, as text and in a notebook."""

from typing import TYPE_CHECKING

from bayesgmm.data.lines import wrapped
from bayesgmm.data.notebook import shown

if TYPE_CHECKING:
    import pandas as pd


class Told:
    """Shows the `lines` and `sentences` of a result; in a notebook its `table` and `sentences`."""

    digits = 2

    @property
    def table(self) -> "pd.DataFrame":
        """The numbers, one row for each entry."""
        raise NotImplementedError

    def lines(self) -> list[str]:
        """The table as text."""
        raise NotImplementedError

    def sentences(self) -> list[str]:
        """What the table says."""
        raise NotImplementedError

    def __str__(self) -> str:
        return "\n".join([*self.lines(), "", *wrapped(self.sentences())])

    def __repr__(self) -> str:
        return str(self)

    def header(self) -> list[str]:
        """What a notebook shows above the table."""
        return []

    def html_table(self) -> str:
        """The table as HTML."""
        digits = f"{{:.{self.digits}f}}".format
        return str(self.table.to_html(index=False, na_rep="-", float_format=digits, border=0))

    def _repr_html_(self) -> str:
        return shown(self.header(), self.html_table(), self.sentences())
