"""Noise: normal components, and a uniform background.

Use it where some rows belong to no cluster and would widen a component. The background (Banfield
and Raftery 1993) fills the data's box; it comes last, and is none of the k clusters. With heavy
tails rather than scatter, student_t; without either, gaussian.

Priors, each a keyword:
    weights, noise
                 concentrations of the Dirichlet on the weights, of clusters and of the background.
    location, spread
                 means ~ Normal(mid-range, range) of each column (Richardson and Green 1997); the
                 box is mid-range -+ range / 2.
    sd, sd_spread
                 log tau_j ~ Normal(log(sd_j k^(-1/d)), 1); log sigma_kj ~ Normal(log tau_j,
                 sd_spread); zero-avoiding (Chung et al. 2013 for the idea).
    correlation  LKJ shape of each correlation matrix (Lewandowski, Kurowicka and Joe 2009).
"""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist


def model(
    X,
    k,
    *,
    weights=1.0,
    noise=1.0,
    location=None,
    spread=None,
    sd=None,
    sd_spread=0.7,
    correlation=2,
):
    n, d = X.shape
    location = (X.min(0) + X.max(0)) / 2 if location is None else location
    spread = X.max(0) - X.min(0) if spread is None else spread
    sd = X.std(0) if sd is None else sd
    concentration = jnp.append(jnp.full(k, weights), noise)
    proportions = numpyro.sample("weights", dist.Dirichlet(concentration))
    centre = jnp.log(sd) - jnp.log(k) / d
    log_tau = numpyro.sample("log_tau", dist.Normal(centre, 1.0).to_event(1))
    with numpyro.plate("cluster", k):
        means = numpyro.sample("means", dist.Normal(location, spread).to_event(1))
        sds = numpyro.sample("sds", dist.LogNormal(log_tau, sd_spread).to_event(1))
        scale_tril = sds[..., None] * jnp.eye(d)
        if d > 1:
            corr_tril = numpyro.sample("corr_tril", dist.LKJCholesky(d, correlation))
            scale_tril = sds[..., None] * corr_tril
    half = spread * (0.5 + 1e-9)  # the outermost rows lie inside, whatever rounding does
    background = dist.Uniform(location - half, location + half).to_event(1)
    clusters = [dist.MultivariateNormal(means[j], scale_tril=scale_tril[j]) for j in range(k)]
    with numpyro.plate("rows", n):
        mixture = dist.MixtureGeneral(
            dist.Categorical(proportions),
            [*clusters, background],
            support=dist.constraints.real_vector,
        )
        numpyro.sample("X", mixture, obs=X)
