"""What both estimators know of the columns they were fitted to."""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from sklearn.utils.validation import check_is_fitted

from bayesgmm.data.errors import InputError
from bayesgmm.data.table import Table, check_spread, read_table


class Columns:
    """What both estimators know of the columns they were fitted to."""

    feature_names_in_: np.ndarray
    n_features_in_: int

    def _table(self, X: object, sample_weight: object) -> Table:
        """Rows to fit, and their weights."""
        table = read_table(X, weights=sample_weight)  # type: ignore[arg-type]
        check_spread(table)
        return table

    def _remember(self, X: object, table: Table) -> None:
        self.n_features_in_ = len(table.columns)
        if _named(X):
            self.feature_names_in_ = np.array(table.columns, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _rows(self, X: object) -> Float[np.ndarray, "n d"]:
        """Rows to predict: a DataFrame's columns are taken by name."""
        check_is_fitted(self, "n_features_in_")
        names = list(getattr(self, "feature_names_in_", [])) if _named(X) else None
        rows = read_table(X, names or None).X
        if rows.shape[1] != self.n_features_in_:
            raise InputError(
                f"X has {rows.shape[1]} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input; choose the same columns."
            )
        return rows


def _named(X: object) -> bool:
    """Whether the data bring names for their columns."""
    return hasattr(X, "columns") or isinstance(X, str | Path)
