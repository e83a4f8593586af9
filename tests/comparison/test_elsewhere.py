"""Draws that were made elsewhere are treated as the library's own."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import xarray as xr

import bayesgmm as bg
from bayesgmm.comparison import elsewhere
from bayesgmm.data.errors import InputError
from bayesgmm.gaussian.mixture import Mixture, log_density, permute

OPTIONS = {"num_chains": 2, "num_draws": 150, "max_draws": 150, "n_init": 4, "random_state": 0}
RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(0, 1, (30, 2)), RNG.normal([4, 2], 1, (20, 2))])
SHAPE = (2, 40)


@cache
def own(model="gaussian"):
    return bg.BayesianMixture(2, model=model, **OPTIONS).fit(X)


def scrambled(mixture):
    """Every draw in an order of its own."""
    places = np.tile(np.arange(mixture.n_components), (*mixture.weights.shape[:2], 1))
    return permute(mixture, np.random.default_rng(1).permuted(places, axis=-1))


def as_arrays(mixture):
    return {"w": mixture.weights, "mu": mixture.means, "L": mixture.scale_tril}


def brought(draws, rows=X, **options):
    names = {"weights": "w", "means": "mu"} | ({} if "sds" in options else {"scale_tril": "L"})
    if "covariances" in options:
        del names["scale_tril"]
    return bg.relabel(draws, rows, **names, n_init=4, random_state=0, **options)


def simulated(k=2, d=2, n=60, seed=0):
    """Draws near a mixture whose components lie far apart, and rows of it."""
    rng = np.random.default_rng(seed)
    means = 9.0 * np.arange(k)[:, None] + rng.normal(size=(*SHAPE, k, d)) / 5
    roots = np.tril(rng.normal(size=(*SHAPE, k, d, d)) / 9, -1) + np.eye(d)
    rows = rng.normal(size=(n, d)) + 9.0 * (np.arange(n) % k)[:, None]
    return Mixture(rng.dirichlet(np.full(k, 90.0), SHAPE), means, roots), rows


@pytest.mark.parametrize("method", ["stephens", "ecr-1", "ecr-2", "kl", "ecr"])
def test_scrambled_draws_come_back_with_all_that_belongs_to_them(method):
    fit = own()
    posterior = fit.both_.posterior
    found = brought(as_arrays(scrambled(posterior.mixture)), method=method).both_.posterior
    for part, other in zip(found.mixture, posterior.mixture, strict=True):
        np.testing.assert_allclose(part, other)
    np.testing.assert_allclose(found.membership, posterior.membership, atol=1e-10)
    np.testing.assert_allclose(found.log_likelihood, posterior.log_likelihood, atol=1e-8)
    plain = replace(posterior, target=None)  # whose moments cannot be matched
    assert found.loo.elpd == pytest.approx(plain.loo.elpd, abs=0.05)
    assert found.diagnostics.occupied == 1.0


def test_weights_rounded_to_six_digits_are_those_of_the_draws():
    mixture, rows = simulated(k=3)
    rounded = as_arrays(mixture._replace(weights=mixture.weights.round(6)))
    assert (np.abs(rounded["w"].sum(-1) - 1) > 5e-7).any()
    found = brought(rounded, rows).both_.posterior.mixture.weights
    np.testing.assert_allclose(found.sum(-1), 1.0, rtol=1e-14)
    np.testing.assert_allclose(np.sort(found), np.sort(mixture.weights), atol=2e-6)


def test_the_summary_names_what_kept_its_order():
    mixture, rows = simulated()
    draws = as_arrays(mixture) | {"sds": np.ones((*SHAPE, 2, 2))}
    told = " ".join(brought(draws, rows).summary().remarks())
    assert "no dimension is known to count components: sds." in told
    assert "Shared" not in told
    moved = brought(draws, rows, cluster_dims=["sds_dim_0"]).summary().remarks()
    assert "cluster_dims" not in " ".join(moved)


def test_what_the_sampler_says_is_read_from_its_notes():
    fit = own()
    tree = xr.DataTree.from_dict(
        {
            "/posterior": fit.posterior_["posterior"].to_dataset(),
            "/sample_stats": fit.posterior_["sample_stats"].to_dataset(),
            "/mixture": fit.posterior_["mixture"].to_dataset(),
        }
    )
    tree["posterior"]["L"] = fit.posterior_["mixture"]["scale_tril"]
    found = bg.relabel(tree, X, scale_tril="L", n_init=4, random_state=0)
    one, other = found.diagnostics_, fit.diagnostics_
    assert one.r_hat == pytest.approx(other.r_hat, rel=1e-3)  # mixture moments round otherwise
    assert one.ess_bulk["log posterior"] == pytest.approx(other.ess_bulk["log posterior"])
    assert (one.e_bfmi, one.divergences) == (pytest.approx(other.e_bfmi), other.divergences)
    assert set(found.both_.posterior.structure.shared) == {"log_tau"}


def test_draws_without_notes_are_judged_by_what_there_is():
    mixture, rows = simulated()
    found = brought(as_arrays(mixture), rows)
    assert np.isinf(found.diagnostics_.e_bfmi)
    assert "divergences" not in str(found.summary())
    assert "draws (VVV)" in str(found.summary())


@pytest.mark.parametrize("d", [1, 2])
def test_scales_may_be_given_in_any_form(d):
    mixture, rows = simulated(d=d)
    factors = mixture.scale_tril
    base = brought(as_arrays(mixture), rows).both_
    covariances = factors @ np.swapaxes(factors, -1, -2)
    other = brought(as_arrays(mixture) | {"S": covariances}, rows, covariances="S").both_
    np.testing.assert_allclose(other.posterior.mixture.scale_tril, factors, atol=1e-12)
    np.testing.assert_allclose(other.posterior.log_likelihood, base.posterior.log_likelihood)
    if d == 1:
        flat = {"w": mixture.weights, "mu": mixture.means[..., 0], "v": factors[..., 0, 0] ** 2}
        third = brought(flat, rows, covariances="v").both_
        np.testing.assert_allclose(third.posterior.log_likelihood, base.posterior.log_likelihood)


@pytest.mark.parametrize(("spheres", "family"), [(False, "VVI"), (True, "VII")])
def test_standard_deviations_are_components_without_correlations(spheres, family):
    mixture, rows = simulated()
    sds = np.random.default_rng(2).uniform(0.8, 1.2, (*SHAPE, 2) if spheres else (*SHAPE, 2, 2))
    found = brought({"w": mixture.weights, "mu": mixture.means, "s": sds}, rows, sds="s").both_
    whole = np.broadcast_to(sds[..., None], (*SHAPE, 2, 2)) if spheres else sds
    flat = Mixture(*(part[1, 7] for part in (mixture.weights, mixture.means, whole)))
    np.testing.assert_allclose(found.posterior.log_likelihood[1, 7], log_density(flat, rows))
    assert found.ml.family.name == family


def test_a_covariance_that_components_share_stays_where_it_is():
    mixture, rows = simulated()
    shared = mixture.scale_tril[:, :, 0]
    found = brought(
        {"w": mixture.weights[:, :, ::-1], "mu": mixture.means[:, :, ::-1], "L": shared}, rows
    ).both_
    np.testing.assert_array_equal(found.posterior.sites["mu"], mixture.means)
    np.testing.assert_array_equal(found.posterior.sites["L"], shared)
    assert found.posterior.structure.shared == ("L",)
    assert found.ml.family.name == "EEE"


def test_variables_move_with_their_component_if_their_dimension_says_so():
    mixture, rows = simulated()
    turned = Mixture(*(part[:, :, ::-1] for part in mixture))
    extra = {"nu": turned.means[..., 0] + 1, "other": turned.means[..., 0] + 1}
    found = brought(as_arrays(turned) | extra, rows, cluster_dims=["nu_dim_0"])
    sites = found.both_.posterior.sites
    np.testing.assert_array_equal(sites["nu"], mixture.means[..., 0] + 1)
    np.testing.assert_array_equal(sites["other"], extra["other"])
    assert found.both_.posterior.structure.shared == ("other",)


def test_dimensions_that_are_named_once_need_not_be_named_again():
    mixture, rows = simulated()
    turned = Mixture(*(part[:, :, ::-1] for part in mixture))
    dims = {"w": ["group"], "mu": ["group", "x"], "L": ["group", "x", "y"], "nu": ["group"]}
    arrays = as_arrays(turned) | {"nu": turned.means[..., 0]}
    dataset = xr.Dataset(
        {n: (["draw", "chain", *dims[n]], np.swapaxes(v, 0, 1)) for n, v in arrays.items()}
    )
    found = brought(dataset, rows).both_.posterior
    np.testing.assert_array_equal(found.sites["nu"], mixture.means[..., 0])
    assert found.structure.shared == ()


def test_counts_are_repeated_rows():
    mixture, rows = simulated()
    counts = np.random.default_rng(3).integers(1, 4, len(rows))
    one = brought(as_arrays(mixture), rows, sample_weight=counts).both_.posterior
    other = brought(as_arrays(mixture), np.repeat(rows, counts, axis=0)).both_.posterior
    np.testing.assert_allclose(one.crossed.log_likelihood, other.crossed.log_likelihood)
    np.testing.assert_array_equal(one.n_occupied, other.n_occupied)


def test_blocks_of_rows_and_what_is_kept_change_nothing(monkeypatch):
    mixture, rows = simulated()
    one = brought(as_arrays(mixture), rows).both_.posterior
    monkeypatch.setattr(elsewhere, "BLOCK_NUMBERS", 600)
    monkeypatch.setattr(elsewhere, "STORED_BYTES", 0)
    other = brought(as_arrays(mixture), rows).both_.posterior
    assert other.log_likelihood is None
    np.testing.assert_allclose(one.crossed.log_likelihood, other.crossed.log_likelihood)
    assert one.loo.elpd == pytest.approx(other.loo.elpd)


def test_a_draw_that_is_not_finite_is_kept_and_told():
    mixture, rows = simulated()
    mixture.means[1, 3, 0, 0] = np.nan
    found = brought(as_arrays(mixture), rows)
    assert found.verdict_.name == "not converged"
    assert found.both_.posterior.margin.shape == SHAPE


def test_it_is_saved_and_loaded_as_any_fit(tmp_path):
    mixture, rows = simulated()
    found = brought(as_arrays(mixture), rows)
    back = bg.BayesianMixture.load(found.save(tmp_path / "draws.nc"))
    assert str(back.summary()) == str(found.summary())
    np.testing.assert_allclose(back.predict_proba(rows), found.predict_proba(rows))


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"weights": "v"}, r"weights='v' is no variable of the draws.*they hold w, mu, L"),
        ({}, {"means": "muu"}, r"means='muu' is no variable of the draws; did you mean 'mu'"),
        ({}, {"scale_tril": None}, "name exactly one of covariances=, scale_tril= and sds="),
        ({}, {"sds": "L"}, "scale_tril, sds is given; name exactly one"),
        ({}, {"scale_tril": None, "sds": "L"}, r"sds='L' has shape \(2, 2, 2\)"),
        ({}, {"cluster_dims": ["z"]}, "cluster_dims holds 'z'"),
        ({}, {"method": "erc"}, "method='erc' is not known"),
        ({"w": np.full((*SHAPE, 2), 0.4)}, {}, "negative or do not sum to 1"),
        ({"mu": np.zeros((*SHAPE, 3, 2))}, {}, r"means='mu' has shape \(3, 2\)"),
        ({"L": -np.ones((*SHAPE, 2, 2, 2))}, {}, "diagonal is not positive"),
        (
            {"C": -np.ones((*SHAPE, 2, 2, 2))},
            {"scale_tril": None, "covariances": "C"},
            "not positive definite",
        ),
        ({"weights": np.ones(SHAPE)}, {}, "hold another variable 'weights'; drop or rename"),
        ({"w": np.ones(2)}, {}, r"draws\['w'\] has shape \(2,\); give arrays \(chain, draw"),
    ],
)
def test_draws_that_are_no_mixture_are_refused(change, options, message):
    mixture, rows = simulated()
    names = {"weights": "w", "means": "mu", "scale_tril": "L"} | options
    with pytest.raises(InputError, match=message):
        bg.relabel(as_arrays(mixture) | change, rows, n_init=2, random_state=0, **names)


@pytest.mark.parametrize("name", ["sensitivity", "kfold", "prior_predictive", "occupied"])
def test_what_needs_the_program_says_that_there_is_none(name):
    mixture, rows = simulated()
    with pytest.raises(InputError, match="these draws were made elsewhere"):
        getattr(brought(as_arrays(mixture), rows), name)()


@pytest.mark.parametrize("draws", [None, xr.DataTree(), xr.Dataset({"w": ("draw", np.ones(3))})])
def test_what_holds_no_draws_is_refused(draws):
    with pytest.raises(InputError, match=r"draws has no (group 'posterior'|dimension 'chain')"):
        bg.relabel(draws, X, sds="s")
