"""EM: one map against scikit-learn's iteration, what it ignores, and that it never descends."""

import warnings
from functools import partial

import jax
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from bayesgmm.gaussian import chunks
from bayesgmm.gaussian.families import FAMILIES, family
from bayesgmm.gaussian.mixture import Mixture, log_density, permute
from bayesgmm.gaussian.precision import float64
from bayesgmm.gaussian.sweep import frame_of
from bayesgmm.ml import driver, em, seeding

NAMES = [member.name for member in FAMILIES]
SKLEARN = [member.name for member in FAMILIES if member.sklearn]
AFFINE = np.array([[0.8, -0.5], [30.0, 200.0]])
COLUMNS = np.diag([1e-3, 250.0])
COMMON = 40.0 * np.eye(2)
INVARIANCES = [
    ("VVV", AFFINE),
    ("VVV", COLUMNS),
    ("EEE", AFFINE),
    ("EEE", COLUMNS),
    ("VVI", COLUMNS),
    ("VII", COMMON),
]


@partial(jax.jit, static_argnames="family")
def _compiled_map(mixture, data, family):
    """The log-likelihood of a mixture, and the mixture after one EM map."""
    value, statistics = em.expectation(mixture, data)
    image = em.maximisation(statistics, mixture, family, data.floor, data.prior)
    return em.objective(value, mixture, data.prior), image


@float64
def one_map(mixture, X, name, row_weights=None, floor=0.0):
    """The log-likelihood of a mixture and the mixture after one EM map."""
    weights = np.ones(len(X)) if row_weights is None else row_weights
    data = em.Data(X, weights, frame_of(X, weights), np.broadcast_to(floor, X.shape[1]))
    value, image = _compiled_map(mixture, data, family(name))
    return float(value), Mixture(*(np.asarray(part) for part in image))


def run(mixture, X, name, row_weights=None, *, tol=1e-12, max_iter=3000, floor=0.0):
    """EM from one start."""
    weights = np.ones(len(X)) if row_weights is None else row_weights
    starts = Mixture(*(np.array(part)[None] for part in mixture))
    floors = np.broadcast_to(floor, X.shape[1]).copy()
    data = em.Data(X, weights, frame_of(X, weights), floors)
    return driver.run(starts, data, family(name), tol=tol, max_iter=max_iter)


def end(result) -> Mixture:
    """Where the one start ended."""
    return Mixture(*(part[0] for part in result.state.mixture))


def transformed(mixture, matrix, shift):
    """The mixture of the rows `X @ matrix.T + shift`."""
    covariances = matrix @ mixture.covariances @ matrix.T
    return Mixture(
        mixture.weights, mixture.means @ matrix.T + shift, np.linalg.cholesky(covariances)
    )


def reference(start, name, **options):
    """scikit-learn's mixture from the same start, and its covariances in full."""
    precisions = np.linalg.inv(start.covariances)
    diagonals = np.diagonal(precisions, axis1=1, axis2=2)
    shapes = {"EEE": precisions[0], "VVI": diagonals, "VII": diagonals[:, 0]}
    return GaussianMixture(
        2,
        covariance_type=family(name).alias,
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=shapes.get(name, precisions),
        init_params="random",
        reg_covar=0,
        **options,
    )


def full(covariances, name):
    """scikit-learn's covariances as matrices (k, d, d)."""
    if name == "EEE":
        return np.broadcast_to(covariances, (2, 2, 2))
    if name == "VVV":
        return covariances
    return np.asarray(covariances).reshape(2, -1, 1) * np.eye(2)


def fitted_quietly(estimator, X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # one iteration is what is asked for
        return estimator.fit(X)


def start_in(start, name):
    """The start, made to lie in the family."""
    if name != "VII":
        return start
    scale = np.array([2.0, 3.0])[:, None, None] * np.eye(2)
    return start._replace(scale_tril=5 * scale)


def assert_same(one, other, rtol=1e-10):
    np.testing.assert_allclose(one.weights, other.weights, rtol=rtol)
    np.testing.assert_allclose(one.means, other.means, rtol=rtol, atol=rtol)
    scale = abs(np.asarray(other.covariances)).max()
    np.testing.assert_allclose(one.covariances, other.covariances, rtol=rtol, atol=rtol * scale)


# --- one map ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SKLEARN)
def test_one_map_is_one_iteration_of_scikit_learn(name, table, start):
    first = start_in(start, name)
    value, image = one_map(first, table.X, name)
    assert value == pytest.approx(float(log_density(first, table.X).sum()), rel=1e-13)
    theirs = fitted_quietly(reference(first, name, max_iter=1, tol=0), table.X)
    np.testing.assert_allclose(image.weights, theirs.weights_, rtol=1e-11)
    np.testing.assert_allclose(image.means, theirs.means_, rtol=1e-11)
    expected = full(theirs.covariances_, name)
    np.testing.assert_allclose(
        image.covariances, expected, rtol=1e-10, atol=1e-11 * abs(expected).max()
    )


@pytest.mark.parametrize("name", NAMES)
def test_one_map_ignores_the_order_of_rows_and_carries_that_of_components(name, table, start):
    value, image = one_map(start, table.X, name)
    rows = np.random.default_rng(0).permutation(len(table.X))
    turned, same = one_map(permute(start, np.array([1, 0])), table.X[rows], name)
    assert turned == pytest.approx(value, rel=1e-13)
    assert_same(permute(same, np.array([1, 0])), image, rtol=1e-12)


@pytest.mark.parametrize(("name", "matrix"), INVARIANCES)
def test_one_map_commutes_with_a_change_of_units(name, matrix, table, start):
    first, shift = start_in(start, name), np.array([7.0, -300.0])
    value, image = one_map(first, table.X, name)
    moved, there = one_map(transformed(first, matrix, shift), table.X @ matrix.T + shift, name)
    log_det = np.linalg.slogdet(matrix)[1]
    assert moved == pytest.approx(value - len(table.X) * log_det, rel=1e-12)
    assert_same(there, transformed(image, matrix, shift), rtol=1e-9)


@pytest.mark.parametrize(("name", "matrix"), [("VII", COLUMNS), ("VVI", AFFINE)])
def test_one_map_depends_on_the_other_units(name, matrix, table, start):
    first = start_in(start, name)
    _, image = one_map(first, table.X, name)
    _, there = one_map(transformed(first, matrix, 0.0), table.X @ matrix.T, name)
    expected = transformed(image, matrix, 0.0).covariances
    sds = np.sqrt(np.diagonal(expected, axis1=1, axis2=2))
    units = sds[:, :, None] * sds[:, None, :]
    assert abs((there.covariances - expected) / units).max() > 0.1


@pytest.mark.parametrize("name", NAMES)
def test_counts_stand_for_repeated_rows_and_zero_for_removed_ones(name, table, start):
    counts = np.random.default_rng(3).integers(0, 3, size=len(table.X))
    weighted = one_map(start, table.X, name, counts.astype(float))
    repeated = one_map(start, np.repeat(table.X, counts, axis=0), name)
    assert weighted[0] == pytest.approx(repeated[0], rel=1e-12)
    assert_same(weighted[1], repeated[1])


@pytest.mark.parametrize("name", NAMES)
def test_a_common_factor_of_the_weights_scales_the_log_likelihood_alone(name, table, start):
    weights = np.random.default_rng(4).uniform(0.1, 2, size=len(table.X))
    value, image = one_map(start, table.X, name, weights)
    scaled, same = one_map(start, table.X, name, 17.0 * weights)
    assert scaled == pytest.approx(17 * value, rel=1e-13)
    assert_same(same, image, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_components_of_weight_zero_change_nothing(name, table, start):
    padded = Mixture(
        np.append(start.weights, [0.0, 0.0]),
        np.append(start.means, [[0.0, 0.0], table.X[0]], axis=0),
        np.append(start.scale_tril, np.broadcast_to(np.eye(2), (2, 2, 2)), axis=0),
    )
    value, image = one_map(start, table.X, name)
    same, more = one_map(padded, table.X, name)
    assert same == pytest.approx(value, rel=1e-13)
    assert_same(Mixture(*(part[:2] for part in more)), image, rtol=1e-12)
    np.testing.assert_array_equal(more.weights[2:], 0)
    assert all(np.isfinite(part).all() for part in more)


def test_the_floor_is_added_to_the_variances(table, start):
    floor = np.array([0.25, 9.0])
    _, image = one_map(start, table.X, "VVV")
    _, raised = one_map(start, table.X, "VVV", floor=floor)
    np.testing.assert_allclose(
        raised.covariances, image.covariances + np.diag(floor), rtol=1e-12, atol=1e-12
    )


# --- to the end ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SKLEARN)
def test_the_end_is_scikit_learns_from_the_same_start(name, table, start):
    first = start_in(start, name)
    result = run(first, table.X, name, tol=1e-14)
    assert result.state.converged.all()
    theirs = fitted_quietly(reference(first, name, max_iter=3000, tol=1e-13), table.X)
    expected = theirs.score(table.X) * len(table.X)
    assert result.state.log_likelihood[0] == pytest.approx(expected, rel=1e-11)
    found = end(result)
    np.testing.assert_allclose(found.weights, theirs.weights_, rtol=1e-5)
    np.testing.assert_allclose(found.means, theirs.means_, rtol=1e-5)
    expected = full(theirs.covariances_, name)
    np.testing.assert_allclose(
        found.covariances, expected, rtol=1e-5, atol=1e-5 * abs(expected).max()
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_end_is_a_fixed_point(name, table, start):
    found = end(run(start, table.X, name, tol=1e-14))
    _, image = one_map(found, table.X, name)
    assert_same(image, found, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_em_never_descends(name, table):
    weights = np.ones(len(table.X))
    frame, rng = frame_of(table.X, weights), np.random.default_rng(8)
    starts = seeding.starts(table.X, weights, frame, 2, 12, rng)
    for i in range(12):
        seeded = Mixture(*(part[i] for part in starts))
        _, first = one_map(seeded, table.X, name)  # seeded starts need not lie in the family
        result = run(first, table.X, name)
        history = np.append(
            result.history[0][np.isfinite(result.history[0])], result.state.log_likelihood
        )
        assert (np.diff(history) >= -1e-12 * abs(history[-1])).all()
        assert history[0] == pytest.approx(float(log_density(first, table.X).sum()), rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_chunks_of_rows_lead_to_the_same_end(name, table, start, monkeypatch):
    first, (X, _) = start_in(start, name), overlapping()
    starts = Mixture(*(np.stack([part, part[::-1]]) for part in first))
    weights = np.random.default_rng(5).uniform(0.5, 2, size=len(X))
    data = em.Data(X, weights, frame_of(X, weights), np.zeros(2))
    options = {"tol": 1e-12, "max_iter": 60}
    whole = driver.run(starts, data, family(name), **options)
    monkeypatch.setattr(chunks, "CHUNK", 0)  # 64 rows, the least
    parted = driver.run(starts, data, family(name), **options)
    np.testing.assert_array_equal(parted.state.n_maps, whole.state.n_maps)
    np.testing.assert_array_equal(parted.state.converged, whole.state.converged)
    np.testing.assert_allclose(parted.history, whole.history, rtol=1e-9)
    np.testing.assert_allclose(parted.counts, whole.counts, rtol=1e-5)
    assert_same(parted.state.mixture, whole.state.mixture, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_starting_components_is_kept(name, table, start):
    turned = run(permute(start, np.array([1, 0])), table.X, name)
    assert_same(permute(end(turned), np.array([1, 0])), end(run(start, table.X, name)), rtol=1e-7)


@pytest.mark.parametrize(("name", "matrix"), INVARIANCES)
def test_the_end_follows_the_units(name, matrix, table, start):
    first, shift = start_in(start, name), np.array([-4.0, 90.0])
    plain = run(first, table.X, name)
    moved = run(transformed(first, matrix, shift), table.X @ matrix.T + shift, name)
    log_det = np.linalg.slogdet(matrix)[1]
    assert moved.state.log_likelihood[0] == pytest.approx(
        plain.state.log_likelihood[0] - len(table.X) * log_det, rel=1e-11
    )
    assert_same(end(moved), transformed(end(plain), matrix, shift), rtol=1e-6)


def overlapping():
    """Rows of one normal law, between whose two components EM is slow, and a start."""
    X = np.random.default_rng(7).normal(size=(80, 2))
    means = np.array([[-0.7, 0.0], [0.7, 0.3]])
    return X, Mixture(np.array([0.5, 0.5]), means, np.tile(np.eye(2), (2, 1, 1)))


@pytest.mark.parametrize("overlap", [False, True])
def test_the_tolerance_bounds_what_is_still_to_be_gained(overlap, table, start):
    X, first = overlapping() if overlap else (table.X, start)
    top = run(first, X, "VVV", tol=1e-14).state.log_likelihood[0]
    for tol in (1e-4, 1e-6, 1e-8):
        result = run(first, X, "VVV", tol=tol)
        assert result.state.converged.all()
        assert (top - result.state.log_likelihood[0]) / len(X) < 10 * tol


def test_a_looser_tolerance_takes_fewer_maps(table, start):
    maps = [int(run(start, table.X, "VVV", tol=tol).state.n_maps[0]) for tol in (1e-3, 1e-12)]
    assert maps[0] < maps[1]


def test_extrapolation_takes_fewer_maps_than_plain_em(table, start):
    fast = run(start, table.X, "VVV", tol=1e-12)
    mixture, value, maps = start, -np.inf, 0
    while value < fast.state.log_likelihood[0] - 1e-9:
        value, mixture = one_map(mixture, table.X, "VVV")
        maps += 1
    assert int(fast.state.n_maps[0]) < maps


def test_an_end_for_want_of_maps_is_not_converged(table, start):
    state = run(start, table.X, "VVV", max_iter=6).state
    assert int(state.n_maps[0]) == 6
    assert not state.converged.any()
    assert not state.collapsed.any()
    assert np.isfinite(state.log_likelihood).all()


def test_a_continued_run_ends_where_the_whole_run_ends(table, start):
    whole = run(start, table.X, "VVV")
    part = run(start, table.X, "VVV", max_iter=9)
    rest = run(end(part), table.X, "VVV")
    assert rest.history[0, 0] == pytest.approx(float(part.state.log_likelihood[0]), rel=1e-13)
    assert_same(end(rest), end(whole), rtol=1e-5)


@pytest.mark.parametrize("name", ["VVV", "VVI", "VII"])
def test_a_collapse_is_told_and_leaves_the_last_regular_mixture(name, table, start):
    X = table.X.copy()
    X[:10] = X[0]
    narrow = start._replace(
        means=np.array([X[0], start.means[1]]),
        scale_tril=start.scale_tril * np.array([1e-3, 1.0])[:, None, None],
    )
    state = run(narrow, X, name).state
    assert state.collapsed.all()
    assert not state.converged.any()
    assert np.isfinite(state.log_likelihood).all()
    assert all(np.isfinite(part).all() for part in state.mixture)
    assert (np.diagonal(state.mixture.scale_tril, axis1=-2, axis2=-1) > 0).all()


def test_one_collapse_leaves_the_other_starts_alone(table, start):
    X = table.X.copy()
    X[:10] = X[0]
    narrow = start._replace(
        means=np.array([X[0], start.means[1]]),
        scale_tril=start.scale_tril * np.array([1e-3, 1.0])[:, None, None],
    )
    alone = run(start, X, "VVV")
    both = Mixture(*(np.stack(pair) for pair in zip(narrow, start, strict=True)))
    weights = np.ones(len(X))
    data = em.Data(X, weights, frame_of(X, weights), np.zeros(2))
    together = driver.run(both, data, family("VVV"), tol=1e-12, max_iter=3000)
    np.testing.assert_array_equal(together.state.collapsed, [True, False])
    assert together.state.log_likelihood[1] == pytest.approx(
        float(alone.state.log_likelihood[0]), rel=1e-12
    )


def test_the_same_start_gives_the_same_bits(table, start):
    runs = [run(start, table.X, "VVV") for _ in range(2)]
    for one, other in zip(*map(jax.tree.leaves, runs), strict=True):
        np.testing.assert_array_equal(one, other)


def test_neither_the_rows_nor_the_starts_are_edited(table, start):
    X, weights = table.X.copy(), np.ones(len(table.X))
    starts = Mixture(*(part[None].copy() for part in start))
    data = em.Data(X, weights, frame_of(X, weights), np.zeros(2))
    driver.run(starts, data, family("VVV"), tol=1e-12, max_iter=3000)
    np.testing.assert_array_equal(X, table.X)
    for one, other in zip(starts, start, strict=True):
        np.testing.assert_array_equal(one[0], other)


def test_results_are_float64_whatever_the_setting(table, start):
    values = []
    for setting in (False, True):
        with jax.enable_x64(setting):
            result = run(start, table.X, "VVV")
            assert jax.config.jax_enable_x64 is setting
        assert all(part.dtype == np.float64 for part in result.state.mixture)
        values.append(float(result.state.log_likelihood[0]))
    assert values[0] == values[1]


@pytest.mark.parametrize(
    "max_iter",
    [pytest.param(1), pytest.param(2), 3, pytest.param(4), 9],
)
def test_no_start_begins_a_step_beyond_max_iter(max_iter, table, start):
    maps = int(run(start, table.X, "VVV", max_iter=max_iter).state.n_maps[0])
    assert maps < max_iter + em.MAPS_PER_CYCLE


def test_with_a_floor_it_ends_at_a_fixed_point(table, start):
    """Maps with a floor do not ascend: that the log-likelihood falls is no sign of an end."""
    for floor in (0.01, 0.3):
        floors = floor * table.X.var(0)
        result = run(start, table.X, "VVV", floor=floors, tol=1e-12)
        assert result.state.converged[0]
        here = end(result)
        _, image = one_map(here, table.X, "VVV", floor=floors)
        scale = table.X.std(0)
        np.testing.assert_allclose(image.means / scale, here.means / scale, atol=1e-5)
        np.testing.assert_allclose(image.weights, here.weights, atol=1e-5)
