"""Races and rearrangements: nothing good is lost, and better is found where it is to be found."""

import jax
import numpy as np
import pytest

from bayesgmm.data.errors import InputError
from bayesgmm.data.table import read_table
from bayesgmm.gaussian.families import family
from bayesgmm.gaussian.mixture import Mixture, log_density, moments
from bayesgmm.ml import driver, em, race, restarts
from bayesgmm.ml.problem import Problem, conjugate_prior
from bayesgmm.ml.race import Heat, climb, improved, raced, rearranged
from bayesgmm.ml.restarts import Settings, fit, fit_cells

PLACES = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 40.0]])
rng = np.random.default_rng


def clusters(rows=40):
    X = np.repeat(PLACES, rows, axis=0) + rng(0).normal(size=(3 * rows, 2))
    return read_table(X)


def heat(table, k, name="VVV", n_starts=12, seed=0):
    problem = Problem.of(table)
    return Heat(
        family(name),
        restarts._starts(problem, k, False, rng(seed), Settings(n_init=n_starts), None),
    )


def track(table, **options):
    return Settings(**options).track(Problem.of(table), 1)


def top(result):
    return result.state.log_likelihood.max()


# --- several cells at once ----------------------------------------------------------------------


def test_cells_of_several_families_and_sizes_climb_as_if_alone():
    table = clusters()
    heats = [heat(table, 2, "VVV"), heat(table, 3, "EEI"), heat(table, 3, "VEV", 5)]
    together = climb(heats, track(table))
    for one, result in zip(heats, together, strict=True):
        (alone,) = climb([one], track(table))
        assert result.counts.shape == (one.size, one.starts.n_components)
        np.testing.assert_allclose(
            result.state.log_likelihood, alone.state.log_likelihood, rtol=1e-9
        )
        np.testing.assert_allclose(result.counts.sum(1), len(table.X), rtol=1e-12)


def test_families_of_one_size_are_at_least_as_high_as_those_within_them():
    names = ("EII", "EEI", "EEE", "VEE", "VVV")
    X = rng(3).normal(size=(60, 2)) * [1.0, 3.0]
    cells = [(name, 4) for name in names]
    fits = fit_cells(read_table(X), cells, rng(0), Settings(n_init=4), quiet=True)
    heights = [each.log_likelihood for each in fits if each.optima[0].admissible]
    assert heights == sorted(heights)


# --- races --------------------------------------------------------------------------------------


def test_a_race_keeps_the_best_and_says_how_many_ran_on():
    table = clusters()
    one = heat(table, 3)
    (whole,), (few,) = climb([one], track(table)), raced([one], track(table), 4, rng(0))
    assert len(few.counts) == 4
    assert top(few) == pytest.approx(top(whole), rel=1e-10)
    for history in few.history:
        assert (np.diff(history[np.isfinite(history)]) >= -1e-9).all()


def test_many_rows_are_raced_on_some_of_them_first(monkeypatch):
    table = clusters(100)
    whole = fit(table, 3, "full", rng(0), Settings(n_init=12))
    monkeypatch.setattr(race, "ROWS", 90)
    few = fit(table, 3, "full", rng(0), Settings(n_init=12))
    assert (few.n_starts, few.n_raced) == (race.WINNERS, 12)
    assert (whole.n_starts, whole.n_raced) == (12, 12)
    assert few.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-10)
    found = log_density(few.mixture, table.X).sum()
    assert few.log_likelihood == pytest.approx(found, rel=1e-12)


def test_starts_that_fell_out_come_back_where_no_finalist_is_admissible(monkeypatch):
    table = clusters()
    one = heat(table, 3)
    refused = [True]

    def refuse_once(*arguments):
        reasons = real(*arguments)
        return ["refused"] * len(reasons) if len(reasons) <= 2 and refused else reasons

    real = driver.refusals
    monkeypatch.setattr(driver, "refusals", refuse_once)
    found = fit(table, 3, "full", rng(0), Settings(n_init=one.size, finalists=2))
    assert found.n_starts == one.size
    assert found.optima[0].admissible


# --- rearrangements -----------------------------------------------------------------------------


def test_a_component_that_is_split_keeps_its_moments():
    tril = np.array([[[1.0, 0.0], [0.5, 2.0]], [[3.0, 0.0], [-1.0, 1.0]], np.eye(2)])
    mixture = Mixture(np.array([0.5, 0.3, 0.2]), PLACES, tril)
    found = rearranged(mixture)
    assert found.weights.shape == (6, 3)
    np.testing.assert_allclose(found.weights.sum(1), 1)
    for i, (lost, halved) in enumerate([(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]):
        halves = [lost, halved]
        pair = Mixture(np.full(2, 0.5), found.means[i, halves], found.scale_tril[i, halves])
        mean, covariance = moments(pair)
        np.testing.assert_allclose(mean, mixture.means[halved], atol=1e-12)
        np.testing.assert_allclose(covariance, mixture.covariances[halved], rtol=1e-10)
        (kept,) = {0, 1, 2} - set(halves)
        np.testing.assert_array_equal(found.means[i, kept], mixture.means[kept])


def test_an_optimum_with_two_components_in_one_cluster_is_left():
    table = clusters()
    wrong = np.array([[-0.5, 40.0], [0.5, 40.0], [4.5, 0.0]])
    start = Mixture(np.full(3, 1 / 3), wrong, np.tile(np.diag([3.0, 1.0]), (3, 1, 1)))
    stuck = Heat(family("EEI"), Mixture(*(np.stack([part, part]) for part in start)))
    ends = climb([stuck], track(table))
    (found,) = improved([stuck], ends, track(table))
    assert top(found) > top(ends[0]) + 50
    best = found.state.mixture.means[found.state.log_likelihood.argmax()]
    np.testing.assert_allclose(np.sort(best.sum(1)), [0, 9, 40], atol=1)
    assert len(found.counts) > 2


def test_a_single_start_is_left_where_it_ended():
    table = clusters()
    one = heat(table, 3, n_starts=1)
    ends = climb([one], track(table))
    assert improved([one], ends, track(table))[0] is ends[0]


# --- collapse -----------------------------------------------------------------------------------


def tied():
    X = clusters().X.copy()
    X[:25] = X[0]
    return read_table(X)


def test_raise_names_the_component_and_the_remedy():
    with pytest.raises(InputError, match=r"component \d collapsed .* rows\); use fewer"):
        fit(tied(), 4, "full", rng(0), Settings(n_init=12, on_collapse="raise"))


def test_floor_keeps_every_variance_above_it():
    found = fit(tied(), 4, "full", rng(0), Settings(n_init=12, on_collapse="floor"))
    frame = Problem.of(tied()).frame
    scaled = found.mixture.scale_tril / frame.scale[:, None]
    least = np.linalg.eigvalsh(scaled @ scaled.swapaxes(-1, -2)).min()
    assert least >= restarts.RESCUE_FLOOR * (1 - 1e-6)


def test_the_most_probable_single_component_is_the_conjugate_one():
    table = clusters()
    X, (n, d) = table.X, table.X.shape
    found = fit(table, 1, "full", rng(0), Settings(on_collapse="prior"))
    prior = conjugate_prior(Problem.of(table), 1)
    apart = X - X.mean(0)
    scatter = prior.scatter + apart.T @ apart  # the prior's mean is that of the rows
    expected = scatter / (n + prior.freedom + d + 2)
    np.testing.assert_allclose(found.mixture.covariances[0], expected, rtol=1e-9)
    np.testing.assert_allclose(found.mixture.means[0], X.mean(0), rtol=1e-12)
    plain = log_density(found.mixture, X).sum()
    assert found.log_likelihood == pytest.approx(plain, rel=1e-12)


@pytest.mark.parametrize("name", ["VVV", "EEE", "VEI", "EVE"])
def test_with_a_prior_the_log_posterior_never_descends_and_nothing_collapses(name):
    table = tied()
    problem, one = Problem.of(table), heat(table, 2, name)
    ground = Settings(on_collapse="prior").track(problem, 2)
    (result,) = climb([one], ground)
    assert not result.state.collapsed.any()
    for i, history in enumerate(result.history):
        kept = history[np.isfinite(history)]
        assert (np.diff(kept) >= -1e-9 * abs(kept[-1])).all()
        end = Mixture(*(part[i] for part in result.state.mixture))
        with jax.enable_x64(True):
            bonus = float(em.log_prior(end, ground.data.prior))
        with_prior = log_density(end, table.X).sum() + bonus
        assert with_prior == pytest.approx(kept[-1], abs=1e-4)
