"""Choices of a fit: bad ones are refused in a line that names them, good ones say when to look."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesgmm.bayes import adaptation
from bayesgmm.bayes.settings import EARLY_LOOK, INFERENCES, LEAST_DRAWS, Settings
from bayesgmm.bayes.vi import GUIDES
from bayesgmm.data.errors import InputError

BAD = {
    "inference": ("nut", ["inference='nut'", "did you mean 'nuts'?", *INFERENCES]),
    "guide": ("full", ["guide='full'", *GUIDES]),
    "num_chains": (1, ["num_chains=1", "at least 2"]),
    "num_draws": (LEAST_DRAWS - 1, [f"num_draws={LEAST_DRAWS - 1}", f"at least {LEAST_DRAWS}"]),
    "num_warmup": (49, ["num_warmup=49", "at least 50"]),
    "max_draws": (999, ["max_draws=999", "num_draws=1000"]),
}


@pytest.mark.parametrize("argument", BAD)
def test_a_bad_choice_is_refused_in_one_line_that_names_it(argument):
    value, parts = BAD[argument]
    with pytest.raises(InputError) as caught:
        Settings(**{argument: value})
    message = str(caught.value)
    assert "\n" not in message
    assert [part for part in parts if part not in message] == [], message


@pytest.mark.parametrize("argument", ["num_chains", "num_draws", "num_warmup", "max_draws"])
@pytest.mark.parametrize("value", [0, -1])
def test_no_number_may_be_nothing_or_less(argument, value):
    with pytest.raises(InputError, match=f"{argument}={value} must be at least"):
        Settings(**{argument: value})


@pytest.mark.parametrize("inference", INFERENCES)
@pytest.mark.parametrize("guide", GUIDES)
def test_every_choice_that_is_offered_is_taken(inference, guide):
    chosen = Settings(inference, 2, 50, LEAST_DRAWS, LEAST_DRAWS, guide)
    assert (chosen.inference, chosen.guide) == (inference, guide)


@given(
    num_draws=st.integers(LEAST_DRAWS, 5000),
    more=st.none() | st.integers(0, 20000),
    look_early=st.booleans(),
)
def test_looks_grow_to_the_budget_and_come_before_it_only_where_asked(num_draws, more, look_early):
    budget = None if more is None else num_draws + more
    chosen = Settings(num_draws=num_draws, max_draws=budget, look_early=look_early)
    looks = chosen.looks
    assert looks == sorted(set(looks))
    assert looks[-1] == (budget or 4 * num_draws)
    assert num_draws in looks
    early = [look for look in looks if look < num_draws]
    assert early == ([EARLY_LOOK] if look_early and num_draws > EARLY_LOOK else [])
    steps = [after - before for before, after in pairwise(looks)]
    assert max(steps, default=0) <= num_draws


def test_the_kernel_has_the_users_warm_up_and_shallower_trees_where_the_look_is_early():
    assert Settings(num_warmup=123).kernel == adaptation.Settings(num_warmup=123)
    patient, early = Settings().kernel, Settings(look_early=True).kernel
    assert patient == adaptation.Settings()
    assert early.max_tree_depth < patient.max_tree_depth
    assert early._replace(max_tree_depth=patient.max_tree_depth) == patient
