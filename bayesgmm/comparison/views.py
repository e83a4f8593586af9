"""What people take from a fit: sampled rows, and scikit-learn's array shapes."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from bayesgmm.bayes.simulation import replicates
from bayesgmm.comparison.both import Both
from bayesgmm.data.errors import InputError
from bayesgmm.gaussian.families import Family
from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.ml.simulation import draw_rows

if TYPE_CHECKING:
    import pandas as pd


def in_shape(matrices: np.ndarray, member: Family) -> np.ndarray:
    """Matrices (k, d, d) in scikit-learn's shape for the family."""
    diagonals = np.diagonal(matrices, axis1=1, axis2=2)
    shapes = {"EEE": matrices[0], "VVI": diagonals, "VII": diagonals[:, 0]}
    return np.array(shapes.get(member.name, matrices))


def precisions(mixture: Mixture) -> tuple[np.ndarray, np.ndarray]:
    """Inverse covariances (k, d, d), and their upper Cholesky factors, as scikit-learn has them."""
    factors = np.asarray(mixture.scale_tril)
    if mixture.is_diagonal:
        eye = np.eye(factors.shape[-1])
        return (1 / mixture.variances)[..., None] * eye, (1 / factors)[..., None] * eye
    covariances = np.asarray(mixture.covariances)
    return np.linalg.inv(covariances), np.swapaxes(np.linalg.inv(factors), -1, -2)


def full_matrices(given: ArrayLike, member: Family, k: int, d: int) -> np.ndarray:
    """Matrices (k, d, d) from scikit-learn's shape for the family."""
    array = np.asarray(given, dtype=float)
    shapes = {"EEE": (d, d), "VVI": (k, d), "VII": (k,)}
    wanted = shapes.get(member.name, (k, d, d))
    if array.shape != wanted or not np.isfinite(array).all():
        raise InputError(
            f"precisions_init has shape {array.shape}, but finite values of shape {wanted} are "
            f"needed for covariance_type={member.alias!r}."
        )
    if member.name == "VII":
        array = array[:, None, None] * np.eye(d)
    elif member.name == "VVI":
        array = array[:, :, None] * np.eye(d)
    full = np.broadcast_to(array, (k, d, d))
    symmetric = np.allclose(full, np.swapaxes(full, -1, -2))
    if not symmetric or (np.linalg.eigvalsh(full) <= 0).any():
        raise InputError("precisions_init must be symmetric and positive definite.")
    return full


def sample(
    mixture: Mixture, n_samples: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and components drawn from one mixture, or from n_samples stacked ones."""
    if n_samples < 1:
        raise InputError(f"n_samples={n_samples} must be at least 1.")
    return draw_rows(mixture, n_samples, rng)


def sample_posterior(
    both: Both, n_samples: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Rows from the posterior predictive: each from its own draw of the parameters.

    Raises:
        InputError: as `replicates`; or a row that is not finite.
    """
    if n_samples < 1:
        raise InputError(f"n_samples={n_samples} must be at least 1.")
    posterior = both.posterior
    chosen = rng.integers(posterior.margin[posterior.kept].size, size=n_samples)
    X, labels = (part[:, 0] for part in replicates(posterior, chosen, 1, rng))
    if not np.isfinite(X).all():
        raise InputError(
            f"model {both.model!r} draws rows that are not finite; give its components lighter "
            "tails, by priors or by another model."
        )
    return X, np.where(labels < both.n_components, labels, -1)


def flat_draws(both: Both) -> Mixture:
    """The kept draws as one stack of mixtures.

    Raises:
        InputError: the program's components are not normal.
    """
    posterior = both.posterior
    if posterior.mixture is None:
        raise InputError(
            f"model {both.model!r} has components that are not normal; its draws are in posterior_."
        )
    parts = (part[posterior.kept] for part in posterior.mixture)
    return Mixture(*(part.reshape(-1, *part.shape[2:]) for part in parts))


def crosstab(
    labels: Int[np.ndarray, " n"], y: object, row_weights: Float[np.ndarray, " n"]
) -> "pd.DataFrame":
    """Rows by component, from 1, and by known class; the adjusted Rand index is in its attrs."""
    import pandas as pd
    from sklearn.metrics import adjusted_rand_score

    known = pd.Series(np.asarray(y).ravel())
    if len(known) != len(labels) or known.isna().any():
        what = f"{len(known)} entries" if len(known) != len(labels) else "missing entries"
        raise InputError(f"y has {what}; give the class of each of the {len(labels)} fitted rows.")
    counts = row_weights.astype(int)
    names = ["background" if label < 0 else str(label + 1) for label in labels.repeat(counts)]
    classes = known.to_numpy().repeat(counts)
    table = pd.crosstab(pd.Series(names, name="component"), pd.Series(classes, name="class"))
    table.attrs["adjusted_rand_index"] = float(adjusted_rand_score(classes, names))
    return table
