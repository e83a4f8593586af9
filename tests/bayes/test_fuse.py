"""Normal mixtures are recognised however they are written, and nothing else is taken for one."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from bayesgmm.bayes import fuse
from bayesgmm.gaussian.mixture import log_joint
from bayesgmm.gaussian.sweep import frame_of
from tests.bayes.cases import mixtures

K, D = 3, 2
ROWS = np.random.default_rng(3).normal(size=(9, D)) * 3
ROW_WEIGHTS = np.array([1.0, 2, 0, 1, 1, 3, 1, 1, 0.5])
WEIGHTS, MEANS, TRIL = mixtures(k=K, d=D)
COVARIANCES = TRIL @ TRIL.swapaxes(-1, -2)
SDS = np.diagonal(TRIL, axis1=-2, axis2=-1)


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def mixed(components, weights=WEIGHTS):
    return dist.MixtureSameFamily(dist.Categorical(jnp.asarray(weights)), components)


def normals(tril=None, **covariance):
    return dist.MultivariateNormal(jnp.asarray(MEANS), scale_tril=tril, **covariance)


# Name: the components, and the rows that they are asked about.
NORMAL = {
    "scale_tril": lambda: (normals(jnp.asarray(TRIL)), ROWS),
    "covariance_matrix": lambda: (normals(covariance_matrix=jnp.asarray(COVARIANCES)), ROWS),
    "precision_matrix": lambda: (
        normals(precision_matrix=jnp.asarray(np.linalg.inv(COVARIANCES))),
        ROWS,
    ),
    "one shared covariance": lambda: (normals(jnp.asarray(TRIL[0])), ROWS),
    "expanded": lambda: (
        dist.MultivariateNormal(jnp.zeros(D), scale_tril=jnp.asarray(TRIL[0])).expand([K]),
        ROWS,
    ),
    "independent columns": lambda: (dist.Normal(MEANS, SDS).to_event(1), ROWS),
    "independent columns of one scale": lambda: (
        dist.Normal(MEANS, SDS[:, :1]).to_event(1),
        ROWS,
    ),
    "independent columns, expanded": lambda: (
        dist.Normal(0.0, 2.0).expand([K, D]).to_event(1),
        ROWS,
    ),
    "one column": lambda: (dist.Normal(MEANS[:, 0], SDS[:, 0]), ROWS[:, 0]),
    "one column, one scale": lambda: (dist.Normal(MEANS[:, 0], 2.0), ROWS[:, 0]),
    "one column, expanded": lambda: (dist.Normal(0.5, 2.0).expand([K]), ROWS[:, 0]),
    "one column of a matrix": lambda: (
        dist.Normal(MEANS[:, :1], SDS[:, :1]).to_event(1),
        ROWS[:, :1],
    ),
    "one column by its factor": lambda: (
        dist.MultivariateNormal(MEANS[:, :1], scale_tril=TRIL[:, :1, :1]),
        ROWS[:, :1],
    ),
}

OTHER = {
    "student": lambda: dist.StudentT(4.0, MEANS, SDS).to_event(1),
    "laplace": lambda: dist.Laplace(MEANS, SDS).to_event(1),
    "log-normal": lambda: dist.LogNormal(MEANS, SDS).to_event(1),
    "multivariate student": lambda: dist.MultivariateStudentT(4.0, MEANS, TRIL),
    "low rank": lambda: dist.LowRankMultivariateNormal(
        jnp.asarray(MEANS), jnp.ones((K, D, 1)), jnp.ones((K, D))
    ),
}


@pytest.mark.parametrize("case", NORMAL)
def test_normal_components_are_recognised(case):
    components, rows = NORMAL[case]()
    fn = mixed(components)
    mixture = fuse.gaussian_mixture(fn)
    assert mixture is not None
    k, d = mixture.means.shape
    assert mixture.scale_tril.shape == (k, d, d) == (K, d, d)
    matrix = rows if rows.ndim == 2 else rows[:, None]
    expected = fn.component_log_probs(jnp.asarray(rows))
    np.testing.assert_allclose(
        log_joint(mixture, jnp.asarray(matrix)), expected, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("case", NORMAL)
def test_the_fused_likelihood_is_the_weighted_sum_of_log_densities(case):
    components, rows = NORMAL[case]()
    fn, rows = mixed(components), jnp.asarray(rows)
    frame = frame_of(np.asarray(rows).reshape(len(rows), -1), ROW_WEIGHTS)
    found = fuse.log_likelihood(fn, rows, jnp.asarray(ROW_WEIGHTS), frame)
    expected = ROW_WEIGHTS @ np.asarray(fn.log_prob(rows))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_weights_are_normalised_from_logits():
    categorical = dist.Categorical(logits=np.log(WEIGHTS) + 5)
    fn = dist.MixtureSameFamily(categorical, normals(jnp.asarray(TRIL)))
    np.testing.assert_allclose(fuse.gaussian_mixture(fn).weights, WEIGHTS, rtol=1e-12)


def test_plates_and_expansions_around_the_mixture_are_seen_through():
    fn = mixed(normals(jnp.asarray(TRIL)))
    np.testing.assert_array_equal(fuse.gaussian_mixture(fn.expand([len(ROWS)])).means, MEANS)
    assert fuse.is_mixture(fn.expand([len(ROWS)]))
    assert fuse.mixture_size(fn.expand([len(ROWS)])) == K


@pytest.mark.parametrize("case", OTHER)
def test_other_components_are_not_taken_for_normal(case):
    fn = mixed(OTHER[case]())
    assert fuse.is_mixture(fn)
    assert fuse.gaussian_mixture(fn) is None


def test_a_mixture_of_a_list_is_not_taken_for_normal():
    parts = [dist.Normal(0.0, 1.0), dist.StudentT(3.0, 1.0, 2.0), dist.Normal(4.0, 1.0)]
    fn = dist.MixtureGeneral(dist.Categorical(jnp.asarray(WEIGHTS)), parts)
    assert fuse.is_mixture(fn)
    assert fuse.mixture_size(fn) == K
    assert fuse.gaussian_mixture(fn) is None


def test_weights_that_depend_on_the_row_are_left_to_the_program():
    weights = np.broadcast_to(WEIGHTS, (len(ROWS), K))
    assert fuse.gaussian_mixture(mixed(normals(jnp.asarray(TRIL)), weights)) is None


def test_means_that_depend_on_the_row_are_left_to_the_program():
    means = MEANS[:, 0] + np.arange(len(ROWS))[:, None]
    assert fuse.gaussian_mixture(mixed(dist.Normal(means, 1.0))) is None


def test_no_mixture_is_none():
    assert not fuse.is_mixture(dist.Normal(0.0, 1.0))
    assert fuse.gaussian_mixture(dist.Normal(0.0, 1.0)) is None


@pytest.mark.parametrize("case", ["student", "laplace", "multivariate student"])
def test_the_likelihood_of_other_components_is_the_weighted_sum_as_well(case):
    fn = mixed(OTHER[case]())
    frame = frame_of(ROWS, ROW_WEIGHTS)
    found = fuse.log_likelihood(fn, jnp.asarray(ROWS), jnp.asarray(ROW_WEIGHTS), frame)
    expected = ROW_WEIGHTS @ np.asarray(fn.log_prob(ROWS))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
