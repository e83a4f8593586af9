"""The report: whole, self-contained, safe, and the same for the same comparison."""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm import plots
from bayesgmm.bayes.diagnose import AMBIGUOUS, NOT_CONVERGED, Flag, Verdict
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.compare import Comparison
from bayesgmm.comparison.programs import ProgramComparison
from bayesgmm.comparison.report import pictures
from bayesgmm.comparison.report.document import answer, render
from bayesgmm.comparison.report.picture import picture
from bayesgmm.comparison.report.pictures import of_fit
from bayesgmm.comparison.report.posterior_pictures import of_estimates
from bayesgmm.data.errors import InputError
from bayesgmm.plots.style import luminance
from tests.comparison.report.pages import Page, flaws

STUCK = Flag(NOT_CONVERGED, "R-hat 1.9 > 1.01", "it is provisional", "use --max-draws 9000")
EVIL = "<script>alert('x & y')</script>"


@pytest.fixture(scope="module")
def comparison(make_comparison: Callable[[], Comparison]) -> Comparison:
    return make_comparison()


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without the figures of the fit, for tests that look at words."""
    monkeypatch.setattr(pictures, "of_fit", lambda _: [])


@pytest.fixture(scope="module")
def programs(faithful_fit: bg.BayesianMixture) -> ProgramComparison:
    """Three programs, two of which converged."""
    return of_programs(faithful_fit.both_)


@pytest.fixture(scope="module")
def text(comparison: Comparison) -> str:
    return render(comparison)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


@pytest.fixture(scope="module", params=["components", "programs"])
def either(request: pytest.FixtureRequest, text: str, programs: ProgramComparison) -> str:
    """The report of each kind."""
    return text if request.param == "components" else render(programs)


def of_programs(both: Both) -> ProgramComparison:
    """Programs that predict alike, of which one did not converge."""
    loo = both.posterior.loo
    worse = replace(both.posterior, known_loo=replace(loo, pointwise=loo.pointwise - 0.02))
    stuck = replace(worse, verdict=Verdict((STUCK,)))
    fits = (
        both,
        replace(both, model="worse", posterior=worse),
        replace(both, model="stuck", posterior=stuck),
    )
    models = [(each.model, each.model_sha256, 2) for each in fits]
    return ProgramComparison(fits, {**both.provenance, "models": models})


def renamed(comparison: Comparison, name: str) -> Comparison:
    """The same comparison of data whose name and first column are called `name`."""
    columns = (name, *comparison.table.columns[1:])
    table = replace(comparison.table, name=name, source=name, columns=columns)
    told = {**comparison.provenance, "data": name, "source": name, "columns": list(columns)}
    fits = tuple(
        replace(each, problem=replace(each.problem, table=table)) for each in comparison.fits
    )
    return replace(comparison, fits=fits, provenance=told)


def flagged(comparison: Comparison, k: int, *flags: Flag) -> Comparison:
    """The same comparison with these flags raised for k."""

    def with_flags(each: Any) -> Any:
        if each.n_components != k:
            return each
        return replace(each, posterior=replace(each.posterior, verdict=Verdict(flags)))

    return replace(comparison, fits=tuple(with_flags(each) for each in comparison.fits))


def test_tags_are_balanced(either: str) -> None:
    page = Page(either)
    assert not page.wrong
    assert not page.open


def test_ids_are_unique_and_links_lead_somewhere(either: str) -> None:
    page = Page(either)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in page.all("a"):
        assert link["href"].removeprefix("#") in ids


def test_nothing_is_loaded_from_elsewhere(either: str) -> None:
    page = Page(either)
    assert page.all("script") == [{}]
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        for name in ("src", "href", "xlink:href", "action", "srcset", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png;base64,"))
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(r"@import|url\((?!#)", either)


def test_the_policy_admits_the_script_by_its_hash(either: str) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", either, re.DOTALL)
    own = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', either)
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{own}'" in policy


def test_the_file_is_small(either: str) -> None:
    assert len(either.encode()) < 3e6


def test_readers_who_do_not_see_are_not_kept_out(either: str) -> None:
    assert not list(flaws(either))


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ('lang="en"', ""),
        ('scope="col"', ""),
        ("<caption><span>", "<caption><span><!-- -->"),
        ('role="img"', ""),
        ('aria-label="Table: parameters"', ""),
        ("<h2 id", "<h3 id"),
        ("<h2 id", "<h1 id"),
        ('tabindex="0"', 'tabindex="1"'),
        (">Verdicts</a>", ">V</a>"),
    ],
)
def test_what_would_keep_them_out_is_found(text: str, good: str, bad: str) -> None:
    assert good in text
    assert list(flaws(text.replace(good, bad, 1)))


def test_every_figure_has_a_caption(either: str) -> None:
    page = Page(either)
    images = len(page.all("img")) + either.count('role="img"')
    assert len(page.all("figure")) == len(page.all("figcaption")) == images


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_contrasts_with_its_background(text: str, scheme: int) -> None:
    """WCAG 2, level AA."""
    declared = re.findall(r":root \{(.*?)\}", text, flags=re.DOTALL)[scheme]
    colour = dict(re.findall(r"--([\w-]+): (#\w{6});", declared))
    pairs = [(ink, "paper") for ink in ("ink", "soft", "accent", "grey", "warn")]
    pairs += [("ink", "tint"), ("accent", "tint"), ("ink", "code"), ("warn", "warn-paper")]
    for ink, paper in pairs:
        low, high = sorted(luminance(colour[name]) for name in (ink, paper))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, paper)


def test_figures_of_many_rows_are_pixels() -> None:
    with plots.outside_pyplot():
        rows = np.random.default_rng(0).normal(size=(20_000, 2))
        axes = plots.loo_by_row(rows[:, 0], np.zeros(20_000), 0.7)
        few, many = plots.loo_by_row(rows[:9, 0], np.zeros(9), 0.7), axes
        shown = [picture(each, "loo", "what it shows", "caption") for each in (few, many)]
    assert str(shown[0].image).startswith("<svg")
    assert max(len(each.image) for each in shown) < 400_000


def test_no_figure_compares_components_where_there_is_one(comparison: Comparison) -> None:
    groups = dict(of_fit(comparison.fits[0]))
    captions = [each.caption for group in groups.values() for each in group]
    assert len(captions) > 2
    assert "Which rows belong together" not in groups
    assert not any("Weights of the components" in each for each in captions)


def test_relabelling_is_shown_where_labels_switched(comparison: Comparison) -> None:
    chosen = comparison.fits[1]
    order = np.array(chosen.posterior.order)
    for kept in (True, False):
        order[:, ::4] = np.arange(2) if kept else np.arange(2)[::-1]
        order[:, 1::4] = order[:, 2::4] = order[:, 3::4] = np.arange(2)
        posterior = replace(
            chosen.posterior, crossed=chosen.posterior.crossed._replace(order=order)
        )
        captions = [each.caption for each in of_estimates(replace(chosen, posterior=posterior))]
        assert any("in 25 % of draws the sampler" in each for each in captions) != kept


def test_every_k_has_its_row_in_the_tables_of_all_k(comparison: Comparison, text: str) -> None:
    for each in comparison.fits:
        rows = re.findall(rf'<th scope="row"[^>]*>\(?{each.n_components}\)?</th>', text)
        found = max(1, len(each.posterior.verdict.flags))
        assert len(rows) == 6 + found  # comparison, weights, four of diagnostics; and verdicts


def test_the_chosen_row_is_marked(comparison: Comparison, text: str) -> None:
    k = comparison.chosen_.n_components
    assert re.search(rf'<tr class="chosen" aria-current="true"><th scope="row">{k}</th>', text)


def test_everything_to_repeat_it_is_there(comparison: Comparison, page: Page) -> None:
    told = comparison.provenance
    for wanted in (told["data_sha256"], told["model_sha256"], told["date"]):
        assert wanted in page.words
    assert "bayesgmm compare faithful -k 1:3 --draws 500 --seed 0" in page.words
    assert "bayesgmm.compare('faithful', range(1, 4), num_draws=500, random_state=0)" in page.words
    for name, version in told["versions"].items():
        assert f"{name} {version}" in page.words
    assert "def model(" in page.words


def test_the_sentences_and_numbers_of_the_terminal_are_there(
    comparison: Comparison, page: Page
) -> None:
    assert comparison.sentences()[0] in page.words.replace("\N{NO-BREAK SPACE}", " ")
    for row in comparison.rows():
        for value in (row.d_bic, row.d_icl, row.p_loo):
            assert f"{value:.1f}" in page.words
    for parameter in comparison.summary().rows:
        assert parameter.label in page.words


def test_no_number_is_missing_without_a_dash(page: Page) -> None:
    before_program, _, _ = page.words.partition("The program gaussian")
    assert not re.search(r"\b(nan|inf|None)\b", before_program)


@pytest.mark.usefixtures("undrawn")
def test_names_are_escaped(comparison: Comparison) -> None:
    page = Page(render(renamed(comparison, EVIL)))
    assert len(page.all("script")) == 1
    assert not page.wrong
    assert page.words.count(EVIL) > 5


def test_the_same_comparison_gives_the_same_bytes(comparison: Comparison, text: str) -> None:
    assert render(comparison) == text


@pytest.mark.usefixtures("undrawn")
def test_another_date_changes_nothing_else(comparison: Comparison) -> None:
    date = "1894-01-01 00:00 UTC"
    other = replace(comparison, provenance={**comparison.provenance, "date": date})
    assert render(other).replace(date, comparison.provenance["date"]) == render(comparison)


@pytest.mark.usefixtures("undrawn")
def test_what_did_not_converge_is_told_in_words(comparison: Comparison) -> None:
    text = render(flagged(comparison, 2, STUCK))
    assert re.search(r'<tr class="undecided[^"]*"><th scope="row"[^>]*>\(2\)</th>', text)
    words = Page(text).words.replace("\N{NO-BREAK SPACE}", " ")
    for part in ("R-hat 1.9 > 1.01", "it is provisional", "use --max-draws 9000"):
        assert part in words
    assert "The fit of k = 2" in words or "The fits of k = 2" in words


@pytest.mark.usefixtures("undrawn")
def test_flags_of_the_chosen_fit_are_told_once_before_its_table(comparison: Comparison) -> None:
    for k in (1, 3):
        comparison = flagged(comparison, k, Flag(NOT_CONVERGED, "ESS 1 < 400", "x", "y"))
    flag = Flag(AMBIGUOUS, "7 % of draws", "components overlap in this way", "read with care")
    words = Page(render(flagged(comparison, 2, flag))).words
    assert words.count("components overlap in this way") == 2  # there, and among all verdicts


def test_other_programs_have_no_posterior_ellipses(comparison: Comparison) -> None:
    found = [each.posterior for each in comparison.fits]
    other = [
        replace(each, crossed=each.crossed._replace(mixture=None), peak=None) for each in found
    ]
    fits = tuple(
        replace(each, same_likelihood=False, posterior=posterior)
        for each, posterior in zip(comparison.fits, other, strict=True)
    )
    words = Page(render(replace(comparison, fits=fits))).words
    assert "components are not normal and are not drawn" in words
    assert "thin ones are draws" not in words
    assert "another likelihood" in words


def test_one_weighted_column_in_memory_by_variational_inference(tmp_path: Path) -> None:
    """All that the other tests lack, in one fit of one component."""
    column, counts = np.arange(12.0)[:, None], np.array([1, 2, 4, 7, 9, 9, 8, 6, 4, 2, 1, 1])
    found = bg.compare(
        column, 1, sample_weight=counts, inference="vi", num_draws=100, random_state=1
    )
    page = Page(found.report(tmp_path / "vi.html").read_text(encoding="utf-8"))
    assert not page.wrong
    words = page.words.replace("\N{NO-BREAK SPACE}", " ")
    assert "Kucukelbir" in words
    assert "Hoffman" not in words
    assert "12 rows of total weight 54" in words
    assert "On the command line" not in words
    assert "bayesgmm.compare(X, [1], columns=['x1'], sample_weight=..., inference='vi'" in words


def test_only_what_is_cited_is_listed(page: Page) -> None:
    assert "Stephens, M. (2000)" in page.words
    assert "Hoffman, M. D." in page.words
    assert "Kucukelbir" not in page.words  # variational inference was not used
    assert "Fraley" not in page.words


def test_commands_follow_their_sentence() -> None:
    lines = ["Chosen: k = 2.", "! Careful.", "  next: bayesgmm compare x", "The end."]
    told = answer(lines)
    assert [sentence.warning for sentence in told] == [False, True, False]
    assert told[1].text == "Careful."
    assert told[1].commands == ("bayesgmm compare x",)


@pytest.mark.usefixtures("undrawn")
def test_writing_returns_the_path_and_leaves_one_file(
    comparison: Comparison, tmp_path: Path
) -> None:
    path = comparison.report(tmp_path / "report.html")
    assert path.read_text(encoding="utf-8") == render(comparison)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["missing/report.html", "."])
def test_a_path_that_cannot_be_written_is_refused(
    comparison: Comparison, tmp_path: Path, name: str
) -> None:
    with pytest.raises(InputError, match=r"missing|folder"):
        comparison.report(tmp_path / name)
    assert not list(tmp_path.iterdir())
