"""Standard errors against closed forms and an independent Hessian, and missing with a reason."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from bayesgmm.data.errors import InputError
from bayesgmm.data.table import read_table
from bayesgmm.gaussian.families import FAMILIES, family
from bayesgmm.gaussian.mixture import Mixture, log_density, permute
from bayesgmm.ml.derivatives import jacobian
from bayesgmm.ml.optima import MaximumLikelihood
from bayesgmm.ml.problem import Problem
from bayesgmm.ml.quantities import quantities
from bayesgmm.ml.restarts import Settings, fit
from bayesgmm.ml.uncertainty import standard_errors

NAMES = [member.name for member in FAMILIES]
TIGHT = Settings(tol=1e-14)


@pytest.fixture(scope="module")
def problem(table) -> Problem:
    return Problem.of(table)


@pytest.fixture(scope="module")
def fits(table, start) -> Callable[[str], MaximumLikelihood]:
    """A function from a family's name to its converged fit of two components."""
    done: dict[str, MaximumLikelihood] = {}

    def fitted(name: str) -> MaximumLikelihood:
        if name not in done:
            done[name] = fit(table, 2, name, np.random.default_rng(0), TIGHT, start)
        return done[name]

    return fitted


def fit_at(mixture: Mixture, name: str, problem: Problem, like: MaximumLikelihood):
    """A result with that mixture, for what looks at nothing else."""
    return replace(like, mixture=mixture, family=family(name), n=float(problem.row_weights.sum()))


def columns_of(errors):
    return (errors.weights, errors.means, errors.sds, errors.correlations)


# --- an independent Hessian ---------------------------------------------------------------------


def layout(name: str) -> tuple[int, int, int]:
    """How many log volumes, log shapes and angles the family has for k = d = 2."""
    v, a, o = ({"E": 1, "V": 2, "I": 0}[letter] for letter in name)
    return v, a, o


def turn(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def parameters(mixture: Mixture, name: str) -> tuple[np.ndarray, np.ndarray]:
    """First weight, means, log volumes, log shapes and angles, and the size of a step in each."""
    covariances, (n_volumes, n_shapes, n_angles) = mixture.covariances, layout(name)
    axes = np.linalg.eigh(covariances)[1] if name[2] == "V" else np.stack(2 * [np.eye(2)])
    if name[2] == "E":
        axes = np.stack(2 * [np.linalg.eigh(covariances.sum(0))[1]])
    squares = np.einsum("kba,kbc,kca->ka", axes, covariances, axes)
    logs = np.log(squares)
    shapes = (logs[:, 0] - logs[:, 1]) / 2
    angles = np.arctan2(axes[:, 1, 0], axes[:, 0, 0])
    thin = np.sqrt(squares.min() / squares.max())
    groups = [
        (mixture.weights[:1], 0.2),
        (mixture.means.ravel(), np.tile([1.0, 20.0], 2)),
        (logs.mean(1)[:n_volumes], 1.0),
        (shapes[:n_shapes], 1.0),
        (angles[:n_angles], thin),
    ]
    sizes = [np.broadcast_to(size, value.shape) for value, size in groups]
    return np.concatenate([value for value, _ in groups]), np.concatenate(sizes)


def mixture_at(values: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, means and covariances."""
    volumes, shapes, angles = (
        np.resize(part if part.size else np.zeros(1), 2)
        for part in np.split(values[5:], np.cumsum(layout(name))[:2])
    )
    weights, means = np.array([values[0], 1 - values[0]]), values[1:5].reshape(2, 2)
    covariances = [
        np.exp(v) * turn(o) @ np.diag(np.exp([a, -a])) @ turn(o).T
        for v, a, o in zip(volumes, shapes, angles, strict=True)
    ]
    return weights, means, np.array(covariances)


def log_likelihood(values: np.ndarray, name: str, X: np.ndarray) -> float:
    """By SciPy."""
    weights, means, covariances = mixture_at(values, name)
    joint = [multivariate_normal(*each).logpdf(X) for each in zip(means, covariances, strict=True)]
    return float(logsumexp(np.log(weights)[:, None] + joint, axis=0).sum())


def as_people_read(values: np.ndarray, name: str) -> np.ndarray:
    """Weights, means, standard deviations and correlations, one flat vector."""
    weights, means, covariances = mixture_at(values, name)
    sd = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    return np.concatenate([weights, means.ravel(), sd.ravel(), covariances[:, 0, 1] / sd.prod(1)])


def numerical_hessian(function, point: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Second central differences, extrapolated once to remove the error of second order."""

    def plain(scale: float) -> np.ndarray:
        shifts = np.diag(steps * scale)
        found = np.empty((point.size, point.size))
        for i, a in enumerate(shifts):
            for j, b in enumerate(shifts):
                corners = (
                    function(point + a + b)
                    - function(point + a - b)
                    - function(point - a + b)
                    + function(point - a - b)
                )
                found[i, j] = corners / (4 * steps[i] * steps[j] * scale**2)
        return found

    return (4 * plain(1.0) - plain(2.0)) / 3


@pytest.mark.parametrize("name", NAMES)
def test_standard_errors_are_those_of_an_independent_hessian(name, fits, problem):
    found = fits(name)
    errors = standard_errors(found, problem)
    point, sizes = parameters(found.mixture, name)
    value = log_likelihood(point, name, problem.X)
    assert value == pytest.approx(found.log_likelihood, rel=1e-10)
    hessian = numerical_hessian(lambda at: log_likelihood(at, name, problem.X), point, 2e-3 * sizes)
    slopes = jacobian(lambda at: as_people_read(at, name), point, 1e-3 * sizes)
    expected = np.sqrt(np.diagonal(slopes @ np.linalg.inv(-hessian) @ slopes.T))
    np.testing.assert_allclose(errors.weights, expected[:2], rtol=1e-4)
    np.testing.assert_allclose(errors.means.ravel(), expected[2:6], rtol=1e-4)
    np.testing.assert_allclose(errors.sds.ravel(), expected[6:10], rtol=1e-4)
    if name[2] == "I":
        assert np.isnan(errors.correlations).all()
    else:
        np.testing.assert_allclose(errors.correlations[:, 0, 1], expected[10:], rtol=1e-4)
        np.testing.assert_allclose(errors.correlations[:, 1, 0], expected[10:], rtol=1e-4)
    assert errors.reasons == ("", "")


def test_equal_weights_have_no_standard_error(table, start, problem):
    """They are known, and what is known makes the rest less uncertain."""
    settings = replace(TIGHT, equal_weights=True)
    found = fit(table, 2, "EEE", np.random.default_rng(0), settings, start)
    errors = standard_errors(found, problem)
    np.testing.assert_array_equal(errors.weights, 0)
    estimated = replace(found, family=family("EEE"))
    assert (errors.means <= standard_errors(estimated, problem).means + 1e-9).all()


# --- closed forms -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in NAMES if name[0] == "V"])
def test_one_component_has_the_textbook_standard_errors(name, fits, problem):
    """sd / sqrt(n) for means, sd / sqrt(2 n) for deviations, (1 - r^2) / sqrt(n) for r."""
    X, n = problem.X, len(problem.X)
    scatter = np.cov(X.T, ddof=0)
    covariance = {
        "EI": np.diag(np.diagonal(scatter)),
        "VI": np.diag(np.diagonal(scatter)),
        "II": np.trace(scatter) / 2 * np.eye(2),
    }.get(name[1:], scatter)
    one = Mixture(np.ones(1), X.mean(0)[None], np.linalg.cholesky(covariance)[None])
    errors = standard_errors(fit_at(one, name, problem, fits("VVV")), problem)
    sd = np.sqrt(np.diagonal(covariance))
    share = 4 * n if name[1] == "I" else 2 * n
    assert errors.weights == pytest.approx([0.0], abs=1e-12)
    np.testing.assert_allclose(errors.means[0], sd / np.sqrt(n), rtol=1e-7)
    np.testing.assert_allclose(errors.sds[0], sd / np.sqrt(share), rtol=1e-7)
    assert errors.reasons == ("",)
    if name[2] != "I":
        r = covariance[0, 1] / sd.prod()
        expected = (1 - r**2) / np.sqrt(n)
        np.testing.assert_allclose(errors.correlations[0, 0, 1], expected, rtol=1e-7)
    else:
        assert np.isnan(errors.correlations).all()


# --- laws ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["VVV", "EEE"])
def test_standard_errors_ignore_component_order(name, fits, problem):
    found, order = fits(name), np.array([1, 0])
    turned = replace(found, mixture=permute(found.mixture, order))
    for one, other in zip(
        columns_of(standard_errors(turned, problem)),
        columns_of(standard_errors(found, problem)),
        strict=True,
    ):
        np.testing.assert_allclose(one, other[order], rtol=1e-6)


def test_standard_errors_are_in_the_units_of_the_columns(fits, problem):
    scale = np.array([1e-3, 500.0])
    found = fits("VVV")
    mixture = found.mixture
    moved = Mixture(mixture.weights, mixture.means * scale + 7, mixture.scale_tril * scale[:, None])
    there = Problem.of(read_table(problem.X * scale + 7))
    one = standard_errors(found, problem)
    other = standard_errors(replace(found, mixture=moved), there)
    np.testing.assert_allclose(other.weights, one.weights, rtol=1e-6)
    np.testing.assert_allclose(other.means, one.means * scale, rtol=1e-6)
    np.testing.assert_allclose(other.sds, one.sds * scale, rtol=1e-6)
    np.testing.assert_allclose(other.correlations, one.correlations, rtol=1e-6)


def test_four_times_the_rows_halve_the_standard_errors(fits, problem, table):
    found = fits("VVV")
    more = Problem.of(read_table(table.X, weights=np.full(80, 4.0)))
    four = standard_errors(replace(found, n=320.0), more)
    for one, other in zip(
        columns_of(four), columns_of(standard_errors(found, problem)), strict=True
    ):
        np.testing.assert_allclose(one, other / 2, rtol=1e-7)


def test_deviations_and_correlations_are_those_of_the_covariances(fits):
    mixture = fits("VVV").mixture
    sd = np.sqrt(np.diagonal(mixture.covariances, axis1=1, axis2=2))
    np.testing.assert_allclose(quantities(mixture).sds, sd, rtol=1e-6)
    expected = mixture.covariances / (sd[:, :, None] * sd[:, None, :])
    np.testing.assert_allclose(quantities(mixture).correlations, expected, rtol=1e-6)


# --- missing, with the reason -------------------------------------------------------------------


def test_entries_that_are_no_parameters_are_missing(fits, problem):
    full = standard_errors(fits("VVV"), problem)
    assert np.isnan(np.diagonal(full.correlations, axis1=1, axis2=2)).all()
    assert np.isfinite(full.correlations[:, 0, 1]).all()
    assert np.isnan(standard_errors(fits("VVI"), problem).correlations).all()


def test_a_small_component_has_none_and_says_so(fits, problem):
    """A component needs five rows for each of its d + 1 = 3 parameters: here 15."""
    found = fits("VVV")
    small = replace(found, n=found.n * 14.9 / found.counts.min())
    errors = standard_errors(small, problem)
    one, other = int(found.counts.argmin()), int(found.counts.argmax())
    assert errors.reasons[one] == "fewer than 15 rows (14.9)"
    assert errors.reasons[other] == ""
    for column in columns_of(errors):
        assert np.isnan(column[one]).all()
    assert np.isfinite(errors.means[other]).all()
    assert np.isfinite(errors.weights[other])


def test_two_equal_components_have_none_and_say_so(fits, problem):
    """The likelihood does not change when weight moves between equal components."""
    X = problem.X
    factor = np.linalg.cholesky(np.cov(X.T, ddof=0))
    twice = Mixture(np.full(2, 0.5), np.tile(X.mean(0), (2, 1)), np.tile(factor, (2, 1, 1)))
    errors = standard_errors(fit_at(twice, "VVV", problem, fits("VVV")), problem)
    assert all("the information is" in reason for reason in errors.reasons)
    assert all(np.isnan(column).all() for column in columns_of(errors))


def test_components_pulled_together_have_none_and_say_so(fits, problem):
    """Half way to their middle the information is no longer that of a maximum."""
    found = fits("VVV")
    means = (found.mixture.means + found.mixture.means.mean(0)) / 2
    pulled = replace(found, mixture=found.mixture._replace(means=means))
    errors = standard_errors(pulled, problem)
    assert all("the information is near singular" in reason for reason in errors.reasons)
    assert all(np.isnan(column).all() for column in columns_of(errors))


def test_a_weight_that_is_hardly_known_takes_its_component_along(fits, problem, table):
    """The less a row weighs, the larger the standard error, until it is half the weight."""
    found = fits("VVV")
    errors = standard_errors(found, problem)
    least = int(found.mixture.weights.argmin())
    share = 0.9 * (2 * errors.weights[least] / found.mixture.weights[least]) ** 2
    less = replace(problem, row_weights=np.full(80, share))
    wide = standard_errors(found, less)  # `found` still counts eighty rows
    assert wide.reasons[least] == "its standard error is above half the weight"
    assert wide.reasons[1 - least] == ""
    assert np.isnan(wide.means[least]).all()
    assert np.isfinite(wide.means[1 - least]).all()


def test_a_point_that_is_no_maximum_has_none(fits, problem):
    """Far from any maximum the curvature is not that of a maximum."""
    found = fits("VVV")
    away = found.mixture._replace(means=found.mixture.means[::-1] + np.array([8.0, 0.0]))
    errors = standard_errors(replace(found, mixture=away), problem)
    assert np.isfinite(log_density(away, problem.X)).all()
    assert errors.reasons[0].startswith("the information is")
    assert all(np.isnan(column).all() for column in columns_of(errors))


# --- covariances, intervals, and the sandwich ---------------------------------------------------


def test_one_component_has_the_textbook_errors_of_its_covariances(fits, problem):
    """var(S_ab) = (S_aa S_bb + S_ab^2) / n."""
    X, n = problem.X, len(problem.X)
    S = np.cov(X.T, ddof=0)
    one = Mixture(np.ones(1), X.mean(0)[None], np.linalg.cholesky(S)[None])
    errors = standard_errors(fit_at(one, "VVV", problem, fits("VVV")), problem)
    expected = np.sqrt((np.outer(np.diag(S), np.diag(S)) + S**2) / n)
    np.testing.assert_allclose(errors.covariances[0], expected, rtol=1e-7)


def test_the_sandwich_of_one_component_is_whites(fits, problem):
    """sd / sqrt(n) for means whatever the rows; for a variance, the spread of squares."""
    X, n = problem.X, len(problem.X)
    one = Mixture(np.ones(1), X.mean(0)[None], np.linalg.cholesky(np.cov(X.T, ddof=0))[None])
    errors = standard_errors(fit_at(one, "VVV", problem, fits("VVV")), problem, "sandwich")
    squares = np.square(X - X.mean(0))
    np.testing.assert_allclose(errors.means[0], X.std(0) / np.sqrt(n), rtol=1e-6)
    np.testing.assert_allclose(
        np.diagonal(errors.covariances[0]), squares.std(0) / np.sqrt(n), rtol=1e-6
    )
    assert errors.kind == "sandwich"


@pytest.mark.parametrize("name", ["VVV", "EEE", "VEI", "EVE"])
def test_the_sandwich_is_that_of_row_by_row_scores(name, fits, problem):
    found = fits(name)
    errors = standard_errors(found, problem, "sandwich")
    point, sizes = parameters(found.mixture, name)

    def by_row(at):
        weights, means, covariances = mixture_at(at, name)
        pairs = zip(means, covariances, strict=True)
        joint = [multivariate_normal(*each).logpdf(problem.X) for each in pairs]
        return logsumexp(np.log(weights)[:, None] + joint, axis=0)

    scores = jacobian(by_row, point, 1e-3 * sizes)
    hessian = numerical_hessian(lambda at: log_likelihood(at, name, problem.X), point, 2e-3 * sizes)
    bread = np.linalg.inv(-hessian)
    slopes = jacobian(lambda at: as_people_read(at, name), point, 1e-3 * sizes)
    expected = np.sqrt(np.diagonal(slopes @ bread @ scores.T @ scores @ bread @ slopes.T))
    found_flat = np.concatenate([errors.weights, errors.means.ravel(), errors.sds.ravel()])
    np.testing.assert_allclose(found_flat, expected[:10], rtol=2e-4)


def test_counts_are_repeated_rows_and_other_weights_need_the_sandwich(fits, problem, table):
    found = fits("VVV")
    counts = np.resize([1.0, 3.0, 2.0], 80)
    weighted = Problem.of(read_table(table.X, weights=counts))
    repeated = Problem.of(read_table(np.repeat(table.X, counts.astype(int), axis=0)))
    for kind in ("information", "sandwich"):
        one, other = (standard_errors(found, each, kind) for each in (weighted, repeated))
        for a, b in zip(columns_of(one), columns_of(other), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)
    halves = Problem.of(read_table(table.X, weights=np.full(80, 0.5)))
    assert all("not counts" in reason for reason in standard_errors(found, halves).reasons)
    robust, plain = (standard_errors(found, each, "sandwich") for each in (halves, problem))
    np.testing.assert_allclose(robust.means, plain.means, rtol=1e-6)


def test_intervals_stay_where_the_parameters_do_and_are_symmetric_on_their_scales(fits, problem):
    found = fits("VVV")
    errors, mixture = standard_errors(found, problem), found.mixture
    low, high = errors.intervals(mixture, 30.0)
    assert (low.weights > 0).all()
    assert (high.weights < 1).all()
    assert (low.sds > 0).all()
    off = ~np.eye(2, dtype=bool)
    assert (abs(np.stack([low.correlations, high.correlations])[..., off]) <= 1).all()
    low, high = errors.intervals(mixture, 1.0)
    value = quantities(mixture)
    np.testing.assert_allclose(high.means - value.means, errors.means, rtol=1e-12)
    np.testing.assert_allclose(low.sds * high.sds, value.sds**2, rtol=1e-12)
    np.testing.assert_allclose(np.log(high.sds / value.sds), errors.sds / value.sds, rtol=1e-12)


def test_another_kind_is_refused(fits, problem):
    with pytest.raises(InputError, match="kind"):
        standard_errors(fits("VVV"), problem, "robust")


# --- what must not spoil them -------------------------------------------------------------------


@pytest.mark.parametrize("far", [1e3, 1e5])
def test_a_remote_cluster_changes_no_other_components_errors(far):
    """Steps are taken in each component's own metric, not in that of the whole data."""
    rng = np.random.default_rng(0)
    near = np.concatenate([rng.normal(0, 1, 150), rng.normal(8, 1, 150)])
    X = np.concatenate([near, far + rng.normal(0, 1, 100)])[:, None]
    alone = Problem.of(read_table(near[:, None]))
    whole = Problem.of(read_table(X))
    two = fit(alone.table, 2, "VVV", np.random.default_rng(0), Settings(n_init=8, tol=1e-14))
    three = fit(whole.table, 3, "VVV", np.random.default_rng(0), Settings(n_init=20, tol=1e-14))
    one, other = standard_errors(two, alone), standard_errors(three, whole)
    assert other.reasons == ("", "", "")
    np.testing.assert_allclose(other.means[:2], one.means, rtol=1e-4)
    np.testing.assert_allclose(other.sds[:2], one.sds, rtol=1e-4)


def test_large_units_overflow_nowhere(problem, table):
    X = table.X * np.array([1e5, 1e-7])
    found = fit(read_table(X), 2, "VVV", np.random.default_rng(0), Settings(n_init=8))
    there = Problem.of(read_table(X))
    low, high = standard_errors(found, there).intervals(found.mixture)
    assert all(np.isfinite(part).all() for part in (low.covariances, high.covariances))


@pytest.mark.parametrize("policy", ["prior", "floor"])
def test_a_prior_or_a_floor_has_no_information(policy, table, problem):
    found = fit(table, 2, "VVV", np.random.default_rng(0), Settings(n_init=4, on_collapse=policy))
    errors = standard_errors(found, problem)
    assert all("use the bootstrap" in reason for reason in errors.reasons)
    assert found.penalty


def test_what_is_shared_is_known_though_one_component_is_small():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, 6), rng.normal(10, 1, 100), rng.normal(20, 1, 100)])
    table = read_table(X[:, None])
    found = fit(table, 3, "E", rng, Settings(n_init=8))
    errors = standard_errors(found, Problem.of(table))
    assert "fewer than 10 rows" in errors.reasons[0]
    assert np.isnan(errors.means[0, 0])
    np.testing.assert_allclose(errors.sds[:, 0], found.mixture.scale_tril[0, 0, 0] / 412**0.5, 0.1)


def test_the_scale_of_weights_that_are_not_counts_changes_nothing(table):
    weights = np.random.default_rng(0).uniform(0.2, 3, size=80)
    results = []
    for scale in (1.0, 1e-3):
        weighted = read_table(table.X, weights=scale * weights)
        found = fit(weighted, 2, "VVV", np.random.default_rng(0), Settings(n_init=8))
        assert found.optima[0].admissible
        results.append(standard_errors(found, Problem.of(weighted), "sandwich"))
    for one, other in zip(*map(columns_of, results), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
