"""Five-point differences: exact for quartics, of fourth order for the rest."""

import numpy as np
import pytest

from bayesgmm.ml.derivatives import hessian, jacobian

POINT = np.array([0.3, -1.2, 2.0])


def smooth(x: np.ndarray) -> np.ndarray:
    return np.array([np.sin(x[0]) * x[1], np.exp(x[2] / 2) + x[0] * x[1] * x[2]])


def smooth_jacobian(x: np.ndarray) -> np.ndarray:
    return np.array(
        [
            [np.cos(x[0]) * x[1], np.sin(x[0]), 0],
            [x[1] * x[2], x[0] * x[2], np.exp(x[2] / 2) / 2 + x[0] * x[1]],
        ]
    )


def test_jacobian_is_that_of_calculus():
    np.testing.assert_allclose(jacobian(smooth, POINT), smooth_jacobian(POINT), atol=1e-11)


@pytest.mark.parametrize("step", [1e-3, 0.1, 1.0])
def test_jacobian_of_a_quartic_is_exact_at_any_step(step):
    coefficients = np.array([2.0, -1.0, 0.5, 3.0, -0.7])
    found = jacobian(lambda x: np.polyval(coefficients, x), np.array([0.6]), step)
    exact = np.polyval(np.polyder(coefficients), 0.6)
    assert found[0, 0] == pytest.approx(exact, rel=1e-11)


def test_halving_the_step_divides_the_error_by_sixteen():
    errors = [abs(jacobian(smooth, POINT, h) - smooth_jacobian(POINT)).max() for h in (0.2, 0.1)]
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.05)


def test_every_coordinate_may_have_its_own_step():
    scales = np.array([1e-6, 1.0, 1e6])
    found = jacobian(lambda x: smooth(x / scales), POINT * scales, 1e-3 * scales)
    np.testing.assert_allclose(found * scales, smooth_jacobian(POINT), atol=1e-9)


def test_hessian_of_a_quadratic_is_its_matrix():
    matrix = np.random.default_rng(0).normal(size=(3, 3))
    matrix = matrix + matrix.T
    found = hessian(lambda x: matrix @ x, POINT)
    np.testing.assert_allclose(found, matrix, atol=1e-11)


def test_hessian_is_symmetric():
    found = hessian(lambda x: np.array([x[1] * x[2], x[0] * x[2], x[0] * x[1]]), POINT)
    np.testing.assert_array_equal(found, found.T)
    expected = [[0, 2, -1.2], [2, 0, 0.3], [-1.2, 0.3, 0]]
    np.testing.assert_allclose(found, expected, atol=1e-11)
