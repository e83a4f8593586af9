"""Conjugate: a normal-inverse-Wishart prior.

Given the allocations, everything integrates in closed form, so that small data sets have exact
answers: use it to check samplers and summaries. For data analysis prefer gaussian: here the prior
of a mean widens with the covariance of its component, and one scale is fixed in advance.

Priors, each a keyword:
    weights      concentration of the symmetric Dirichlet on the weights; 1 is uniform.
    location, kappa
                 mu_k | S_k ~ Normal(location, S_k / kappa); the mid-range and 0.01 by default.
    nu, scale    S_k ~ InverseWishart(nu, scale), sampled as its inverse; d + 2 and the covariance
                 of the data over k^(2/d) by default.
The form and the defaults are those of Fraley and Raftery (2007), section 3.2, but for the mean,
where they take the data's. For one column S_k ~ InverseGamma(nu / 2, scale / 2).
"""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist


def model(X, k, *, weights=1.0, location=None, kappa=0.01, nu=None, scale=None, covariance=None):
    n, d = X.shape
    location = (X.min(0) + X.max(0)) / 2 if location is None else location
    covariance = jnp.cov(X, rowvar=False).reshape(d, d) if covariance is None else covariance
    nu = d + 2.0 if nu is None else nu
    scale = covariance / k ** (2 / d) if scale is None else jnp.reshape(scale, (d, d))

    proportions = numpyro.sample("weights", dist.Dirichlet(jnp.full(k, weights)))
    with numpyro.plate("cluster", k):
        root = numpyro.sample("precision_tril", dist.WishartCholesky(nu, rate_matrix=scale))
        precision = root @ jnp.swapaxes(root, -1, -2)
        means = numpyro.sample(
            "means", dist.MultivariateNormal(location, precision_matrix=kappa * precision)
        )

    components = dist.MultivariateNormal(means, precision_matrix=precision)
    with numpyro.plate("rows", n):
        mixture = dist.MixtureSameFamily(dist.Categorical(proportions), components)
        numpyro.sample("X", mixture, obs=X)
