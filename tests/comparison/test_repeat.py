"""The line that repeats a comparison: it parses, and says what was done."""

import shlex
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bayesgmm.cli.parser import parse
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.compare import Comparison
from bayesgmm.comparison.programs import ProgramComparison
from bayesgmm.comparison.repeat import (
    command_line,
    programs_command_line,
    programs_python_call,
    python_call,
)


@pytest.fixture(scope="module")
def comparison(make_comparison: Callable[[], Comparison]) -> Comparison:
    return make_comparison()


def told(comparison: Comparison, seed: int | None = 7, **options: Any) -> Comparison:
    """The same comparison, had it been made with these options."""
    return replace(
        comparison, provenance={**comparison.provenance, "seed": seed} | {"options": options}
    )


def with_table(comparison: Comparison, **changes: Any) -> Comparison:
    """The same comparison of data that came from elsewhere."""
    fits = tuple(
        replace(each, problem=replace(each.problem, table=replace(each.problem.table, **changes)))
        for each in comparison.fits
    )
    return replace(comparison, fits=fits)


def parsed(line: str | None) -> Any:
    assert line is not None
    program, *arguments = shlex.split(line)
    assert program == "bayesgmm"
    return parse(arguments)


def test_the_command_says_every_option_that_is_not_the_default(comparison: Comparison) -> None:
    options = parsed(
        command_line(
            told(
                comparison,
                criterion="icl",
                inference="vi",
                num_chains=2,
                num_warmup=300,
                num_draws=200,
                max_draws=900,
                n_init=9,
                priors={"weights": 2.0, "location": [1.0, 2.0]},
            )
        )
    )
    assert (options.data, options.k, options.seed) == ("faithful", "1:3", 7)
    assert (options.criterion, options.inference) == ("icl", "vi")
    assert (options.chains, options.warmup, options.draws, options.max_draws) == (2, 300, 200, 900)
    assert options.starts == 9
    assert options.prior == ["weights=2.0", "location=1.0,2.0"]


def of_programs(comparison: Comparison, *asked: tuple[str, int]) -> ProgramComparison:
    """Programs that were asked for in this order; they are ranked in another."""

    def named(name: str, k: int) -> Both:
        both = comparison.fit(k)
        return replace(both, model=name, posterior=replace(both.posterior, target=None))

    fits = tuple(named(name, k) for name, k in reversed(asked))
    provenance = {**comparison.provenance, "seed": 7, "options": {"num_draws": 200}}
    models = [(name, "sha256", k) for name, k in asked]
    return ProgramComparison(fits, provenance | {"models": models})


def test_programs_are_told_in_the_order_in_which_they_were_asked_for(
    comparison: Comparison,
) -> None:
    found = of_programs(comparison, ("gaussian_tied", 3), ("gaussian", 2))
    options = parsed(programs_command_line(found))
    assert options.models == ["gaussian_tied", "gaussian"]
    assert (options.k, options.draws, options.seed) == ("3,2", 200, 7)
    assert programs_python_call(found) == (
        "import bayesgmm\nbayesgmm.compare('faithful', [3, 2], "
        "models=['gaussian_tied', 'gaussian'], num_draws=200, random_state=7)"
    )
    alike = of_programs(comparison, ("gaussian", 2), ("student_t", 2))
    assert parsed(programs_command_line(alike)).k == "2"
    assert programs_command_line(of_programs(comparison, ("mine", 2), ("gaussian", 2))) is None


def test_defaults_are_left_out(comparison: Comparison) -> None:
    made = told(comparison, criterion="bic", num_chains=4, num_draws=1000)
    assert command_line(made) == "bayesgmm compare faithful -k 1:3 --seed 7"
    call = "import bayesgmm\nbayesgmm.compare('faithful', range(1, 4), random_state=7)"
    assert python_call(made) == call


def test_a_file_is_told_with_its_columns(comparison: Comparison) -> None:
    made = with_table(told(comparison), name="my", source="my data.csv", columns=("a b", "c"))
    options = parsed(command_line(made))
    assert (options.data, options.columns) == ("my data.csv", "a b,c")
    assert "columns=['a b', 'c']" in python_call(made)


def test_data_in_memory_have_no_command(comparison: Comparison) -> None:
    made = with_table(told(comparison), name="data", source="in memory")
    assert command_line(made) is None
    assert "bayesgmm.compare(X, " in python_call(made)


def test_a_part_of_a_data_set_is_not_called_by_its_name(comparison: Comparison) -> None:
    table = comparison.table
    assert command_line(with_table(told(comparison), X=table.X[:100])) is None


def test_without_a_seed_there_is_no_command(comparison: Comparison) -> None:
    assert command_line(told(comparison, seed=None)) is None
    assert "random_state=rng" in python_call(told(comparison, seed=None))
