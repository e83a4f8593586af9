"""What refits and posterior draws alike say of memberships: intervals, entropy, pairs of rows."""

import numpy as np
from jaxtyping import Float

from bayesgmm.data.errors import InputError

MOST_ROWS = 5000  # of a co-clustering matrix


def interval_ends(level: float) -> tuple[float, float]:
    """The probabilities that an equal-tailed interval runs between.

    Raises:
        InputError: a level that is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise InputError(f"level={level!r} must lie between 0 and 1, such as 0.95.")
    return (1 - level) / 2, (1 + level) / 2


def entropy(membership: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " n"]:
    """Of each row's membership, in nats."""
    return -(membership * np.log(np.where(membership > 0, membership, 1.0))).sum(1)


def check_pairs(n: int) -> None:
    """Refuse a matrix of all pairs of too many rows.

    Raises:
        InputError: there are more than `MOST_ROWS`.
    """
    if n > MOST_ROWS:
        raise InputError(
            f"X has {n} rows, and a co-clustering matrix holds at most {MOST_ROWS}; "
            "fit fewer rows, or look at memberships()."
        )
