"""The table of a predictive check and its sentence."""

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.comparison.checks import Checked, PredictiveCheck


def test_data_of_the_model_look_like_their_replications(faithful_fit: bg.BayesianMixture) -> None:
    told = faithful_fit.predictive_check()
    assert told.sentence.startswith("The replicated data look like the data: none of 10")
    frame = told.to_frame()
    X = bg.load_dataset("faithful")
    assert frame.loc[("waiting", "max"), "observed"] == X["waiting"].max()
    assert (frame["low"] <= frame["high"]).all()
    np.testing.assert_array_equal(frame, faithful_fit.predictive_check().to_frame())


def test_a_far_row_is_a_heavier_tail_than_the_model_allows() -> None:
    rng = np.random.default_rng(0)
    X = np.append(rng.normal(size=199), 9.0)[:, None]
    fit = bg.BayesianMixture(1, inference="laplace", n_init=1, random_state=0).fit(X)
    told = fit.predictive_check()
    assert "column 'x1' has heavier tails than the model allows" in told.sentence
    assert told.sentence.endswith("try model='student_t'.")
    assert {row.statistic for row in told.unlike} >= {"max", "kurtosis", "skewness"}


def checked(statistic: str, observed: float, tail: float) -> Checked:
    return Checked("waiting", statistic, observed, 0.0, 1.0, -2.0, 2.0, tail)


@pytest.mark.parametrize(
    ("statistic", "observed", "model", "told"),
    [
        ("max", 5.0, "gaussian", "a heavier right tail than the model allows: try model='stud"),
        ("min", -5.0, "gaussian", "a heavier left tail than the model allows: try model='stude"),
        ("max", 5.0, "student_t", "a heavier right tail than the model allows: try another num"),
        ("max", -5.0, "gaussian", "a shorter right tail than the model allows: try another num"),
        ("sd", 5.0, "gaussian", "a larger spread than the model allows: try another number"),
        ("skewness", -5.0, "gaussian", "a longer left side than the model allows: try another"),
    ],
)
def test_the_sentence_says_how_the_column_differs_and_what_to_try(
    statistic: str, observed: float, model: str, told: str
) -> None:
    rows = (checked("sd", 0.1, 0.9), checked(statistic, observed, 0.002))
    sentence = PredictiveCheck(rows, model, 1000).sentence
    assert sentence.startswith("1 of 2 statistics differs from")
    assert told in sentence


def test_the_farthest_statistic_is_named() -> None:
    rows = (checked("max", 4.0, 0.002), checked("min", -9.0, 0.002), checked("sd", 90.0, 0.5))
    told = PredictiveCheck(rows, "gaussian", 1000)
    assert [row.statistic for row in told.unlike] == ["min", "max"]
    assert "a heavier left tail" in told.sentence


def test_every_form_holds_every_statistic(faithful_fit: bg.BayesianMixture) -> None:
    told = faithful_fit.predictive_check()
    assert max(map(len, str(told).splitlines())) <= 80
    assert str(told).count("kurtosis") == 2
    assert told._repr_html_().count("kurtosis") == 2
    assert told.note in told._repr_html_()
    assert told.to_latex().count(r"\\") >= len(told.rows)
    assert len(told.to_dict()["statistics"]) == 10
