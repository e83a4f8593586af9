"""Starting mixtures for EM: k-means++ partitions and random rows, on whitened data.

Seeding looks at no more than `MAX_ROWS` rows; EM then sees them all.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from numpy.random import Generator

from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.gaussian.sweep import Frame

MAX_ROWS = 2000
LLOYD_STEPS = 5
SHRINKAGE_ROWS = 2.0


def starts(
    X: Float[np.ndarray, "n d"],
    row_weights: Float[np.ndarray, " n"],
    frame: Frame,
    k: int,
    n_starts: int,
    rng: Generator,
    method: str = "mixed",
) -> Mixture:
    """A stack of starting mixtures, shape (n_starts, k, ...), in the user's units.

    Args:
        X: rows, shape (n, d).
        row_weights: shape (n,); rows of weight zero never become a start.
        frame: the columns' means and standard deviations.
        k: number of components.
        n_starts: how many.
        rng: source of randomness; the same state gives the same starts.
        method: "kmeans", "k-means++", "random_from_data", "random", or "mixed", which takes the
            four in turn: none of them alone finds the best optimum of every data set.
    """
    chosen = _subsample(row_weights, rng)
    Z = (X[chosen] - frame.shift) / frame.scale
    mass = row_weights[chosen]
    Z_white, colour = _whiten(Z, mass)
    makers = METHODS[method]
    drawn = [makers[i % len(makers)](Z_white, mass, k, rng) for i in range(n_starts)]
    weights, means, covariances = (np.stack(part) for part in zip(*drawn, strict=True))
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


def _partition(
    Z: np.ndarray, mass: np.ndarray, labels: np.ndarray, centres: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, means and covariances of a hard partition, small groups shrunk to the pooled."""
    d = Z.shape[1]
    resp = mass * (labels == np.arange(len(centres))[:, None])
    counts = resp.sum(1)
    means = np.where(counts[:, None] > 0, resp @ Z / np.maximum(counts, 1e-300)[:, None], centres)
    centred = Z - means[labels]
    scatter = np.einsum("kn,na,nb->kab", resp, centred, centred)
    pooled = scatter.sum(0) / counts.sum() + 1e-6 * np.eye(d)
    prior = SHRINKAGE_ROWS * d
    covariances = (scatter + prior * pooled) / (counts + prior)[:, None, None]
    weights = (counts + 1.0) / (counts + 1.0).sum()
    return weights, means, covariances


def _kmeans(Z: np.ndarray, mass: np.ndarray, k: int, rng: Generator) -> tuple[np.ndarray, ...]:
    centres = _plus_plus(Z, mass, k, rng)
    for _ in range(LLOYD_STEPS):
        centres = _partition(Z, mass, _nearest(Z, centres), centres)[1]
    return _partition(Z, mass, _nearest(Z, centres), centres)


def _plus_plus_only(
    Z: np.ndarray, mass: np.ndarray, k: int, rng: Generator
) -> tuple[np.ndarray, ...]:
    centres = _plus_plus(Z, mass, k, rng)
    return _partition(Z, mass, _nearest(Z, centres), centres)


def _random_rows(Z: np.ndarray, mass: np.ndarray, k: int, rng: Generator) -> tuple[np.ndarray, ...]:
    """Equal weights, means at random rows, the covariance of the whole data."""
    centres = Z[rng.choice(len(Z), k, replace=len(Z) < k, p=mass / mass.sum())]
    return np.full(k, 1 / k), centres, np.broadcast_to(np.eye(Z.shape[1]), (k,) + (Z.shape[1],) * 2)


def _random_labels(
    Z: np.ndarray, mass: np.ndarray, k: int, rng: Generator
) -> tuple[np.ndarray, ...]:
    labels = rng.integers(k, size=len(Z))
    return _partition(Z, mass, labels, np.zeros((k, Z.shape[1])))


METHODS: dict[str, tuple[Callable[..., tuple[np.ndarray, ...]], ...]] = {
    "mixed": (_kmeans, _random_rows, _plus_plus_only, _random_labels),
    "kmeans": (_kmeans,),
    "k-means++": (_plus_plus_only,),
    "random_from_data": (_random_rows,),
    "random": (_random_labels,),
}
