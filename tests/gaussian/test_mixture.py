"""A mixture as a value: its densities against references, and what they ignore."""

from decimal import Decimal, localcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp as scipy_logsumexp
from scipy.stats import multivariate_normal

from bayesgmm.gaussian import arrays
from bayesgmm.gaussian.mixture import (
    Mixture,
    half_log_det,
    log_density,
    log_joint,
    log_likelihoods,
    log_responsibilities,
    logsumexp,
    moments,
    most_probable,
    permute,
    responsibilities,
    whitener,
)
from bayesgmm.gaussian.precision import float64

PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")


def reference_joint(mixture: Mixture, X: np.ndarray) -> np.ndarray:
    """log(weight_k) + log N(x_i | k) by SciPy, shape (n, k)."""
    columns = [
        np.log(w) + multivariate_normal(m, c).logpdf(X)
        for w, m, c in zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
    ]
    return np.stack(columns, 1)


def exact_log_density(mixture: Mixture, x: np.ndarray) -> Decimal:
    """The log density of one row in sixty digits, from the floats as they are stored."""
    d = len(x)
    with localcontext(prec=60):
        terms = []
        for weight, mean, factor in zip(*mixture, strict=True):
            white: list[Decimal] = []
            term = Decimal(float(weight)).ln() - (2 * PI).ln() * d / 2
            for i in range(d):
                rest = Decimal(float(x[i])) - Decimal(float(mean[i]))
                rest -= sum((Decimal(float(factor[i, j])) * white[j] for j in range(i)), Decimal(0))
                white.append(rest / Decimal(float(factor[i, i])))
                term -= Decimal(float(factor[i, i])).ln() + white[i] * white[i] / 2
            terms.append(term)
        top = max(terms)
        return top + sum(((term - top).exp() for term in terms), Decimal(0)).ln()


def test_log_joint_agrees_with_scipy(mixture, rows):
    expected = reference_joint(mixture, rows)
    np.testing.assert_allclose(log_joint(mixture, rows), expected, rtol=1e-12)
    np.testing.assert_allclose(
        log_density(mixture, rows), scipy_logsumexp(expected, axis=1), rtol=1e-12
    )


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("condition", [1e2, 1e5, 1e8])
def test_log_density_agrees_with_exact_arithmetic(condition, offset):
    rng = np.random.default_rng(3)
    basis = np.linalg.qr(rng.normal(size=(2, 3, 3)))[0]
    spread = np.diag([1.0, condition**-0.25, condition**-0.5])
    factors = np.linalg.cholesky(basis @ spread**2 @ np.swapaxes(basis, -1, -2))
    means = offset + rng.normal(size=(2, 3))
    mixture = Mixture(np.array([0.3, 0.7]), means, factors)
    near = means[0] + rng.normal(size=(6, 3)) @ factors[0].T
    rows = np.concatenate([near, offset + rng.normal(size=(6, 3))])
    exact = np.array([float(exact_log_density(mixture, x)) for x in rows])
    assert np.isfinite(exact).all()
    assert (abs(log_density(mixture, rows) - exact) <= 1e-9 * (1 + abs(exact))).all()


@float64
def test_numpy_and_jax_give_the_same_numbers(mixture, rows):
    traced = Mixture(*(jnp.asarray(part) for part in mixture))
    for function in (log_joint, log_density, log_responsibilities, responsibilities):
        plain, compiled = function(mixture, rows), function(traced, jnp.asarray(rows))
        assert isinstance(plain, np.ndarray)
        assert isinstance(compiled, jax.Array)
        np.testing.assert_allclose(compiled, plain, rtol=1e-11, atol=1e-14)
    for one, other in zip(moments(mixture), moments(traced), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-13)
    np.testing.assert_allclose(traced.covariances, mixture.covariances, rtol=1e-14)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(arrays, "BLOCK", 0)  # 64 rows, the least


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 200])
@pytest.mark.parametrize("stack", [(), (2, 3)])
@pytest.mark.usefixtures("small_blocks")
def test_blocks_of_rows_change_nothing(n, stack, make_mixture):
    mixture = make_mixture(3, 2, 4, stack=stack)
    X = 3 * np.random.default_rng(2).normal(size=(n, 2))
    joint = log_joint(mixture, X)
    density = scipy_logsumexp(joint, axis=-1)
    assert joint.shape == (*stack, n, 3)
    for i in range(n):
        np.testing.assert_allclose(joint[..., [i], :], log_joint(mixture, X[[i]]), rtol=1e-12)
    np.testing.assert_allclose(log_density(mixture, X), density, rtol=1e-13)
    resp = np.exp(joint - density[..., None])
    np.testing.assert_allclose(responsibilities(mixture, X), resp, rtol=1e-11)
    np.testing.assert_array_equal(most_probable(mixture, X), joint.argmax(-1))


@pytest.mark.parametrize("stack", [(), (2, 3)])
@pytest.mark.usefixtures("small_blocks")
def test_log_likelihoods_are_weighted_sums(stack, make_mixture):
    mixture, rng = make_mixture(3, 2, 4, stack=stack), np.random.default_rng(2)
    X, weights = 3 * rng.normal(size=(200, 2)), rng.uniform(0, 2, size=200)
    value, classified = log_likelihoods(mixture, X, weights)
    np.testing.assert_allclose(value, log_density(mixture, X) @ weights, rtol=1e-13)
    certain = np.log(responsibilities(mixture, X).max(-1)) @ weights
    np.testing.assert_allclose(classified - value, certain, rtol=1e-9)


@pytest.mark.parametrize(
    ("function", "kept"),
    [(log_density, 1), (most_probable, 1), (responsibilities, 32), (log_joint, 32)],
)
def test_memory_is_that_of_the_answer_and_a_few_blocks(function, kept, make_mixture, peak_memory):
    mixture, n = make_mixture(32, 4, 5), 60_000
    X = np.random.default_rng(0).normal(size=(n, 4))
    peak, _ = peak_memory(function, mixture, X)
    assert peak < 8 * n * kept + 4 * arrays.BLOCK


def test_the_log_likelihoods_of_many_rows_take_a_few_blocks(make_mixture, peak_memory):
    mixture, n = make_mixture(32, 4, 5), 60_000
    X = np.random.default_rng(0).normal(size=(n, 4))
    peak, _ = peak_memory(log_likelihoods, mixture, X, np.ones(n))
    assert peak < 4 * arrays.BLOCK


@pytest.mark.parametrize("function", [log_joint, log_density, responsibilities])
def test_a_stack_of_mixtures_is_evaluated_one_by_one(function, make_mixture, rows):
    stack = make_mixture(3, 2, 4, stack=(2, 3))
    whole = function(stack, rows)
    for at in np.ndindex(2, 3):
        one = Mixture(*(part[at] for part in stack))
        np.testing.assert_allclose(whole[at], function(one, rows), rtol=1e-13)


def test_density_ignores_component_order(mixture, rows):
    order = np.array([2, 0, 1])
    turned = permute(mixture, order)
    np.testing.assert_allclose(log_density(turned, rows), log_density(mixture, rows), rtol=1e-14)
    resp = responsibilities(mixture, rows)
    np.testing.assert_allclose(responsibilities(turned, rows), resp[:, order], rtol=1e-12)


def test_permute_is_undone_by_the_inverse_order(make_mixture):
    stack = make_mixture(4, 2, 6, stack=(5,))
    order = np.random.default_rng(0).permuted(np.tile(np.arange(4), (5, 1)), axis=1)
    back = permute(permute(stack, order), np.argsort(order, axis=1))
    for before, after in zip(stack, back, strict=True):
        np.testing.assert_array_equal(after, before)


def test_responsibilities_are_bayes_rule(mixture, rows):
    joint = np.exp(reference_joint(mixture, rows))
    np.testing.assert_allclose(
        responsibilities(mixture, rows), joint / joint.sum(1, keepdims=True), rtol=1e-11
    )


def test_responsibilities_far_from_everything_are_finite_and_sum_to_one(mixture):
    far = np.array([[1e6, 1e6], [-1e8, 0.0], [0.0, 1e100]])
    assert np.isfinite(log_density(mixture, far)).all()
    resp = responsibilities(mixture, far)
    np.testing.assert_allclose(resp.sum(1), 1, rtol=1e-13)


@pytest.mark.parametrize("library", [np, jnp])
@float64
def test_a_component_of_weight_zero_is_absent(library, mixture, rows):
    others = Mixture(mixture.weights[:2] / mixture.weights[:2].sum(), *(p[:2] for p in mixture[1:]))
    weights = np.append(others.weights, 0.0)
    padded = Mixture(
        library.asarray(weights), library.asarray(mixture[1]), library.asarray(mixture[2])
    )
    assert (np.asarray(log_joint(padded, rows))[:, 2] == -np.inf).all()
    assert (np.asarray(responsibilities(padded, rows))[:, 2] == 0).all()
    np.testing.assert_allclose(log_density(padded, rows), log_density(others, rows), rtol=1e-13)


def test_moments_are_those_of_the_component_sum(mixture):
    mean = sum(w * m for w, m in zip(mixture.weights, mixture.means, strict=True))
    second = sum(
        w * (c + np.outer(m, m))
        for w, m, c in zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
    )
    got_mean, got_covariance = moments(mixture)
    np.testing.assert_allclose(got_mean, mean, rtol=1e-13)
    np.testing.assert_allclose(got_covariance, second - np.outer(mean, mean), rtol=1e-12)


def test_moments_ignore_component_order(mixture):
    for one, other in zip(
        moments(mixture), moments(permute(mixture, np.array([1, 2, 0]))), strict=True
    ):
        np.testing.assert_allclose(other, one, rtol=1e-13)


@pytest.mark.parametrize("library", [np, jnp])
@float64
def test_whitener_and_half_log_det_belong_to_the_covariance(library, make_mixture):
    factors = make_mixture(3, 4, 8).scale_tril
    covariances = factors @ np.swapaxes(factors, -1, -2)
    inverse = np.asarray(whitener(library.asarray(factors)))
    np.testing.assert_allclose(inverse @ factors, np.broadcast_to(np.eye(4), (3, 4, 4)), atol=1e-13)
    np.testing.assert_allclose(inverse, np.tril(inverse), atol=1e-14)
    np.testing.assert_allclose(
        half_log_det(library.asarray(factors)), np.linalg.slogdet(covariances)[1] / 2, rtol=1e-12
    )


@pytest.mark.parametrize("library", [np, jnp])
@float64
def test_logsumexp_neither_overflows_nor_underflows(library):
    joint = library.asarray([[1e4, 1e4 - 1], [-1e4, -1e4 - 1], [0.0, -np.inf]])
    expected = scipy_logsumexp(np.asarray(joint), axis=1)
    np.testing.assert_allclose(logsumexp(joint), expected, rtol=1e-15)


def test_densities_integrate_to_one(mixture):
    mean, covariance = moments(mixture)
    spread = 12 * np.sqrt(np.diagonal(covariance))
    axes = [np.linspace(m - s, m + s, 801) for m, s in zip(mean, spread, strict=True)]
    grid = np.stack(np.meshgrid(*axes), -1).reshape(-1, 2)
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    assert np.exp(log_density(mixture, grid)).sum() * cell == pytest.approx(1, abs=1e-10)
