"""The priors of programs against the densities that their sources give."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.infer.util import log_density
from scipy import stats

from bayesgmm.bayes.program import load_model


def prior_of(name, X, k, values):
    """The log density of the latents, the observed rows aside."""
    with jax.enable_x64(True):
        total, trace = log_density(load_model(name).model, (jnp.asarray(X), k), {}, values)
        observed = trace["X"]["fn"].log_prob(jnp.asarray(X)).sum()
    return float(total - observed)


def test_richardson_and_greens_priors_are_those_of_1997():
    """mu ~ N(xi, R^2), s^-2 ~ Gamma(2, beta), beta ~ Gamma(0.2, 10 / R^2), w ~ Dirichlet(1)."""
    X = np.random.default_rng(0).normal(20, 4, size=(30, 1))
    middle, R = (X.min() + X.max()) / 2, np.ptp(X)
    weights, means, variances = np.array([0.2, 0.8]), np.array([15.0, 22.0]), np.array([2.0, 5.0])
    beta = 0.7
    values = {
        "weights": weights,
        "means": means[:, None],
        "variances": variances,
        "beta": np.float64(beta),
    }
    precision = stats.gamma(2.0, scale=1 / beta).logpdf(1 / variances) - 2 * np.log(variances)
    expected = (
        stats.dirichlet([1.0, 1.0]).logpdf(weights)
        + stats.norm(middle, R).logpdf(means).sum()
        + precision.sum()
        + stats.gamma(0.2, scale=R**2 / 10).logpdf(beta)
    )
    assert prior_of("richardson_green", X, 2, values) == pytest.approx(expected, rel=1e-10)


def test_a_student_t_with_many_degrees_of_freedom_is_the_normal_program():
    X = np.random.default_rng(0).normal(size=(20, 2))
    tril = np.stack([np.eye(2), np.array([[1.0, 0.0], [0.6, 0.8]])])
    values = {
        "weights": np.array([0.3, 0.7]),
        "log_tau": np.zeros(2),
        "sds": np.array([[1.0, 2.0], [0.5, 1.5]]),
        "corr_tril": tril,
    }
    centres = np.array([[0.0, 1.0], [-1.0, 0.5]])
    with jax.enable_x64(True):
        rows = jnp.asarray(X)
        _, normal = log_density(
            load_model("gaussian").model, (rows, 2), {}, values | {"means": centres}
        )
        heavy = values | {"locations": centres, "df": np.full(2, 1e7)}
        _, student = log_density(load_model("student_t").model, (rows, 2), {}, heavy)
        one, other = (trace["X"]["fn"].log_prob(rows) for trace in (student, normal))
    np.testing.assert_allclose(one, other, rtol=1e-5)
