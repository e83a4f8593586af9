"""Leave-one-out prediction is ArviZ's, with counts as if their rows were repeated."""

import arviz
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from bayesgmm.bayes import loo as module
from bayesgmm.bayes.loo import difference, loo, stacking

C, S, N = 4, 400, 25
RNG = np.random.default_rng(0)
Y = RNG.normal(size=N)
MU = Y.mean() + RNG.normal(size=(C, S)) / 5
LOG_LIKELIHOOD = norm.logpdf(Y, MU[..., None], 1.0)
LOG_POSTERIOR = LOG_LIKELIHOOD.sum(-1)
ONES = np.ones(N)


def plain(log_likelihood=LOG_LIKELIHOOD, row_weights=ONES, relative_ess=0.8):
    log_posterior = np.zeros(log_likelihood.shape[:2])
    return loo(at_rows(log_likelihood), row_weights, relative_ess, log_posterior, None)


def at_rows(log_likelihood):
    return lambda some: log_likelihood[..., some]


def tree(**groups):
    return arviz.from_dict({"posterior": {"mu": MU}, "log_likelihood": {"y": LOG_LIKELIHOOD}})


def test_it_is_arvizs_loo():
    found, expected = plain(), arviz.loo(tree(), pointwise=True, reff=0.8)
    assert found.elpd == pytest.approx(expected.elpd, rel=1e-10)
    assert found.se == pytest.approx(expected.se, rel=1e-10)
    assert found.p_loo == pytest.approx(expected.p, rel=1e-10)
    assert found.good_k == pytest.approx(expected.good_k)
    np.testing.assert_allclose(found.pointwise, expected.elpd_i, rtol=1e-10)
    np.testing.assert_allclose(found.pareto_k, expected.pareto_k, rtol=1e-10)
    assert found.n_bad == int((np.asarray(expected.pareto_k) > expected.good_k).sum())


@pytest.mark.parametrize("rows", [1, 7, 25])
def test_the_size_of_the_blocks_of_rows_changes_nothing(monkeypatch, rows):
    expected = plain()
    monkeypatch.setattr(module, "BLOCK_BYTES", 8 * C * S * rows)
    found = plain()
    np.testing.assert_array_equal(found.pointwise, expected.pointwise)
    np.testing.assert_array_equal(found.pareto_k, expected.pareto_k)
    assert (found.elpd, found.se) == (expected.elpd, expected.se)


def test_an_approximation_is_corrected_as_arviz_does():
    log_q = norm.logpdf(MU, Y.mean(), 1 / 5)
    found = loo(at_rows(LOG_LIKELIHOOD), ONES, 1.0, LOG_POSTERIOR, log_q)
    expected = arviz.loo_approximate_posterior(
        tree(), log_p=LOG_POSTERIOR, log_q=log_q, pointwise=True
    )
    assert found.elpd == pytest.approx(expected.elpd, rel=1e-10)
    assert found.p_loo == pytest.approx(expected.p, rel=1e-10)
    np.testing.assert_allclose(found.pareto_k, expected.pareto_k, rtol=1e-10)


def test_counts_are_repeated_rows():
    counts = RNG.integers(0, 4, size=N)
    found = plain(row_weights=counts.astype(float))
    repeated = plain(np.repeat(LOG_LIKELIHOOD, counts, axis=-1), np.ones(counts.sum()))
    assert found.elpd == pytest.approx(repeated.elpd, rel=1e-12)
    assert found.se == pytest.approx(repeated.se, rel=1e-12)
    assert found.p_loo == pytest.approx(repeated.p_loo, rel=1e-12)


def test_rows_that_cannot_be_left_out_are_counted():
    assert plain().n_bad == 0
    hopeless = LOG_LIKELIHOOD.copy()
    hopeless[..., 3] = -5 * np.square(np.abs(RNG.standard_cauchy(size=(C, S))))
    found = plain(hopeless)
    assert not found.pareto_k[3] <= found.good_k
    assert found.n_bad == 1


def test_a_nan_counts_as_a_bad_row():
    found = plain()
    spoilt = type(found)(**(vars(found) | {"pareto_k": np.r_[np.nan, np.zeros(N - 1)]}))
    assert spoilt.n_bad == 1


def test_a_difference_is_taken_row_by_row():
    a, b = plain(), plain(norm.logpdf(Y, MU[..., None], 1.5))
    gap, se = difference(a, b, ONES)
    each = a.pointwise - b.pointwise
    assert gap == pytest.approx(a.elpd - b.elpd)
    assert se == pytest.approx(np.sqrt(N * each.var()))
    assert difference(b, a, ONES) == pytest.approx((-gap, se))
    assert difference(a, a, ONES) == (0.0, 0.0)


def test_a_difference_of_counts_is_that_of_repeated_rows():
    counts = RNG.integers(0, 4, size=N)
    other = norm.logpdf(Y, MU[..., None], 1.5)
    weights = counts.astype(float)
    found = difference(plain(row_weights=weights), plain(other, weights), weights)
    many = np.ones(counts.sum())
    pair = [plain(np.repeat(each, counts, axis=-1), many) for each in (LOG_LIKELIHOOD, other)]
    assert found == pytest.approx(difference(*pair, many))


@pytest.mark.parametrize("row_weights", [ONES, RNG.integers(0, 4, size=N).astype(float)])
def test_stacking_weights_predict_best_together(row_weights):
    pointwise = norm.logpdf(Y, np.array([[0.0], [0.3], [5.0]]), 1.0)
    found = stacking(pointwise, row_weights)

    def minus_score(logits):
        weights = np.exp(logits - logits.max())
        return -row_weights @ np.log(weights @ np.exp(pointwise) / weights.sum())

    best = minimize(minus_score, np.zeros(3), method="Nelder-Mead", options={"maxiter": 4000})
    assert found.sum() == pytest.approx(1.0)
    assert (found >= 0).all()
    score = row_weights @ np.log(found @ np.exp(pointwise))
    assert score == pytest.approx(-best.fun, abs=1e-3)


def test_stacking_prefers_what_predicts_better_everywhere():
    pointwise = np.stack([np.full(N, -1.0), np.full(N, -3.0)])
    np.testing.assert_allclose(stacking(pointwise, ONES), [1.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(stacking(pointwise - 2000, ONES), [1.0, 0.0], atol=1e-9)


def test_chains_that_stand_still_have_a_density_but_none_that_is_reliable():
    """Only in the rows where they do; the others are as ever."""
    expected, still = plain(), LOG_LIKELIHOOD.copy()
    still[..., 3] = LOG_LIKELIHOOD[0, 0, 3]
    found, others = plain(still), np.arange(N) != 3
    np.testing.assert_array_equal(found.pointwise[others], expected.pointwise[others])
    assert found.pointwise[3] == pytest.approx(LOG_LIKELIHOOD[0, 0, 3])
    assert found.p_pointwise[3] == pytest.approx(0, abs=1e-12)
    assert found.pareto_k[3] == np.inf
    assert found.n_bad == expected.n_bad + 1
