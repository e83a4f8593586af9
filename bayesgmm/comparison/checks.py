"""Do replicated data look like the data? The table of a predictive check, and its sentence."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesgmm.bayes.checks import STATISTICS, check
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.tables import Column, Row, grouped, grouped_html
from bayesgmm.comparison.words import fixed, number
from bayesgmm.data.lines import wrapped
from bayesgmm.data.notebook import shown
from bayesgmm.data.plain import plain
from bayesgmm.ml.memberships import interval_ends

if TYPE_CHECKING:
    import pandas as pd

UNLIKE = 0.01
LEVEL = 0.95
ROBUST = "student_t"
TAILS = {"min": -1, "max": 1, "kurtosis": 1}
"""The side on which a statistic lies where a tail is heavier than the model allows."""
DIFFERENCES = {
    ("min", -1): "a heavier left tail",
    ("min", 1): "a shorter left tail",
    ("max", -1): "a shorter right tail",
    ("max", 1): "a heavier right tail",
    ("sd", -1): "a smaller spread",
    ("sd", 1): "a larger spread",
    ("skewness", -1): "a longer left side",
    ("skewness", 1): "a longer right side",
    ("kurtosis", -1): "lighter tails",
    ("kurtosis", 1): "heavier tails",
}


@dataclass(frozen=True)
class Checked:
    """A statistic of one column: of the data, and of data sets that the model replicates.

    Attributes:
        column: the data's column.
        statistic: "min", "max", "sd", "skewness" or "kurtosis", in excess of the normal.
        observed: of the data.
        mean, sd: over the replications.
        low, high: their central 95 %.
        tail: twice the share of replications at least as far out on the nearer side.
    """

    column: str
    statistic: str
    observed: float
    mean: float
    sd: float
    low: float
    high: float
    tail: float

    @property
    def side(self) -> int:
        """Whether the data lie above the replications, 1, or below, -1."""
        return 1 if self.observed > self.mean else -1

    @property
    def apart(self) -> float:
        """Standard deviations between the data and the replications."""
        return abs(self.observed - self.mean) / self.sd if self.sd > 0 else 0.0


@dataclass(frozen=True)
class PredictiveCheck:
    """A table of statistics under one sentence; prints, and shows as HTML in a notebook.

    Attributes:
        rows: one for each column and statistic.
        model: the program's name.
        n_replications: how many data sets were replicated.
    """

    rows: tuple[Checked, ...]
    model: str
    n_replications: int

    @property
    def unlike(self) -> tuple[Checked, ...]:
        """Statistics that fewer than 1 % of the replications match, the farthest first."""
        found = (row for row in self.rows if row.tail < UNLIKE)
        return tuple(sorted(found, key=lambda row: -row.apart))

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        if not self.unlike:
            return (
                "The replicated data look like the data: none of "
                f"{len(self.rows)} statistics is out of the ordinary."
            )
        worst, n = self.unlike[0], len(self.unlike)
        return (
            f"{n} of {len(self.rows)} statistics {'differ' if n > 1 else 'differs'} from the "
            f"replicated data; most: column {worst.column!r} has "
            f"{DIFFERENCES[worst.statistic, worst.side]} than the model allows: "
            f"{self._remedy(worst)}."
        )

    def _remedy(self, worst: Checked) -> str:
        heavy = TAILS.get(worst.statistic) == worst.side
        if heavy and self.model != ROBUST:
            return f"try model={ROBUST!r}"
        return "try another number of components or another model"

    def to_frame(self) -> "pd.DataFrame":
        """The numbers, one row per column and statistic."""
        import pandas as pd

        names = ["column", "statistic"]
        return pd.DataFrame([vars(row) for row in self.rows]).set_index(names)

    def to_latex(self) -> str:
        """The table for a paper."""
        return str(self.to_frame().to_latex(float_format="%.3g", na_rep="--", escape=True))

    def to_dict(self) -> dict[str, Any]:
        """The same numbers that the text shows, ready for JSON."""
        content = {
            "sentence": self.sentence,
            "replications": self.n_replications,
            "statistics": self.to_frame().reset_index().to_dict("records"),
        }
        return dict(plain(content))

    @property
    def note(self) -> str:
        """How the last column is read."""
        return (
            f"From {self.n_replications} data sets that the posterior predicts. tail: twice the "
            "share of them at least as far out; the data are used twice, so that it errs upwards."
        )

    def __str__(self) -> str:
        return "\n".join(
            [*wrapped([self.sentence]), "", *self.table(), "", *wrapped([self.note])],
        )

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return shown([self.sentence], grouped_html(*self._grouped()), [self.note])

    def table(self) -> list[str]:
        """The table as lines of text, column by column."""
        return grouped(*self._grouped())

    def _grouped(self) -> tuple[list[Row], dict[int, str], list[Column]]:
        """The rows, what stands above those of each column, and the table's own columns."""
        columns = list(dict.fromkeys(row.column for row in self.rows))
        headings = dict(enumerate(columns))
        rows = [
            Row(columns.index(row.column), f" {row.statistic}", _cells(row)) for row in self.rows
        ]
        keys = ["data", "mean", "sd", "interval", "tail"]
        names = {"mean": "| mean", "interval": f"{LEVEL:.0%} interval"}
        return rows, headings, [Column(key, names.get(key, key)) for key in keys]


def predictive_check(both: Both) -> PredictiveCheck:
    """Minimum, maximum, spread, skewness and kurtosis of every column beside the replications'.

    Raises:
        InputError: as `check`.
    """
    found, columns = check(both.posterior), both.problem.table.columns
    parts = (
        found.observed,
        found.replicated.mean(0),
        found.replicated.std(0),
        *np.quantile(found.replicated, interval_ends(LEVEL), axis=0),
        found.tails,
    )
    rows = (
        Checked(column, statistic, *(float(part[t, j]) for part in parts))
        for j, column in enumerate(columns)
        for t, statistic in enumerate(STATISTICS)
    )
    return PredictiveCheck(tuple(rows), both.model, len(found.replicated))


def _cells(row: Checked) -> dict[str, str]:
    return {
        "data": number(row.observed, row.sd),
        "mean": number(row.mean, row.sd),
        "sd": number(row.sd, row.sd),
        "interval": f"{number(row.low, row.sd)} {number(row.high, row.sd)}",
        "tail": fixed(row.tail, 3),
    }
