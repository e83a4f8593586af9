"""BayesianMixture: what it refuses before any work, and how it labels rows."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import bayesgmm as bg
from bayesgmm.comparison import record, views
from tests.bayes.cases import clear_rows

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


# --- a background --------------------------------------------------------------------------------

SCATTERED = np.array([[30.0, -28.0], [-31.0, 12.0], [3.0, 29.0], [-20.0, -30.0], [25.0, 20.0]])
ROWS = np.concatenate([clear_rows(), SCATTERED])


@pytest.fixture(scope="module")
def noisy() -> bg.BayesianMixture:
    model = bg.BayesianMixture(2, model="gaussian_noise", num_draws=300, random_state=0)
    return model.fit(ROWS)


def test_rows_of_the_background_are_labelled_minus_one(noisy):
    assert (noisy.labels_[60:] == -1).all()
    groups = (ROWS[:60, 0] > 0).astype(int)
    means = noisy.both_.posterior.sites["means"].mean((0, 1))
    np.testing.assert_array_equal(noisy.labels_[:60], means[:, 0].argsort()[groups])
    assert set(noisy.labels_) == {-1, 0, 1}
    np.testing.assert_array_equal(noisy.predict(ROWS), noisy.labels_)


def test_the_background_is_the_last_column_of_the_memberships(noisy):
    membership = noisy.predict_proba(ROWS)
    assert membership.shape == (65, 3)
    np.testing.assert_allclose(membership.sum(1), 1.0, rtol=1e-9)
    assert (membership[60:, 2] > 0.5).all()
    np.testing.assert_array_equal(noisy.both_.posterior.membership, membership)


def test_a_background_keeps_its_place_whatever_the_labels(noisy):
    posterior = noisy.both_.posterior
    assert posterior.structure.background
    assert (posterior.order[..., 2] == 2).all()
    weights = posterior.sites["weights"]
    assert weights.shape[-1] == 3
    assert posterior.cluster_weights.shape[-1] == 2
    counts = posterior.membership.sum(0)
    np.testing.assert_allclose(weights.mean((0, 1)), (counts + 1) / 68, atol=0.01)
    assert posterior.n_occupied.max() <= 2


def test_a_background_is_told_and_survives_saving(noisy, tmp_path):
    text = str(noisy.summary())
    assert "background" in text
    loaded = bg.BayesianMixture.load(noisy.save(tmp_path / "fit.nc"))
    assert str(loaded.summary()) == text
    np.testing.assert_array_equal(loaded.labels_, noisy.labels_)
    tree = noisy.posterior_
    assert list(tree["posterior"]["weights"][record.EVERY].values[-1:]) == [record.BACKGROUND]
    assert tree["posterior"]["means"].dims == ("chain", "draw", "cluster", "feature")


def test_rows_that_are_drawn_from_the_background_are_labelled_minus_one(noisy):
    rows, labels = noisy.sample(1000)
    assert rows.shape == (1000, 2)
    assert set(labels) == {-1, 0, 1}
    means = noisy.both_.posterior.sites["means"].mean((0, 1))
    for j in range(2):
        np.testing.assert_allclose(rows[labels == j].mean(0), means[j], atol=0.5)


def test_scattered_rows_are_outliers_and_others_are_not(noisy):
    outlying = noisy.outlier_probability(ROWS)
    np.testing.assert_array_equal(outlying, noisy.predict_proba(ROWS)[:, 2])
    assert outlying[60:].min() > 0.5 > np.median(outlying[:60])
    told = noisy.predict_interval(ROWS[:4], level=0.5)
    assert told["mean"].dims == ("obs_id", record.EVERY)
    assert told["log_density"].dims == ("obs_id",)
    assert (told["log_density_low"] < told["log_density_high"]).all()
    np.testing.assert_array_equal(told["mean"], noisy.predict_proba(ROWS[:4]))


def test_rows_unlike_any_have_small_tail_probabilities(
    faithful_fit: bg.BayesianMixture,
) -> None:
    rows = bg.load_dataset("faithful").iloc[:2]
    strange = rows.assign(waiting=150.0)
    assert (faithful_fit.tail_probability(rows) > 0.01).all()
    assert (faithful_fit.tail_probability(strange) < 0.001).all()
    with pytest.raises(bg.InputError, match="no background"):
        faithful_fit.outlier_probability(rows)


def test_known_classes_are_counted_by_component(faithful_fit: bg.BayesianMixture) -> None:
    known = np.where(faithful_fit.labels_ == 0, "short", "long").astype(object)
    table = faithful_fit.crosstab(known)
    assert table.attrs["adjusted_rand_index"] == 1.0
    assert table.loc["1", "short"] == (known == "short").sum()
    assert table.loc["1", "long"] == table.loc["2", "short"] == 0
    assert faithful_fit.crosstab(known[::-1]).attrs["adjusted_rand_index"] < 0.5


@pytest.mark.parametrize(("y", "told"), [([1, 2], "2 entries"), ([None] * 272, "missing")])
def test_classes_that_do_not_fit_are_refused(
    faithful_fit: bg.BayesianMixture, y: list[object], told: str
) -> None:
    with pytest.raises(bg.InputError, match=told):
        faithful_fit.crosstab(y)


def test_counts_are_rows_of_a_crosstab() -> None:
    table = views.crosstab(np.array([0, 1, -1]), ["a", "b", "a"], np.array([3.0, 2.0, 1.0]))
    assert table.to_numpy().tolist() == [[3, 0], [0, 2], [1, 0]]
    assert list(table.index) == ["1", "2", "background"]


def test_memberships_pairs_and_partition_name_rows_and_components(
    faithful_fit: bg.BayesianMixture,
) -> None:
    members, pairs = faithful_fit.memberships(), faithful_fit.co_clustering()
    assert members["mean"].dims == ("obs_id", "cluster")
    assert list(members["cluster"].values) == [1, 2]
    assert pairs.dims == ("obs_id", "obs_id_bis")
    found = faithful_fit.partition()
    assert found.n_clusters == 2
    largest_first = np.bincount(found.labels)
    assert largest_first[0] > largest_first[1]
