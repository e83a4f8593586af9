"""Exact answers for a small univariate mixture, by summing over the allocations of its rows.

The model: weights ~ Dirichlet(1, ..., 1), s2_k ~ InverseGamma(shape, rate),
mu_k | s2_k ~ Normal(location, s2_k / kappa), and y_i ~ Normal(mu_k, s2_k) for a row of component k.
Given the allocations everything integrates in closed form. Components are labelled, so an evidence
counts all k! labellings.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, logsumexp
from scipy.stats import t as student


@dataclass(frozen=True)
class Prior:
    """Normal-inverse-gamma prior of a component's mean and variance."""

    location: float
    kappa: float
    shape: float
    rate: float

    def updated(self, m, total, squares):
        """The conjugate posterior after m values of that sum and sum of squares."""
        kappa = self.kappa + m
        centre = (self.kappa * self.location + total) / kappa
        spread = squares + self.kappa * self.location**2 - kappa * centre**2
        return Prior(centre, kappa, self.shape + m / 2, self.rate + spread / 2)


def log_marginals(y, prior):
    """Log marginal density of every subset of y, which are numbered by their bits: (2^n,)."""
    after = _posteriors(y, prior)
    m = _sums(np.ones(len(y)))
    return (
        np.log(prior.kappa / after.kappa) / 2
        + gammaln(after.shape)
        - gammaln(prior.shape)
        + prior.shape * np.log(prior.rate)
        - after.shape * np.log(after.rate)
        - m * np.log(2 * np.pi) / 2
    )


def log_evidence(y, prior, k):
    """Log density of y under k components; the k-fold convolution over disjoint subsets.

    The weights integrate to (k - 1)! prod_j n_j! / (n + k - 1)!.
    """
    n = len(y)
    log_group = log_marginals(y, prior) + gammaln(_sums(np.ones(n)) + 1)
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

    y: np.ndarray
    prior: Prior
    k: int
    allocations: np.ndarray
    probabilities: np.ndarray

    @classmethod
    def of(cls, y, prior, k):
        """All of them; k^n rows, so for small n and k only."""
        codes = np.arange(k ** len(y))
        allocations = np.stack([codes // k**i % k for i in range(len(y))], axis=1).astype(np.int8)
        counts = _counts(allocations, k)
        log_p = gammaln(counts + 1).sum(1)
        log_p += log_marginals(y, prior)[_subsets(allocations, k)].sum(1)
        return cls(y, prior, k, allocations, np.exp(log_p - logsumexp(log_p)))

    def p_occupied(self):
        """Probability that exactly 1, ..., k components hold rows."""
        occupied = (_counts(self.allocations, self.k) > 0).sum(1)
        return np.array([self.probabilities[occupied == j].sum() for j in range(1, self.k + 1)])

    def mean_sum_squared_weights(self):
        """The weights are Dirichlet(1 + counts) given the allocations."""
        counts, total = _counts(self.allocations, self.k) + 1, len(self.y) + self.k
        return float(self.probabilities @ (counts * (counts + 1)).sum(1) / total / (total + 1))

    def co_clustering(self, i, j):
        """Probability that rows i and j share a component."""
        return float(self.probabilities[self.allocations[:, i] == self.allocations[:, j]].sum())

    def predictive_density(self, x):
        """Density of a new row at x: Student's t for each component, weighted."""
        after = _posteriors(self.y, self.prior)
        scale = np.sqrt(after.rate * (after.kappa + 1) / (after.shape * after.kappa))
        density = student.pdf(x, 2 * after.shape, after.location, scale)
        weights = (_counts(self.allocations, self.k) + 1) / (len(self.y) + self.k)
        subsets = _subsets(self.allocations, self.k)
        return float(self.probabilities @ (weights * density[subsets]).sum(1))


def _posteriors(y, prior):
    return prior.updated(_sums(np.ones(len(y))), _sums(y), _sums(y**2))


def _sums(values):
    """The sum of values over every subset of their positions."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums, sums + value])
    return sums


def _counts(allocations, k):
    return np.stack([(allocations == j).sum(1) for j in range(k)], axis=1)


def _subsets(allocations, k):
    bits = 2 ** np.arange(allocations.shape[1])
    return np.stack([(allocations == j) @ bits for j in range(k)], axis=1)
