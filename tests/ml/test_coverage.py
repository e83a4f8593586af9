"""Coverage: arithmetic on intervals that are made up."""

import numpy as np
import pytest

from bayesgmm.gaussian.families import family
from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.ml.calibration import best_shares
from bayesgmm.ml.coverage import coverages, covers
from bayesgmm.ml.quantities import Quantities, quantities

TRUTH = Mixture(np.array([0.3, 0.7]), np.array([[0.0], [5.0]]), np.array([[[1.0]], [[2.0]]]))


def moved(by: Quantities | float) -> Quantities:
    shift = by if isinstance(by, Quantities) else Quantities(*[by] * 5)
    return Quantities(*(part + s for part, s in zip(quantities(TRUTH), shift, strict=True)))


def test_an_interval_covers_from_end_to_end_and_a_missing_one_is_neither():
    truth = quantities(TRUTH)
    for low, high, expected in [(0.0, 0.0, 1), (-1.0, 1.0, 1), (0.1, 1.0, 0), (np.nan, 1, np.nan)]:
        found = covers(truth, moved(low), moved(high))
        np.testing.assert_array_equal(found.means, np.full((2, 1), expected))


def test_shares_are_of_intervals_and_errors_of_data_sets():
    """Two data sets that cover everywhere, one that covers one component of two, one nowhere."""
    truth = quantities(TRUTH)
    one = moved(1.0)._replace(means=truth.means + np.array([[-1.0], [1.0]]))
    inside = [covers(truth, low, moved(2.0)) for low in (moved(-1.0), moved(-1.0), one, moved(1.0))]
    found = {each.quantity: each for each in coverages("made up", inside, family("VVV"))}
    assert set(found) == {"weights", "means", "sds"}
    assert found["means"].share == pytest.approx(2.5 / 4)
    assert found["means"].error == pytest.approx(np.std([1, 1, 0.5, 0], ddof=1) / 2)
    assert found["weights"].share == pytest.approx(0.5)
    assert found["sds"].missing == 0


def test_missing_intervals_are_left_out_of_shares_and_told_of():
    truth = quantities(TRUTH)
    gone = covers(truth, moved(np.nan), moved(1.0))
    found = coverages("made up", [covers(truth, moved(-1.0), moved(1.0)), gone], family("VVV"))
    assert [each.share for each in found] == [1.0] * 3
    assert [each.missing for each in found] == [0.5] * 3


def test_the_least_value_is_best_and_without_one_there_is_none():
    values = {1: [3.0, np.inf, np.inf, 1.0], 2: [2.0, 5.0, np.inf, 2.0]}
    found = best_shares({k: np.array(each) for k, each in values.items()})
    assert found == {1: 0.25, 2: 0.5}
