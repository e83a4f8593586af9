"""The methods section: what was done, and every citation with its reference."""

import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from string import Formatter

import numpy as np
import pytest

from bayesgmm.bayes.loo import MATCHED, PSIS
from bayesgmm.bayes.program import load_model, model_names
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.compare import Comparison
from bayesgmm.comparison.report.methods import of_components as methods
from bayesgmm.comparison.report.methods import spans
from bayesgmm.comparison.report.priors import PRIORS, priors
from bayesgmm.comparison.report.references import REFERENCES, references

CITATION = re.compile(r"[A-Z][a-z]+(?:, [A-Z][a-z]+)*(?: and [A-Z][a-z]+| et al\.)? (?:19|20)\d\d")


@pytest.fixture(scope="module")
def comparison(make_comparison: Callable[[], Comparison]) -> Comparison:
    return make_comparison()


def written_by_a_user(both: Both) -> Both:
    """The same fit, had its program come from a user's file."""
    assert both.posterior.target is not None
    program = replace(both.posterior.target.program, path="mine.py")
    target = replace(both.posterior.target, program=program)
    return replace(both, posterior=replace(both.posterior, target=target))


def test_every_citation_has_its_reference(comparison: Comparison) -> None:
    phrases = [phrase for each in PRIORS.values() for phrase in each]
    cited = CITATION.findall("\n".join([*methods(comparison), *phrases]))
    assert len(cited) > 15
    for key in cited:
        assert any(key in known or known in key for known in REFERENCES), key


def test_references_agree_with_their_keys_and_are_sorted() -> None:
    for key, reference in REFERENCES.items():
        assert f"({key[-4:]})" in reference
        assert reference.startswith(re.split(r",| and | et al", key)[0].split()[0])
    assert list(REFERENCES) == sorted(REFERENCES, key=lambda key: key.replace(",", ""))


def test_only_cited_references_are_listed() -> None:
    assert [each[:6] for each in references(["as in (Schwarz 1978)"])] == ["Schwar"]
    assert references([]) == []


@pytest.mark.parametrize("name", sorted(PRIORS))
def test_the_priors_in_words_name_every_keyword_of_the_program(name: str) -> None:
    fields = {field for phrase in PRIORS[name] for _, field, _, _ in Formatter().parse(phrase)}
    parameters = inspect.signature(load_model(name).model).parameters.values()
    keywords = {each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}
    assert keywords - {"sd", "covariance"} <= fields  # of the data: parts of other keywords
    assert fields - {None, "what"} <= keywords


def test_every_program_of_the_library_has_its_priors_in_words() -> None:
    assert set(model_names()) == set(PRIORS)


def test_one_column_has_no_correlations_but_every_other_prior(comparison: Comparison) -> None:
    both = comparison.fits[0]
    assert both.posterior.target is not None
    target = replace(both.posterior.target, program=load_model("student_t"))
    table = replace(both.problem.table, columns=("waiting",))
    of_one_column = replace(
        both,
        model="student_t",
        problem=replace(both.problem, table=table),
        posterior=replace(both.posterior, target=target),
    )
    told = priors(of_one_column, {})
    assert "degrees of freedom, gamma" in told
    assert "LKJ" not in told


def test_priors_that_were_given_are_told(comparison: Comparison) -> None:
    assert "concentration 1;" in methods(comparison)[1]
    given = {**comparison.provenance, "options": {"priors": {"weights": 2.5}}}
    assert "concentration 2.5;" in methods(replace(comparison, provenance=given))[1]


def test_a_program_of_the_user_keeps_its_priors_to_itself(comparison: Comparison) -> None:
    fits = tuple(written_by_a_user(each) for each in comparison.fits)
    assert "those of its file." in methods(replace(comparison, fits=fits))[1]


@pytest.mark.parametrize(
    ("ks", "words"), [([1], "1"), ([1, 2], "1 and 2"), ([1, 2, 3], "1 to 3"), ([1, 3], "1 and 3")]
)
def test_spans(ks: list[int], words: str) -> None:
    assert spans(ks) == words


def test_rows_that_were_left_out_by_moved_draws_are_told(comparison: Comparison) -> None:
    assert "Paananen" not in "\n".join(methods(comparison))
    posterior = comparison.fits[0].posterior
    how = np.array([MATCHED, MATCHED, *[PSIS] * 270])
    moved = replace(posterior, known_loo=replace(posterior.loo, how=how))
    fits = (replace(comparison.fits[0], posterior=moved), *comparison.fits[1:])
    told = methods(replace(comparison, fits=fits))
    assert "For 2 rows (over all fits) whose Pareto k-hat was too high" in "\n".join(told)
    assert any(each.startswith("Paananen") for each in references(told))
