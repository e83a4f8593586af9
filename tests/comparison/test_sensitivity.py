"""The table of prior sensitivities and its sentence."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.comparison.sensitivity import Sensitive, Sensitivity
from bayesgmm.ml.places import Place


@pytest.fixture(scope="module")
def told(faithful_fit: bg.BayesianMixture) -> Sensitivity:
    return faithful_fit.sensitivity()


def test_where_data_are_many_no_parameter_follows_its_prior(told: Sensitivity) -> None:
    assert told.sentence.startswith("No parameter is sensitive to its prior; most: ")
    assert (told.to_frame()["prior"] < 0.05).all()
    assert (told.to_frame()["likelihood"] > 0.05).all()
    assert told.scaled == ("weights", "log_tau", "means", "corr_tril")
    assert told.followed == ("sds",)


def test_what_labels_cannot_touch_comes_first(
    told: Sensitivity, faithful_fit: bg.BayesianMixture
) -> None:
    components = [row.place.component for row in told.rows]
    assert components == sorted(components)
    assert components[0] == -1
    parameters = [row.label for row in faithful_fit.summary().rows]
    assert [row.place.label for row in told.rows if row.place.component > 0] == parameters


def test_a_prior_against_the_data_is_a_conflict() -> None:
    options = {"inference": "laplace", "n_init": 4, "random_state": 0}
    priors = {"weights": 300.0}
    fit = bg.BayesianMixture(2, model="gaussian_diag", priors=priors, **options).fit("faithful")
    told = fit.sensitivity()
    frame = told.to_frame()
    assert told.sentence.endswith("the prior and the data pull apart.")
    assert frame.loc[(1, "weight"), "diagnosis"] == "the prior and the data pull apart"
    assert frame.loc[(1, "mean waiting"), "diagnosis"] == ""


def row(prior: float, diagnosis: str = "") -> Sensitive:
    return Sensitive(Place(3, "weight", "", "weights", (2,)), prior, 0.1, diagnosis)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([row(0.12, "weak"), row(0.0)], "1 of 2 parameters are sensitive to the prior; most: "),
        ([row(0.12, "weak")], "weight of component 3 (0.12): the data hardly inform it."),
        (
            [row(0.12, "conflict")],
            "weight of component 3 (0.12): the prior and the data pull apart.",
        ),
        ([row(0.04)], "No parameter is sensitive to its prior; most: weight of component 3"),
        ([], "No parameter moves"),
    ],
)
def test_the_sentence_names_the_worst_and_why(rows: list[Sensitive], sentence: str) -> None:
    assert sentence in Sensitivity(tuple(rows), ("weights",), (), np.ones(3)).sentence


def test_noise_above_the_threshold_is_told(told: Sensitivity) -> None:
    assert told.noise < 0.02
    assert "Monte-Carlo" not in str(told)
    assert "Monte-Carlo error alone reaches 0.07" in str(replace(told, noise=0.07))


def test_every_form_holds_every_parameter(told: Sensitivity) -> None:
    assert max(map(len, str(told).splitlines())) <= 80
    assert told._repr_html_().count('<th scope="row">') == len(told.rows)
    assert "nothing to be sensitive" in replace(told, rows=())._repr_html_()
    assert told.to_latex().count(r"\\") >= len(told.rows)
    assert len(told.to_dict()["parameters"]) == len(told.rows)
    assert len(replace(told, rows=()).to_frame()) == 0


def test_a_fit_that_was_loaded_needs_its_program(
    faithful_fit: bg.BayesianMixture, told: Sensitivity, tmp_path: Path
) -> None:
    path = faithful_fit.save(tmp_path / "fit.nc")
    with pytest.raises(bg.InputError, match=r"load\(path, model="):
        bg.BayesianMixture.load(path).sensitivity()
    loaded = bg.BayesianMixture.load(path, model="gaussian").sensitivity()
    assert str(loaded) == str(told)
