"""The comparison: one scale, honest about what is undecided."""

from collections.abc import Callable
from dataclasses import replace
from threading import Event

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.bayes.diagnose import INTERRUPTED, NOT_CONVERGED, Flag, Verdict
from bayesgmm.comparison import verdicts
from bayesgmm.comparison.compare import Comparison
from bayesgmm.ml.selection import Cell


@pytest.fixture(scope="module")
def comparison(make_comparison: Callable[[], Comparison]) -> Comparison:
    return make_comparison()


def test_one_component_is_always_there(comparison: Comparison) -> None:
    assert [each.n_components for each in comparison.fits] == [1, 2, 3]


def test_the_best_of_every_criterion_is_zero(comparison: Comparison) -> None:
    frame = comparison.to_frame()
    for name in ("d_aic", "d_bic", "d_icl"):
        assert frame[name].min() == 0
    assert frame["d_loo"][frame["usable"]].min() == 0


def test_distances_are_differences_of_criteria(comparison: Comparison) -> None:
    frame = comparison.to_frame()
    bic = np.array([each.ml.bic for each in comparison.fits])
    np.testing.assert_allclose(frame["d_bic"], bic - bic.min())
    elpd = np.array([each.posterior.loo.elpd for each in comparison.fits])
    np.testing.assert_allclose(np.diff(frame["d_loo"]), -2 * np.diff(elpd), atol=1e-8)


def test_known_values_of_faithful(comparison: Comparison) -> None:
    """BIC from converged maximum likelihood; elpd of k = 1 and 2 by PSIS-LOO."""
    one, two, _ = comparison.fits
    assert one.ml.bic == pytest.approx(2607.623, abs=1e-3)
    assert two.ml.bic == pytest.approx(2322.192, abs=1e-3)
    assert one.posterior.loo.elpd == pytest.approx(-1294.4, abs=0.5)
    assert two.posterior.loo.elpd == pytest.approx(-1141.7, abs=0.7)
    assert comparison.chosen_ is two


def test_what_did_not_converge_is_never_ranked(comparison: Comparison) -> None:
    flag = Flag(NOT_CONVERGED, "R-hat 1.9 > 1.01", "provisional", "run longer")
    stuck = replace(comparison.fits[1].posterior, verdict=Verdict((flag,)))
    fits = (comparison.fits[0], replace(comparison.fits[1], posterior=stuck), comparison.fits[2])
    other = replace(comparison, fits=fits)
    assert other.chosen_.n_components != 2
    line = next(line for line in other.lines() if line.startswith("2 "))
    assert "NOT CONVERGED" in line
    assert "(" in line.split("|")[1]
    assert "*" not in line.split("|")[1]
    assert any("Undecided: k = 2" in sentence for sentence in other.sentences())


def test_weights_of_each_k_sum_to_one(comparison: Comparison) -> None:
    for each in comparison.to_dict()["weights"]:
        assert sum(each["ml"]) == pytest.approx(1)
        assert sum(each["mean"]) == pytest.approx(1)
        assert each["ml"] == sorted(each["ml"], reverse=True)


def test_text_fits_80_columns(comparison: Comparison) -> None:
    for line in [*comparison.header(), *comparison.lines(), *comparison.weight_lines()]:
        assert len(line) <= 80


def test_text_html_and_frame_hold_the_same_numbers(comparison: Comparison) -> None:
    text, page = str(comparison), comparison._repr_html_()
    for row in comparison.rows():
        for value in (row.d_aic, row.d_bic, row.d_icl):
            assert f"{value:.1f}" in text
            assert f"{value:.1f}" in page


def test_the_frugal_family_is_pointed_at(comparison: Comparison) -> None:
    said = "\n".join(comparison.sentences())
    assert "prefers EEE,3 (2314.3) to VVV,2 (2322.2)" in said
    assert "--model gaussian_tied" in said


def test_asking_for_another_k_is_refused(comparison: Comparison) -> None:
    with pytest.raises(bg.InputError, match="was not compared; choose from 1, 2, 3"):
        comparison.fit(7)


def test_weights_that_are_not_counts_are_refused() -> None:
    with pytest.raises(bg.InputError, match="counts"):
        bg.compare([[0.0], [1.0], [2.0]], [1], sample_weight=[0.5, 1, 1])


# --- interrupted ---------------------------------------------------------------------------------


def cut_off(what: str, after: int, wait_for: str = "") -> Comparison:
    """The same comparison, interrupted once so much of that is done, and something else begun."""
    begun, interrupted = Event(), Event()

    def progress(present: str, done: int, total: int, note: str = "") -> None:
        if present == wait_for:
            begun.set()
        if present == what and done >= after:
            assert not wait_for or begun.wait(120)
            interrupted.set()
        if interrupted.is_set():
            raise KeyboardInterrupt

    return bg.compare("faithful", [2, 3], num_draws=500, random_state=0, progress=progress)


@pytest.mark.parametrize(
    ("what", "after", "wait_for"),
    [("k = 3: warming up", 40, ""), ("covariance families", 0, "k = 3: warming up")],
)
def test_an_interrupt_keeps_the_numbers_of_components_that_are_done(
    comparison: Comparison, what: str, after: int, wait_for: str
) -> None:
    found = cut_off(what, after, wait_for)
    assert found.interrupted
    assert not comparison.interrupted
    assert [each.n_components for each in found.fits] == [1, 2]
    for one, other in zip(found.fits, comparison.fits, strict=False):
        np.testing.assert_array_equal(one.posterior.draws.z, other.posterior.draws.z)
        assert one.ml.bic == other.ml.bic
        assert not one.posterior.partial
    assert found.chosen_.n_components == 2
    told = [sentence for sentence in found.sentences() if "Interrupted" in sentence]
    assert len(told) == 1
    assert "k = 3 not fitted" in told[0]
    assert "Interrupted" in str(found)
    assert [row["k"] for row in found.to_dict()["comparison"]] == [1, 2]


def test_an_interrupt_while_the_last_k_is_sampled_keeps_its_draws_until_then(
    comparison: Comparison,
) -> None:
    found = cut_off("k = 3: sampling", 4 * 250)
    assert found.interrupted
    assert [each.n_components for each in found.fits] == [1, 2, 3]
    partial = [each.posterior.partial for each in found.fits]
    assert partial == [False, False, True]
    last, whole = found.fits[2].posterior.draws.z, comparison.fits[2].posterior.draws.z
    np.testing.assert_array_equal(last, whole[:, : last.shape[1]])
    assert found.fits[2].posterior.verdict.name == INTERRUPTED
    assert any("Interrupted" in sentence for sentence in found.sentences())


def test_an_interrupt_before_there_is_anything_to_compare_ends_it() -> None:
    with pytest.raises(KeyboardInterrupt):
        cut_off("k = 2: warming up", 0)


def test_plot_draws_every_criterion(comparison: Comparison) -> None:
    labels = {text.get_text() for text in comparison.plot().texts}
    assert {"AIC", "BIC", "ICL", "LOO"} <= {label.strip() for label in labels}


@pytest.mark.parametrize(
    ("family_name", "action", "option"),
    [("EEE", "compare", " --model gaussian_tied"), ("VEV", "select", "")],
)
def test_the_next_command_has_the_better_familys_program_or_shows_the_grid(
    comparison: Comparison, family_name: str, action: str, option: str
) -> None:
    told = verdicts._other_family(comparison, Cell(family_name, 3, None))
    assert told.startswith(f"bayesgmm {action} ")
    assert told.endswith(f" -k 1:3{option}")


@pytest.mark.parametrize(
    ("gap", "words"), [(12.0, "predicts worse."), (40.0, "predicts far worse.")]
)
def test_far_worse_is_never_what_is_weakly_better(
    comparison: Comparison, gap: float, words: str
) -> None:
    fits = list(comparison.fits[:2])
    n = len(fits[0].problem.X)
    noise = np.random.default_rng(0).normal(size=n)
    noise *= 5 / np.sqrt(np.square(noise - noise.mean()).sum())  # the standard error
    for j, pointwise in enumerate([np.zeros(n), noise - noise.mean() + gap / n]):
        loo = replace(fits[j].posterior.loo, pointwise=pointwise, elpd=float(pointwise.sum()))
        fits[j] = replace(fits[j], posterior=replace(fits[j].posterior, known_loo=loo))
    (told,) = verdicts._lower_bound(replace(comparison, fits=tuple(fits)))
    assert told == f"At least 2: k = 1 {words}"
