"""Calibration: coverage near its level where theory says so, and counts that add up."""

import re

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.data.errors import InputError
from bayesgmm.data.table import read_table
from bayesgmm.ml import calibration as module
from bayesgmm.ml.calibration import calibrate
from bayesgmm.ml.problem import Problem
from bayesgmm.ml.restarts import Settings, fit

rng = np.random.default_rng


def calibrated(k=2, n=150, d=1, apart=8.0, name="VVV", **options):
    X = rng(0).normal(size=(n, d)) + apart * (np.arange(n) % k)[:, None]
    table, settings = read_table(X), Settings(n_init=8)
    problem, found = Problem.of(table), fit(table, k, name, rng(0), settings)
    return calibrate(found, problem, settings.track(problem, k), rng(1), **options)


@pytest.fixture(scope="module")
def clear():
    return calibrated(n_simulations=60, n_resamples=99)


def test_intervals_of_clear_groups_cover_as_often_as_they_should(clear):
    """Within four errors of 95 %, and a little for the bootstrap, which is narrow at n = 75."""
    for each in clear.coverages:
        slack = 0.03 if each.method == "weighted bootstrap" else 0.0
        assert abs(each.share - 0.95) < 4 * max(each.error, 0.01) + slack, each
        assert each.missing == 0
    assert {each.quantity for each in clear.coverages} == {"weights", "means", "sds"}
    assert {each.method for each in clear.coverages} == {"standard error", "weighted bootstrap"}


def test_every_data_set_has_one_best_k(clear):
    for shares in clear.recovered.values():
        assert list(shares) == [1, 2, 3, 4]
        assert sum(shares.values()) == pytest.approx(1)
    assert clear.recovered["bic"][2] > 0.9
    assert clear.recovered["icl"][2] > 0.9
    assert clear.recovered["aic"][2] < clear.recovered["bic"][2] + 1e-9


def test_the_starts_find_the_optimum_of_clear_groups(clear):
    assert clear.found == 1.0
    assert clear.lost == 0


def test_intervals_that_are_too_narrow_are_caught(monkeypatch):
    """With errors that are halved, three in ten intervals miss."""

    def halved(fit, problem):
        found = real(fit, problem)
        fields = ("weights", "means", "sds", "correlations", "covariances")
        return module.replace(found, **{name: getattr(found, name) / 2 for name in fields})

    real = module.standard_errors
    monkeypatch.setattr(module, "standard_errors", halved)
    found = calibrated(n_simulations=60, n_resamples=0)
    (means,) = [each for each in found.coverages if each.quantity == "means"]
    assert means.share == pytest.approx(0.67, abs=0.12)
    assert any("too narrow" in line for line in found.sentences())


def test_the_tables_hold_what_was_counted(clear):
    assert len(clear.table) == len(clear.coverages)
    text = str(clear)
    assert "60 data sets simulated from V, k = 2" in text
    assert "weighted bootstrap" in text
    assert max(map(len, text.splitlines())) <= 80
    told = clear.to_dict()
    assert told["recovered"]["bic"]["2"] == clear.recovered["bic"][2]
    assert told["coverage"][0]["share"] == clear.coverages[0].share


def test_html_holds_every_share(clear):
    shown = re.findall(r"<td>(.*?)</td>", clear._repr_html_())
    shares = [each.share for each in clear.coverages]
    shares += [share for found in clear.recovered.values() for share in found.values()]
    assert sorted(shown) == sorted(f"{100 * share:.0f}" for share in shares)
    assert clear.lines()[0] in clear._repr_html_()


def test_what_is_shared_or_known_is_not_counted():
    found = calibrated(k=1, d=2, n_simulations=3, n_resamples=0, name="VVI")
    assert {each.quantity for each in found.coverages} == {"means", "sds"}


def test_counts_are_as_many_rows():
    counts = np.full(40, 3.0)
    X = rng(0).normal(size=(40, 1)) + 8.0 * (np.arange(40) % 2)[:, None]
    estimator = bg.GaussianMixture(2, n_init=4, random_state=0).fit(X, sample_weight=counts)
    found = estimator.calibrate(4, 0, random_state=1)
    assert found.n_simulations == 4
    with pytest.raises(InputError, match="not counts"):
        estimator.fit(X, sample_weight=counts / 2).calibrate(4)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="n_simulations=1"):
        calibrated(n_simulations=1)
    with pytest.raises(InputError, match="n_resamples=1"):
        calibrated(n_resamples=1)
