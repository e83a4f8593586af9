"""The one pass: its value, its statistics, and their identity with plain derivatives."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayesgmm.gaussian import sweep as module
from bayesgmm.gaussian.likelihood import log_likelihood, mixture_log_likelihood
from bayesgmm.gaussian.mixture import Mixture, log_density, log_joint, responsibilities
from bayesgmm.gaussian.passes import FEATURES
from bayesgmm.gaussian.sweep import (
    Frame,
    features,
    frame_of,
    log_jacobian,
    natural,
    sweep,
    unpack,
)


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def row_weights(rows):
    weights = np.random.default_rng(4).uniform(0, 3, size=len(rows))
    weights[::7] = 0
    return weights


@pytest.fixture(scope="module")
def frame(rows, row_weights):
    return frame_of(rows, row_weights)


def plain(mixture: Mixture, X: np.ndarray, row_weights: np.ndarray) -> jax.Array:
    """The log-likelihood that the sweep stands for, from the Cholesky form."""
    traced = Mixture(*(jnp.asarray(part) for part in mixture))
    return jnp.asarray(row_weights) @ log_density(traced, jnp.asarray(X))


def curvature(function: Callable[[jax.Array], jax.Array], point: jax.Array) -> np.ndarray:
    """The second derivatives along three directions: a Hessian-vector product for each."""
    along = np.random.default_rng(11).normal(size=(3, *point.shape))

    def product(direction: jax.Array) -> jax.Array:
        return jax.jvp(jax.grad(function), (point,), (direction,))[1]

    return np.asarray(jax.jit(jax.vmap(product))(jnp.asarray(along)))


def dense_statistics(
    mixture: Mixture, X: np.ndarray, row_weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts, means and scatter matrices, component by component."""
    resp = responsibilities(mixture, X) * row_weights[:, None]
    means = resp.T @ X / resp.sum(0)[:, None]
    scatter = [(r[:, None] * (X - m)).T @ (X - m) for r, m in zip(resp.T, means, strict=True)]
    return resp.sum(0), means, np.stack(scatter)


def test_natural_parameters_times_features_are_the_log_joint(mixture, rows, frame):
    Z = (rows - frame.shift) / frame.scale
    joint = np.asarray(features(jnp.asarray(Z), 6).T @ natural(mixture, frame).T)
    expected = log_joint(mixture, rows) + np.log(frame.scale).sum()
    np.testing.assert_allclose(joint, expected, rtol=1e-11, atol=1e-11)


def test_value_is_the_weighted_log_likelihood(mixture, rows, row_weights, frame):
    value, _ = sweep(natural(mixture, frame), rows, row_weights, frame)
    expected = row_weights @ log_density(mixture, rows)
    assert float(value + log_jacobian(row_weights, frame)) == pytest.approx(expected, rel=1e-12)
    fused = mixture_log_likelihood(mixture, rows, row_weights, frame)
    assert float(fused) == pytest.approx(expected, rel=1e-12)


def test_statistics_are_responsibilities_times_features(mixture, rows, row_weights, frame):
    _, raw = sweep(natural(mixture, frame), rows, row_weights, frame)
    found = unpack(raw, frame)
    counts, means, scatter = dense_statistics(mixture, rows, row_weights)
    np.testing.assert_allclose(found.counts, counts, rtol=1e-12)
    np.testing.assert_allclose(found.means, means, rtol=1e-12)
    np.testing.assert_allclose(found.scatter, scatter, rtol=1e-10, atol=1e-11)


def test_gradient_in_theta_is_the_statistics_and_plain_autodiff(mixture, rows, row_weights, frame):
    theta = natural(mixture, frame)
    Z = jnp.asarray((rows - frame.shift) / frame.scale)

    def unfused(theta: jax.Array) -> jax.Array:
        joint = theta @ features(Z, theta.shape[-1])
        return jnp.asarray(row_weights) @ jax.nn.logsumexp(joint, axis=0)

    def fused(theta: jax.Array) -> jax.Array:
        return log_likelihood(FEATURES, theta, rows, row_weights, frame)

    gradient = jax.grad(fused)(theta)
    expected = jax.jit(jax.grad(unfused))(theta)
    np.testing.assert_allclose(gradient, expected, rtol=1e-11, atol=1e-11)
    np.testing.assert_array_equal(gradient, sweep(theta, rows, row_weights, frame)[1])
    np.testing.assert_allclose(
        curvature(fused, theta), curvature(unfused, theta), rtol=1e-9, atol=1e-9
    )


def test_gradient_and_curvature_in_the_mixture_are_plain_autodiff(
    mixture, rows, row_weights, frame
):
    parts = Mixture(*(jnp.asarray(part) for part in mixture))
    flat, restore = jax.flatten_util.ravel_pytree(parts)

    def fused(flat: jax.Array) -> jax.Array:
        return mixture_log_likelihood(restore(flat), rows, row_weights, frame)

    def unfused(flat: jax.Array) -> jax.Array:
        return plain(restore(flat), rows, row_weights)

    np.testing.assert_allclose(
        jax.jit(jax.grad(fused))(flat), jax.jit(jax.grad(unfused))(flat), rtol=1e-10, atol=1e-10
    )
    np.testing.assert_allclose(
        curvature(fused, flat), curvature(unfused, flat), rtol=1e-8, atol=1e-8
    )


@pytest.mark.parametrize("block", [1, 7, 25, 49, 50])
def test_the_size_of_the_blocks_changes_nothing(
    block, mixture, rows, row_weights, frame, monkeypatch
):
    theta = natural(mixture, frame)
    value, statistics = sweep(theta, rows, row_weights, frame)
    monkeypatch.setattr(module, "block_rows", lambda theta: block)
    blocked, again = sweep(theta, rows, row_weights, frame)
    assert float(blocked) == pytest.approx(float(value), rel=1e-13)
    np.testing.assert_allclose(again, statistics, rtol=1e-12, atol=1e-12)


def test_temporaries_do_not_grow_with_the_rows(mixture, frame, monkeypatch):
    monkeypatch.setattr(module, "block_rows", lambda theta: 64)
    theta = natural(mixture, frame)
    gradient = jax.jit(jax.value_and_grad(partial(log_likelihood, FEATURES)))

    def temporary(n: int) -> int:
        shapes = jax.ShapeDtypeStruct((n, 2), float), jax.ShapeDtypeStruct((n,), float)
        memory = gradient.lower(theta, *shapes, frame).compile().memory_analysis()
        return int(memory.temp_size_in_bytes)

    assert temporary(64 * 400) - temporary(64 * 40) <= 8 * 360  # the number of each block


@pytest.mark.parametrize(("k", "d"), [(2, 2), (10, 10), (32, 16), (20, 50), (600, 5), (9, 200)])
def test_a_block_fits_in_a_cache_or_is_the_smallest(k, d):
    theta = jnp.zeros((k, (d + 1) * (d + 2) // 2))
    rows = module.block_rows(theta)
    used = 8 * rows * (theta.shape[1] + 2 * k)
    assert rows.bit_count() == 1
    assert used <= module.CACHE or rows == module.MIN_BLOCK
    assert 2 * used > module.CACHE or rows == module.MAX_BLOCK


@pytest.mark.parametrize(("k", "d"), [(5, 2), (32, 16), (20, 50)])
def test_temporaries_of_a_million_rows_are_a_few_blocks(k, d):
    shapes = [(k, (d + 1) * (d + 2) // 2), (10**6, d), (10**6,), (d,), (d,)]
    theta, X, weights, *frame = (jax.ShapeDtypeStruct(shape, float) for shape in shapes)
    memory = jax.jit(sweep).lower(theta, X, weights, Frame(*frame)).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 4 * module.CACHE


def test_a_gradient_through_the_data_is_refused_beside_one_in_theta(mixture, rows, frame):
    ones = jnp.ones(len(rows))

    def both(theta: jax.Array) -> jax.Array:
        return log_likelihood(FEATURES, theta, jnp.asarray(rows) * theta[0, 0], ones, frame)

    with pytest.raises(TypeError, match="differentiate the parameters only"):
        jax.grad(both)(natural(mixture, frame))


def test_the_frame_changes_neither_value_nor_statistics(mixture, rows, row_weights, frame):
    other = Frame(np.array([5.0, -3.0]), np.array([0.2, 40.0]))
    results = []
    for each in (frame, other):
        value, raw = sweep(natural(mixture, each), rows, row_weights, each)
        results.append((value + log_jacobian(row_weights, each), *unpack(raw, each)))
    for one, two in zip(*results, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-9)


def test_the_order_of_the_rows_changes_nothing(mixture, rows, row_weights, frame):
    theta, order = natural(mixture, frame), np.random.default_rng(0).permutation(len(rows))
    value, statistics = sweep(theta, rows, row_weights, frame)
    turned, again = sweep(theta, rows[order], row_weights[order], frame)
    assert float(turned) == pytest.approx(float(value), rel=1e-13)
    np.testing.assert_allclose(again, statistics, rtol=1e-12, atol=1e-12)


def test_statistics_are_linear_in_the_row_weights(mixture, rows, row_weights, frame):
    theta = natural(mixture, frame)
    ones = np.ones(len(rows))
    parts = [sweep(theta, rows, weights, frame) for weights in (row_weights, ones)]
    whole = sweep(theta, rows, 2 * row_weights + ones, frame)
    for a, b, c in zip(*parts, whole, strict=True):
        np.testing.assert_allclose(c, 2 * a + b, rtol=1e-12, atol=1e-12)


def test_a_row_of_weight_zero_may_hold_anything(mixture, rows, row_weights, frame):
    theta = natural(mixture, frame)
    other = np.where(row_weights[:, None] > 0, rows, 1e3)
    for one, two in zip(
        sweep(theta, rows, row_weights, frame), sweep(theta, other, row_weights, frame), strict=True
    ):
        np.testing.assert_array_equal(one, two)


def test_an_absent_component_has_no_rows(mixture, rows, row_weights, frame):
    others = Mixture(mixture.weights[:2] / mixture.weights[:2].sum(), *(p[:2] for p in mixture[1:]))
    padded = mixture._replace(weights=np.append(others.weights, 0.0))
    value, raw = sweep(natural(others, frame), rows, row_weights, frame)
    same, more = sweep(natural(padded, frame), rows, row_weights, frame)
    assert float(same) == pytest.approx(float(value), rel=1e-14)
    np.testing.assert_allclose(more[:2], raw, rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(more[2], 0)
    assert all(np.isfinite(part).all() for part in unpack(more, frame))


def test_an_offset_of_the_data_costs_only_the_rounding_of_the_data(mixture, rows, row_weights):
    offset = 2.0**30  # the sum is rounded to 2**-23, so round first
    rounded = np.round(rows * 2**20) / 2**20
    means = np.round(mixture.means * 2**20) / 2**20
    values = []
    for shift in (0.0, offset):
        X, moved = rounded + shift, mixture._replace(means=means + shift)
        values.append(float(mixture_log_likelihood(moved, X, row_weights, frame_of(X, None))))
    assert values[1] == pytest.approx(values[0], rel=1e-8)


def test_batches_are_swept_one_by_one(make_mixture, rows, row_weights, frame):
    stack = make_mixture(3, 2, 9, stack=(4,))
    thetas = natural(stack, frame)
    values, raw = jax.vmap(lambda theta: sweep(theta, rows, row_weights, frame))(thetas)
    for i, theta in enumerate(thetas):
        value, statistics = sweep(theta, rows, row_weights, frame)
        assert float(values[i]) == pytest.approx(float(value), rel=1e-13)
        np.testing.assert_allclose(raw[i], statistics, rtol=1e-11, atol=1e-12)


def test_a_stack_of_parameters_is_swept_as_each_alone(make_mixture, rows, row_weights, frame):
    thetas = natural(make_mixture(3, 2, 9, stack=(2, 2)), frame)
    values, raw = sweep(thetas, rows, row_weights, frame)
    assert values.shape == (2, 2)
    for at in np.ndindex(2, 2):
        value, statistics = sweep(thetas[at], rows, row_weights, frame)
        assert float(values[at]) == pytest.approx(float(value), rel=1e-13)
        np.testing.assert_allclose(raw[at], statistics, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("condition", [1e2, 1e4, 1e6, 1e8])
def test_the_natural_form_loses_digits_in_proportion_to_the_condition(condition):
    rng = np.random.default_rng(6)
    basis = np.linalg.qr(rng.normal(size=(2, 3, 3)))[0]
    spread = np.diag([1.0, condition**-0.25, condition**-0.5])
    factors = np.linalg.cholesky(basis @ spread**2 @ np.swapaxes(basis, -1, -2))
    narrow = Mixture(np.array([0.3, 0.7]), rng.normal(size=(2, 3)), factors)
    X = narrow.means[0] + rng.normal(size=(200, 3)) @ factors[0].T
    unit = Frame(np.zeros(3), np.ones(3))
    joint = features(jnp.asarray(X), 10).T @ natural(narrow, unit)[0]
    error = abs(np.asarray(joint) - log_joint(narrow, X)[:, 0]).max()
    assert error < 50 * np.finfo(float).eps * condition
    assert condition < 1e6 or error > 0.05 * np.finfo(float).eps * condition


@pytest.mark.parametrize("far", [1e3, 1e100])
def test_rows_far_from_every_component_give_finite_sums(far, mixture, rows, frame):
    X = np.concatenate([rows, [[far, -far], [0.0, far]]])
    value, statistics = sweep(natural(mixture, frame), X, np.ones(len(X)), frame)
    assert np.isfinite(value)
    assert np.isfinite(statistics).all()
    np.testing.assert_allclose(statistics[:, 0].sum(), len(X), rtol=1e-13)


def test_frame_is_the_weighted_mean_and_standard_deviation(rows, row_weights):
    frame = frame_of(rows, row_weights)
    mean = np.average(rows, axis=0, weights=row_weights)
    np.testing.assert_allclose(frame.shift, mean, rtol=1e-14)
    sd = np.sqrt(np.average((rows - mean) ** 2, axis=0, weights=row_weights))
    np.testing.assert_allclose(frame.scale, sd, rtol=1e-14)
    unweighted = frame_of(rows, None)
    np.testing.assert_allclose(unweighted.scale, rows.std(0), rtol=1e-14)


def test_a_constant_column_keeps_the_scale_one(rows):
    X = np.column_stack([rows, np.full(len(rows), 0.1)])
    assert frame_of(X, None).scale[2] == 1.0
    assert frame_of(X, None).shift[2] == 0.1
