"""The mode that the draws lie around: the highest point, under the labels that draws have."""

from functools import cache

import numpy as np
import pytest
from scipy.special import logsumexp

import bayesgmm as bg
from bayesgmm.bayes import seen
from bayesgmm.bayes.crossing import Crossed
from bayesgmm.bayes.draws import Draws
from tests.bayes.cases import KNOWN_TRIL, known_covariance, mode_at, student

OPTIONS = {"num_chains": 2, "num_draws": 150, "max_draws": 150, "n_init": 4, "random_state": 0}
X = np.concatenate(
    [
        np.random.default_rng(0).normal(0, 1, (30, 2)),
        np.random.default_rng(1).normal(4, 1, (20, 2)) * [1, -1],
    ]
)


@cache
def fitted(model="gaussian"):
    return bg.BayesianMixture(2, model=model, **OPTIONS).fit(X)


def test_of_a_normal_posterior_it_is_the_mean():
    """A normal mean of known covariance: the posterior is normal, so mode and mean are one."""
    fit = bg.BayesianMixture(1, model=known_covariance, **OPTIONS).fit(X)
    precision = np.linalg.inv(KNOWN_TRIL @ KNOWN_TRIL.T)
    posterior = np.eye(2) / 100 + len(X) * precision
    exact = np.linalg.solve(posterior, len(X) * precision @ X.mean(0))
    np.testing.assert_allclose(fit.both_.posterior.map.sites["mean"][0, 0], exact, atol=1e-6)


@pytest.mark.parametrize("model", ["gaussian", "gaussian_noise", student])
def test_it_follows_the_labels_of_the_draws(model):
    fit = fitted(model)
    other = fit.relabel(by="-weights")
    for one in (fit, other):
        posterior = one.both_.posterior
        mean = posterior.sites["weights"].mean((0, 1))
        np.testing.assert_allclose(posterior.map.sites["weights"][0, 0], mean, atol=0.1)
    own = np.sort(fit.both_.posterior.map.sites["weights"].ravel())
    np.testing.assert_array_equal(np.sort(other.both_.posterior.map.sites["weights"].ravel()), own)


def test_the_mixture_at_the_mode_says_the_same_as_its_sites():
    peak = fitted().both_.posterior.map
    np.testing.assert_allclose(peak.mixture.means, peak.sites["means"])
    np.testing.assert_allclose(peak.mixture.weights, peak.sites["weights"])


@pytest.mark.parametrize("model", ["gaussian", student])
def test_it_is_saved_with_the_fit(model, tmp_path):
    fit = fitted(model).relabel(by="-weights")
    loaded = bg.BayesianMixture.load(fit.save(tmp_path / "fit.nc"))
    one, other = fit.both_.posterior.map, loaded.both_.posterior.map
    for name, values in one.sites.items():
        np.testing.assert_array_equal(values, other.sites[name])
    assert (one.mixture is None) == (other.mixture is None)
    assert str(loaded.summary(with_map=True)) == str(fit.summary(with_map=True))


def crossed_at(held, log_posterior):
    """Draws of which only the density at held rows and the height are known."""
    draws = Draws(np.zeros((*held.shape[:2], 1)), log_posterior, None, {})
    return Crossed(draws, {}, None, *(np.zeros(held.shape[:2]),) * 4, held, None)


def some():
    """Two chains around different places, three modes: near the first, near both, near none."""
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(2, 100, 3))
    drawn[1, :, 0] += 15.0
    at = np.array([[[1.0, 0.0, 0.0], [7.5, 0.0, 0.0], [0.0, 0.0, 40.0]]])
    heights = np.array([[1.0, 0.5, 9.0]])
    return crossed_at(at, heights), crossed_at(drawn, np.zeros((2, 100)))


def test_a_mode_is_near_the_chains_within_whose_draws_it_lies():
    at, drawn = some()
    expected = [[True, False], [True, True], [False, False]]
    np.testing.assert_array_equal(seen.near(at, drawn), expected)


def test_the_peak_is_the_highest_of_the_modes_that_were_come_near():
    at, drawn = some()
    at = at._replace(sites={"m": np.arange(3)[None]})
    near = seen.near(at, drawn)
    assert seen.peak(at, near.any(1)).sites["m"] == 0
    assert seen.peak(at, near[:, 1]).sites["m"] == 1
    assert seen.peak(at, np.zeros(3, bool)) is None


def test_modes_of_little_mass_need_not_be_seen():
    modes = [mode_at([float(i)], [[1.0]], mass) for i, mass in enumerate((0.0, -1.0, -9.0))]
    modes = [mode._replace(origin=f"start {i}") for i, mode in enumerate(modes)]
    assert [mode.origin for mode in seen.heavy(modes)] == ["start 0", "start 1"]
    came_near = np.array([[True, False], [False, False]])
    (missed,) = seen.unseen(modes, came_near)
    mass = np.exp(-1.0 - float(logsumexp(np.array([0.0, -1.0, -9.0]))))
    assert missed == ("start 1", pytest.approx(mass, rel=1e-5))
    assert seen.unseen(modes, np.array([[True, False], [False, True]])) == ()


def test_of_many_small_modes_the_first_stands_for_all():
    modes = [mode_at([float(i)], [[1.0]]) for i in range(30)]
    assert seen.heavy(modes) == [modes[0]]
