"""Exact answers for small mixtures, by summing over the allocations of their rows.

The model: weights ~ Dirichlet(1, ..., 1), S_k ~ InverseWishart(nu, scale),
mu_k | S_k ~ Normal(location, S_k / kappa), and y_i ~ Normal(mu_k, S_k) for a row of component k.
Given the allocations everything integrates in closed form (Gelman et al. 2013, section 3.6).
Components are labelled, so an evidence counts all k! labellings.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, logsumexp, multigammaln
from scipy.stats import multivariate_t


@dataclass(frozen=True)
class Prior:
    """Normal-inverse-Wishart distribution of a component's mean (d,) and covariance (d, d)."""

    location: np.ndarray
    kappa: float
    nu: float
    scale: np.ndarray

    def updated(self, m, totals, squares):
        """The conjugate posteriors after m rows of those sums and sums of squares; any batch."""
        kappa = self.kappa + m
        centre = (self.kappa * self.location + totals) / kappa[..., None]
        spread = squares + self.kappa * _square(self.location)
        spread = spread - kappa[..., None, None] * _square(centre)
        return Prior(centre, kappa, self.nu + m, self.scale + spread)

    def log_marginal(self, after, m):
        """Log marginal density of m rows, given the distribution after them."""
        d = self.scale.shape[-1]
        return (
            d / 2 * np.log(self.kappa / after.kappa)
            + multigammaln(after.nu / 2, d)
            - multigammaln(self.nu / 2, d)
            + self.nu / 2 * np.linalg.slogdet(self.scale)[1]
            - after.nu / 2 * np.linalg.slogdet(after.scale)[1]
            - m * d / 2 * np.log(np.pi)
        )

    def predictive(self, i, x):
        """Density of a new row after the i-th batch of rows: a multivariate Student's t."""
        df = self.nu[i] - self.scale.shape[-1] + 1
        shape = self.scale[i] * (self.kappa[i] + 1) / (self.kappa[i] * df)
        return float(multivariate_t.pdf(x, self.location[i], shape, df))


def log_marginals(Y, prior):
    """Log marginal density of every subset of rows, which are numbered by their bits: (2^n,)."""
    return prior.log_marginal(_posteriors(Y, prior), _sums(np.ones(len(Y))))


def log_evidence(Y, prior, k):
    """Log density of Y under k components; the k-fold convolution over disjoint subsets.

    The weights integrate to (k - 1)! prod_j n_j! / (n + k - 1)!.
    """
    n = len(Y)
    log_group = log_marginals(Y, prior) + gammaln(_sums(np.ones(n)) + 1)
    subsets = np.arange(2**n)
    log_sum = log_group
    for _ in range(k - 1):
        log_sum = np.array(
            [
                logsumexp(log_group[inside] + log_sum[whole ^ inside])
                for whole in subsets
                for inside in [subsets[(subsets & whole) == subsets]]
            ]
        )
    return float(gammaln(k) - gammaln(n + k) + log_sum[-1])


@dataclass(frozen=True)
class Enumeration:
    """Every allocation of n rows to k components, (k^n, n), and its posterior probability."""

    Y: np.ndarray
    prior: Prior
    k: int
    allocations: np.ndarray
    probabilities: np.ndarray

    @classmethod
    def of(cls, Y, prior, k):
        """All of them; k^n rows, so for small n and k only."""
        codes = np.arange(k ** len(Y))
        allocations = np.stack([codes // k**i % k for i in range(len(Y))], axis=1).astype(np.int8)
        counts = _counts(allocations, k)
        log_p = gammaln(counts + 1).sum(1)
        log_p += log_marginals(Y, prior)[_subsets(allocations, k)].sum(1)
        return cls(Y, prior, k, allocations, np.exp(log_p - logsumexp(log_p)))

    def p_occupied(self):
        """Probability that exactly 1, ..., k components hold rows."""
        occupied = (_counts(self.allocations, self.k) > 0).sum(1)
        return np.array([self.probabilities[occupied == j].sum() for j in range(1, self.k + 1)])

    def mean_sum_squared_weights(self):
        """The weights are Dirichlet(1 + counts) given the allocations."""
        counts, total = _counts(self.allocations, self.k) + 1, len(self.Y) + self.k
        return float(self.probabilities @ (counts * (counts + 1)).sum(1) / total / (total + 1))

    def co_clustering(self, i, j):
        """Probability that rows i and j share a component."""
        return float(self.probabilities[self.allocations[:, i] == self.allocations[:, j]].sum())

    def predictive_density(self, x):
        """Density of a new row at x."""
        after = _posteriors(self.Y, self.prior)
        density = np.array([after.predictive(i, x) for i in range(len(after.kappa))])
        weights = (_counts(self.allocations, self.k) + 1) / (len(self.Y) + self.k)
        subsets = _subsets(self.allocations, self.k)
        return float(self.probabilities @ (weights * density[subsets]).sum(1))


def _posteriors(Y, prior):
    return prior.updated(_sums(np.ones(len(Y))), _sums(Y), _sums(_square(Y)))


def _square(vectors):
    return vectors[..., :, None] * vectors[..., None, :]


def _sums(values):
    """The sum of values over every subset of their positions."""
    sums = np.zeros((1, *values.shape[1:]))
    for value in values:
        sums = np.concatenate([sums, sums + value])
    return sums


def _counts(allocations, k):
    return np.stack([(allocations == j).sum(1) for j in range(k)], axis=1)


def _subsets(allocations, k):
    bits = 2 ** np.arange(allocations.shape[1])
    return np.stack([(allocations == j) @ bits for j in range(k)], axis=1)
