"""GaussianMixture: scikit-learn's interface and answers, and what it does with each input."""

import copy
import inspect
import pickle
import warnings

import jax
import numpy as np
import pandas as pd
import pytest
import sklearn.mixture
from matplotlib.figure import Figure
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import bayesgmm as bg
from bayesgmm.estimators import GaussianMixture
from bayesgmm.ml.restarts import DegenerateFitWarning, NotConvergedWarning

TYPES = ["full", "tied", "diag", "spherical"]


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    """Eighty rows of two overlapping clusters in two columns of very different units."""
    rng = np.random.default_rng(12)
    left = rng.normal(size=(50, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]])
    right = rng.normal(size=(30, 2)) @ np.array([[0.6, -0.2], [0.0, 1.3]]) + [2.5, 1.5]
    return np.concatenate([left, right]) * [1.0, 20.0] + [3.0, -50.0]


@pytest.fixture(scope="module")
def frame(X) -> pd.DataFrame:
    return pd.DataFrame(X, columns=["length", "width"])


def model(**options) -> GaussianMixture:
    return GaussianMixture(**({"n_components": 2, "n_init": 8, "random_state": 0} | options))


def start_for(kind: str) -> dict[str, object]:
    """One start in scikit-learn's shapes."""
    precisions = np.array([[[1.0, -0.01], [-0.01, 1 / 400]], [[0.5, 0.0], [0.0, 1 / 900]]])
    diagonal = np.diagonal(precisions, axis1=1, axis2=2)
    shapes = {"full": precisions, "tied": precisions[0], "diag": diagonal}
    return {
        "covariance_type": kind,
        "weights_init": np.array([0.6, 0.4]),
        "means_init": np.array([[3.0, -55.0], [5.0, -20.0]]),
        "precisions_init": shapes.get(kind, np.array([0.01, 0.02])),
    }


@pytest.fixture(scope="module")
def fitted(X) -> GaussianMixture:
    return model().fit(X)


@pytest.fixture(scope="module")
def pairs(X):
    """For each covariance type our fit and scikit-learn's, both from the same start."""
    made = {}

    def pair(kind):
        if kind not in made:
            theirs = sklearn.mixture.GaussianMixture(
                2, tol=1e-13, reg_covar=0, max_iter=3000, init_params="random", **start_for(kind)
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                made[kind] = model(tol=1e-14, **start_for(kind)).fit(X), theirs.fit(X)
        return made[kind]

    return pair


# --- against scikit-learn -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", TYPES)
def test_the_same_start_gives_scikit_learns_attributes(kind, pairs):
    ours, theirs = pairs(kind)
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        mine, expected = getattr(ours, name), getattr(theirs, name)
        assert mine.shape == expected.shape
        np.testing.assert_allclose(mine, expected, rtol=2e-5, atol=2e-5 * abs(expected).max())
    assert ours.lower_bound_ == pytest.approx(theirs.lower_bound_, rel=1e-11)
    assert ours.converged_


@pytest.mark.parametrize("kind", TYPES)
def test_the_same_start_gives_scikit_learns_answers(kind, pairs, X):
    ours, theirs = pairs(kind)
    rows = np.concatenate([X, X * 1.5])
    np.testing.assert_allclose(ours.score_samples(rows), theirs.score_samples(rows), rtol=1e-5)
    np.testing.assert_allclose(ours.predict_proba(rows), theirs.predict_proba(rows), atol=1e-5)
    np.testing.assert_array_equal(ours.predict(rows), theirs.predict(rows))
    assert ours.score(rows) == pytest.approx(theirs.score(rows), rel=1e-6)
    for some in (X, X[:50], rows):
        assert ours.aic(some) == pytest.approx(theirs.aic(some), rel=1e-6)
        assert ours.bic(some) == pytest.approx(theirs.bic(some), rel=1e-6)


@pytest.mark.parametrize("kind", TYPES)
def test_precisions_belong_to_the_covariances(kind, pairs):
    ours, _ = pairs(kind)
    if kind in ("full", "tied"):
        identity = ours.covariances_ @ ours.precisions_
        np.testing.assert_allclose(identity, np.broadcast_to(np.eye(2), identity.shape), atol=1e-9)
        factors = ours.precisions_cholesky_
        np.testing.assert_allclose(
            factors @ np.swapaxes(factors, -1, -2), ours.precisions_, rtol=1e-9
        )
    else:
        np.testing.assert_allclose(ours.covariances_ * ours.precisions_, 1, rtol=1e-12)
        np.testing.assert_allclose(ours.precisions_cholesky_**2, ours.precisions_, rtol=1e-12)


@pytest.mark.parametrize("kind", TYPES)
def test_the_first_bound_is_that_of_the_start(kind, pairs, X):
    start, shared = start_for(kind), kind == "tied"
    joint = []
    for j in range(2):
        precision = np.asarray(start["precisions_init"] if shared else start["precisions_init"][j])
        full = precision if precision.ndim == 2 else np.eye(2) * precision
        normal = multivariate_normal(start["means_init"][j], np.linalg.inv(full))
        joint.append(np.log(start["weights_init"][j]) + normal.logpdf(X))
    expected = np.logaddexp(*joint).mean()
    assert pairs(kind)[0].lower_bounds_[0] == pytest.approx(expected, rel=1e-12)


def test_the_constructor_has_scikit_learns_names_and_two_of_its_own():
    theirs = sklearn.mixture.GaussianMixture().get_params()
    ours = GaussianMixture().get_params()
    assert ours.keys() == theirs.keys() | {"equal_weights", "on_collapse"}


@pytest.mark.parametrize("name", ["full", "VEV", "EVE", "EEI"])
def test_every_family_fits_and_predicts(name, X):
    found = model(covariance_type=name).fit(X)
    np.testing.assert_allclose(found.predict_proba(X).sum(1), 1, rtol=1e-12)
    assert found.aic(X) == pytest.approx(found.ml_.aic, rel=1e-10)
    assert found.covariances_.shape == (2, 2, 2)


def test_equal_weights_are_equal_and_cost_no_parameter(X):
    plain, equal = model().fit(X), model(equal_weights=True).fit(X)
    np.testing.assert_array_equal(equal.weights_, 0.5)
    assert equal.ml_.n_parameters == plain.ml_.n_parameters - 1
    assert equal.lower_bound_ <= plain.lower_bound_ + 1e-12


def test_what_to_do_about_collapse_is_a_known_word(X):
    with pytest.raises(ValueError, match="on_collapse"):
        model(on_collapse="rais").fit(X)


def test_clone_and_parameters_go_round(fitted):
    copied = clone(fitted)
    assert copied.get_params() == fitted.get_params()
    assert not hasattr(copied, "weights_")
    assert copied.set_params(n_components=5).n_components == 5
    assert repr(copied).startswith("GaussianMixture(n_components=5")


def test_a_pipeline_fits_and_predicts(X, fitted):
    line = make_pipeline(StandardScaler(), model()).fit(X)
    np.testing.assert_array_equal(line.predict(X), fitted.predict(X))
    log_scale = np.log(X.std(0)).sum()
    assert line.score(X) == pytest.approx(fitted.score(X) + log_scale, rel=1e-8)


def test_before_a_fit_everything_says_so(X):
    for method in ("predict", "predict_proba", "score_samples", "score", "aic", "bic"):
        with pytest.raises(NotFittedError):
            getattr(model(), method)(X)
    for method in ("sample", "plot_convergence", "plot_clusters"):
        with pytest.raises(NotFittedError):
            getattr(model(), method)()


# --- what it says of a fit ----------------------------------------------------------------------


def test_bounds_are_per_row_and_never_descend(fitted, X):
    assert fitted.lower_bound_ == pytest.approx(fitted.score(X), rel=1e-12)
    assert fitted.lower_bounds_[-1] == fitted.lower_bound_
    assert (np.diff(fitted.lower_bounds_) >= -1e-12).all()
    assert fitted.n_iter_ == fitted.ml_.n_iter >= 3


@pytest.mark.parametrize("n_init", [1, 3])
def test_there_are_as_many_starts_as_asked_for(n_init, X):
    ours = model(n_init=n_init).fit(X)
    assert ours.ml_.n_starts == len(ours.ml_.histories) == n_init
    assert sum(optimum.hits for optimum in ours.ml_.optima) <= n_init


@pytest.mark.parametrize("given", [{}, {"means_init": [[3.0, -55.0], [5.0, -20.0]]}])
def test_every_kind_of_start_is_another(given, X):
    kinds = ["kmeans", "k-means++", "random", "random_from_data"]
    bounds = {model(init_params=kind, n_init=1, **given).fit(X).lower_bounds_[0] for kind in kinds}
    assert len(bounds) == 4


def test_more_starts_are_never_worse():
    rows = np.random.default_rng(3).uniform(size=(60, 2))
    bounds = [model(n_components=4, n_init=n, tol=1e-6).fit(rows).lower_bound_ for n in (1, 3, 9)]
    assert (np.diff(bounds) > -1e-9).all()
    assert bounds[-1] > bounds[0] + 1e-3


def test_predictions_are_the_largest_membership(fitted, X):
    memberships = fitted.predict_proba(X)
    np.testing.assert_allclose(memberships.sum(1), 1, rtol=1e-13)
    np.testing.assert_array_equal(fitted.predict(X), memberships.argmax(1))
    np.testing.assert_array_equal(model().fit_predict(X), fitted.predict(X))


def test_samples_have_the_moments_of_the_mixture(fitted):
    rows, labels = fitted.sample(40_000)
    assert (rows.shape, labels.shape) == ((40_000, 2), (40_000,))
    share = np.bincount(labels) / 40_000
    np.testing.assert_allclose(share, fitted.weights_, atol=4 * 0.5 / 200)
    for j in range(2):
        own = rows[labels == j]
        sds = np.sqrt(np.diagonal(fitted.covariances_[j]))
        assert (abs(own.mean(0) - fitted.means_[j]) < 4 * sds / np.sqrt(len(own))).all()
        np.testing.assert_allclose(np.cov(own.T), fitted.covariances_[j], rtol=0.15)
    np.testing.assert_array_equal(fitted.sample(5)[0], fitted.sample(5)[0])


def test_one_component_is_the_sample_mean_and_covariance(X):
    one = model(n_components=1).fit(X)
    np.testing.assert_allclose(one.means_[0], X.mean(0), rtol=1e-12)
    np.testing.assert_allclose(one.covariances_[0], np.cov(X.T, ddof=0), rtol=1e-11)
    np.testing.assert_array_equal(one.weights_, [1.0])
    raised = model(n_components=1, reg_covar=0.1).fit(X)
    expected = np.cov(X.T, ddof=0) + 0.1 * np.diag(X.var(0))
    np.testing.assert_allclose(raised.covariances_[0], expected, rtol=1e-11)


def test_what_the_starts_found_is_printed_on_request(X, capsys):
    model().fit(X)
    assert capsys.readouterr().out == ""
    told = model(verbose=1).fit(X)
    line = capsys.readouterr().out
    assert line.startswith(f"EM: {told.ml_.hits} of 8 starts reached")
    assert f"{told.lower_bound_:.6f}" in line
    model(verbose=2, verbose_interval=2).fit(X)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(told.lower_bounds_[::2])


@pytest.mark.parametrize("name", ["convergence", "clusters", "uncertainty"])
def test_figures_are_drawn_on_the_axes_given(fitted, name):
    ax = Figure().add_subplot()
    assert getattr(fitted, f"plot_{name}")(ax=ax) is ax
    assert ax.get_xlabel()


# --- inputs -------------------------------------------------------------------------------------


def test_frames_are_predicted_by_the_names_of_their_columns(frame, X, fitted):
    named = model().fit(frame)
    assert list(named.feature_names_in_) == ["length", "width"]
    turned = frame[["width", "length"]].assign(other=1.0)
    np.testing.assert_array_equal(named.predict_proba(turned), named.predict_proba(frame))
    np.testing.assert_array_equal(named.score_samples(frame.to_numpy()), fitted.score_samples(X))
    with pytest.raises(bg.InputError, match="columns names 'width'"):
        named.predict(frame[["length"]])
    assert not hasattr(named.fit(X), "feature_names_in_")


def test_files_are_predicted_by_the_names_of_their_columns(frame, tmp_path):
    path = tmp_path / "rows.csv"
    frame.to_csv(path, index=False)
    from_file = model().fit(path)
    turned = frame[["width", "length"]]
    np.testing.assert_array_equal(from_file.predict(turned), from_file.predict(frame))


@pytest.mark.parametrize("columns", [1, 3])
def test_rows_of_another_width_are_refused(columns, fitted):
    with pytest.raises(bg.InputError, match=f"X has {columns} features, but .* expecting 2"):
        fitted.predict(np.zeros((4, columns)))


@pytest.mark.parametrize("kind", [np.float32, np.int64])
def test_narrow_numbers_are_fitted_in_float64(kind, X):
    narrow = np.round(X).astype(kind)
    ours, wide = model().fit(narrow), model().fit(narrow.astype(float))
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        assert getattr(ours, name).dtype == np.float64
        np.testing.assert_array_equal(getattr(ours, name), getattr(wide, name))
    assert ours.score_samples(narrow).dtype == ours.predict_proba(narrow).dtype == np.float64


def test_every_kind_of_array_gives_the_same_fit(X, frame, fitted):
    frozen = X.copy()
    frozen.setflags(write=False)
    for rows in (frozen, np.asfortranarray(X), X.tolist(), frame, np.repeat(X, 2, axis=0)[::2]):
        np.testing.assert_array_equal(model().fit(rows).means_, fitted.means_)


def test_the_rows_and_the_start_are_never_edited(X):
    rows, start = X.copy(), start_for("full")
    kept = copy.deepcopy(start)
    for ours in (model(**start), model(warm_start=True)):
        ours.fit(rows).fit(rows)
        for method in (ours.predict, ours.score_samples, ours.predict_proba, ours.bic):
            method(rows)
    np.testing.assert_array_equal(rows, X)
    for name in ("weights_init", "means_init", "precisions_init"):
        np.testing.assert_array_equal(start[name], kept[name])


def test_weights_may_be_an_array_or_a_column(X, frame, fitted):
    counts = np.full(80, 2.0)
    array = model().fit(X, sample_weight=counts)
    column = model().fit(frame.assign(count=counts), sample_weight="count")
    np.testing.assert_array_equal(array.means_, column.means_)
    np.testing.assert_allclose(array.means_, fitted.means_, rtol=1e-5)
    assert array.ml_.n == column.ml_.n == 160
    assert column.n_features_in_ == 2


def test_what_is_not_given_of_a_start_is_seeded(X):
    means = start_for("full")["means_init"]
    ours = model(means_init=means).fit(X)
    assert ours.ml_.n_starts == 1
    turned = model(means_init=means[::-1]).fit(X)
    np.testing.assert_allclose(turned.means_[::-1], ours.means_, rtol=1e-4)


@pytest.mark.parametrize("kind", TYPES)
def test_bounds_never_descend_from_given_means(kind, X):
    ours = model(covariance_type=kind, means_init=start_for(kind)["means_init"]).fit(X)
    assert (np.diff(ours.lower_bounds_) >= -1e-12).all()


def test_the_target_is_ignored(X, fitted):
    np.testing.assert_array_equal(model().fit(X, np.arange(80)).means_, fitted.means_)


# --- repeatable, and nothing else touched -------------------------------------------------------


def test_the_same_seed_gives_the_same_bits(X, fitted):
    for state in (0, np.int64(0), np.random.default_rng(0)):
        again = model(random_state=state).fit(X)
        np.testing.assert_array_equal(again.covariances_, fitted.covariances_)
        np.testing.assert_array_equal(again.lower_bounds_, fitted.lower_bounds_)


@pytest.mark.parametrize("setting", [False, True])
def test_the_setting_of_jax_changes_nothing_and_stays(setting, X, fitted):
    with jax.enable_x64(setting):
        again = model().fit(X)
        assert jax.config.jax_enable_x64 is setting
        assert again.predict_proba(X).dtype == np.float64
    np.testing.assert_array_equal(again.covariances_, fitted.covariances_)


@pytest.mark.parametrize("random_state", [None, 0])
def test_the_global_random_state_stays_and_decides_nothing(random_state, X):
    drawn = []
    for _ in range(2):
        np.random.seed(5)
        before = repr(np.random.get_state())
        drawn.append(model(random_state=random_state).fit(X).sample(3)[0])
        assert repr(np.random.get_state()) == before
    assert np.array_equal(*drawn) == (random_state == 0)


def test_a_warm_start_goes_on_where_the_last_fit_ended(X, fitted):
    warm = model(warm_start=True, max_iter=6)
    with pytest.warns(NotConvergedWarning):
        warm.fit(X)
    first = list(warm.lower_bounds_)
    warm.set_params(max_iter=3000).fit(X)
    assert warm.lower_bounds_[: len(first)] == first
    assert (np.diff(warm.lower_bounds_) >= -1e-12).all()
    assert warm.converged_
    assert warm.ml_.n_starts == 1


def test_copies_predict_alike(fitted, X):
    copied = copy.deepcopy(fitted)
    np.testing.assert_array_equal(copied.predict_proba(X), fitted.predict_proba(X))


def test_pickles_predict_alike(fitted, X):
    loaded = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))


# --- bad parameters -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_components": 0}, "n_components=0 must be at least 1"),
        ({"n_components": -2}, "n_components=-2 must be at least 1"),
        ({"n_components": 81}, "n_components=81 needs at least 81 rows"),
        ({"covariance_type": "ful"}, "did you mean 'full'"),
        ({"tol": -1e-3}, "tol=-0.001 must not be negative"),
        ({"tol": np.nan}, "tol=nan"),
        ({"reg_covar": -1.0}, r"reg_covar=-1\.0 must not be negative"),
        ({"max_iter": 0}, "max_iter=0 must be at least 1"),
        ({"n_init": 0}, "n_init=0 must be at least 1"),
        ({"init_params": "kmean"}, "init_params='kmean' .* kmeans"),
        ({"random_state": "seed"}, "random_state='seed'"),
        ({"weights_init": [0.2, 0.3, 0.5]}, r"weights_init has shape \(3,\)"),
        ({"weights_init": [0.7, 0.7]}, "weights_init must be positive and sum to one"),
        ({"weights_init": [1.0, 0.0]}, "weights_init must be positive and sum to one"),
        ({"means_init": [[1.0, 2.0]]}, r"means_init has shape \(1, 2\)"),
        ({"means_init": [[1.0, 2.0], [np.nan, 1.0]]}, "means_init .* finite values"),
        ({"precisions_init": np.eye(2)}, r"precisions_init has shape \(2, 2\)"),
        ({"precisions_init": -np.ones((2, 1, 1)) * np.eye(2)}, "positive definite"),
    ],
)
def test_bad_parameters_are_refused_before_any_work(options, message, X):
    with pytest.raises(bg.InputError, match=message) as caught:
        model(**options).fit(X)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"n_components": 2.0},
        {"n_components": True},
        {"n_components": "3"},
        {"n_components": None},
        {"covariance_type": ["full"]},
        {"covariance_type": None},
        {"max_iter": 10.0},
        {"n_init": 2.5},
        {"n_init": "many"},
        {"tol": "small"},
        {"tol": True},
        {"reg_covar": np.inf},
        {"reg_covar": np.nan},
        {"init_params": ["kmeans"]},
        {"weights_init": "even"},
        {"means_init": [[1.0, 2.0], [3.0]]},
        {"precisions_init": "sharp"},
        {"precisions_init": [[[1.0, 0.5], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]]},
    ],
)
def test_parameters_of_another_type_are_refused(options, X):
    (name,) = options
    with pytest.raises(bg.InputError, match=f"^{name}") as caught:
        model().set_params(**options).fit(X)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("n_samples", [0, -1, 2.5, "3", True])
def test_a_number_of_rows_that_cannot_be_drawn_is_refused(n_samples, fitted):
    with pytest.raises(bg.InputError, match="n_samples="):
        inspect.unwrap(GaussianMixture.sample)(fitted, n_samples)


@pytest.mark.parametrize("change", ["components", "columns"])
def test_a_warm_start_of_another_shape_is_refused(change, X):
    warm = model(warm_start=True).fit(X)
    if change == "components":
        warm.set_params(n_components=3)
    with pytest.raises(bg.InputError, match="warm_start"):
        warm.fit(X if change == "components" else X[:, :1])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((5, 0)), "no columns"),
        (np.zeros((0, 2)), "no rows"),
        (np.array([[1.0, np.nan], [2.0, 3.0]]), "non-finite"),
        (np.zeros(5), r"expected \(n, d\)"),
        ([["a", "b"], ["c", "d"]], "text"),
    ],
)
def test_bad_rows_are_refused_with_the_remedy(rows, message, fitted):
    for method in (model().fit, fitted.predict):
        with pytest.raises(bg.InputError, match=message):
            method(rows)


def test_rows_beyond_what_numbers_can_hold_are_refused(X, fitted):
    for method in (fitted.predict_proba, fitted.predict, fitted.score_samples, model().fit):
        with pytest.raises(bg.InputError, match=r"overlarge value \(first 1e\+200 at row 0"):
            method([[1e200, 0.0], [0.0, 0.0]])
    with pytest.raises(bg.InputError, match="column 'x1' spans only"):
        model().fit(X * 1e-170)


def test_rows_far_away_have_finite_answers(fitted):
    far = np.array([[1e75, -1e75], [-1e75, 0.0]])
    assert np.isfinite(fitted.score_samples(far)).all()
    np.testing.assert_allclose(fitted.predict_proba(far).sum(1), 1, rtol=1e-13)


@pytest.mark.parametrize("constant", [0.0, 0.1])
def test_a_constant_column_is_told_of_and_leaves_everything_finite(constant, X):
    rows = np.column_stack([X, np.full(80, constant)])
    with pytest.warns(DegenerateFitWarning):
        flat = model().fit(rows)
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        assert np.isfinite(getattr(flat, name)).all()
    assert np.isfinite(flat.predict_proba(rows)).all()
    assert np.isfinite(flat.score(rows))


def test_weights_of_another_length_are_refused(X):
    with pytest.raises(bg.InputError, match=r"expected \(80,\)"):
        model().fit(X, sample_weight=np.ones(79))
