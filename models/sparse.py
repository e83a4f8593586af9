"""Sparse: more components than needed, most emptied.

Use it to learn how many clusters there are: give k well above what you expect, and read off how
many components hold rows. Its weights favour few large components. When k is known, or several k
are to be compared, use gaussian.

Priors, each a keyword:
    weights      concentration of the symmetric Dirichlet on the weights. Superfluous components are
                 emptied below half of a component's number of parameters (Rousseau and Mengersen
                 2011); 0.1 here. Malsiner-Walli, Fruhwirth-Schnatter and Grun (2016) take 0.01,
                 which empties more firmly, but leaves a posterior that is harder to walk on.
    location, spread
                 means ~ Normal(mid-range, range) of each column (Richardson and Green 1997).
    sd, sd_spread
                 log tau_j ~ Normal(log(sd_j k^(-1/d)), 1); log sigma_kj ~ Normal(log tau_j,
                 sd_spread); zero-avoiding (Chung et al. 2013 for the idea).
    correlation  LKJ shape of each correlation matrix (Lewandowski, Kurowicka and Joe 2009).
"""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist


def model(
    X, k, *, weights=0.1, location=None, spread=None, sd=None, sd_spread=0.7, correlation=2.0
):
    n, d = X.shape
    location = (X.min(0) + X.max(0)) / 2 if location is None else location
    spread = X.max(0) - X.min(0) if spread is None else spread
    sd = X.std(0) if sd is None else sd

    proportions = numpyro.sample("weights", dist.Dirichlet(jnp.full(k, weights)))
    centre = jnp.log(sd) - jnp.log(k) / d
    log_tau = numpyro.sample("log_tau", dist.Normal(centre, 1.0).to_event(1))
    with numpyro.plate("cluster", k):
        means = numpyro.sample("means", dist.Normal(location, spread).to_event(1))
        sds = numpyro.sample("sds", dist.LogNormal(log_tau, sd_spread).to_event(1))
        scale_tril = sds[..., None] * jnp.eye(d)
        if d > 1:
            corr_tril = numpyro.sample("corr_tril", dist.LKJCholesky(d, correlation))
            scale_tril = sds[..., None] * corr_tril

    components = dist.MultivariateNormal(means, scale_tril=scale_tril)
    with numpyro.plate("rows", n):
        mixture = dist.MixtureSameFamily(dist.Categorical(proportions), components)
        numpyro.sample("X", mixture, obs=X)
