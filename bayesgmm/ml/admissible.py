"""Which optima are admissible, and why the others are not.

The likelihood of a Gaussian mixture is unbounded, so the best fit is the best *admissible* one:
every component has enough effective rows for its family, and no eigenvalue of inv(W) Sigma_k is
below `MIN_EIGENVALUE`, W being the pooled within-component covariance.
"""

import numpy as np
from jaxtyping import Bool, Float

from bayesgmm.gaussian.families import Family, family_label
from bayesgmm.gaussian.mixture import Mixture

MIN_EIGENVALUE = 1e-3
ROUNDING = 1e-6


def relative_eigenvalues(mixture: Mixture) -> Float[np.ndarray, "*s k d"]:
    """Eigenvalues of inv(W) Sigma_k, W the pooled within-component covariance; 0 if W is singular.

    They are those of L^-1 Sigma_k L^-T, where W = L L', with columns scaled to unit variance first.
    """
    if mixture.is_diagonal:
        pooled = (mixture.weights[..., None] * mixture.variances).sum(-2, keepdims=True)
        return np.sort(mixture.variances / pooled)
    factors = np.asarray(mixture.scale_tril)
    pooled_factors = np.sqrt(np.asarray(mixture.weights))[..., None, None] * factors
    pooled = np.einsum("...kab,...kcb->...ac", pooled_factors, pooled_factors)
    sds = np.sqrt(np.diagonal(pooled, axis1=-2, axis2=-1))
    scaled = pooled / (sds[..., :, None] * sds[..., None, :])
    try:
        whitener = np.linalg.inv(np.linalg.cholesky(scaled))
    except np.linalg.LinAlgError:
        if factors.ndim == 3:
            return np.zeros(factors.shape[:-1])
        return np.stack([relative_eigenvalues(Mixture(*one)) for one in zip(*mixture, strict=True)])
    white = whitener[..., None, :, :] @ (factors / sds[..., None, :, None])
    return np.square(np.linalg.svd(white, compute_uv=False))[..., ::-1]


def refusals(
    family: Family,
    mixtures: Mixture,
    counts: Float[np.ndarray, "s k"],
    regular: Bool[np.ndarray, " s"],
) -> list[str]:
    """For each of s mixtures why it is not admissible; empty if it is.

    Args:
        family: the covariance family.
        mixtures: stacked, shape (s, k, ...).
        counts: expected rows of each component.
        regular: whether it is a stationary point at all, or the last mixture before a collapse.
    """
    k, d = mixtures.means.shape[1:]
    needed, together = family.min_rows(d), family.min_total_rows(k, d)
    ratios = np.zeros((len(regular), k))
    if regular.any():
        part = Mixture(*(np.asarray(leaf)[regular] for leaf in mixtures))
        ratios[regular] = relative_eigenvalues(part).min(-1)

    label = family_label(family.name, d)

    def refusal(i: int) -> str:
        fewest, thinnest = int(counts[i].argmin()), int(ratios[i].argmin())
        held = np.floor(10 * counts[i][fewest] + ROUNDING) / 10  # 1.99 is not shown as the 2 needed
        rows = f"{held:.1f} row{'' if held == 1 else 's'}"
        if not regular[i]:
            return f"component {fewest + 1} collapsed onto too few rows ({rows})"
        if counts[i].sum() < together - ROUNDING:
            total = f"{counts[i].sum():.0f}"
            return f"{k} {label} components need {together} rows, there are {total}"
        if counts[i][fewest] < needed - ROUNDING:
            return f"component {fewest + 1} holds {rows}, and {label} needs {needed}"
        if ratios[i][thinnest] < MIN_EIGENVALUE:
            smallest = f"smallest relative eigenvalue {ratios[i][thinnest]:.1e}"
            return f"component {thinnest + 1} is nearly singular ({smallest})"
        return ""

    return [refusal(i) for i in range(len(regular))]
