"""Diagonal: no correlations within a component.

Use it when columns are unrelated within a cluster (mclust's VVI), or when there are too many
columns for full covariance matrices. Correlated columns make it split one cluster into several.

Priors, each a keyword:
    weights      concentration of the symmetric Dirichlet on the weights; 1 is uniform.
    location, spread
                 means ~ Normal(mid-range, range) of each column (Richardson and Green 1997).
    sd           centre of the scale hierarchy: log tau_j ~ Normal(log(sd_j k^(-1/d)), 1), then
    sd_spread    log sigma_kj ~ Normal(log tau_j, sd_spread); zero-avoiding.
"""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist


def model(X, k, *, weights=1.0, location=None, spread=None, sd=None, sd_spread=0.7):
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

    components = dist.Normal(means, sds).to_event(1)
    with numpyro.plate("rows", n):
        mixture = dist.MixtureSameFamily(dist.Categorical(proportions), components)
        numpyro.sample("X", mixture, obs=X)
