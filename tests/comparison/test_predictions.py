"""Replicated data as trees that ArviZ takes, and occupied components as a table."""

from pathlib import Path

import arviz as az
import matplotlib.pyplot as plt
import numpy as np
import pytest

import bayesgmm as bg


def test_replications_are_as_large_as_the_data_and_plotted_by_arviz(
    faithful_fit: bg.BayesianMixture,
) -> None:
    tree = faithful_fit.posterior_predictive(100)
    X = bg.load_dataset("faithful").to_numpy()
    replicated = tree["posterior_predictive"]["X"]
    assert replicated.dims == ("chain", "draw", "obs_id", "feature")
    assert replicated.shape == (4, 25, *X.shape)
    np.testing.assert_array_equal(tree["observed_data"]["X"], X)
    spread = replicated.std(("obs_id",)).mean(("chain", "draw"))
    np.testing.assert_allclose(spread, X.std(0), rtol=0.1)
    az.plot_ppc_dist(tree, coords={"feature": "waiting"})
    plt.close("all")


def test_prior_draws_bring_their_sites_and_say_whether_they_are_near(
    faithful_fit: bg.BayesianMixture,
) -> None:
    tree = faithful_fit.prior_predictive(50)
    assert tree["prior_predictive"]["X"].shape == (1, 50, 272, 2)
    assert tree["prior"]["means"].dims == ("chain", "draw", "cluster", "feature")
    assert tree.attrs["sentence"].endswith("the prior knows roughly where the data are.")
    assert 0.5 < tree.attrs["share_near"] < 0.9


@pytest.fixture(scope="module")
def counted() -> bg.BayesianMixture:
    """Thirty rows of counts 0, 1 and 2, under a prior that hardly knows where they are."""
    X = np.random.default_rng(0).normal(size=(30, 2))
    options = {"inference": "laplace", "n_init": 1, "random_state": 0}
    fit = bg.BayesianMixture(1, model="gaussian_diag", priors={"spread": 1e4}, **options)
    return fit.fit(X, sample_weight=np.arange(30) % 3)


def test_a_vague_prior_is_called_so(counted: bg.BayesianMixture) -> None:
    told = counted.prior_predictive(50)
    assert told.attrs["share_near"] < 0.01
    assert told.attrs["sentence"].startswith("Only 0 % of the rows")


def test_rows_of_counts_are_replicated_one_by_one(counted: bg.BayesianMixture) -> None:
    tree = counted.posterior_predictive(4)
    X = counted.both_.posterior.X
    assert tree["posterior_predictive"].sizes["obs_id"] == 30
    np.testing.assert_array_equal(tree["observed_data"]["X"][:3], X[[1, 2, 2]])


def test_occupied_components_prior_beside_posterior(
    faithful_fit: bg.BayesianMixture, tmp_path: Path
) -> None:
    table = faithful_fit.occupied()
    np.testing.assert_allclose(table.sum(), 1.0)
    assert list(table.index) == [1, 2]
    assert table.attrs["sentence"].startswith("Components that hold rows: most probably 2 of 2 (")
    loaded = bg.BayesianMixture.load(faithful_fit.save(tmp_path / "fit.nc"))
    with pytest.raises(bg.InputError, match=r"load\(path, model="):
        loaded.occupied()
    with pytest.raises(bg.InputError, match=r"load\(path, model="):
        loaded.prior_predictive()
    assert loaded.predictive_check().sentence == faithful_fit.predictive_check().sentence


@pytest.mark.parametrize("ask", ["posterior_predictive", "prior_predictive"])
def test_no_draws_are_refused(faithful_fit: bg.BayesianMixture, ask: str) -> None:
    with pytest.raises(bg.InputError, match="n_draws=0 must be at least 1"):
        getattr(faithful_fit, ask)(0)
