"""Rows, programs and small helpers that several test files of this folder share."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.distributions.transforms import OrderedTransform

from bayesgmm import BayesianMixture
from bayesgmm.bayes import inference
from bayesgmm.bayes.metric import Place
from bayesgmm.bayes.program import load_model
from bayesgmm.bayes.start import Mode
from bayesgmm.data.table import read_table
from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.ml.problem import Problem
from tests.bayes.enumeration import Prior

KNOWN_TRIL = np.array([[1.0, 0.0], [0.8, 0.6]])


FAR_PRIOR = Prior(np.array([3.0, 1.0]), 0.1, 5.0, np.array([[1.0, 0.3], [0.3, 0.8]]))
INFLUENTIAL = np.array(
    [
        *([1.5, 0.5], [1.75, 0.4], [1.35, 0.7], [3.0, 2.0], [3.2, 1.85]),
        *([2.9, 2.25], [4.5, 0.5], [4.65, 0.7], [12.0, 6.0]),
    ]
)
"""Rows of which the last moves the posterior so much that weights cannot leave it out."""

UNIVARIATE = ("richardson_green",)
NOT_NORMAL = ("student", "student_t", "gaussian_noise")


def mode_at(z, scale_tril, log_mass=0.0):
    """A mode there, whose inverse curvature has that Cholesky factor."""
    place = Place(np.asarray(z, dtype=float), (np.asarray(scale_tril, dtype=float)[None],))
    return Mode(place, 0.0, log_mass, "here")


def clear_rows(n=60, d=2, seed=0):
    """A third of the rows around -4, the others around +4, in units of their spread."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) + np.where(np.arange(n) < n // 3, -4.0, 4.0)[:, None]


def problem_of(X, row_weights=None):
    return Problem.of(read_table(X, weights=row_weights))


def prepared(X, model, k, priors=None, row_weights=None):
    """The target of a program on those rows, and its data."""
    ready = inference.prepare(problem_of(X, row_weights), load_model(model), k, priors)
    return ready.target, ready.data


def mixtures(shape=(), k=3, d=2, seed=0, apart=3.0):
    """Random mixtures, stacked in that shape; their components lie `apart` in every column."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(*shape, k, d, d)) / 4
    tril = np.tril(noise, -1) + (1 + np.abs(noise)) * np.eye(d)
    means = apart * np.arange(k)[:, None] + rng.normal(size=(*shape, k, d)) / 4
    return Mixture(rng.dirichlet(np.full(k, 20.0), size=shape), means, tril)


def student(X, k, *, location=None, spread=None, df=4.0):
    """Heavy-tailed components, independent in the columns, in the order of their first column."""
    n = X.shape[0]
    location = (X.min(0) + X.max(0)) / 2 if location is None else location
    spread = X.max(0) - X.min(0) if spread is None else spread
    weights = numpyro.sample("weights", dist.Dirichlet(jnp.full(k, 2.0)))
    standard = dist.Normal(0.0, 1.0).expand([k]).to_event(1)
    rank = numpyro.sample("rank", dist.TransformedDistribution(standard, OrderedTransform()))
    with numpyro.plate("cluster", k):
        others = numpyro.sample("others", dist.Normal(location[1:], spread[1:]).to_event(1))
        width = numpyro.sample("width", dist.LogNormal(jnp.log(spread / 5), 0.7).to_event(1))
        first = location[:1] + spread[:1] * (rank[:, None] - 0.5)
        centre = numpyro.deterministic("centre", jnp.concatenate([first, others], axis=-1))
    with numpyro.plate("rows", n):
        components = dist.StudentT(df, centre, width).to_event(1)
        mixture = dist.MixtureSameFamily(dist.Categorical(weights), components)
        numpyro.sample("values", mixture, obs=X)


def known_covariance(X, k, *, spread=10.0):
    """One normal component of known covariance, so that the posterior of its mean is normal."""
    d = X.shape[1]
    numpyro.deterministic("weights", jnp.ones(k))
    mean = numpyro.sample("mean", dist.Normal(0.0, spread).expand([d]).to_event(1))
    components = dist.MultivariateNormal(mean[None], scale_tril=jnp.asarray(KNOWN_TRIL))
    with numpyro.plate("rows", X.shape[0]):
        mixture = dist.MixtureSameFamily(dist.Categorical(jnp.ones(k)), components)
        numpyro.sample("X", mixture, obs=X)


def known_posterior(X, spread=10.0):
    """Mean and covariance of that posterior."""
    precision = np.linalg.inv(KNOWN_TRIL @ KNOWN_TRIL.T)
    covariance = np.linalg.inv(len(X) * precision + np.eye(2) / spread**2)
    return covariance @ precision @ X.sum(0), covariance


def influential_fit(sample_weight=None, **options):
    """One conjugate component on those rows, whose answers are exactly known."""
    priors = {name: getattr(FAR_PRIOR, name) for name in ("location", "kappa", "nu", "scale")}
    model = BayesianMixture(1, model="conjugate", priors=priors, random_state=1, **options)
    return model.fit(INFLUENTIAL, sample_weight=sample_weight)
