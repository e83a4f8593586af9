"""Three sentences for every kind of fit, with no number that the tables do not have."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.bayes.diagnose import AMBIGUOUS, MULTIMODAL, NOT_CONVERGED, Flag, Verdict
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.compare import Comparison
from bayesgmm.comparison.programs import ProgramComparison, ranked
from bayesgmm.comparison.report import abstract
from bayesgmm.comparison.report.groups import columns_apart, groups
from bayesgmm.comparison.report.methods import of_components as methods
from bayesgmm.comparison.summary import Summary
from bayesgmm.gaussian.mixture import Mixture

NUMBER = re.compile(r"(?<![\w.])-?(?:\d[\d,]*\.?\d*|\.\d+)(?: %)?")


@pytest.fixture(scope="module")
def comparison(make_comparison: Callable[[], Comparison]) -> Comparison:
    return make_comparison()


@pytest.fixture(scope="module")
def galaxies() -> Comparison:
    """One column, approximated."""
    options = {"inference": "laplace", "num_draws": 500, "n_init": 8, "random_state": 0}
    return bg.compare("galaxies", [1, 2, 3], **options)


def judged(comparison: Comparison, names: dict[int, str]) -> Comparison:
    """The same comparison with other verdicts."""

    def changed(each: Both) -> Both:
        name = names.get(each.n_components)
        verdict = Verdict((Flag(name, "1 > 0", "x", "y"),) if name else ())
        return replace(each, posterior=replace(each.posterior, verdict=verdict))

    return replace(comparison, fits=tuple(map(changed, comparison.fits)))


def with_posterior(comparison: Comparison, change: Callable[[Both], dict[str, Any]]) -> Comparison:
    fits = tuple(replace(each, **change(each)) for each in comparison.fits)
    return replace(comparison, fits=fits)


def as_counts(each: Both) -> dict[str, Any]:
    table = each.problem.table
    ones = replace(table, row_weights=np.ones(table.n_rows))
    return {"problem": replace(each.problem, table=ones)}


def of(comparison: Comparison) -> list[str]:
    return abstract.of_components(comparison, comparison.summary().rows)


def in_tables(found: Comparison | ProgramComparison, summary: Summary) -> set[str]:
    """All numbers of the tables, and how many rows there are."""
    shown = found.html_table() + summary.html_table()
    shown += found.html_weights() if isinstance(found, Comparison) else ""
    words = re.sub("<[^>]*>", " ", shown).replace("&nbsp;", " ").replace("*", " ")
    return {*re.findall(r"-?\d*\.?\d+", words), f"{found.table.n_rows}"}


def strangers(sentences: list[str], known: set[str]) -> list[str]:
    """Numbers of the sentences that are not known; 95 % is in every heading."""
    text = re.sub(
        r"95 % interval|(?:\d+(?:, \d+)* and )?\d+ groups?|groups? \d+( to \d+)?",
        "",
        " ".join(sentences),
    )
    return [each for each in NUMBER.findall(text) if _typed(each) not in known]


def _typed(number: str) -> str:
    """A number as the tables have it; shares are not in percent there."""
    plain = number.replace(",", "")
    if not plain.endswith(" %"):
        return plain
    digits = len(plain.partition(".")[2].removesuffix(" %")) + 2
    share = f"{float(plain.removesuffix(' %')) / 100:.{digits}f}"
    return share.removeprefix("0") if share.startswith("0.") else share


CHANGES: dict[str, Callable[[Comparison], Comparison]] = {
    "as it is": lambda it: it,
    "undecided": lambda it: judged(it, {3: NOT_CONVERGED}),
    "the best undecided": lambda it: judged(it, {2: NOT_CONVERGED}),
    "nothing converged": lambda it: judged(it, dict.fromkeys((1, 2, 3), NOT_CONVERGED)),
    "ambiguous": lambda it: judged(it, dict.fromkeys((1, 2, 3), AMBIGUOUS)),
    "one group": lambda it: replace(it, fits=it.fits[:1]),
    "many groups": lambda it: replace(it, fits=it.fits[2:]),
    "by AIC": lambda it: replace(it, criterion="aic"),
    "counts": lambda it: with_posterior(it, as_counts),
    "another likelihood": lambda it: with_posterior(it, lambda _: {"same_likelihood": False}),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("data", ["comparison", "galaxies"])
def test_three_sentences_have_no_number_that_the_tables_lack(
    data: str, name: str, request: pytest.FixtureRequest
) -> None:
    changed = CHANGES[name](request.getfixturevalue(data))
    told = of(changed)
    assert len(told) == 3
    assert all(each.endswith(".") and each[0].isupper() for each in told)
    assert not re.search(r"\bnan\b|None|  ", " ".join(told))
    assert not strangers(told, in_tables(changed, changed.summary()))


def test_a_number_that_is_nowhere_is_found(comparison: Comparison) -> None:
    known = in_tables(comparison, comparison.summary())
    assert strangers(["It holds 35.67 % of 9 rows."], known) == ["35.67 %", "9"]


def test_how_many_and_how_sure(comparison: Comparison) -> None:
    first, groups, care = of(judged(comparison, {}))
    assert first.startswith("The 272 rows of faithful are best described as 2 groups: 3 groups ")
    assert "2.0 points of BIC behind, a margin that hardly counts" in first
    assert "no other number predicts new rows clearly better" in first
    assert re.match(
        r"Group 1 holds 35\.\d % of them \(95 % interval .*around eruptions 2\.", groups
    )
    assert "; group 2 64." in groups
    assert care.startswith("Maximum likelihood and Bayes agree: no estimate moves")
    assert "3 groups of another shape (EEE) have a lower BIC" in care


def test_margins_are_told_in_words(galaxies: Comparison) -> None:
    first = of(judged(galaxies, {}))[0]
    assert "20.2 points of BIC behind, a wide margin" in first


def test_an_undecided_number_that_is_ahead_comes_before_the_chosen(comparison: Comparison) -> None:
    first, _, care = of(judged(comparison, {2: NOT_CONVERGED}))
    assert first.startswith("Of what could be computed reliably, 3 groups describe the 272 rows")
    assert "2 groups, which would be ahead by 2.0 points of BIC, could not" in first
    assert "the computation for 2 groups is not reliable, which leaves the matter open" in care


def test_several_undecided_numbers_are_told_together(comparison: Comparison) -> None:
    care = of(judged(comparison, {1: NOT_CONVERGED, 3: NOT_CONVERGED}))[2]
    assert "the computation for 1 and 3 groups is not reliable" in care


def test_nothing_is_promised_where_nothing_converged(comparison: Comparison) -> None:
    stuck = judged(comparison, dict.fromkeys((1, 2, 3), NOT_CONVERGED))
    first, told, care = of(stuck)
    assert "is not settled: no computation is reliable, and 2 groups" in first
    assert told.startswith("By maximum likelihood alone groups 1 and 2 hold 35.6 % and 64")
    assert "provisional" in care


def test_groups_that_blend_are_told_by_their_sizes_in_order(comparison: Comparison) -> None:
    _, told, care = of(judged(comparison, {2: AMBIGUOUS}))
    assert "single ones cannot be told apart; in order of size they hold 64." in told
    assert "around" not in told
    assert "groups overlap" in care


def test_groups_of_one_of_several_modes_are_not_called_the_answer(comparison: Comparison) -> None:
    told = of(judged(comparison, dict.fromkeys((1, 2, 3), MULTIMODAL)))
    assert "quite different groups" in told[2]


def test_counts_are_observations(comparison: Comparison) -> None:
    told = of(with_posterior(comparison, as_counts))
    assert told[0].startswith("The 272 observations in faithful")


def test_one_group_has_no_size(comparison: Comparison) -> None:
    first, group, _ = of(replace(comparison, fits=comparison.fits[:1]))
    assert first == (
        "The 272 rows of faithful are best described as one group, with no other number to compare "
        "it with."
    )
    assert group.startswith("The group lies around eruptions 3.4")


def test_a_group_without_a_centre_lies_nowhere(comparison: Comparison) -> None:
    one = replace(comparison, fits=comparison.fits[:1])
    rows = [replace(row, name="slope") for row in one.summary().rows]
    assert abstract.of_components(one, rows)[1] == "The group holds every row."


def test_the_background_is_none_of_many_groups(
    comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = replace(comparison.summary().rows[0], sd=0.01)
    shares = {1: 0.29, 2: 0.7, 3: 0.01}  # the last is the background's
    rows = [replace(weight, component=j, mean=mean) for j, mean in shares.items()]
    monkeypatch.setattr("bayesgmm.comparison.report.groups.MANY_GROUPS", 1)
    told = groups(comparison.fits[1], rows)
    assert told == "The 2 groups hold from 29.0 % to 70.0 % of them."


def test_programs_are_ranked_in_words(faithful_fit: bg.BayesianMixture) -> None:
    both = faithful_fit.both_
    loo = both.posterior.loo

    def named(name: str, less: float) -> Both:
        other = replace(loo, pointwise=loo.pointwise - less)
        return replace(both, model=name, posterior=replace(both.posterior, known_loo=other))

    fits = ranked([named("far", 0.1), named("best", 0.0), named("near", 0.01)])
    found = ProgramComparison(fits, both.provenance)
    summary = Summary.of(both)
    told = abstract.of_programs(found, summary.rows)
    assert told[0] == (
        "Of the programs best predicts new rows best on the 272 rows of faithful; near (ΔLOO 5.4 "
        "± 0.0) is not clearly worse and far (ΔLOO 54.4 ± 0.0) is clearly worse."
    )
    assert len(told) == 3
    assert not strangers(told, in_tables(found, summary))


def test_columns_in_which_groups_lie_apart_come_first() -> None:
    mixture = Mixture(
        np.array([0.5, 0.5]),
        np.array([[0.0, 0.0, 0.0], [0.0, 9.0, 2.0]]),
        np.broadcast_to(np.eye(3), (2, 3, 3)),
    )
    assert columns_apart(mixture, 1) == [1]
    assert columns_apart(mixture, 2) == [1, 2]


def test_families_of_one_column_have_one_letter(galaxies: Comparison) -> None:
    assert "covariance structures E and V too" in "".join(methods(galaxies))


def test_agreement_is_claimed_of_what_was_compared(comparison: Comparison) -> None:
    rows = comparison.summary().rows
    known = abstract.of_components(comparison, rows)[2]
    first = replace(rows[0], se=np.nan)
    part = abstract.of_components(comparison, [first, *rows[1:]])[2]
    assert "no estimate moves" in known
    assert "no estimate with a standard error moves" in part
