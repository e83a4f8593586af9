"""Starting mixtures for EM: agglomerated and k-means++ partitions, random rows, random labels.

Seeding looks at no more than `MAX_ROWS` rows; EM then sees them all.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import cycle, islice
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.random import Generator
from scipy.cluster.hierarchy import fcluster, linkage

from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.gaussian.sweep import Frame

MAX_ROWS = 2000
LLOYD_STEPS = 5
SHRINKAGE_ROWS = 2.0


class Rows(NamedTuple):
    """The rows that seeding looks at: whitened, merely scaled, and their weights."""

    white: Float[np.ndarray, "m d"]
    scaled: Float[np.ndarray, "m d"]
    mass: Float[np.ndarray, " m"]
    correlated: bool


def starts(
    X: Float[np.ndarray, "n d"],
    row_weights: Float[np.ndarray, " n"],
    frame: Frame,
    k: int,
    n_starts: int,
    rng: Generator,
    method: str = "mixed",
    *,
    correlated: bool = True,
) -> Mixture:
    """A stack of starting mixtures, shape (n_starts, k, ...), in the user's units.

    Args:
        X: rows, shape (n, d).
        row_weights: shape (n,); rows of weight zero never become a start.
        frame: the columns' means and standard deviations.
        k: number of components.
        n_starts: how many.
        rng: source of randomness; the same state gives the same starts.
        method: "kmeans", "k-means++", "random_from_data", "random", "agglomerative", or "mixed",
            which takes the first four in turn and the last once, on whitened and on scaled rows:
            none of them alone finds the best optimum of every data set.
        correlated: whether columns may be; if not, rows are scaled and not whitened, and diagonals
            stand for the covariances.
    """
    chosen = _subsample(row_weights, rng)
    Z = (X[chosen] - frame.shift) / frame.scale
    mass = row_weights[chosen]
    white, colour = _whiten(Z, mass) if correlated else (Z, None)
    rows = Rows(white, Z, mass, correlated)
    first, *others = METHODS[method]
    in_turn = islice(cycle([first, *others]), 1, n_starts)
    makers = [first, *(ONCE if method == "mixed" else ()), *in_turn][:n_starts]
    drawn = [maker(rows, k, rng) for maker in makers]
    weights, means, covariances = (np.stack(part) for part in zip(*drawn, strict=True))
    if colour is None:
        return Mixture(
            weights, frame.shift + means * frame.scale, np.sqrt(covariances) * frame.scale
        )
    units = np.asarray(frame.scale)[:, None] * colour
    means = frame.shift + means @ units.T
    scale_tril = np.linalg.cholesky(units @ covariances @ units.T)
    return Mixture(weights, means, scale_tril)


def _subsample(row_weights: np.ndarray, rng: Generator) -> np.ndarray:
    (positive,) = np.nonzero(row_weights > 0)
    if positive.size <= MAX_ROWS:
        return positive
    return np.sort(rng.choice(positive, MAX_ROWS, replace=False))


def _whiten(Z: np.ndarray, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows with identity covariance, and the factor that colours them again."""
    covariance = np.atleast_2d(np.cov(Z.T, aweights=mass, ddof=0)) if len(Z) > 1 else 0.0
    values, vectors = np.linalg.eigh(covariance + np.zeros((Z.shape[1],) * 2))
    roots = np.sqrt(np.maximum(values, 1e-8))
    return Z @ (vectors / roots), vectors * roots


def _squared_distances(Z: np.ndarray, centres: np.ndarray) -> np.ndarray:
    cross = Z @ centres.T
    return np.maximum((Z**2).sum(1)[:, None] - 2 * cross + (centres**2).sum(1), 0.0)


def _plus_plus(Z: np.ndarray, mass: np.ndarray, k: int, rng: Generator) -> np.ndarray:
    """Centres drawn in proportion to squared distance (Arthur and Vassilvitskii, 2007)."""
    centres = [Z[rng.choice(len(Z), p=mass / mass.sum())]]
    nearest = np.full(len(Z), np.inf)
    for _ in range(k - 1):
        nearest = np.minimum(nearest, ((Z - centres[-1]) ** 2).sum(1))
        chance = mass * nearest
        chance = chance / chance.sum() if chance.sum() > 0 else mass / mass.sum()
        centres.append(Z[rng.choice(len(Z), p=chance)])
    return np.array(centres)


def _nearest(Z: np.ndarray, centres: np.ndarray) -> Int[np.ndarray, " n"]:
    return _squared_distances(Z, centres).argmin(1)


type Parts = tuple[np.ndarray, ...]
"""Weights, means and covariances of one start, on whitened rows."""


def _groups(
    Z: np.ndarray, mass: np.ndarray, labels: np.ndarray, centres: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The mass and the mean of each group of a partition; an empty one keeps its centre."""
    resp = mass * (labels == np.arange(len(centres))[:, None])
    counts = resp.sum(1)
    means = np.where(counts[:, None] > 0, resp @ Z / np.maximum(counts, 1e-300)[:, None], centres)
    return counts, means


def _partition(rows: Rows, labels: np.ndarray, centres: np.ndarray) -> Parts:
    """Weights, means and covariances of a hard partition, small groups shrunk to the pooled."""
    Z, d = rows.white, rows.white.shape[1]
    counts, means = _groups(Z, rows.mass, labels, centres)
    apart = np.sqrt(rows.mass)[:, None] * (Z - means[labels])
    groups = [apart[labels == j] for j in range(len(centres))]
    scatter = np.stack([g.T @ g if rows.correlated else np.square(g).sum(0) for g in groups])
    pooled = scatter.sum(0) / counts.sum() + 1e-6 * (np.eye(d) if rows.correlated else 1.0)
    prior = SHRINKAGE_ROWS * d if rows.correlated else SHRINKAGE_ROWS
    shrunk = counts.reshape(-1, *[1] * pooled.ndim) + prior
    weights = (counts + 1.0) / (counts + 1.0).sum()
    return weights, means, (scatter + prior * pooled) / shrunk


def _kmeans(rows: Rows, k: int, rng: Generator) -> Parts:
    Z, mass = rows.white, rows.mass
    centres = _plus_plus(Z, mass, k, rng)
    for _ in range(LLOYD_STEPS):
        centres = _groups(Z, mass, _nearest(Z, centres), centres)[1]
    return _partition(rows, _nearest(Z, centres), centres)


def _plus_plus_only(rows: Rows, k: int, rng: Generator) -> Parts:
    centres = _plus_plus(rows.white, rows.mass, k, rng)
    return _partition(rows, _nearest(rows.white, centres), centres)


def _random_rows(rows: Rows, k: int, rng: Generator) -> Parts:
    """Equal weights, means at random rows, the covariance of the whole data."""
    n, d = rows.white.shape
    centres = rows.white[rng.choice(n, k, replace=n < k, p=rows.mass / rows.mass.sum())]
    unit = np.eye(d) if rows.correlated else np.ones(d)
    return np.full(k, 1 / k), centres, np.broadcast_to(unit, (k, *unit.shape))


def _random_labels(rows: Rows, k: int, rng: Generator) -> Parts:
    n, d = rows.white.shape
    return _partition(rows, np.asarray(rng.integers(k, size=n)), np.zeros((k, d)))


def _agglomerated(rows: Rows, k: int, rng: Generator) -> Parts:
    """The classification likelihood of EII, climbed by merging: Ward (1963), Fraley (1998)."""
    return _merged(rows, rows.white, k)


def _agglomerated_as_scaled(rows: Rows, k: int, rng: Generator) -> Parts:
    return _merged(rows, rows.scaled, k)


def _merged(rows: Rows, Z: np.ndarray, k: int) -> Parts:
    if len(Z) > k:
        labels: np.ndarray = fcluster(_merges(Z.tobytes(), len(Z)), k, "maxclust") - 1
    else:
        labels = np.arange(len(Z))
    return _partition(rows, labels, np.zeros((k, Z.shape[1])))


@lru_cache(maxsize=2)
def _merges(content: bytes, n: int) -> np.ndarray:
    """Ward's tree of n rows, kept for the next k."""
    return linkage(np.frombuffer(content).reshape(n, -1), "ward")


METHODS: dict[str, tuple[Callable[[Rows, int, Generator], Parts], ...]] = {
    "mixed": (_kmeans, _random_rows, _plus_plus_only, _random_labels),
    "kmeans": (_kmeans,),
    "k-means++": (_plus_plus_only,),
    "random_from_data": (_random_rows,),
    "random": (_random_labels,),
    "agglomerative": (_agglomerated,),
}
ONCE = (_agglomerated, _agglomerated_as_scaled)
