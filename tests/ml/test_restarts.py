"""The best admissible optimum: published values, what is refused, and what the starts taught."""

import json
import subprocess
import sys
import warnings
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import jax
import numpy as np
import pytest
from sklearn.datasets import load_iris

import bayesgmm as bg
from bayesgmm.data.datasets import load_dataset
from bayesgmm.data.errors import InputError
from bayesgmm.data.table import read_table
from bayesgmm.gaussian.mixture import Mixture, log_density, responsibilities
from bayesgmm.ml import admissible, criteria
from bayesgmm.ml.admissible import relative_eigenvalues
from bayesgmm.ml.optima import SAME_OPTIMUM
from bayesgmm.ml.problem import Problem, check_components, conjugate_prior
from bayesgmm.ml.restarts import DegenerateFitWarning, NotConvergedWarning, Settings, fit, fit_range

FEW = Settings(n_init=8)
REFERENCE = json.loads(
    (Path(__file__).parent / "reference.json").read_text(), parse_float=Decimal
)  # decimals remember how many digits are printed
GRIDS = [  # data, family, numbers of components, starts
    ("faithful", "VVV", (2, 3), 40),
    ("faithful", "EEE", (1, 2, 3), 12),
    ("iris", "VVV", (2, 3), 60),
    ("iris", "EEE", (3, 4), 16),
    ("galaxies", "VVV", (3, 4), 40),
    ("galaxies as in MASS", "VVV", (3, 4), 40),
]
CELLS = [(data, name, k) for data, name, ks, _ in GRIDS for k in ks]


def rng(seed=0):
    return np.random.default_rng(seed)


def data_of(name):
    if name == "iris":
        return load_iris().data
    frame = load_dataset(name.partition(" ")[0])
    return frame.replace(26.960, 26.690) if name.endswith("MASS") else frame


@pytest.fixture(scope="module")
def fitted():
    """A function from data, family and k to the fit; a grid's numbers of components at once."""
    cells = {}

    def fitted(data, name, k):
        if (data, name, k) not in cells:
            (ks, n_init), *_ = [g[2:] for g in GRIDS if g[:2] == (data, name)]
            table = read_table(data_of(data))
            found = fit_range(table, ks, name, rng(), Settings(n_init=n_init))
            cells.update({(data, name, k): each for k, each in zip(ks, found, strict=True)})
        return cells[data, name, k]

    return fitted


@pytest.fixture(scope="module")
def plain(table):
    """The fit of two components from eight starts."""
    return fit(table, 2, "VVV", rng(), FEW)


def assert_digits(found, printed):
    unit = 10.0 ** float(printed.as_tuple().exponent)
    assert abs(found - float(printed)) <= 0.51 * unit, (found, printed)


# --- published values ---------------------------------------------------------------------------


@pytest.mark.parametrize(("data", "name", "k"), CELLS)
def test_the_best_admissible_optimum_is_the_published_one(data, name, k, fitted):
    found, expected = fitted(data, name, k), REFERENCE[data][f"{name},{k}"]
    values = {
        "loglik": found.log_likelihood,
        "aic": found.aic,
        "bic": found.bic,
        "icl": found.icl,
    }
    for label in values.keys() & expected.keys():
        assert_digits(values[label], expected[label])
    assert found.n_parameters == expected["df"]
    for label in ("weights", "means"):
        printed = np.ravel(np.array(expected.get(label, []), dtype=object))
        for one, other in zip(np.ravel(getattr(found.mixture, label)), printed, strict=False):
            assert_digits(float(one), other)
    assert found.converged
    assert found.optima[0].admissible


def test_the_spurious_optimum_of_the_galaxies_is_refused(fitted):
    """Two galaxies 0.035 apart make a higher likelihood, -196.854, and no cluster."""
    spurious = Mixture(
        np.array([0.085, 0.854, 0.024, 0.037]),
        np.array([[9.71], [21.25], [26.9775], [33.04]]),
        np.array([0.42, 2.02, 0.0175, 0.92]).reshape(4, 1, 1),
    )
    with pytest.warns(DegenerateFitWarning):
        found = fit(read_table("galaxies"), 4, "VVV", rng(), FEW, spurious)
    assert found.log_likelihood == pytest.approx(-196.854, abs=1e-3)
    assert found.mixture.scale_tril.min() == pytest.approx(0.0175, abs=1e-4)
    assert found.optima[0].reason == "component 3 holds 1.9 rows, and V needs 2"
    assert found.log_likelihood > fitted("galaxies", "VVV", 4).log_likelihood


def test_a_small_component_is_no_reason_for_refusal(fitted):
    """Three galaxies, far from the rest, are a real cluster."""
    found = fitted("galaxies", "VVV", 3)
    assert found.counts.min() == pytest.approx(3, abs=0.1)
    assert found.optima[0].reason == ""


# --- what the result says -----------------------------------------------------------------------


def test_the_numbers_of_a_fit_belong_to_its_mixture(plain, table):
    total = float(log_density(plain.mixture, table.X).sum())
    assert plain.log_likelihood == pytest.approx(total, rel=1e-13)
    assert plain.n == 80
    assert plain.n_parameters == 11
    assert plain.aic == pytest.approx(criteria.aic(total, 11), rel=1e-13)
    assert plain.bic == pytest.approx(criteria.bic(total, 11, 80.0), rel=1e-13)
    resp = responsibilities(plain.mixture, table.X)
    assert plain.icl == pytest.approx(
        criteria.icl(total, 11, 80.0, float(np.log(resp.max(1)).sum())), rel=1e-12
    )
    np.testing.assert_allclose(plain.counts, resp.sum(0), rtol=1e-4)
    assert plain.smallest_eigenvalue == relative_eigenvalues(plain.mixture).min()
    assert plain.history[-1] == plain.log_likelihood


def test_every_start_is_in_one_optimum_and_the_best_admissible_comes_first(plain):
    assert sum(optimum.hits for optimum in plain.optima) == plain.n_starts == 8
    assert plain.optima[0].log_likelihood == plain.log_likelihood
    assert plain.hits == plain.optima[0].hits
    order = [(not o.admissible, -o.log_likelihood) for o in plain.optima]
    assert order == sorted(order)


def test_hits_count_the_starts_that_end_there(fitted):
    """iris VVV,3: about one start in eleven ends at the best admissible optimum."""
    found = fitted("iris", "VVV", 3)
    values = np.array([o.log_likelihood for o in found.optima if o.admissible])
    assert len(values) > 1
    assert (np.diff(values) < -SAME_OPTIMUM).all()
    ends = np.array([history[-1] for history in found.histories])
    assert 0 < found.hits <= (abs(ends - found.log_likelihood) < SAME_OPTIMUM).sum()
    assert found.hits < found.n_starts == 60


def test_every_step_of_every_start_is_in_its_history(plain):
    """One value before each step of three maps, and for the best start the last one."""
    assert 3 * (len(plain.history) - 1) == plain.n_iter
    lengths = [len(history) for history in plain.histories]
    assert len(set(lengths)) > 1
    best = [h for h in plain.histories if np.array_equal(h, plain.history[:-1])]
    assert len(best) >= 1


def test_the_second_gap_is_to_the_next_admissible_optimum(plain):
    best = plain.optima[0]
    others = (
        replace(best, log_likelihood=best.log_likelihood + 9, reason="too few rows"),
        replace(best, log_likelihood=best.log_likelihood - 2.5),
    )
    assert replace(plain, optima=(best, *others)).second_gap == pytest.approx(2.5)
    assert replace(plain, optima=(best,)).second_gap == np.inf


def test_no_start_ever_descends(plain):
    for history in [*plain.histories, plain.history]:
        assert (np.diff(history) >= -1e-12 * abs(history[-1])).all()


@pytest.mark.parametrize("name", ["VII"])
def test_no_start_ever_descends_in_the_smaller_families(name, table):
    found = fit(table, 2, name, rng(), FEW)
    for history in found.histories:
        assert (np.diff(history) >= -1e-12 * abs(history[-1])).all()


def test_components_come_in_the_order_of_their_means(plain, fitted):
    for each in (plain, fitted("faithful", "EEE", 3), fitted("iris", "VVV", 3)):
        assert (np.diff(each.mixture.means[:, 0]) > 0).all()


def test_a_given_start_is_the_only_one_and_keeps_its_order(table, start, plain):
    found = fit(table, 2, "VVV", rng(), FEW, start)
    turned = fit(table, 2, "VVV", rng(), FEW, Mixture(*(part[::-1] for part in start)))
    assert found.n_starts == turned.n_starts == 1
    assert found.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-9)
    np.testing.assert_allclose(turned.mixture.means[::-1], found.mixture.means, rtol=1e-5)


def test_relative_eigenvalues_ignore_the_units(plain):
    change = np.array([[1e-3, 0.0], [4.0, 200.0]])
    covariances = change @ plain.mixture.covariances @ change.T
    moved = plain.mixture._replace(scale_tril=np.linalg.cholesky(covariances))
    np.testing.assert_allclose(
        relative_eigenvalues(moved), relative_eigenvalues(plain.mixture), rtol=1e-8
    )
    pooled = np.einsum("k,kab->ab", plain.mixture.weights, plain.mixture.covariances)
    direct = np.linalg.eigvals(np.linalg.inv(pooled) @ plain.mixture.covariances)
    np.testing.assert_allclose(
        relative_eigenvalues(plain.mixture), np.sort(direct.real, axis=1), rtol=1e-9
    )


# --- batches and weights ------------------------------------------------------------------------


def test_several_numbers_of_components_at_once_are_the_separate_fits(table, plain):
    together, three = fit_range(table, [2, 3], "VVV", rng(), FEW)
    assert (together.n_components, three.n_components) == (2, 3)
    assert together.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-10)
    assert [o.hits for o in together.optima] == [o.hits for o in plain.optima]
    assert abs(together.n_iter - plain.n_iter) <= 6
    np.testing.assert_allclose(together.mixture.means, plain.mixture.means, rtol=1e-5)
    assert three.log_likelihood > together.log_likelihood
    for one in (together, three):
        np.testing.assert_allclose(one.mixture.weights.sum(), 1, rtol=1e-12)
        total = float(log_density(one.mixture, table.X).sum())
        assert one.log_likelihood == pytest.approx(total, rel=1e-12)


def test_counts_stand_for_repeated_rows(table, start):
    rows, counts = np.unique(np.concatenate([table.X[:40], table.X[:40]]), axis=0, return_counts=1)
    repeated = read_table(np.repeat(rows, counts, axis=0))
    padded = np.concatenate([rows, table.X[40:]])
    weights = np.concatenate([counts, np.zeros(40)])
    weighted = fit(read_table(padded, weights=weights), 2, "VVV", rng(), FEW, start)
    expected = fit(repeated, 2, "VVV", rng(), FEW, start)
    assert weighted.n == expected.n == 80
    assert weighted.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-9)
    for label in ("aic", "bic", "icl"):
        assert getattr(weighted, label) == pytest.approx(getattr(expected, label), rel=1e-6)


def test_criteria_that_count_rows_are_missing_for_other_weights(table):
    weights = np.where(np.arange(80) % 2 == 0, 0.5, 1.5)
    found = fit(read_table(table.X, weights=weights), 2, "VVV", rng(), FEW)
    assert np.isnan([found.bic, found.icl]).all()
    assert found.aic == pytest.approx(-2 * found.log_likelihood + 22)


def test_a_common_factor_of_the_weights_changes_no_estimate(table, plain):
    weighted = read_table(table.X, weights=np.full(80, 3.0))
    found = fit(weighted, 2, "VVV", rng(), FEW)
    assert found.log_likelihood == pytest.approx(3 * plain.log_likelihood, rel=1e-10)
    assert found.n == 240
    assert found.bic == pytest.approx(criteria.bic(found.log_likelihood, 11, 240.0), rel=1e-13)
    np.testing.assert_allclose(found.mixture.means, plain.mixture.means, rtol=1e-5)


# --- repeatable, and nothing else touched -------------------------------------------------------


def test_the_same_seed_gives_the_same_bits(table, plain):
    again = fit(table, 2, "VVV", rng(), FEW)
    assert again.log_likelihood == plain.log_likelihood
    for one, other in zip(again.mixture, plain.mixture, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(again.histories, plain.histories, strict=True):
        np.testing.assert_array_equal(one, other)


def test_results_are_float64_numpy_arrays(plain):
    for part in (*plain.mixture, plain.history):
        assert isinstance(part, np.ndarray)
        assert part.dtype == np.float64


def test_global_states_and_the_data_are_not_touched(table):
    state, X = np.random.get_state()[1].copy(), table.X.copy()
    settings = {
        name: value for name, value in jax.config.values.items() if "compilation_cache" not in name
    }
    fit(table, 2, "VVV", rng(), FEW)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    np.testing.assert_array_equal(table.X, X)
    assert settings.items() <= jax.config.values.items()


# --- what cannot be fitted ----------------------------------------------------------------------


def test_components_and_rows_are_checked(table):
    few = Problem.of(read_table(table.X, weights=np.where(np.arange(80) < 3, 1.0, 0.0)))
    check_components(3, few)
    for k in (0, -1):
        with pytest.raises(InputError, match=f"n_components={k} must be at least 1"):
            check_components(k, few)
    with pytest.raises(InputError, match=r"n_components=4 needs at least 4 rows, but .* = 3"):
        check_components(4, few)


def test_an_end_for_want_of_maps_warns(table):
    with pytest.warns(NotConvergedWarning, match="did not converge in max_iter=6 maps"):
        found = fit(table, 2, "VVV", rng(), replace(FEW, max_iter=6))
    assert not found.converged
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_range(table, [2], "VVV", rng(), replace(FEW, max_iter=6), quiet=True)


def tied(table, size=20):
    X = table.X.copy()
    X[:size] = X[0]
    return read_table(X)


@pytest.mark.parametrize("seed", range(5))
def test_tied_rows_collapse_no_component_silently(seed, table):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = fit(tied(table), 2, "VVV", rng(seed), FEW)
    assert np.isfinite(found.log_likelihood)
    assert all(np.isfinite(part).all() for part in found.mixture)
    best = found.optima[0]
    assert [w.category for w in caught] == ([] if best.admissible else [DegenerateFitWarning])
    if best.admissible:
        assert relative_eigenvalues(best.mixture).min() >= admissible.MIN_EIGENVALUE
    else:
        assert best.reason


def test_a_fit_that_is_not_admissible_comes_with_a_warning_unless_quiet(table, start, monkeypatch):
    monkeypatch.setattr(admissible, "MIN_EIGENVALUE", 0.9)
    with pytest.warns(DegenerateFitWarning, match="no admissible fit with 2 VVV components"):
        found = fit(table, 2, "VVV", rng(), FEW, start)
    assert "relative eigenvalue" in found.optima[0].reason
    assert np.isfinite(found.log_likelihood)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_range(table, [2], "VVV", rng(), FEW, start, quiet=True)


def test_a_given_start_that_collapses_is_told_of(table, start):
    narrow = start._replace(
        means=np.array([table.X[0], start.means[1]]),
        scale_tril=start.scale_tril * np.array([1e-3, 1.0])[:, None, None],
    )
    with pytest.warns(DegenerateFitWarning):
        fit(tied(table), 2, "VVV", rng(), FEW, narrow)


def degenerate(kind, table):
    """Eighty rows that no mixture of two regular components describes, and k."""
    X = table.X.copy()
    if kind == "a constant column":
        X[:, 1] = 5.0
    elif kind == "a constant column that rounds":
        X[:, 1] = 0.1
    elif kind == "a column twice":
        X[:, 1] = X[:, 0]
    elif kind == "one row eighty times":
        X[:] = X[0]
    else:
        X = np.repeat(X[:2], 40, axis=0)
    return read_table(X)


@pytest.mark.parametrize("name", ["VVV"])
@pytest.mark.parametrize(
    "kind",
    [
        "a constant column",
        "a constant column that rounds",
        "a column twice",
        "one row eighty times",
    ],
)
def test_degenerate_data_are_told_of(kind, name, table):
    with pytest.warns(DegenerateFitWarning):
        fit(degenerate(kind, table), 2, name, rng(), FEW)


@pytest.mark.filterwarnings("ignore::bayesgmm.ml.restarts.DegenerateFitWarning")
@pytest.mark.parametrize(
    "kind",
    [
        "a constant column",
        "a constant column that rounds",
        "a column twice",
        "one row eighty times",
        "two rows forty times",
    ],
)
def test_degenerate_data_never_give_a_nan(kind, table):
    found = fit(degenerate(kind, table), 2, "VVV", rng(), FEW)
    assert all(np.isfinite(part).all() for part in found.mixture)
    assert np.isfinite([found.log_likelihood, found.aic, found.bic, found.icl]).all()
    assert np.isfinite(responsibilities(found.mixture, table.X)).all()


def test_as_many_tied_components_as_rows_are_no_fit(table):
    with pytest.warns(DegenerateFitWarning):
        fit(read_table(table.X[:5]), 5, "EEE", rng(), replace(FEW, n_init=2))


def test_a_singular_mixture_leaves_the_others_of_its_stack_alone(plain):
    flat = plain.mixture._replace(scale_tril=np.tile([[1.0, 0.0], [1.0, 1e-12]], (2, 1, 1)))
    stack = Mixture(*(np.stack(pair) for pair in zip(flat, plain.mixture, strict=True)))
    np.testing.assert_allclose(
        relative_eigenvalues(stack)[1], relative_eigenvalues(plain.mixture), rtol=1e-9
    )


def test_a_column_in_other_units_changes_the_spherical_fit_alone(table):
    """Of the four families only VII depends on the units of single columns."""
    scaled = read_table(table.X * [1.0, 1e-3])
    for name in ("VVV", "VII"):
        here, there = (fit(each, 2, name, rng(), FEW) for each in (table, scaled))
        gap = there.log_likelihood - (here.log_likelihood + 80 * np.log(1e3))
        if name == "VII":
            assert abs(gap) > 1
        else:
            assert abs(gap) < 1e-6


def test_counts_in_the_prior_are_repeated_rows():
    X, counts = np.random.default_rng(0).normal(size=(30, 2)), np.resize([1.0, 2.0, 5.0], 30)
    one = conjugate_prior(Problem.of(read_table(X, weights=counts)), 2)
    other = conjugate_prior(Problem.of(read_table(np.repeat(X, counts.astype(int), 0))), 2)
    np.testing.assert_allclose(one.scatter, other.scatter, rtol=1e-12)


def test_equal_weights_do_not_hide_unequal_counts():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (300, 1)), rng.normal(30, 1, (30, 1))])
    found = fit(read_table(X), 2, "V", rng, Settings(n_init=8, equal_weights=True))
    np.testing.assert_allclose(found.mixture.weights, 0.5)
    np.testing.assert_allclose(found.counts, [300, 30], atol=0.1)


def test_a_warning_points_to_the_line_that_asked(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import bayesgmm as bg\n"
        "X = [[float(i % 7), float(i % 5)] for i in range(40)]\n"
        "bg.GaussianMixture(2, n_init=2, max_iter=3, random_state=0).fit(X)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert f"{script}:3: NotConvergedWarning" in done.stderr


def test_mirror_images_are_two_optima_although_their_values_are_equal():
    half = np.random.default_rng(0).normal([6.0, 0.0], 0.3, (30, 2))
    rows = np.concatenate([half[:, 0], -half[:, 0], half[:15, 1], -half[:15, 1]])[:, None]
    first, second, *_ = bg.GaussianMixture(2, random_state=0).fit(rows).ml_.optima
    assert first.log_likelihood == pytest.approx(second.log_likelihood, abs=1e-4)
    np.testing.assert_allclose(first.mixture.means, -second.mixture.means[::-1], atol=1e-3)
