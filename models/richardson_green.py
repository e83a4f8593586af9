"""One column, the priors of Richardson and Green (1997).

Use it to compare with published analyses of univariate data at a fixed number of components. The
scale of the precisions is learned, so that the prior is weak and yet keeps variances from zero.

Priors, each a keyword:
    weights      concentration of the symmetric Dirichlet on the weights; 1 is uniform.
    location, spread
                 mu_k ~ Normal(mid-range, R), R the range of the column; their kappa = 1 / R^2.
    alpha        1 / s2_k ~ Gamma(alpha, beta); alpha = 2.
    g, h         beta ~ Gamma(g, h) with g = 0.2 and h = 10 / R^2, both by rate.
Their ordering of the means is left out: labels are put right after sampling.
"""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist


def model(X, k, *, weights=1.0, location=None, spread=None, alpha=2.0, g=0.2, h=10.0):
    n, d = X.shape
    if d != 1:
        raise ValueError(f"richardson_green is univariate, but X has {d} columns; choose one.")
    location = (X.min(0) + X.max(0)) / 2 if location is None else location
    spread = X.max(0) - X.min(0) if spread is None else spread

    proportions = numpyro.sample("weights", dist.Dirichlet(jnp.full(k, weights)))
    beta = numpyro.sample("beta", dist.Gamma(g, h / jnp.square(spread[0])))
    with numpyro.plate("cluster", k):
        means = numpyro.sample("means", dist.Normal(location, spread).to_event(1))
        variances = numpyro.sample("variances", dist.InverseGamma(alpha, beta))

    components = dist.Normal(means, jnp.sqrt(variances)[:, None]).to_event(1)
    with numpyro.plate("rows", n):
        mixture = dist.MixtureSameFamily(dist.Categorical(proportions), components)
        numpyro.sample("X", mixture, obs=X)
