"""scikit-learn's own tests: its checks of estimators, and its tests of GaussianMixture on ours."""

import inspect
from functools import partial
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import sklearn.mixture.tests.test_gaussian_mixture as theirs
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from bayesgmm.estimators import BayesianMixture, GaussianMixture
from bayesgmm.ml.restarts import NotConvergedWarning

pytestmark = [
    pytest.mark.filterwarnings("ignore::bayesgmm.ml.restarts.DegenerateFitWarning"),
    pytest.mark.filterwarnings("ignore::bayesgmm.ml.restarts.NotConvergedWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def quick_compilation():
    """These are small fits of many shapes: what they cost is the compiler's optimising."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(autouse=True)
def unchecked(monkeypatch):
    """Constructors as users have them, without the check of annotations."""
    for estimator in (GaussianMixture, BayesianMixture):
        monkeypatch.setattr(estimator, "__init__", inspect.unwrap(estimator.__init__))


# --- checks of estimators -----------------------------------------------------------------------


@parametrize_with_checks([GaussianMixture(2, covariance_type="spherical")])
def test_maximum_likelihood_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)


WITHOUT_A_FIT = {  # the other checks each sample a posterior or several, which takes minutes
    "check_all_zero_sample_weights_error",
    "check_complex_data",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_estimator_sparse_tag",
    "check_estimator_tags_renamed",
    "check_estimators_empty_data_messages",
    "check_estimators_unfitted",
    "check_fit1d",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
}


@pytest.mark.parametrize("name", sorted(WITHOUT_A_FIT))
def test_a_posterior_is_a_scikit_learn_estimator_until_it_is_fitted(name):
    checks = estimator_checks_generator(BayesianMixture(2))
    named = {check.func.__name__: partial(check, estimator) for estimator, check in checks}
    named[name]()


# --- tests of GaussianMixture -------------------------------------------------------------------

PRIVATE = "calls private functions"
STEPS = "an EM step is three maps, which max_iter counts, and convergence needs two steps"
NO_MAP = "max_iter=0 is refused: a start is no fit"
NAMESPACE = "results are NumPy arrays, whatever kind of array X is"
COMPILES = "compiles for many shapes what other tests have checked"
EXCLUDED = {
    "test_compute_log_det_cholesky": PRIVATE,
    "test_convergence_detected_with_warm_start": STEPS,
    "test_fitted_precision_covariance_concistency": COMPILES,
    "test_gaussian_mixture_all_init_does_not_estimate_gaussian_parameters": PRIVATE,
    "test_gaussian_mixture_array_api_compliance": NAMESPACE,
    "test_gaussian_mixture_log_probabilities": PRIVATE,
    "test_gaussian_mixture_n_parameters": PRIVATE,
    "test_gaussian_mixture_precisions_init": PRIVATE,
    "test_gaussian_mixture_precisions_init_diag": "a seeded start is shrunk, unlike k-means'",
    "test_gaussian_mixture_raises_where_array_api_not_implemented": NAMESPACE,
    "test_gaussian_suffstat_sk_spherical": PRIVATE,
    "test_init": COMPILES,
    "test_init_means_not_duplicated": NO_MAP,
    "test_max_iter_zero": NO_MAP,
    "test_monotonic_likelihood": STEPS,
    "test_regularisation": "degenerate data get a variance floor and a DegenerateFitWarning",
    "test_suffstat_sk_diag": PRIVATE,
    "test_suffstat_sk_full": PRIVATE,
    "test_suffstat_sk_tied": PRIVATE,
    "test_warm_start": STEPS,
}
THEIRS = {name: test for name, test in vars(theirs).items() if name.startswith("test_")}
globals().update({name: test for name, test in THEIRS.items() if name not in EXCLUDED})


def test_every_test_that_is_excluded_exists():
    assert EXCLUDED.keys() <= THEIRS.keys()


@pytest.fixture(autouse=True)
def substitute(monkeypatch, unchecked):
    """Our class in place of theirs, with their one start; refusals and warnings in our words."""
    words = {
        "raises": lambda kind, match: pytest.raises(kind),
        "warns": lambda kind, match: pytest.warns(NotConvergedWarning),
    }
    monkeypatch.setattr(theirs, "pytest", SimpleNamespace(**(vars(pytest) | words)))
    monkeypatch.setattr(theirs, "GaussianMixture", partial(GaussianMixture, n_init=1))
    monkeypatch.setattr(theirs, "COVARIANCE_TYPE", ["full"])  # our own tests have all four
    count = lambda fit: fit.ml_.n_parameters  # noqa: E731
    monkeypatch.setattr(GaussianMixture, "_n_parameters", count, raising=False)


@pytest.fixture
def global_dtype():
    return np.float64


@pytest.fixture
def global_random_seed():
    return 0
