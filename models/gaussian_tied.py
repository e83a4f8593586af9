"""Tied: the components share one covariance matrix.

Use it for clusters of the same shape, size and orientation (mclust's EEE): far fewer parameters
than gaussian, and often the better description when the clusters are small. When sizes or
orientations visibly differ, use gaussian.

Priors, each a keyword:
    weights      concentration of the symmetric Dirichlet on the weights; 1 is uniform.
    location, spread
                 means ~ Normal(mid-range, range) of each column (Richardson and Green 1997).
    sd, sd_spread
                 shared log sigma_j ~ Normal(log(sd_j k^(-1/d)), sd_spread), zero-avoiding.
    correlation  LKJ shape of the correlation matrix (Lewandowski, Kurowicka and Joe 2009).
"""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist


def model(
    X, k, *, weights=1.0, location=None, spread=None, sd=None, sd_spread=1.0, correlation=2.0
):
    n, d = X.shape
    location = (X.min(0) + X.max(0)) / 2 if location is None else location
    spread = X.max(0) - X.min(0) if spread is None else spread
    sd = X.std(0) if sd is None else sd

    proportions = numpyro.sample("weights", dist.Dirichlet(jnp.full(k, weights)))
    centre = jnp.log(sd) - jnp.log(k) / d
    sds = numpyro.sample("sds", dist.LogNormal(centre, sd_spread).to_event(1))
    scale_tril = jnp.diag(sds)
    if d > 1:
        corr_tril = numpyro.sample("corr_tril", dist.LKJCholesky(d, correlation))
        scale_tril = sds[:, None] * corr_tril
    scale_tril = numpyro.deterministic("scale_tril", scale_tril)
    with numpyro.plate("cluster", k):
        means = numpyro.sample("means", dist.Normal(location, spread).to_event(1))

    components = dist.MultivariateNormal(means, scale_tril=scale_tril)
    with numpyro.plate("rows", n):
        mixture = dist.MixtureSameFamily(dist.Categorical(proportions), components)
        numpyro.sample("X", mixture, obs=X)
