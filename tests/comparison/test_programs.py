"""Programs are ranked by what they predict, ties are called ties, and order plays no part."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.bayes.diagnose import NOT_CONVERGED, Flag, Verdict
from bayesgmm.bayes.loo import assembled, difference, stacking
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.programs import ProgramComparison, paired, ranked
from bayesgmm.data.errors import InputError
from tests.bayes.cases import clear_rows

STUCK = Verdict((Flag(NOT_CONVERGED, "R-hat 1.9 > 1.01", "provisional", "run longer"),))
N = 272
NOISE = np.random.default_rng(0).normal(size=N)


@pytest.fixture
def both(faithful_fit: bg.BayesianMixture) -> Both:
    return faithful_fit.both_


def named(both: Both, name: str, each: np.ndarray | float, *, stuck: bool = False) -> Both:
    """The same fit under another name, with other predictive densities of the rows."""
    pointwise = np.broadcast_to(np.asarray(each) - 4.0, N)
    loo = assembled(pointwise, np.zeros(N), np.full(N, 0.01), np.ones(N), 4000)
    posterior = replace(both.posterior, known_loo=loo)
    if stuck:
        posterior = replace(posterior, verdict=STUCK)
    return replace(both, model=name, posterior=posterior)


def compared(*fits: Both) -> ProgramComparison:
    return ProgramComparison(ranked(fits), {})


def test_the_best_prediction_is_first_and_zero(both: Both) -> None:
    found = compared(named(both, "worse", NOISE / 5), named(both, "better", 0.5))
    frame = found.to_frame()
    assert [name for name, _ in frame.index] == ["better", "worse"]
    assert frame["d_loo"].iloc[0] == 0
    assert np.isnan(frame["d_loo_se"].iloc[0])
    gap, se = difference(*(each.posterior.loo for each in found.fits), np.ones(N))
    assert frame["d_loo"].iloc[1] == pytest.approx(2 * gap)
    assert frame["d_loo_se"].iloc[1] == pytest.approx(2 * se)
    assert "Tied" not in str(found)
    assert "LOO: better, over worse" in str(found)


def test_stacking_weights_are_those_of_the_densities(both: Both) -> None:
    found = compared(named(both, "a", NOISE), named(both, "b", -NOISE), named(both, "c", -5.0))
    pointwise = np.array([each.posterior.loo.pointwise for each in found.fits])
    np.testing.assert_allclose(found.stacking_weights, stacking(pointwise, np.ones(N)))
    np.testing.assert_allclose(found.to_frame()["weight"], found.stacking_weights)
    assert found.stacking_weights.sum() == pytest.approx(1)
    assert "not probabilities of programs" in str(found)


def test_plot_shows_distances_and_stacking_weights(both: Both) -> None:
    found = compared(named(both, "a", 0.0), named(both, "b", -0.1), named(both, "c", 1, stuck=True))
    ax, frame = found.plot(), found.to_frame()
    points = [line for line in ax.lines if line.get_marker() in "Do"]
    np.testing.assert_allclose([line.get_xdata()[0] for line in points], frame["d_loo"])
    a, b = (f"{weight:.2f}" for weight in frame["weight"][:2])
    told = [label.get_text() for label in ax.get_yticklabels()]
    assert told == [f"a\nweight {a}", f"b\nweight {b}", "c"]


def test_differences_that_are_small_or_uncertain_are_ties(both: Both) -> None:
    best, uncertain = named(both, "best", 0.0), named(both, "noisy", NOISE - NOISE.mean() - 0.05)
    near, far = named(both, "near", -3.9 / N), named(both, "far", -4.1 / N)
    lines = compared(far, uncertain, near, best).sentences()
    assert "Tied: best, near and noisy; these rows do not tell them apart." in lines
    assert lines[0].startswith("LOO: best, no better than near (difference 3.9 +- 0.0 in elpd: a")


def test_identical_programs_tie_and_share_the_weight(both: Both) -> None:
    found = compared(named(both, "one", NOISE), named(both, "two", NOISE))
    assert found.sentences()[0] == (
        "LOO: one, no better than two (difference 0.0 +- 0.0 in elpd: a tie)."
    )
    assert "Tied: one and two" in str(found)
    np.testing.assert_allclose(found.stacking_weights, 0.5)


def test_the_order_in_which_programs_are_named_changes_nothing(both: Both) -> None:
    fits = [
        named(both, "a", 0.0),
        named(both, "b", NOISE / 3),
        named(both, "c", 0.0),
        named(both, "d", 1.0, stuck=True),
    ]
    told = {str(compared(*some)) for some in permutations(fits)}
    assert len(told) == 1


def test_what_did_not_converge_is_never_ranked_nor_stacked(both: Both) -> None:
    stuck = named(both, "stuck", 2.0, stuck=True)
    found = compared(stuck, named(both, "a", 0.0), named(both, "b", -1.0))
    assert [each.model for each in found.fits] == ["a", "b", "stuck"]
    assert len(found.stacking_weights) == 2
    assert np.isnan(found.to_frame()["weight"].iloc[-1])
    line = next(line for line in found.lines() if line.startswith("stuck"))
    assert "(-1088.0)" in line
    assert line.endswith("NOT CONVERGED")
    assert "*" not in line
    words = " ".join(found.sentences())
    assert "Undecided: stuck: the sampler did not converge" in words
    assert "stuck" not in words.replace("Undecided: stuck", "")
    assert 'class="undecided"' in found._repr_html_()


def test_one_or_none_that_converged_is_told(both: Both) -> None:
    stuck = [named(both, name, 0.0, stuck=True) for name in ("x", "y")]
    assert compared(*stuck).sentences()[0] == "No program converged: none is ranked."
    assert not np.isfinite(compared(*stuck).to_frame()["weight"]).any()
    alone = compared(stuck[0], named(both, "only", 0.0))
    assert alone.sentences()[0] == "Only only converged: nothing to rank it against."


def test_rows_that_cannot_be_left_out_are_told(both: Both) -> None:
    bad = named(both, "bad", 1.0)
    loo = replace(bad.posterior.loo, pareto_k=np.r_[0.9, 0.8, np.zeros(N - 2)])
    bad = replace(bad, posterior=replace(bad.posterior, known_loo=loo))
    found = compared(bad, named(both, "good", 0.0))
    assert found.to_frame()["n_bad"].tolist() == [2, 0]
    assert "! LOO of bad is unreliable for 2 rows" in " ".join(found.sentences())


def test_several_numbers_of_components_are_named(both: Both) -> None:
    ml = replace(both.ml)
    other = replace(
        named(both, "a", -1.0),
        ml=replace(
            ml,
            mixture=ml.mixture._replace(
                weights=np.ones(1), means=ml.mixture.means[:1], scale_tril=ml.mixture.scale_tril[:1]
            ),
        ),
    )
    found = compared(named(both, "a", 0.0), other)
    assert found.sentences()[0].startswith("LOO: a with k = 2, over a with k = 1")
    assert found.fit("a", 1) is other
    with pytest.raises(InputError, match="b was not compared; choose from a with k = 2, a with"):
        found.fit("b")


def test_text_frame_and_json_hold_the_same_numbers(both: Both) -> None:
    found = compared(named(both, "a", 0.0), named(both, "b", NOISE - 0.2))
    told = found.to_dict()
    assert [row["program"] for row in told["comparison"]] == ["a", "b"]
    assert told["comparison"][0]["d_loo_se"] is None
    assert told["sentences"] == found.sentences()
    for row in told["comparison"]:
        assert f"{row['d_loo']:.1f}" in str(found)
        assert f"{row['d_loo']:.1f}" in found._repr_html_()
    assert r"\begin{tabular}" in found.to_latex()


def test_no_line_is_wider_than_a_terminal(both: Both) -> None:
    names = ("gaussian_spherical", "richardson_green", "dirichlet_process")
    found = compared(*(named(both, name, -100.0 * i) for i, name in enumerate(names)))
    assert max(map(len, str(found).splitlines())) <= 80


@pytest.mark.parametrize(
    ("models", "ks", "why"),
    [
        ("gaussian", 2, "at least two programs"),
        (["gaussian"], 2, "at least two programs"),
        (["gaussian", "gaussian_tied"], [1, 2, 3], "3 numbers for 2 models"),
        (["gaussian", "gaussian_tied"], "2", "must be a whole number"),
        (["gaussian", "gausian_tied"], 2, "did you mean"),
    ],
)
def test_models_that_cannot_be_compared_are_refused(models: object, ks: object, why: str) -> None:
    with pytest.raises(InputError, match=why):
        paired(models, ks)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "why"),
    [({"criterion": "aic"}, "compared by LOO"), ({"model": "sparse"}, "beside models")],
)
def test_what_has_no_meaning_beside_models_is_refused(options: dict[str, str], why: str) -> None:
    with pytest.raises(InputError, match=why):
        bg.compare("faithful", 2, models=["gaussian", "student_t"], **options)


def test_programs_are_fitted_to_the_same_bits_in_any_order() -> None:
    def run(*models: str) -> ProgramComparison:
        options = {"inference": "laplace", "num_chains": 2, "num_draws": 300, "n_init": 4}
        return bg.compare(clear_rows(), 2, models=models, random_state=3, **options)

    one, other = (
        run("gaussian_diag", "gaussian_spherical"),
        run("gaussian_spherical", "gaussian_diag", "gaussian_diag"),
    )
    frame, frames = one.to_frame(), other.to_frame()
    for program in ("gaussian_diag", "gaussian_spherical"):
        a = frame.loc[program]["p_loo"].to_numpy()
        assert (frames.loc[program]["p_loo"].to_numpy() == a).all()
    twice = [each for each in other.fits if each.model == "gaussian_diag"]
    assert difference(*(each.posterior.loo for each in twice), np.ones(60)) == (0.0, 0.0)
    assert one.provenance["seed"] == 3
    assert "k-hat" in str(one)
