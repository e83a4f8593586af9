"""One column, conjugate normal-inverse-gamma prior.

Given the allocations, everything integrates in closed form, so that small data sets have exact
answers: use it to check samplers and summaries. For data analysis prefer gaussian: here the prior
of a mean widens with the variance of its component, and one scale is fixed in advance.

Priors, each a keyword:
    weights      concentration of the symmetric Dirichlet on the weights; 1 is uniform.
    location, kappa
                 mu_k | s2_k ~ Normal(location, s2_k / kappa); the mid-range and 0.01 by default.
    shape, rate  s2_k ~ InverseGamma(shape, rate); 2 and (sd / k)^2 by default, so that the prior
                 mean of a variance is (sd / k)^2.
The form and kappa = 0.01 are those of Fraley and Raftery (2007).
"""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist


def model(X, k, *, weights=1.0, location=None, kappa=0.01, shape=2.0, rate=None, sd=None):
    n, d = X.shape
    if d != 1:
        raise ValueError(f"conjugate is univariate, but X has {d} columns; choose one column.")
    location = (X.min(0) + X.max(0)) / 2 if location is None else location
    sd = X.std(0) if sd is None else sd
    rate = jnp.square(sd / k) if rate is None else rate

    proportions = numpyro.sample("weights", dist.Dirichlet(jnp.full(k, weights)))
    with numpyro.plate("cluster", k):
        variances = numpyro.sample(
            "variances", dist.InverseGamma(shape, rate).expand([1]).to_event(1)
        )
        sds = jnp.sqrt(variances)
        means = numpyro.sample("means", dist.Normal(location, sds / jnp.sqrt(kappa)).to_event(1))

    components = dist.Normal(means, sds).to_event(1)
    with numpyro.plate("rows", n):
        mixture = dist.MixtureSameFamily(dist.Categorical(proportions), components)
        numpyro.sample("X", mixture, obs=X)
