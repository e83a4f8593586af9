"""Normal mixtures are recognised however they are written, and nothing else is taken for one."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from bayesgmm.bayes import recognise
from bayesgmm.gaussian.mixture import full, log_joint
from tests.bayes.cases import mixtures

K, D = 3, 2
ROWS = np.random.default_rng(3).normal(size=(9, D)) * 3
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

DIAGONAL = [case for case in NORMAL if case.startswith("independent") or case == "one column"]
DIAGONAL += ["one column, one scale", "one column, expanded", "one column of a matrix"]
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
    mixture = recognise.gaussian_mixture(fn)
    assert mixture is not None
    k, d = mixture.means.shape
    assert mixture.is_diagonal == (case in DIAGONAL)
    assert full(mixture).scale_tril.shape == (k, d, d) == (K, d, d)
    matrix = rows if rows.ndim == 2 else rows[:, None]
    expected = fn.component_log_probs(jnp.asarray(rows))
    np.testing.assert_allclose(
        log_joint(mixture, jnp.asarray(matrix)), expected, rtol=1e-12, atol=1e-12
    )


def test_weights_are_normalised_from_logits():
    categorical = dist.Categorical(logits=np.log(WEIGHTS) + 5)
    fn = dist.MixtureSameFamily(categorical, normals(jnp.asarray(TRIL)))
    np.testing.assert_allclose(recognise.gaussian_mixture(fn).weights, WEIGHTS, rtol=1e-12)


def test_plates_and_expansions_around_the_mixture_are_seen_through():
    fn = mixed(normals(jnp.asarray(TRIL)))
    np.testing.assert_array_equal(recognise.gaussian_mixture(fn.expand([len(ROWS)])).means, MEANS)
    assert recognise.is_mixture(fn.expand([len(ROWS)]))
    assert recognise.mixture_size(fn.expand([len(ROWS)])) == K


@pytest.mark.parametrize("case", OTHER)
def test_other_components_are_not_taken_for_normal(case):
    fn = mixed(OTHER[case]())
    assert recognise.is_mixture(fn)
    assert recognise.gaussian_mixture(fn) is None


def test_a_mixture_of_a_list_is_not_taken_for_normal():
    parts = [dist.Normal(0.0, 1.0), dist.StudentT(3.0, 1.0, 2.0), dist.Normal(4.0, 1.0)]
    fn = dist.MixtureGeneral(dist.Categorical(jnp.asarray(WEIGHTS)), parts)
    assert recognise.is_mixture(fn)
    assert recognise.mixture_size(fn) == K
    assert recognise.gaussian_mixture(fn) is None


def test_weights_that_depend_on_the_row_are_left_to_the_program():
    weights = np.broadcast_to(WEIGHTS, (len(ROWS), K))
    assert recognise.gaussian_mixture(mixed(normals(jnp.asarray(TRIL)), weights)) is None


def test_means_that_depend_on_the_row_are_left_to_the_program():
    means = MEANS[:, 0] + np.arange(len(ROWS))[:, None]
    assert recognise.gaussian_mixture(mixed(dist.Normal(means, 1.0))) is None


def test_no_mixture_is_none():
    assert not recognise.is_mixture(dist.Normal(0.0, 1.0))
    assert recognise.gaussian_mixture(dist.Normal(0.0, 1.0)) is None


def test_normal_components_of_a_list_are_recognised():
    parts = [normals_of(j) for j in range(K)]
    fn = dist.MixtureGeneral(dist.Categorical(jnp.asarray(WEIGHTS)), parts)
    found = recognise.gaussian_mixture(fn)
    for one, other in zip(found, (WEIGHTS, MEANS, TRIL), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def normals_of(j):
    return dist.MultivariateNormal(jnp.asarray(MEANS[j]), scale_tril=jnp.asarray(TRIL[j]))


def test_a_list_with_and_without_correlations_is_left_to_the_program():
    mixed_up = [dist.Normal(MEANS[0], SDS[0]).to_event(1), normals_of(1), normals_of(2)]
    real = dist.constraints.real_vector
    fn = dist.MixtureGeneral(dist.Categorical(jnp.asarray(WEIGHTS)), mixed_up, support=real)
    assert recognise.gaussian_mixture(fn) is None


def test_parameters_that_differ_from_row_to_row_are_noticed():
    means = MEANS[:, 0] + np.arange(len(ROWS))[:, None]
    assert recognise.is_by_row(mixed(dist.Normal(means, 1.0)))
    assert not recognise.is_by_row(mixed(dist.Normal(MEANS[:, 0], 1.0)).expand([len(ROWS)]))
