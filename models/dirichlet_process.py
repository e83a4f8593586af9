"""Dirichlet process: sticks for weights, cut off at k.

Use it where the number of clusters should grow with the data: k is only a bound, so see that the
last sticks hold next to nothing. To estimate a finite number, sparse; when k is known, gaussian.

Priors, each a keyword:
    alpha_shape, alpha_rate
                 alpha ~ Gamma(2, 2) (Ishwaran and James 2002); about alpha log(n) clusters are
                 expected (Antoniak 1974). Fractions v_j ~ Beta(1, alpha), weights v_j (1 - v_1) ...
                 (1 - v_{j-1}), the last one what is left (Sethuraman 1994).
    location, spread
                 means ~ Normal(mid-range, range) of each column (Richardson and Green 1997).
    sd, sd_spread
                 log tau_j ~ Normal(log(sd_j k^(-1/d)), 1); log sigma_kj ~ Normal(log tau_j,
                 sd_spread); zero-avoiding (Chung et al. 2013 for the idea).
    correlation  LKJ shape of each correlation matrix (Lewandowski, Kurowicka and Joe 2009).
Fractions are as sampled, and belong to an order of the sticks that chains rarely change: read the
weights, which are relabelled with their components.
"""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist


def model(
    X,
    k,
    *,
    alpha_shape=2.0,
    alpha_rate=2.0,
    location=None,
    spread=None,
    sd=None,
    sd_spread=0.7,
    correlation=2.0,
):
    n, d = X.shape
    location = (X.min(0) + X.max(0)) / 2 if location is None else location
    spread = X.max(0) - X.min(0) if spread is None else spread
    sd = X.std(0) if sd is None else sd

    alpha = numpyro.sample("alpha", dist.Gamma(alpha_shape, alpha_rate))
    fractions = numpyro.sample("fractions", dist.Beta(1.0, alpha).expand([k - 1]).to_event(1))
    left = jnp.append(0.0, jnp.cumsum(jnp.log1p(-fractions)))
    logits = left + jnp.append(jnp.log(fractions), 0.0)
    numpyro.deterministic("weights", jnp.exp(logits))
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
        mixture = dist.MixtureSameFamily(dist.Categorical(logits=logits), components)
        numpyro.sample("X", mixture, obs=X)
