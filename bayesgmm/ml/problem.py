"""What every fit of one table shares."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from bayesgmm.data.errors import InputError
from bayesgmm.data.table import Table
from bayesgmm.gaussian.sweep import Frame, frame_of
from bayesgmm.ml.em import Prior

PRIOR_SHRINKAGE = 0.01


@dataclass(frozen=True)
class Problem:
    """The rows, their weights, and the frame of the sweep."""

    table: Table
    X: Float[np.ndarray, "n d"]
    row_weights: Float[np.ndarray, " n"]
    frame: Frame

    @property
    def rows_per_weight(self) -> float:
        """Effective rows that a unit of weight stands for: one where weights are counts (Kish)."""
        if self.table.frequency:
            return 1.0
        return float(self.row_weights.sum() / np.square(self.row_weights).sum())

    @classmethod
    def of(cls, table: Table) -> "Problem":
        weighted, ones = table.row_weights, np.broadcast_to(1.0, len(table.X))
        row_weights = ones if weighted is None else weighted
        return cls(table, table.X, row_weights, frame_of(table.X, row_weights))


def check_components(k: int, problem: Problem) -> None:
    """Raise an InputError unless k components can be fitted to the rows."""
    if k < 1:
        raise InputError(f"n_components={k} must be at least 1; choose a positive number.")
    usable = int((problem.row_weights > 0).sum())
    if usable < k:
        raise InputError(
            f"n_components={k} needs at least {k} rows, but n_samples = {usable} (of positive "
            f"weight) in {problem.table.name}; use fewer components or more rows."
        )


def conjugate_prior(problem: Problem, k: int) -> Prior:
    """The default prior of Fraley and Raftery (2007), section 3."""
    X, d = problem.X, problem.X.shape[1]
    apart = X - problem.frame.shift
    total = float(problem.row_weights.sum()) * problem.rows_per_weight
    share = problem.row_weights * problem.rows_per_weight / max(total - 1, 1)
    covariance = (apart.T * share) @ apart
    return Prior(problem.frame.shift, PRIOR_SHRINKAGE, d + 2.0, covariance / k ** (2 / d))
