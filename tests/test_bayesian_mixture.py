"""BayesianMixture: what it refuses before any work."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import bayesgmm as bg

X = np.random.default_rng(0).normal(size=(20, 2))


@pytest.mark.parametrize(
    "options",
    [
        {"n_components": 2.5},
        {"n_components": True},
        {"n_components": 0},
        {"n_components": 21},
        {"n_init": 2.5},
        {"n_init": 0},
    ],
)
def test_bad_numbers_are_refused(options):
    (name,) = options
    with pytest.raises(bg.InputError, match=f"^{name}="):
        bg.BayesianMixture(2).set_params(**options).fit(X)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (X * 1e200, "overlarge values"),
        (X * 1e-170, "column 'x1' spans only"),
        (X[:, 0], "Reshape your data"),
    ],
)
def test_bad_rows_are_refused(rows, message):
    with pytest.raises(bg.InputError, match=message):
        bg.BayesianMixture(2).fit(rows)


def test_weights_that_are_not_counts_are_refused():
    with pytest.raises(bg.InputError, match="not counts"):
        bg.BayesianMixture(2).fit(X, sample_weight=np.full(20, 0.5))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples", "score"])
def test_before_a_fit_rows_are_not_predicted(method):
    with pytest.raises(NotFittedError):
        getattr(bg.BayesianMixture(2), method)(X)


@pytest.mark.parametrize("method", ["sample", "summary", "plot_weights", "plot_clusters"])
def test_before_a_fit_nothing_is_shown(method):
    with pytest.raises(NotFittedError):
        getattr(bg.BayesianMixture(2), method)()
