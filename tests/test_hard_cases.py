"""Data on which samplers of mixtures are known to fail, or to fail without saying so."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import bayesgmm as bg


def overlapping() -> np.ndarray:
    """Means 1.5 standard deviations apart, n = 1000."""
    rng = np.random.default_rng(1)
    return np.concatenate([rng.normal(0.0, 1.0, 500), rng.normal(1.5, 1.0, 500)])[:, None]


def test_components_that_overlap_are_sampled_well_and_their_labels_called_ambiguous() -> None:
    fit = bg.BayesianMixture(2, random_state=0).fit(overlapping())
    assert fit.verdict_.name == "labels ambiguous"
    assert min(fit.diagnostics_.ess_bulk.values()) >= 400


def tutorial(X, k):
    """The mixture of NumPyro's tutorial on enumeration: one scale for all components."""
    weights = numpyro.sample("weights", dist.Dirichlet(0.5 * jnp.ones(k)))
    scale = numpyro.sample("scale", dist.LogNormal(0.0, 2.0))
    with numpyro.plate("cluster", k):
        locs = numpyro.sample("locs", dist.Normal(0.0, 10.0))
    with numpyro.plate("data", X.shape[0]):
        components = dist.Normal(locs, scale)
        mixture = dist.MixtureSameFamily(dist.Categorical(weights), components)
        numpyro.sample("obs", mixture, obs=X[:, 0])


def test_five_points_are_sampled_without_divergences() -> None:
    five = np.array([0.0, 1.0, 10.0, 11.0, 12.0])[:, None]
    found = bg.BayesianMixture(2, model=tutorial, random_state=0).fit(five).diagnostics_
    assert found.worst_r_hat < 1.01
    assert found.lowest_ess >= 400
    assert found.divergences == 0


TIES = np.full((20, 1), 3.0)
OTHERS = np.random.default_rng(0).normal(0.0, 1.0, (60, 1))
PAIRS = np.repeat(np.random.default_rng(1).normal(5.0, 1.0, (20, 1)), 2, axis=1)


@pytest.mark.parametrize(
    "rows",
    [
        np.concatenate([TIES, OTHERS]),  # twenty equal rows among others
        np.concatenate([TIES[:10], TIES[:10] + 1]),  # nothing but ties
        np.concatenate([PAIRS, np.random.default_rng(2).normal(size=(60, 2))]),  # rows on a line
    ],
)
@pytest.mark.filterwarnings("ignore:no admissible fit")
def test_rows_without_width_do_not_collapse_a_component_silently(rows: np.ndarray) -> None:
    fit = bg.BayesianMixture(2, num_draws=250, max_draws=250, random_state=0).fit(rows)
    assert fit.verdict_.name == "collapsed"
    assert not fit.verdict_.usable
    text = " ".join(str(fit.summary()).split())
    assert "of draws have a component without width" in text
    assert "look for repeated or rounded rows" in text


def test_rows_that_are_all_equal_are_refused() -> None:
    with pytest.raises(bg.InputError, match="constant"):
        bg.BayesianMixture(2, random_state=0).fit(TIES)


def test_galaxies_in_five_components_keep_every_draw() -> None:
    fit = bg.BayesianMixture(5, max_draws=1000, random_state=0).fit("galaxies")
    posterior = fit.both_.posterior
    assert posterior.margin.shape == (4, 1000)
    assert np.isfinite(posterior.margin).all()
    np.testing.assert_array_equal(
        np.sort(posterior.order, -1), np.broadcast_to(range(5), (4, 1000, 5))
    )
    assert fit.posterior_["posterior"].sizes["draw"] == 1000
    centres = np.median(posterior.mixture.means[..., 0], axis=(0, 1))
    assert (np.diff(centres) > 0).all()  # numbered as the estimate's, which lie in this order
