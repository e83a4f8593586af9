"""Information criteria; for all of them smaller is better."""

import numpy as np


def aic(log_likelihood: float, n_parameters: int) -> float:
    """-2 logL + 2 df (Akaike 1974)."""
    return -2 * log_likelihood + 2 * n_parameters


def aicc(log_likelihood: float, n_parameters: int, n: float) -> float:
    """AIC + 2 df (df + 1) / (n - df - 1) (Hurvich and Tsai 1989); NaN without rows to spare."""
    spare = n - n_parameters - 1
    penalty = 2 * n_parameters * (n_parameters + 1) / spare if spare > 0 else float("nan")
    return aic(log_likelihood, n_parameters) + penalty


def bic(log_likelihood: float, n_parameters: int, n: float) -> float:
    """-2 logL + df log n (Schwarz 1978); with frequency weights n is their sum."""
    return -2 * log_likelihood + n_parameters * float(np.log(n))


def icl(
    log_likelihood: float,
    n_parameters: int,
    n: float,
    log_certainty: float,
) -> float:
    """BIC - 2 sum_i log max_k r_ik (Biernacki, Celeux and Govaert 2000, the MAP version).

    Args:
        log_likelihood: of the mixture.
        n_parameters: free parameters.
        n: rows.
        log_certainty: that sum, the log-likelihood with every row in its most probable component
            less `log_likelihood`.
    """
    return bic(log_likelihood, n_parameters, n) - 2 * log_certainty
