"""Calibration of both answers: intervals in the truth's order, counts that add up, one seed."""

from dataclasses import replace

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.comparison import calibration as module
from bayesgmm.comparison.calibration import calibrate
from bayesgmm.comparison.parameters import parameters
from bayesgmm.data.errors import InputError
from bayesgmm.gaussian.mixture import permute


@pytest.fixture(scope="module")
def fit():
    """Two groups far apart; approximated, which is quick."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 1)) + 8.0 * (np.arange(80) % 2)[:, None]
    return bg.BayesianMixture(2, inference="laplace", n_init=4, random_state=0).fit(X)


@pytest.fixture(scope="module")
def found(fit):
    return fit.calibrate(3, n_resamples=19)


def test_three_kinds_of_intervals_are_counted_on_the_same_data_sets(found):
    methods = ["standard error", "weighted bootstrap", "posterior"]
    assert list(dict.fromkeys(each.method for each in found.coverages)) == methods
    for each in found.coverages:
        assert 0.4 < each.share <= 1, each
        assert each.missing == 0
    assert {each.quantity for each in found.coverages} == {"weights", "means", "sds"}


def test_every_criterion_chooses_among_the_same_k(found):
    assert list(found.recovered) == ["aic", "bic", "icl", "loo"]
    for shares in found.recovered.values():
        assert list(shares) == [1, 2, 3, 4]
        assert sum(shares.values()) == pytest.approx(1)
    assert found.recovered["loo"][1] == 0
    assert all(0 <= count <= 3 for count in found.undecided.values())


def test_the_text_says_how_far_to_trust(found):
    text = str(found)
    assert "At 80 rows 95 % intervals cover: standard error" in text
    assert "one fixed value" in text
    assert " LOO " in text
    assert max(map(len, text.splitlines())) <= 80
    assert found.to_dict()["undecided"].keys() == {"1", "2", "3", "4"}


def test_the_same_seed_gives_the_same_answer(fit, found):
    assert fit.calibrate(3, n_resamples=19).to_dict() == found.to_dict()


def test_maximum_likelihood_is_calibrated_as_it_is_alone(fit, found):
    alone = bg.GaussianMixture(2, n_init=4, random_state=0).fit(fit.both_.problem.X)
    expected = alone.calibrate(3, n_resamples=0, random_state=0)
    assert {name: found.recovered[name] for name in expected.recovered} == expected.recovered


def test_intervals_come_in_the_order_of_the_truth(faithful_fit):
    both = faithful_fit.both_
    truth = both.ml.mixture
    low, high = module._ends(both, truth)
    for end, swapped in zip(
        (low, high), module._ends(both, permute(truth, np.array([1, 0]))), strict=True
    ):
        for part, other in zip(end, swapped, strict=True):
            np.testing.assert_array_equal(part[::-1], other)
    shown = [each for each in parameters(both) if each.name == "weight"]
    np.testing.assert_allclose(low.weights, [each.low for each in shown])
    np.testing.assert_allclose(high.weights, [each.high for each in shown])


def test_a_truth_that_the_program_does_not_have_is_remarked(fit):
    other = replace(fit.both_, same_likelihood=False)
    assert any("may be narrower" in told for told in module._remarks(other, {2: 0}, 6))


def test_undecided_posteriors_are_told_of(fit):
    told = list(module._remarks(fit.both_, {1: 0, 2: 1, 3: 4}, 6))
    assert "k = 2 in 1 and k = 3 in 4 of 6" in told[-1]
    assert len(list(module._remarks(fit.both_, {1: 0}, 6))) == 1


def test_what_cannot_be_calibrated_is_refused(fit):
    both, rng = fit.both_, np.random.default_rng(0)
    structure = replace(both.posterior.structure, gaussian=False)
    other = replace(both, posterior=replace(both.posterior, structure=structure))
    with pytest.raises(InputError, match="no true value there"):
        calibrate(other, rng)
    loaded = replace(both, posterior=replace(both.posterior, target=None, data=None))
    with pytest.raises(InputError, match="loaded without its program"):
        calibrate(loaded, rng)
    with pytest.raises(InputError, match="n_simulations=1"):
        fit.calibrate(1)
