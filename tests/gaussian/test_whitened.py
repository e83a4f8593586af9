"""The whitened form of the pass: what features give, and digits where they lose them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayesgmm.gaussian import passes, sweep
from bayesgmm.gaussian.likelihood import mixture_log_likelihood
from bayesgmm.gaussian.mixture import Mixture, log_density, responsibilities
from bayesgmm.gaussian.passes import FEATURES, WHITENED, pass_for
from bayesgmm.gaussian.sweep import Frame, frame_of, log_jacobian

FORMS = [FEATURES, WHITENED]


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def rows_and_weights(n, d, seed=0):
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0, 3, size=n)
    weights[::7] = 0
    return 3 * rng.normal(size=(n, d)), weights


def expected(mixture, X, row_weights):
    """The log-likelihood, counts, means and scatter matrices, row by row."""
    resp = responsibilities(mixture, X) * row_weights[:, None]
    means = resp.T @ X / resp.sum(0)[:, None]
    scatter = [(r[:, None] * (X - m)).T @ (X - m) for r, m in zip(resp.T, means, strict=True)]
    return row_weights @ log_density(mixture, X), resp.sum(0), means, np.stack(scatter)


def found(form, mixture, X, row_weights, frame):
    value, sums = form.run(form.prepare(mixture, frame), X, row_weights, frame)
    statistics = form.statistics(sums, mixture, frame)
    return np.asarray(value + log_jacobian(row_weights, frame)), *map(np.asarray, statistics)


@pytest.mark.parametrize("n", [3, 64, 65, 1000])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.durable_name)
def test_both_forms_give_the_log_likelihood_and_the_expected_statistics(
    form, n, make_mixture, monkeypatch
):
    monkeypatch.setattr(sweep, "CACHE", 0)  # blocks of 64 rows, the least
    mixture = make_mixture(3, 4, 2)
    X, weights = rows_and_weights(n, 4)
    results = found(form, mixture, X, weights, frame_of(X, weights))
    for one, other in zip(results, expected(mixture, X, weights), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.durable_name)
def test_absent_components_change_nothing_and_a_stack_is_its_members(form, make_mixture):
    X, weights = rows_and_weights(200, 2)
    frame, mixture = frame_of(X, weights), make_mixture(3, 2, 9, stack=(4,))
    stacked = found(form, mixture, X, weights, frame)
    for i in range(4):
        alone = found(form, Mixture(*(part[i] for part in mixture)), X, weights, frame)
        for one, other in zip(stacked, alone, strict=True):
            np.testing.assert_allclose(one[i], other, rtol=1e-11, atol=1e-11)
    absent = mixture._replace(weights=mixture.weights * np.array([1, 1, 0]))
    value, counts, *rest = found(form, absent, X, weights, frame)
    assert (counts[:, 2] == 0).all()
    assert all(np.isfinite(part).all() for part in (value, *rest))


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.durable_name)
def test_the_slope_is_the_derivative_of_the_log_likelihood(form, make_mixture):
    mixture = make_mixture(3, 4, 2)
    X, weights = rows_and_weights(200, 4)
    frame = frame_of(X, weights)
    prepared = form.prepare(mixture, frame)
    _, sums = form.run(prepared, X, weights, frame)
    expected = jax.grad(lambda each: form.run(each, X, weights, frame)[0])(prepared)
    lower = np.tril(np.ones((4, 4)))  # factors are triangular, whatever stands above
    for slope, one in zip(
        *map(jax.tree.leaves, (form.slope(sums, prepared), expected)), strict=True
    ):
        part = lower if one.shape == (3, 4, 4) else 1.0
        np.testing.assert_allclose(slope * part, one * part, rtol=1e-9, atol=1e-9)


def test_both_forms_have_the_same_derivative_in_the_mixture(make_mixture):
    mixture = jax.tree.map(jnp.asarray, make_mixture(3, 4, 2))
    X, weights = rows_and_weights(200, 4)
    frame = frame_of(X, weights)
    one, other = (
        jax.grad(lambda each, form=form: mixture_log_likelihood(each, X, weights, frame, form))(
            mixture
        )
        for form in FORMS
    )
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("condition", [1e6, 1e10, 1e12])
def test_the_whitened_slope_keeps_its_digits_near_singularity(condition):
    """In the mean of one component the derivative is the sum of S^-1 (x - mean)."""
    rng, d = np.random.default_rng(1), 3
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    root = turn * np.array([1.0, condition**-0.25, condition**-0.5])
    factor = np.linalg.qr(root.T)[1].T
    factor = factor * np.sign(np.diagonal(factor))
    white = rng.normal(size=(500, d))
    X, unit = white @ factor.T, Frame(np.zeros(d), np.ones(d))

    def of(means):
        mixture = Mixture(jnp.ones(1), means, jnp.asarray(factor)[None])
        return mixture_log_likelihood(mixture, X, np.ones(500), unit, WHITENED)

    slope = jax.grad(of)(jnp.zeros((1, d)))[0]
    tolerance = 500 * np.finfo(float).eps * condition**0.5
    np.testing.assert_allclose(factor.T @ slope, white.sum(0), atol=10 * tolerance)


@pytest.mark.parametrize("condition", [1e6, 1e10, 1e12])
def test_the_whitened_form_keeps_its_digits_near_singularity(condition):
    """A component's own rows, made of numbers that are known before they are squeezed."""
    rng, d = np.random.default_rng(1), 3
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    root = turn * np.array([1.0, condition**-0.25, condition**-0.5])
    factor = np.linalg.qr(root.T)[1].T
    factor = factor * np.sign(np.diagonal(factor))
    white = rng.normal(size=(500, d))
    X, unit = white @ factor.T, Frame(np.zeros(d), np.ones(d))
    mixture = Mixture(np.ones(1), np.zeros((1, d)), factor[None])
    value, counts, _, scatter = found(WHITENED, mixture, X, np.ones(500), unit)
    half_log_det = np.log(np.diagonal(factor)).sum()
    exact = -np.square(white).sum() / 2 - 500 * (half_log_det + d * np.log(2 * np.pi) / 2)
    assert value == pytest.approx(exact, rel=4 * np.finfo(float).eps * condition**0.5 + 1e-13)
    apart = white - white.mean(0)
    back = np.linalg.solve(factor, np.linalg.solve(factor, scatter[0]).T)
    tolerance = 500 * np.finfo(float).eps * condition  # a matrix of numbers can hold no more
    np.testing.assert_allclose(back, apart.T @ apart, atol=10 * tolerance)
    assert counts == pytest.approx([500])


def test_columns_that_nearly_determine_each_other_are_whitened(make_mixture):
    frame, mixture = Frame(np.zeros(2), np.ones(2)), make_mixture(3, 2, 0)
    assert pass_for(mixture, frame) is FEATURES
    thin = np.array([[1.0, 0.0], [1.0, 1e-4]])
    assert pass_for(mixture._replace(scale_tril=np.stack([thin] * 3)), frame) is WHITENED
    units = np.diag([1e-9, 1e9]) @ mixture.scale_tril
    assert pass_for(mixture._replace(scale_tril=units), frame) is FEATURES


def test_many_columns_with_few_components_are_whitened():
    d = passes.WHITEN_COLUMNS
    frame = Frame(np.zeros(d), np.ones(d))

    def mixture(k, d):
        return Mixture(np.full(k, 1 / k), np.zeros((k, d)), np.tile(np.eye(d), (k, 1, 1)))

    few = passes.WHITEN_COMPONENTS
    assert pass_for(mixture(few, d), frame) is WHITENED
    assert pass_for(mixture(few + 1, d), frame) is FEATURES
    assert pass_for(mixture(few, d - 1), Frame(frame.shift[1:], frame.scale[1:])) is FEATURES
