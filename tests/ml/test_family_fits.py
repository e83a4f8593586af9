"""Fits of all fourteen families: published values, and the laws that bind them together."""

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from sklearn.datasets import load_iris

from bayesgmm.data.datasets import load_dataset
from bayesgmm.data.table import read_table
from bayesgmm.gaussian.families import FAMILIES, Family, family
from bayesgmm.gaussian.mixture import Mixture, log_density
from bayesgmm.gaussian.precision import float64
from bayesgmm.ml.derivatives import jacobian
from bayesgmm.ml.optima import MaximumLikelihood
from bayesgmm.ml.restarts import DegenerateFitWarning, Settings, fit, fit_range

NAMES = [member.name for member in FAMILIES]
KS = (1, 2, 3)
TIGHT = Settings(n_init=8, tol=1e-13)
REFERENCE = json.loads((Path(__file__).parent / "reference.json").read_text(), parse_float=Decimal)
PUBLISHED = [
    ("faithful", "EII", (1,)),
    ("faithful", "EEI", (1, 3)),
    ("faithful", "VEV", (2,)),
    ("iris", "VEV", (2, 3)),
]
WIDER = {"E": "EV", "V": "V", "I": "IEV"}
NESTED = [
    (small, large)
    for small in NAMES
    for large in NAMES
    if small != large and all(b in WIDER[a] for a, b in zip(small, large, strict=True))
]


@pytest.fixture(scope="module")
def fits(table) -> Callable[..., dict[int, MaximumLikelihood]]:
    """A function from a family's name, and the second column's unit, to fits of every k."""
    done: dict[tuple[str, float], dict[int, MaximumLikelihood]] = {}

    def fitted(name: str, unit: float = 1.0) -> dict[int, MaximumLikelihood]:
        if (name, unit) not in done:
            rows = read_table(table.X * [1.0, unit])
            rng = np.random.default_rng(0)
            done[name, unit] = dict(
                zip(KS, fit_range(rows, KS, name, rng, TIGHT, quiet=True), strict=True)
            )
        return done[name, unit]

    return fitted


# --- published values ---------------------------------------------------------------------------


@pytest.mark.parametrize(("data", "name", "ks"), PUBLISHED)
def test_the_best_admissible_optimum_is_the_published_one(data, name, ks):
    X = load_iris().data if data == "iris" else load_dataset(data)
    found = fit_range(read_table(X), ks, name, np.random.default_rng(0), Settings(n_init=24))
    for each in found:
        expected = REFERENCE[data][f"{name},{each.n_components}"]
        values = {"loglik": each.log_likelihood, "bic": each.bic, "icl": each.icl}
        for label in values.keys() & expected.keys():
            printed = expected[label]
            unit = 10.0 ** float(printed.as_tuple().exponent)
            assert values[label] == pytest.approx(float(printed), abs=0.51 * unit)
        assert each.n_parameters == expected["df"]
        assert each.converged
        assert each.optima[0].admissible


# --- every family alone -------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_no_start_ever_descends(name, fits):
    for found in fits(name).values():
        for history in found.histories:
            assert (np.diff(history) >= -1e-12 * abs(history[-1])).all()


def test_a_leap_out_of_the_family_is_not_mistaken_for_a_gain():
    """Lines between members of EEV leave the family, where the likelihood is higher."""
    rows, settings = read_table(load_dataset("faithful")), Settings(n_init=12)
    for found in fit_range(rows, (2, 3, 5), "EEV", np.random.default_rng(0), settings):
        for history in found.histories:
            assert (np.diff(history) >= -1e-12 * abs(history[-1])).all()


@partial(jax.jit, static_argnames="member")
def _around(scale_tril, steps, member: Family):
    return member.around(scale_tril, steps)


@pytest.mark.parametrize("name", NAMES)
@float64
def test_the_end_is_stationary_within_the_family(name, fits, table):
    """Along weights, means and every coordinate of the covariances, each step of natural size."""
    found = fits(name)[2]
    weights, means, factors = found.mixture
    spread = np.sqrt(np.diagonal(found.mixture.covariances, axis1=1, axis2=2))

    def log_likelihood(steps: np.ndarray) -> np.ndarray:
        tilt, shift, turn = np.split(steps, [1, 5])
        tilted = weights * np.exp([tilt[0], 0])
        moved = np.asarray(_around(factors, turn, found.family))
        there = Mixture(tilted / tilted.sum(), means + spread * shift.reshape(2, 2), moved)
        return log_density(there, table.X).sum(keepdims=True)

    slope = jacobian(log_likelihood, np.zeros(found.n_parameters))
    np.testing.assert_allclose(slope, 0, atol=2e-4)


@pytest.mark.parametrize("name", NAMES)
def test_rescaled_columns_leave_the_fit_unchanged_where_the_registry_says(name, fits):
    unit = 1 / 20
    here, there = fits(name)[2], fits(name, unit)[2]
    gap = there.log_likelihood - (here.log_likelihood - 80 * np.log(unit))
    assert abs(gap) < 1e-6 if family(name).follows_columns else abs(gap) > 0.01


# --- families together --------------------------------------------------------------------------


@pytest.mark.parametrize(("small", "large"), NESTED)
def test_a_larger_family_is_never_less_likely(small, large, fits):
    for k in KS[:2]:  # with three, eight starts need not find the best
        assert fits(small)[k].log_likelihood <= fits(large)[k].log_likelihood + 1e-7


def test_one_component_has_no_one_to_share_with(fits):
    for name in NAMES:
        same = {"I": "EII" if name[1] == "I" else "EEI"}.get(name[2], "EEE")
        expected = fits(same)[1].log_likelihood
        assert fits(name)[1].log_likelihood == pytest.approx(expected, rel=1e-12)
        assert fits(name)[1].n_parameters == fits(same)[1].n_parameters


# --- equal weights ------------------------------------------------------------------------------


def test_equal_weights_are_kept_and_cost_no_parameter(table, fits):
    free = fits("EEE")
    equal = fit_range(
        table, KS, "EEE", np.random.default_rng(0), replace(TIGHT, equal_weights=True), quiet=True
    )
    for found in equal:
        k = found.n_components
        np.testing.assert_allclose(found.mixture.weights, 1 / k, rtol=1e-14)
        assert found.n_parameters == free[k].n_parameters - (k - 1)
        assert found.log_likelihood <= free[k].log_likelihood + 1e-9
        for history in found.histories:
            assert (np.diff(history) >= -1e-12 * abs(history[-1])).all()


def test_equal_weights_hide_no_small_component(table):
    """It is refused for its rows, whatever the weight that it was given."""
    settings = replace(TIGHT, equal_weights=True)
    means = np.array([table.X.mean(0), [60.0, 900.0]])
    start = Mixture(np.full(2, 0.5), means, np.stack([np.diag(table.X.std(0))] * 2))
    rows = read_table(np.vstack([table.X, means[1]]))
    with pytest.warns(DegenerateFitWarning, match=r"holds 1\.0 row, and VII needs 2|collapsed"):
        fit(rows, 2, "VII", np.random.default_rng(0), replace(settings, reg_covar=0.01), start)


# --- rows ---------------------------------------------------------------------------------------


def test_a_shared_covariance_of_too_few_rows_is_refused():
    """Ten rows in five columns: with five components the pooled covariance can be made tiny."""
    few = read_table(np.random.default_rng(0).normal(size=(10, 5)))
    with pytest.warns(DegenerateFitWarning, match="5 EEE components need 15 rows, there are 10"):
        fit(few, 5, "EEE", np.random.default_rng(0), Settings(n_init=4))
