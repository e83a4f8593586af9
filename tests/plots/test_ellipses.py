import numpy as np
import pytest

from bayesgmm.plots.ellipses import RADIUS, ellipse_paths


@pytest.mark.parametrize("mass", [0.5, 0.95])
def test_ellipse_holds_its_mass(mass: float) -> None:
    rng = np.random.default_rng(3)
    mean, covariance = np.array([2.0, -1.0]), np.array([[2.0, 0.9], [0.9, 0.5]])
    path = ellipse_paths(mean, covariance, mass=mass)
    x = rng.multivariate_normal(mean, covariance, size=40_000)
    distance = np.einsum("ni,ij,nj->n", x - mean, np.linalg.inv(covariance), x - mean)
    edge = np.einsum("ni,ij,nj->n", path - mean, np.linalg.inv(covariance), path - mean)
    np.testing.assert_allclose(edge, edge[0])
    assert abs((distance < edge[0]).mean() - mass) < 4 * np.sqrt(mass * (1 - mass) / 40_000)


def test_radius_is_that_of_the_default_mass() -> None:
    np.testing.assert_allclose(np.linalg.norm(ellipse_paths([0, 0], np.eye(2)), axis=-1), RADIUS)


def test_singular_covariance_gives_a_segment() -> None:
    path = ellipse_paths([0.0, 0.0], np.ones((2, 2)))
    np.testing.assert_allclose(path[:, 0], path[:, 1], atol=1e-12)


def test_paths_are_closed_and_keep_leading_axes() -> None:
    paths = ellipse_paths(np.zeros((5, 3, 2)), np.broadcast_to(np.eye(2), (5, 3, 2, 2)))
    assert paths.shape[:2] == (5, 3)
    np.testing.assert_allclose(paths[..., 0, :], paths[..., -1, :], atol=1e-12)
