"""A point partition of the rows, and how far the posterior's partitions lie from it.

An allocation that is drawn is a partition, whatever its labels. Between two of them lies

    sum_a f(p_a) + sum_b f(q_b) - 2 sum_ab f(r_ab),

p, q and r being the shares of rows in the clusters of one, of the other, and of both: variation of
information, in bits, with f(p) = p log2 p, and Binder's loss, the share of pairs of rows that they
do not agree about, with f(p) = p^2. The partition of least expected distance is looked for among
the draws, and by moving one row at a time, from the best of them and from nowhere. Sources: Wade
and Ghahramani (2018), sections 2 and 3; Dahl, Johnson and Mueller (2022) for the search.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

STARTS, MOST_SWEEPS = 4, 20
CANDIDATES = 100  # among the draws
MANY_ROWS = 3000  # that draws tell apart; above it one start each way has to do
LEVEL = 0.95


def _plogp(p: np.ndarray) -> np.ndarray:
    return p * np.log2(np.where(p > 0, p, 1.0))


LOSSES: dict[str, Callable[[np.ndarray], np.ndarray]] = {"vi": _plogp, "binder": np.square}


class CredibleBall(NamedTuple):
    """Partitions at the edge of the ball around the point that holds a share of the posterior.

    Attributes:
        level: that share.
        radius: its distance.
        upper: of the fewest clusters, the farthest, (n,).
        lower: of the most clusters, the farthest, (n,).
        horizontal: the farthest, (n,).
    """

    level: float
    radius: float
    upper: Int[np.ndarray, " n"]
    lower: Int[np.ndarray, " n"]
    horizontal: Int[np.ndarray, " n"]


@dataclass(frozen=True)
class Partition:
    """The rows' clusters, largest first.

    Attributes:
        labels: 0 for the largest cluster, shape (n,).
        loss: "vi" or "binder".
        expected: the expected distance to the posterior's partitions.
        ball: what the posterior says of the neighbourhood.
    """

    labels: Int[np.ndarray, " n"]
    loss: str
    expected: float
    ball: CredibleBall

    @property
    def n_clusters(self) -> int:
        """How many clusters it has."""
        return int(self.labels.max()) + 1

    def __repr__(self) -> str:
        sizes = ", ".join(f"{size:,}" for size in np.bincount(self.labels))
        return (
            f"Partition into {self.n_clusters} (rows: {sizes}), by {self.loss}: expected distance "
            f"{self.expected:.3g}; {100 * self.ball.level:.0f} % within {self.ball.radius:.3g}"
        )

    def at(self, places: Int[np.ndarray, " m"], share: Float[np.ndarray, " m"]) -> "Partition":
        """The partition of rows of which each is one of these."""
        ball = self.ball
        labels, *ends = (
            tidy(part[places], share)
            for part in (self.labels, ball.upper, ball.lower, ball.horizontal)
        )
        return replace(self, labels=labels, ball=CredibleBall(ball.level, ball.radius, *ends))


def point_partition(
    draws: Int[np.ndarray, "s n"],
    row_weights: Float[np.ndarray, " n"],
    loss: str = "vi",
    candidates: Int[np.ndarray, "m n"] | None = None,
) -> Partition:
    """The partition of least expected distance to the drawn ones, and its credible ball.

    Args:
        draws: allocations, labels from 0.
        row_weights: counts of the rows.
        loss: "vi" or "binder".
        candidates: other partitions to look among and to start from, such as EM's.
    """
    f, share = LOSSES[loss], row_weights / row_weights.sum()
    m = 0 if candidates is None else len(candidates)
    every = draws if candidates is None else np.concatenate([candidates, draws])
    alike, places = np.unique(every, axis=1, return_inverse=True)  # rows no draw tells apart
    shares = np.bincount(places, share, minlength=alike.shape[1])
    found = _nearest(alike[:m], alike[m:], shares, f)
    expected = float(distances(found, alike[m:], shares, f).mean())
    ball = _ball(found, alike[m:], shares, f)
    return Partition(found, loss, expected, ball).at(places, share)


def _nearest(
    candidates: Int[np.ndarray, "m n"],
    draws: Int[np.ndarray, "s n"],
    share: Float[np.ndarray, " n"],
    f: Callable[[np.ndarray], np.ndarray],
) -> Int[np.ndarray, " n"]:
    """The partition of least expected distance that descents from several places end in."""
    n, some = draws.shape[1], draws[:: max(1, len(draws) // CANDIDATES)]
    starts = STARTS if n <= MANY_ROWS else 1
    every = np.unique([tidy(labels, share) for labels in (*candidates, *some)], axis=0)
    costs = [distances(labels, draws, share, f).mean() for labels in every]
    orders = np.random.default_rng(0).permuted(np.tile(np.arange(n), (starts, 1)), axis=1)
    ends = [_descended(every[i], np.arange(n), draws, share, f) for i in np.argsort(costs)[:starts]]
    ends += [_descended(np.full(n, -1), order, draws, share, f) for order in orders]
    return ends[np.argmin([distances(labels, draws, share, f).mean() for labels in ends])]


def distances(
    labels: Int[np.ndarray, " n"],
    draws: Int[np.ndarray, "s n"],
    share: Float[np.ndarray, " n"],
    f: Callable[[np.ndarray], np.ndarray],
) -> Float[np.ndarray, " s"]:
    """From one partition to every drawn one."""
    own = f(np.bincount(labels, share)).sum()
    b = int(draws.max()) + 1
    found = np.empty(len(draws))
    for s, drawn in enumerate(draws):
        both = np.bincount(labels * b + drawn, share)
        found[s] = own + f(np.bincount(drawn, share)).sum() - 2 * f(both).sum()
    return np.maximum(found, 0.0)


def tidy(labels: Int[np.ndarray, " n"], share: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """The same partition, its clusters numbered by size, of equal ones by their first row."""
    names, first, places = np.unique(labels, return_index=True, return_inverse=True)
    sizes = np.bincount(places, share, minlength=len(names))
    order = np.lexsort((first, -sizes.round(12)))
    return np.argsort(order)[places]


def _descended(
    labels: Int[np.ndarray, " n"],
    order: Int[np.ndarray, " n"],
    draws: Int[np.ndarray, "s n"],
    share: Float[np.ndarray, " n"],
    f: Callable[[np.ndarray], np.ndarray],
) -> Int[np.ndarray, " n"]:
    """Rows moved one at a time, in that order, to the cluster of least expected distance.

    Rows of label -1 have no cluster yet. An empty cluster is open to every row.
    """
    labels, (s, n) = labels.copy(), draws.shape
    b = int(draws.max()) + 1
    a = min(n, 2 * max(int(labels.max()) + 1, b)) + 1
    placed = labels >= 0
    sizes = np.bincount(labels[placed], share[placed], minlength=a)
    both = np.empty((s, a, b))
    for place, drawn in zip(both, draws, strict=True):
        codes = (labels * b + drawn)[placed]
        place[:] = np.bincount(codes, share[placed], minlength=a * b).reshape(a, b)
    each = np.arange(s)
    for _ in range(MOST_SWEEPS):
        moved = False
        for i in order:
            old, own, drawn = labels[i], share[i], draws[:, i]
            if old >= 0:
                sizes[old] -= own
                both[each, old, drawn] -= own
            column = np.maximum(both[each, :, drawn], 0.0)
            gain = (f(column + own) - f(column)).mean(0)
            left = np.maximum(sizes, 0.0)
            cost = f(left + own) - f(left) - 2 * gain
            new = int(np.argmin(cost))
            if old >= 0 and cost[new] > cost[old] - 1e-12:
                new = old
            labels[i] = new
            sizes[new] += own
            both[each, new, drawn] += own
            moved = moved or new != old
        if not moved:
            break
    return labels


def _ball(
    labels: Int[np.ndarray, " n"],
    draws: Int[np.ndarray, "s n"],
    share: Float[np.ndarray, " n"],
    f: Callable[[np.ndarray], np.ndarray],
) -> CredibleBall:
    apart = distances(labels, draws, share, f)
    radius = float(np.quantile(apart, LEVEL, method="higher"))
    inside = np.flatnonzero(apart <= radius)
    counts = np.array([len(np.unique(drawn[share > 0])) for drawn in draws[inside]])

    def farthest(some: np.ndarray) -> np.ndarray:
        return tidy(draws[some[np.argmax(apart[some])]], share)

    upper, lower = (inside[counts == wanted] for wanted in (counts.min(), counts.max()))
    return CredibleBall(LEVEL, radius, farthest(upper), farthest(lower), farthest(inside))
