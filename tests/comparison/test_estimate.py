"""The summary of a maximum-likelihood fit shows the numbers it has, and says why others miss."""

import json

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.comparison import compare
from bayesgmm.ml.quantities import quantities


@pytest.fixture(scope="module")
def fitted() -> bg.GaussianMixture:
    model = bg.GaussianMixture(3, covariance_type="EEE", n_init=20, random_state=0)
    return model.fit(bg.load_dataset("faithful"))


def test_every_parameter_of_a_tied_fit_is_shown_once(fitted) -> None:
    frame = fitted.summary().to_frame()
    assert len(frame) == 3 * 3 + 2 + 1  # weights and two means each; two deviations, a correlation
    assert len(frame.loc["all"]) == 3
    assert len(frame) == fitted.ml_.n_parameters + 1  # of three weights two are free


@pytest.mark.parametrize("name", ["EVE", "VEV", "EVV", "VVV"])
def test_families_with_directions_show_correlations(name) -> None:
    model = bg.GaussianMixture(2, covariance_type=name, n_init=4, random_state=0)
    frame = model.fit(bg.load_dataset("faithful")).summary().to_frame()
    assert np.isfinite(frame.loc[(1, "corr eruptions, waiting"), "se"])


def test_numbers_are_those_of_the_errors_and_of_the_refits(fitted) -> None:
    boot = fitted.bootstrap(50, random_state=1)
    frame, errors = fitted.summary().to_frame(), fitted.standard_errors()
    row = frame.loc[(2, "mean waiting")]
    low, high = boot.intervals()
    assert row.ml == quantities(fitted.ml_.mixture).means[1, 1]
    assert row.se == errors.means[1, 1]
    assert row.boot_se == boot.standard_errors.means[1, 1]
    assert (row.boot_low, row.boot_high) == (low.means[1, 1], high.means[1, 1])
    assert row.low == pytest.approx(row.ml - 1.959964 * row.se)
    assert frame.loc[("all", "sd waiting"), "se"] == errors.sds[0, 1]


def test_the_sandwich_is_named_and_differs(fitted) -> None:
    plain, robust = fitted.summary(), fitted.summary("sandwich")
    assert "the sandwich" in str(robust)
    assert "the observed information" in str(plain)
    assert (plain.to_frame().se != robust.to_frame().se).all()


def test_the_table_fits_a_terminal_and_says_what_the_starts_found(fitted) -> None:
    text = str(fitted.summary())
    assert max(map(len, text.splitlines())) <= 80
    assert f"{fitted.ml_.hits} of {fitted.ml_.n_starts} starts" in text
    assert f"BIC {fitted.ml_.bic:.1f}" in text


def test_missing_errors_are_dashes_with_their_reason() -> None:
    model = bg.GaussianMixture(3, n_init=20, random_state=0).fit(bg.load_dataset("galaxies"))
    text = str(model.summary())
    assert "None for component 1: fewer than 10 rows (7.0)." in text
    assert ", V: 82 rows x 1 column" in text
    assert "nan" not in text
    assert json.loads(json.dumps(model.summary().to_dict()))["parameters"][0]["se"] is None


def test_it_shows_as_html_and_latex(fitted) -> None:
    summary = fitted.summary()
    assert summary._repr_html_().count("<tr") >= 12
    assert "tabular" in summary.to_latex()


# --- beside the posterior -----------------------------------------------------------------------


def test_bootstrap_intervals_stand_beside_the_posteriors(faithful_fit, tmp_path) -> None:
    frame = faithful_fit.summary().to_frame()
    assert (frame.boot_low < frame.ml).all()
    assert (frame.ml < frame.boot_high).all()
    width = (frame.boot_high - frame.boot_low) / (2 * 1.96 * frame.se)
    assert width.between(0.7, 1.4).all()
    assert "95% boot" in str(faithful_fit.summary())
    loaded = bg.BayesianMixture.load(faithful_fit.save(tmp_path / "fit.nc")).summary().to_frame()
    np.testing.assert_array_equal(loaded.boot_low, frame.boot_low)


def test_a_bootstrap_that_was_asked_for_replaces_the_one_that_was_not(faithful_fit) -> None:
    model, before = faithful_fit, faithful_fit.both_
    refits = model.bootstrap(30, "parametric", random_state=2)
    low, _ = refits.intervals()
    row = model.summary().to_frame().loc[(1, "weight")]
    assert row.boot_low == low.weights[0]
    model._adopt(before)


def test_clouds_are_drawn_for_a_column_that_exists(faithful_fit) -> None:
    axes = faithful_fit.plot_clouds("waiting")
    assert axes[0].get_ylabel() == "mean waiting"
    with pytest.raises(bg.InputError, match="wating"):
        faithful_fit.plot_clouds("wating")


def test_a_calibrated_comparison_says_so_in_its_report(
    make_comparison, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(compare, "calibrate", compare.calibrate_ml)  # which is quick
    comparison = make_comparison()
    assert comparison.calibration is None
    calibrated = comparison.calibrated(3, random_state=0)
    told = calibrated.report(tmp_path / "r.html").read_text(encoding="utf-8")
    assert 'id="calibration"' in told
    assert "in 3 data sets simulated" in told.replace("\n", " ")
    assert calibrated.to_dict()["calibration"]["n_simulations"] == 3
    assert 'id="calibration"' not in comparison.report(tmp_path / "p.html").read_text("utf-8")
