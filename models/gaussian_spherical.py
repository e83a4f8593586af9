"""Spherical: round components, one standard deviation each.

Use it for columns in the same unit and clusters without direction (mclust's VII). It depends on the
columns' relative units; with different units, use gaussian_diag.

Priors, each a keyword:
    weights      concentration of the symmetric Dirichlet on the weights; 1 is uniform.
    location, spread
                 means ~ Normal(mid-range, range) of each column (Richardson and Green 1997).
    sd           centre of the scale hierarchy, with the root mean square of the columns' sd:
                 log tau ~ Normal(log(rms(sd) k^(-1/d)), 1), then
    sd_spread    log sigma_k ~ Normal(log tau, sd_spread); zero-avoiding.
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
    centre = jnp.log(jnp.mean(jnp.square(sd))) / 2 - jnp.log(k) / d
    log_tau = numpyro.sample("log_tau", dist.Normal(centre, 1.0))
    with numpyro.plate("cluster", k):
        means = numpyro.sample("means", dist.Normal(location, spread).to_event(1))
        sds = numpyro.sample("sds", dist.LogNormal(log_tau, sd_spread))

    components = dist.Normal(means, sds[..., None]).to_event(1)
    with numpyro.plate("rows", n):
        mixture = dist.MixtureSameFamily(dist.Categorical(proportions), components)
        numpyro.sample("X", mixture, obs=X)
