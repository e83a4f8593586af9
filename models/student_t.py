"""Robust: Student t components, each with its own tails.

Use it where a few rows lie far from every cluster: normal components would widen, or spend a whole
component on them. With clean data prefer gaussian, which has fewer parameters and a faster kernel.
Its sds are scales: a component's standard deviation is sd sqrt(df / (df - 2)) where df > 2.

Priors, each a keyword:
    weights      concentration of the symmetric Dirichlet on the weights; 1 is uniform.
    location, spread
                 locations ~ Normal(mid-range, range) of each column (Richardson and Green 1997).
    sd, sd_spread
                 log tau_j ~ Normal(log(sd_j k^(-1/d)), 1); log sigma_kj ~ Normal(log tau_j,
                 sd_spread); zero-avoiding (Chung et al. 2013 for the idea).
    correlation  LKJ shape of each scale matrix (Lewandowski, Kurowicka and Joe 2009).
    df_shape, df_rate
                 df_k ~ Gamma(2, 0.1), from heavy tails to nearly normal (Juarez and Steel 2010).
"""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist


def model(
    X,
    k,
    *,
    weights=1.0,
    location=None,
    spread=None,
    sd=None,
    sd_spread=0.7,
    correlation=2.0,
    df_shape=2.0,
    df_rate=0.1,
):
    n, d = X.shape
    location = (X.min(0) + X.max(0)) / 2 if location is None else location
    spread = X.max(0) - X.min(0) if spread is None else spread
    sd = X.std(0) if sd is None else sd

    proportions = numpyro.sample("weights", dist.Dirichlet(jnp.full(k, weights)))
    centre = jnp.log(sd) - jnp.log(k) / d
    log_tau = numpyro.sample("log_tau", dist.Normal(centre, 1.0).to_event(1))
    with numpyro.plate("cluster", k):
        df = numpyro.sample("df", dist.Gamma(df_shape, df_rate))
        locations = numpyro.sample("locations", dist.Normal(location, spread).to_event(1))
        sds = numpyro.sample("sds", dist.LogNormal(log_tau, sd_spread).to_event(1))
        scale_tril = sds[..., None] * jnp.eye(d)
        if d > 1:
            corr_tril = numpyro.sample("corr_tril", dist.LKJCholesky(d, correlation))
            scale_tril = sds[..., None] * corr_tril

    components = dist.MultivariateStudentT(df, locations, scale_tril)
    with numpyro.plate("rows", n):
        mixture = dist.MixtureSameFamily(dist.Categorical(proportions), components)
        numpyro.sample("X", mixture, obs=X)
