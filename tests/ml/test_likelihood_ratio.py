"""The likelihood-ratio test: exact statistics, its size by simulation, and when it stops."""

import numpy as np
import pytest
from scipy.stats import binom

from bayesgmm.data.errors import InputError
from bayesgmm.data.table import read_table
from bayesgmm.gaussian.families import family
from bayesgmm.gaussian.mixture import log_density
from bayesgmm.ml.em import Data
from bayesgmm.ml.likelihood_ratio import likelihood_ratios
from bayesgmm.ml.problem import Problem
from bayesgmm.ml.replicates import fit_replicates
from bayesgmm.ml.restarts import Settings, fit

rng = np.random.default_rng


def groups(n=90, k=2, apart=8.0, seed=0):
    draw = rng(seed)
    return draw.normal(size=(n, 2)) + apart * (np.arange(n) % k)[:, None]


def stack(m, n=40, d=2, seed=0):
    X = rng(seed).normal(size=(m, n, d)) + 6.0 * (np.arange(n) % 2)[:, None]
    return Data(X, np.ones(n), Problem.of(read_table(X[0])).frame, np.zeros(d))


# --- many data sets -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["VVV", "EEE", "VVI"])
def test_the_fit_of_each_data_set_is_that_of_it_alone(name):
    data = stack(5)
    found = fit_replicates(data, 2, family(name), 6, rng(0))
    assert found.admissible.all()
    for i, X in enumerate(data.X):
        alone = fit(read_table(X), 2, name, rng(0), Settings(n_init=20))
        assert found.log_likelihood[i] == pytest.approx(alone.log_likelihood, abs=1e-4)
        mixture = type(found.mixture)(*(part[i] for part in found.mixture))
        assert log_density(mixture, X).sum() == pytest.approx(found.log_likelihood[i], rel=1e-10)


def test_blocks_of_data_sets_are_the_data_sets(monkeypatch):
    from bayesgmm.ml import replicates

    data = stack(6)
    whole = fit_replicates(data, 2, family("VVV"), 4, rng(0))
    monkeypatch.setattr(replicates, "BLOCK", 8 * 40 * 2 * 4 * 2)
    parts = fit_replicates(data, 2, family("VVV"), 4, rng(0))
    np.testing.assert_allclose(parts.log_likelihood, whole.log_likelihood, rtol=1e-12)


def test_each_data_set_may_have_weights_of_its_own():
    data = stack(3)
    weights = np.array([np.ones(40), np.resize([1.0, 2.0], 40), np.resize([2.0, 0.0, 3.0], 40)])
    found = fit_replicates(data._replace(row_weights=weights), 2, family("VVV"), 6, rng(0))
    for i, each in enumerate(weights):
        alone = fit(read_table(data.X[i], weights=each), 2, "VVV", rng(0), Settings(n_init=20))
        assert found.log_likelihood[i] == pytest.approx(alone.log_likelihood, abs=1e-4)


# --- the test -----------------------------------------------------------------------------------


def test_the_statistic_is_twice_the_gain_in_log_likelihood():
    found = likelihood_ratios("faithful", [1], n_resamples=19, random_state=0).tests[0]
    table = read_table("faithful")
    one, two = (fit(table, k, "VVV", rng(0), Settings(n_init=10)) for k in (1, 2))
    assert found.statistic == pytest.approx(2 * (two.log_likelihood - one.log_likelihood), abs=1e-4)
    assert found.p_value == pytest.approx(0.05)  # 1 / (19 + 1): no simulated one comes near
    assert (found.null < found.statistic).all()


def test_clear_groups_are_found_and_the_sequence_stops_there():
    found = likelihood_ratios(groups(), range(1, 5), "EII", n_resamples=39, random_state=1)
    assert [test.n_components for test in found.tests] == [1, 2]
    assert found.n_components_ == 2
    assert "k = 2 is the first that is not rejected" in str(found)
    assert list(found.table.n_components) == [1, 2]
    assert found.to_dict()["tests"][0]["p_value"] == pytest.approx(1 / 40)


def test_where_every_k_is_rejected_more_are_asked_for():
    found = likelihood_ratios(groups(k=3), [1], "EII", n_resamples=39, random_state=0)
    assert found.n_components_ is None
    assert "try more components" in str(found)


def test_the_level_is_kept_where_the_hypothesis_is_true():
    """P-values of data from one normal are uniform: ranks among 1 + 19 equally likely ones."""
    below = 0
    for seed in range(60):
        X = rng(seed).normal(size=(40, 1))
        test = likelihood_ratios(X, [1], "E", n_resamples=19, n_init=4, random_state=seed).tests[0]
        below += test.p_value <= 0.25
    low, high = binom.ppf([0.0005, 0.9995], 60, 0.25)
    assert low <= below <= high


def test_counts_are_repeated_rows():
    X, counts = groups(30), np.resize([1.0, 3.0], 30)
    one = likelihood_ratios(X, [1], "EII", sample_weight=counts, n_resamples=19, random_state=0)
    other = likelihood_ratios(
        np.repeat(X, counts.astype(int), 0), [1], "EII", n_resamples=19, random_state=0
    )
    assert one.tests[0].statistic == pytest.approx(other.tests[0].statistic, rel=1e-6)
    assert len(one.tests[0].null) == 19


def test_the_same_seed_gives_the_same_numbers():
    one, other = (
        likelihood_ratios(groups(), [1], "EII", n_resamples=19, random_state=5).tests[0]
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.null, other.null)


def test_a_hypothesis_without_an_admissible_fit_has_no_answer():
    X = np.repeat(np.array([[0.0, 1.0], [10.0, 3.0], [20.0, 8.0], [0.5, 1.5], [1.0, 0.0]]), 1, 0)
    found = likelihood_ratios(X, [2], n_resamples=19, random_state=0)
    assert np.isnan(found.tests[0].p_value)
    assert found.n_components_ is None
    assert "No answer at k = 2" in str(found)
    assert found.to_dict()["tests"][0]["statistic"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_resamples": 1}, "n_resamples=1 must be at least 2"),
        ({"n_resamples": 18}, "cannot give a p-value of level=0.05 or less; simulate at least 19"),
        ({"level": 1.0}, "level=1.0 must lie between 0 and 1"),
        ({"sample_weight": np.full(90, 0.5)}, "not counts"),
        ({"n_components": [90]}, "n_components=91 needs at least 91 rows"),
        ({"covariance_type": "VVW"}, "VV"),
    ],
)
def test_bad_input_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        likelihood_ratios(groups(), **{"n_components": [1], **options})


def test_the_statistics_are_mclusts():
    """What mclust 6.0.0 prints for mclustBootstrapLRT(faithful, modelName = "EEE").

    Its EM stops a little earlier, at k = 3 by 0.01 of log-likelihood.
    """
    found = likelihood_ratios("faithful", [1, 2], "EEE", n_resamples=19, random_state=0)
    statistics = [test.statistic for test in found.tests]
    assert statistics == pytest.approx([299.21997, 27.72105], abs=0.03)
    assert all(test.p_value == pytest.approx(0.05) for test in found.tests)
