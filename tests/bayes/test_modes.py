"""Several modes: chains that sit apart, and chains that all sit in the wrong one."""

from functools import cache

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.bayes import nuts
from bayesgmm.bayes.loo import stacking

HALF = np.random.default_rng(0).normal([6.0, 0.0], 0.3, (60, 2))
X = np.concatenate([HALF[:, 0], -HALF[:, 0], HALF[:30, 1], -HALF[:30, 1]])[:, None]
"""Three groups far apart; two components can join the middle one with either of the others."""
OPTIONS = {"num_chains": 4, "num_draws": 200, "n_init": 20, "random_state": 0, "max_draws": 200}


def fitted(**options):
    return bg.BayesianMixture(2, model="gaussian_diag", **(OPTIONS | options)).fit(X)


@cache
def apart():
    return fitted()


def names(fit):
    return [flag.name for flag in fit.verdict_.flags]


def test_chains_start_in_every_mode_that_has_mass_and_are_never_averaged():
    fit = apart()
    modes = fit.both_.posterior.sampled_modes
    assert "multimodal" in names(fit)
    assert sorted(c for mode in modes for c in mode.chains) == [0, 1, 2, 3]
    assert len(modes) == 2
    used = np.flatnonzero(fit.both_.posterior.kept).tolist()
    assert tuple(used) == max(modes, key=lambda mode: mode.weight).chains
    means = fit.both_.posterior.mixture.means[fit.both_.posterior.kept][..., 0]
    assert np.ptp(means, axis=(0, 1)).max() < 4.0  # the middle group has one home in all of them


def test_every_mode_has_its_log_posterior_and_its_stacking_weight(tmp_path):
    fit = apart()
    posterior = fit.both_.posterior
    modes = posterior.sampled_modes
    each = [
        np.mean([posterior.draws.log_posterior[c].mean() for c in mode.chains]) for mode in modes
    ]
    np.testing.assert_allclose([mode.log_posterior for mode in modes], each)
    pointwise = np.stack([posterior._loo_of(np.isin(np.arange(4), mode.chains)) for mode in modes])
    weights = stacking(pointwise, np.ones(len(X)))
    np.testing.assert_allclose([mode.weight for mode in modes], weights)
    tree = fit.posterior_
    groups = tree["posterior"]["mode"].values
    assert [np.flatnonzero(groups == m).tolist() for m in range(2)] == [
        list(mode.chains) for mode in modes
    ]
    np.testing.assert_allclose(tree["modes"]["stacking_weight"], weights)
    loaded = bg.BayesianMixture.load(fit.save(tmp_path / "fit.nc"))
    assert loaded.both_.posterior.sampled_modes == modes
    np.testing.assert_array_equal(loaded.both_.posterior.kept, posterior.kept)


def test_the_summary_says_which_mode_its_numbers_are_of():
    text = " ".join(str(apart().summary()).split())
    modes = apart().both_.posterior.sampled_modes
    for m, mode in enumerate(modes):
        chains = ", ".join(str(c) for c in mode.chains)
        word = "chains" if len(mode.chains) > 1 else "chain"
        assert f"Mode {m} ({word} {chains}): mean log posterior" in text
    assert text.count("the numbers above are its") == 1


def test_chains_that_all_sit_in_one_wrong_mode_are_caught(monkeypatch, tmp_path):
    monkeypatch.setattr(nuts, "allocate", lambda found, num_chains: [1] * num_chains)
    fit = fitted()
    assert fit.diagnostics_.worst_r_hat < 1.05  # nothing that chains say of each other helps
    assert len(fit.both_.posterior.sampled_modes) == 1
    (flag,) = [flag for flag in fit.verdict_.flags if flag.name == "multimodal"]
    assert "no chain came near the mode of EM optimum 1, with " in flag.number
    assert "--chains" in flag.next
    loaded = bg.BayesianMixture.load(fit.save(tmp_path / "fit.nc"))
    assert loaded.verdict_ == fit.verdict_


def test_where_maximum_likelihood_is_in_another_mode_the_prior_is_not_blamed(monkeypatch):
    monkeypatch.setattr(nuts, "allocate", lambda found, num_chains: [1] * num_chains)
    text = " ".join(str(fitted().summary()).split())
    assert "ML and Bayes disagree" in text
    assert "Several modes: the numbers are of one" in text
    assert "so the prior speaks" not in text


def test_an_approximation_of_one_mode_says_that_there_is_another():
    fit = fitted(inference="vi")
    (flag,) = [flag for flag in fit.verdict_.flags if flag.name == "multimodal"]
    assert "no chain came near" in flag.number


@pytest.mark.parametrize("inference", ["nuts", "laplace"])
def test_where_every_mode_was_seen_nothing_is_said(inference):
    fit = fitted(inference=inference)
    assert fit.diagnostics_.unseen == ()
