"""The whole line, from a maximum-likelihood fit to a relabelled posterior with its verdict."""

from dataclasses import replace
from functools import cache
from shutil import copyfile

import arviz
import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from scipy.special import logsumexp
from scipy.stats import norm
from scipy.stats import t as student_t

import bayesgmm as bg
from bayesgmm.bayes import checkpoint, crossing, diagnose, driver, inference, loo
from bayesgmm.bayes.crossing import Crossed
from bayesgmm.bayes.diagnose import Thresholds
from bayesgmm.bayes.draws import Draws, concatenate
from bayesgmm.bayes.posterior import Posterior
from bayesgmm.bayes.program import load_model
from bayesgmm.bayes.settings import Settings
from bayesgmm.bayes.structure import Latent, Structure
from bayesgmm.comparison import both as pair
from bayesgmm.comparison import record
from bayesgmm.gaussian.mixture import Mixture, log_density
from bayesgmm.ml import restarts
from tests.bayes.cases import clear_rows, mixtures, prepared, problem_of, student

X = clear_rows()
OPTIONS = {"num_chains": 2, "num_draws": 250, "n_init": 4}


def fitted(rows=X, seed=0, model="gaussian_diag", k=2, weights=None, **options):
    estimator = bg.BayesianMixture(k, model=model, random_state=seed, **(OPTIONS | options))
    return estimator.fit(rows, sample_weight=weights)


@cache
def first():
    return fitted()


@cache
def heavy_tailed():
    return fitted(model=student, num_draws=500)


def arrays(fit):
    """Every number that a posterior holds."""
    found = fit.both_.posterior
    return {
        "z": found.draws.z,
        "log_posterior": found.draws.log_posterior,
        "order": found.order,
        "margin": found.margin,
        "n_occupied": found.n_occupied,
        "log_likelihood": found.log_likelihood,
        "membership": found.membership,
        **found.draws.stats,
        **found.sites,
        **found.quantities,
    }


def assert_same_bits(one, other):
    one, other = arrays(one), arrays(other)
    assert set(one) == set(other)
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)


# --- repeatable, quiet and compiled once ---------------------------------------------------------


def test_the_same_seed_gives_the_same_bits():
    assert_same_bits(first(), fitted())


def test_the_number_of_threads_changes_no_bit(monkeypatch):
    expected = first()
    monkeypatch.setattr(driver, "available_cores", lambda: 1)
    assert_same_bits(expected, fitted())


def test_another_seed_gives_other_draws_of_the_same_posterior():
    one, other = first().both_.posterior, fitted(seed=1).both_.posterior
    assert not np.array_equal(one.draws.z, other.draws.z)
    for name in ("weights", "means", "sds"):
        a, b = one.sites[name], other.sites[name]
        assert (np.abs(a.mean((0, 1)) - b.mean((0, 1))) < 0.5 * a.std((0, 1))).all()


def test_a_second_fit_of_the_same_shapes_compiles_nothing():
    first().predict_proba(X)
    compiled = []

    def heard(event, duration, **_):
        if "backend_compile" in event:
            compiled.append(event)

    programs = len(driver._programs)
    jax.monitoring.register_event_duration_secs_listener(heard)
    try:
        fitted(clear_rows(seed=7), seed=3).predict_proba(X)
        assert compiled == []
        assert len(driver._programs) == programs
        jax.jit(lambda x: x + len(compiled))(1.0)
        assert compiled
    finally:
        jax.monitoring.unregister_event_duration_listener(heard)


def test_fitting_leaves_the_users_settings_alone():
    first()  # sets the folder of the compilation cache, which is the one exception
    before, state = dict(jax.config.values), np.random.get_state()[1].copy()
    fitted(num_draws=100)
    assert dict(jax.config.values) == before
    assert jnp.zeros(1).dtype == np.float32
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_an_enclosing_program_does_not_see_the_fit():
    with numpyro.handlers.trace() as seen, numpyro.handlers.seed(rng_seed=0):
        fitted(num_draws=100)
    assert not seen


# --- what a fit holds ----------------------------------------------------------------------------


def test_a_clear_mixture_is_stable_and_near_the_maximum_likelihood_fit():
    fit = first()
    assert fit.verdict_.name == diagnose.STABLE
    found, ml = fit.both_.posterior, fit.ml_.mixture
    assert found.kept.all()
    np.testing.assert_allclose(found.sites["means"].mean((0, 1)), ml.means, atol=0.2)
    np.testing.assert_allclose(found.sites["weights"].mean((0, 1)), ml.weights, atol=0.03)
    labels = (X[:, 0] > 0).astype(int)
    np.testing.assert_array_equal(fit.labels_, labels)


def test_the_sites_are_those_of_the_draws_in_ems_order():
    fit = first()
    found = fit.both_.posterior
    with jax.enable_x64(True):
        for c, s in ((0, 0), (1, 17), (1, -1)):
            sites, _ = found.target.draw(jnp.asarray(found.draws.z[c, s]), found.data)
            order = found.order[c, s]
            np.testing.assert_allclose(found.sites["means"][c, s], sites["means"][order])
            np.testing.assert_allclose(found.sites["weights"][c, s], sites["weights"][order])
            np.testing.assert_allclose(found.sites["log_tau"][c, s], sites["log_tau"])


def test_the_mixture_says_the_same_as_the_sites():
    found = first().both_.posterior
    np.testing.assert_allclose(found.mixture.weights, found.sites["weights"], rtol=1e-12)
    np.testing.assert_allclose(found.mixture.means, found.sites["means"], rtol=1e-12)
    assert found.mixture.is_diagonal
    np.testing.assert_allclose(found.mixture.scale_tril, found.sites["sds"], rtol=1e-12)


def test_the_log_likelihood_is_the_density_of_each_draw():
    found = first().both_.posterior
    expected = log_density(found.mixture, X)
    np.testing.assert_allclose(found.log_likelihood, expected, rtol=1e-9)


def test_predictions_are_averages_over_the_draws():
    fit, rows = first(), clear_rows(9, seed=4)
    weights, means, sds = fit.both_.posterior.mixture
    density = norm.pdf(rows[:, None], means[:, :, None], sds[:, :, None]).prod(-1)
    joint = weights[:, :, None] * density
    total = joint.sum(-1)
    np.testing.assert_allclose(fit.score_samples(rows), np.log(total.mean((0, 1))), rtol=1e-9)
    expected = (joint / total[..., None]).mean((0, 1))
    np.testing.assert_allclose(fit.predict_proba(rows), expected, atol=1e-10)
    np.testing.assert_array_equal(fit.predict(rows), expected.argmax(1))


@pytest.mark.filterwarnings("ignore:Estimated shape parameter")  # which both find
def test_the_tree_is_one_that_arviz_takes():
    tree = first().posterior_
    summary = arviz.summary(tree, var_names=["weights", "means"], round_to="none")
    found = first().both_.posterior.sites["weights"].mean((0, 1))
    np.testing.assert_allclose(summary["mean"].iloc[:2].astype(float), found, rtol=1e-9)
    assert tree.posterior["means"].dims == ("chain", "draw", "cluster", "feature")
    diagnostics = first().diagnostics_
    reff = min(1.0, diagnostics.ess_bulk["log-likelihood"] / diagnostics.n_draws)
    expected = arviz.loo(tree, reff=reff)
    by_weights = replace(first().both_.posterior, target=None).loo  # moments are not matched
    assert by_weights.elpd == pytest.approx(expected.elpd, rel=1e-6)
    np.testing.assert_allclose(by_weights.pareto_k, expected.pareto_k, rtol=1e-6)


def test_priors_may_be_arrays(tmp_path):
    fit = fitted(priors={"location": np.array([0.0, 0.1]), "sd_spread": np.float32(0.7)})
    loaded = bg.BayesianMixture.load(fit.save(tmp_path / "fit.nc"))
    np.testing.assert_allclose(loaded.priors["location"], [0.0, 0.1])


def test_the_number_of_components_may_be_numpys():
    estimator = bg.BayesianMixture(random_state=0, model="gaussian_diag", **OPTIONS)
    fit = estimator.set_params(n_components=np.int64(2)).fit(X)
    assert_same_bits(fit, first())
    assert fit.posterior_.attrs["model"] == first().posterior_.attrs["model"]


def test_counts_are_repeated_rows():
    counts = np.arange(60) % 3
    weighted, repeated = fitted(weights=counts), fitted(np.repeat(X, counts, axis=0))
    a, b = weighted.both_.posterior, repeated.both_.posterior
    z = a.draws.z[0, 0]
    with jax.enable_x64(True):
        values = [float(each.target.potential(jnp.asarray(z), each.data)) for each in (a, b)]
    assert values[0] == pytest.approx(values[1], rel=1e-12)
    np.testing.assert_allclose(
        a.sites["means"].mean((0, 1)), b.sites["means"].mean((0, 1)), atol=0.1
    )
    assert a.loo.elpd == pytest.approx(b.loo.elpd, abs=1.0)


def test_units_that_differ_by_a_million_cost_neither_steps_nor_digits():
    """The programs follow the data's units, and whitening takes them out of the geometry."""
    units = np.array([1e6, 1e-6])
    a, b = first().both_.posterior, fitted(X * units).both_.posterior
    assert b.diagnostics.lowest_ess > 0.5 * a.diagnostics.lowest_ess > 200
    assert b.diagnostics.divergences == 0
    steps = [found.draws.stats["n_steps"].mean() for found in (a, b)]
    assert steps[1] == pytest.approx(steps[0], rel=0.1)
    means = [found.mixture.means for found in (a, b)]
    np.testing.assert_allclose(
        means[1].mean((0, 1)) / units, means[0].mean((0, 1)), atol=0.25 * means[0].std((0, 1)).max()
    )
    np.testing.assert_allclose(means[1].std((0, 1)) / units, means[0].std((0, 1)), rtol=0.2)


def test_progress_is_told_in_order():
    told = []
    fitted(progress=lambda *what: told.append(what))
    names = list(dict.fromkeys(what for what, *_ in told))
    assert names == ["maximum likelihood", "finding modes", "warming up", "sampling"]
    assert all(0 <= done <= total for _, done, total, *_ in told)


# --- how long it runs ----------------------------------------------------------------------------


def test_sampling_runs_on_until_it_is_enough():
    fit = fitted(num_draws=250, max_draws=2500, thresholds=Thresholds(ess=1000.0))
    draws = fit.both_.posterior.draws.z.shape[1]
    assert 250 < draws < 2500
    assert fit.diagnostics_.lowest_ess >= 1000
    assert fit.diagnostics_.n_draws == 2 * draws


def test_an_early_look_does_not_end_a_run_early():
    early = replace(Settings(num_draws=1000), look_early=True)
    assert Settings(num_draws=1000).looks == [1000, 2000, 3000, 4000]
    assert early.looks == [250, 1000, 2000, 3000, 4000]
    assert Settings(num_draws=300, max_draws=500).looks == [300, 500]


def test_the_budget_is_kept():
    fit = fitted(num_draws=250, max_draws=500, thresholds=Thresholds(ess=700.0))
    assert fit.both_.posterior.draws.z.shape[1] == 500


def told(r_hat, ess, chain_modes=(0, 0)):
    return diagnose.Diagnostics(
        r_hat={"log posterior": r_hat},
        ess_bulk={"log posterior": ess},
        ess_tail={"log posterior": 2 * ess},
        e_bfmi=1.0,
        divergences=0,
        n_draws=2000,
        non_finite=0,
        pareto_k=np.nan,
        ambiguous=0.0,
        occupied=1.0,
        chain_modes=chain_modes,
    )


@pytest.mark.parametrize(
    ("diagnostics", "n_parts", "enough", "early"),
    [
        (told(1.0, 500.0), 2, True, True),
        (told(1.0, 500.0), 1, False, False),
        (told(1.0, 300.0), 2, False, False),
        (told(1.0, 60.0), 1, False, False),
        (told(1.0, 60.0), 2, False, True),
        (told(1.02, 500.0), 2, False, False),
        (told(1.02, 300.0), 8, True, True),
        (told(1.5, 10.0), 1, False, True),
        (told(1.5, 4.0), 1, True, True),
        (told(1.5, 390.0), 2, False, False),
        (told(1.0, 10.0, (0, 1)), 1, False, True),
        (told(1.0, 4.0, (0, 1)), 1, True, True),
        (told(np.inf, 0.0), 1, True, True),
        (told(np.nan, np.nan), 1, True, True),
    ],
)
def test_it_stops_when_done_out_of_budget_or_hopeless(diagnostics, n_parts, enough, early):
    """Of 500 draws wanted, 2000 allowed, in parts of 250; `early`: as one of several fits."""
    settings = Settings(num_draws=500)
    assert inference._enough(diagnostics, 250 * n_parts, settings) == enough
    impatient = replace(settings, look_early=True)
    assert inference._enough(diagnostics, 250 * n_parts, impatient) == early


@pytest.mark.parametrize(("num_draws", "max_draws"), [(300, 300), (100, 200)])
def test_there_are_never_more_draws_than_allowed(num_draws, max_draws):
    fit = fitted(num_draws=num_draws, max_draws=max_draws, thresholds=Thresholds(ess=1e6))
    assert num_draws <= fit.both_.posterior.draws.z.shape[1] <= max_draws


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"inference": "nut"}, ["inference='nut'", "did you mean 'nuts'", "vi"]),
        ({"guide": "meanfield"}, ["guide='meanfield'", "did you mean 'mean_field'"]),
        ({"num_chains": 1}, ["num_chains=1", "at least 2"]),
        ({"num_draws": 10}, ["num_draws=10", "at least 100"]),
        ({"num_warmup": 10}, ["num_warmup=10", "at least 50"]),
        ({"num_draws": 500, "max_draws": 400}, ["max_draws=400", "num_draws=500"]),
    ],
)
def test_settings_that_cannot_work_are_told_in_one_line(options, parts):
    with pytest.raises(bg.InputError) as caught:
        Settings(**options)
    message = str(caught.value)
    assert "\n" not in message
    assert [part for part in parts if part not in message] == []


# --- interrupted, and resumed --------------------------------------------------------------------


def stopping(what, after, act=None):
    """Progress that is interrupted once so much of that is done; or acts then, and goes on."""

    def progress(present, done, total, note=""):
        if present == what and done >= after:
            if act is None:
                raise KeyboardInterrupt
            act()

    return progress


@cache
def interrupted():
    return fitted(progress=stopping("sampling", 300))


def test_an_interrupted_run_keeps_the_draws_until_then_and_says_so():
    found, whole = interrupted().both_.posterior, first().both_.posterior
    s = found.draws.z.shape[1]
    assert found.partial
    assert not whole.partial
    assert 100 <= s < whole.draws.z.shape[1]
    np.testing.assert_array_equal(found.draws.z, whole.draws.z[:, :s])
    np.testing.assert_array_equal(found.n_occupied, whole.n_occupied[:, :s])
    np.testing.assert_array_equal(found.sites["means"], whole.sites["means"][:, :s])


def test_the_verdict_of_an_interrupted_run_begins_with_that():
    verdict = interrupted().verdict_
    s = interrupted().both_.posterior.draws.z.shape[1]
    assert verdict.name == diagnose.INTERRUPTED
    assert verdict.flags[0].number == f"{s} draws of each chain"
    assert "--checkpoint" in verdict.flags[0].next
    found = interrupted().diagnostics_
    assert verdict.flags[1:] == diagnose.verdict(found, 2).flags
    assert found.n_draws == 2 * s


def test_an_interrupted_fit_says_so_after_it_was_saved(tmp_path):
    loaded = bg.BayesianMixture.load(interrupted().save(tmp_path / "fit.nc"))
    assert loaded.both_.posterior.partial
    assert loaded.verdict_ == interrupted().verdict_
    assert str(loaded.summary()) == str(interrupted().summary())


@pytest.mark.parametrize(
    ("what", "after"),
    [("maximum likelihood", 0), ("finding modes", 0), ("warming up", 30), ("sampling", 20)],
)
def test_an_interrupt_before_there_are_draws_to_judge_ends_the_fit(what, after):
    with pytest.raises(KeyboardInterrupt):
        fitted(progress=stopping(what, after))


@pytest.mark.parametrize(("what", "after"), [("warming up", 30), ("sampling", 20)])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(tmp_path, what, after):
    path = tmp_path / "run.npz"
    with pytest.raises(KeyboardInterrupt):
        fitted(checkpoint=path, progress=stopping(what, after))
    told = []
    resumed = fitted(checkpoint=path, progress=lambda *now: told.append(now))
    assert_same_bits(resumed, first())
    assert min(done for name, done, *_ in told if name == what) > after


def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path):
    path = tmp_path / "run.npz"
    part = fitted(checkpoint=path, progress=stopping("sampling", 300))
    assert part.verdict_.name == diagnose.INTERRUPTED
    again = fitted(checkpoint=path)
    assert_same_bits(again, first())
    assert again.verdict_ == first().verdict_


def test_any_file_that_a_killed_run_leaves_leads_to_the_same_bits(tmp_path, monkeypatch):
    """The file as it is after each of several calls, as a process finds it that was killed then."""
    monkeypatch.setattr(checkpoint, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE_OF_TIME", 1e9)
    path, copies = tmp_path / "run.npz", []

    def keep():
        copies.append(tmp_path / f"{len(copies)}.npz")
        copyfile(path, copies[-1])

    fitted(checkpoint=path, progress=stopping("warming up", 0, keep))
    n_early = len(copies)
    path.unlink()
    fitted(checkpoint=path, progress=stopping("sampling", 0, keep))
    assert n_early >= 3
    assert len(copies) - n_early >= 3
    for copy in (copies[0], copies[n_early // 2], copies[n_early + 1], copies[-2]):
        assert_same_bits(fitted(checkpoint=copy), first())


def test_a_finished_run_goes_on_where_more_draws_are_wanted(tmp_path):
    path, most = tmp_path / "run.npz", first().both_.posterior.draws.z.shape[1] + 250
    options = {"num_draws": most, "max_draws": most}
    fitted(checkpoint=path)
    longer = fitted(checkpoint=path, **options)
    assert longer.both_.posterior.draws.z.shape[1] == most
    assert_same_bits(longer, fitted(**options))


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"seed": 1}, "seed"),
        ({"rows": X[:59]}, "data_sha256"),
        ({"model": "gaussian"}, "model"),
        ({"num_chains": 3}, "num_chains"),
        ({"priors": {"weights": 2.0}}, "priors"),
        ({"k": 3}, "n_components"),
        ({"n_init": 5}, "n_init"),
    ],
)
def test_the_checkpoint_of_another_run_is_refused(tmp_path, change, part):
    path = tmp_path / "run.npz"
    with pytest.raises(KeyboardInterrupt):
        fitted(checkpoint=path, progress=stopping("warming up", 0))
    before = path.read_bytes()
    with pytest.raises(bg.InputError, match="is of another run") as caught:
        fitted(checkpoint=path, **change)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inference": "laplace"}, "nothing to resume"),
        ({"inference": "vi"}, "nothing to resume"),
        ({"seed": None}, "an int as random_state"),
        ({"seed": np.random.default_rng(0)}, "an int as random_state"),
    ],
)
def test_a_checkpoint_that_cannot_be_told_to_be_its_own_is_refused(tmp_path, options, message):
    with pytest.raises(bg.InputError, match=message):
        fitted(checkpoint=tmp_path / "run.npz", **options)


def test_a_checkpoint_of_a_program_without_a_source_is_refused(tmp_path):
    with pytest.raises(bg.InputError, match="a model with a source"):
        fitted(checkpoint=tmp_path / "run.npz", model=sourceless(4.0).model)


# --- within memory -------------------------------------------------------------------------------


def store_at_most(monkeypatch, n_bytes):
    for module in (crossing, inference):
        monkeypatch.setattr(module, "STORED_BYTES", n_bytes)


def assert_same_answers(fit, stored):
    """Of a fit without the log densities of its rows, and one that keeps them."""
    found, other = fit.both_.posterior, stored.both_.posterior
    assert found.log_likelihood is None
    assert other.log_likelihood is not None
    np.testing.assert_array_equal(found.draws.z, other.draws.z)
    np.testing.assert_array_equal(found.membership, other.membership)
    np.testing.assert_array_equal(fit.labels_, stored.labels_)
    every = np.ones(len(found.kept), bool)
    densities = found.log_densities(every, X)
    np.testing.assert_allclose(densities, other.log_likelihood, rtol=1e-10)
    for name in ("elpd", "se", "p_loo", "pointwise", "pareto_k", "p_pointwise"):
        one, two = getattr(found.loo, name), getattr(other.loo, name)
        np.testing.assert_allclose(one, two, rtol=1e-6, err_msg=name)
    assert fit.verdict_ == stored.verdict_


@pytest.mark.parametrize("room", [1, 2**20])
def test_a_fit_that_keeps_no_density_of_rows_gives_the_same_answers(monkeypatch, room):
    stored = first()
    assert np.isfinite(stored.loo_.elpd)  # in blocks of their usual size
    store_at_most(monkeypatch, 1)
    monkeypatch.setattr(loo, "BLOCK_BYTES", room)
    assert_same_answers(fitted(), stored)


def test_a_users_program_is_crossed_again_where_its_densities_are_not_kept(monkeypatch):
    stored = heavy_tailed()
    store_at_most(monkeypatch, 1)
    assert_same_answers(fitted(model=student, num_draws=500), stored)


def test_densities_of_rows_are_let_go_when_draws_become_too_many(monkeypatch):
    options = {"num_draws": 250, "max_draws": 500, "thresholds": Thresholds(ess=1e6)}
    stored = fitted(**options)
    store_at_most(monkeypatch, 8 * 2 * 250 * len(X))
    assert fitted(num_draws=250, max_draws=250).both_.posterior.log_likelihood is not None
    assert_same_answers(fitted(**options), stored)


def test_a_fit_that_keeps_no_density_of_rows_is_saved_without_them(tmp_path, monkeypatch):
    store_at_most(monkeypatch, 1)
    fit = fitted()
    assert "log_likelihood" not in fit.posterior_.children
    loaded = bg.BayesianMixture.load(fit.save(tmp_path / "fit.nc"))
    assert loaded.both_.posterior.log_likelihood is None
    assert str(loaded.summary()) == str(fit.summary())
    np.testing.assert_array_equal(loaded.loo_.pointwise, fit.loo_.pointwise)
    np.testing.assert_array_equal(loaded.predict_proba(X), fit.predict_proba(X))


# --- Laplace's approximation ---------------------------------------------------------------------


@cache
def by_laplace():
    return fitted(inference="laplace", num_draws=1000)


def test_laplace_goes_the_whole_line_and_says_that_it_is_approximate():
    fit = by_laplace()
    found = fit.both_.posterior
    assert found.inference == "laplace"
    assert found.draws.log_approximation is not None
    assert np.isnan(fit.diagnostics_.worst_r_hat)
    assert fit.diagnostics_.pareto_k < 0.7
    assert fit.verdict_.name == diagnose.APPROXIMATE
    np.testing.assert_array_equal(fit.labels_, first().labels_)
    for text in (str(fit.summary()), str(fit.posterior_.attrs)):
        assert "laplace" in text.lower()


def test_laplace_agrees_with_nuts_where_the_posterior_is_nearly_normal():
    found, other = by_laplace().both_.posterior, first().both_.posterior
    for name in ("weights", "means"):
        a, b = found.sites[name], other.sites[name]
        assert (np.abs(a.mean((0, 1)) - b.mean((0, 1))) < 0.3 * b.std((0, 1))).all()
        np.testing.assert_allclose(a.std((0, 1)), b.std((0, 1)), rtol=0.3)
    assert by_laplace().loo_.elpd == pytest.approx(first().loo_.elpd, abs=1.0)


def test_laplace_repeats_with_its_seed_and_is_saved(tmp_path):
    assert_same_bits(by_laplace(), fitted(inference="laplace", num_draws=1000))
    loaded = bg.BayesianMixture.load(by_laplace().save(tmp_path / "fit.nc"))
    assert loaded.inference == "laplace"
    assert loaded.verdict_ == by_laplace().verdict_
    assert str(loaded.summary()) == str(by_laplace().summary())


# --- a program of the user's ---------------------------------------------------------------------


def test_a_users_program_goes_the_whole_line():
    fit = heavy_tailed()
    found = fit.both_.posterior
    assert fit.verdict_.name == diagnose.STABLE
    assert found.mixture is None
    assert set(found.sites) == {"weights", "rank", "others", "width", "centre"}
    assert (np.diff(found.sites["rank"], axis=-1) > 0).all()
    assert (found.order == [0, 1]).all()
    assert (np.diff(found.sites["centre"][..., 0], axis=-1) > 0).all()
    text = str(fit.summary())
    for part in ("student", "Gaussian EM", "centre", "width", "others"):
        assert part in text


def test_a_users_program_predicts_by_its_own_density():
    fit, rows = heavy_tailed(), clear_rows(7, seed=4)
    sites = fit.both_.posterior.sites
    density = student_t.logpdf(
        rows[:, None], 4.0, sites["centre"][:, :, None], sites["width"][:, :, None]
    ).sum(-1)
    joint = np.log(sites["weights"][:, :, None]) + density
    total = logsumexp(joint, axis=-1)
    expected = np.exp(joint - total[..., None]).mean((0, 1))
    np.testing.assert_allclose(fit.predict_proba(rows), expected, atol=1e-10)
    np.testing.assert_allclose(
        fit.score_samples(rows), np.log(np.exp(total).mean((0, 1))), rtol=1e-9
    )


def test_a_users_program_is_saved_and_predicts_again_with_its_code(tmp_path):
    fit = heavy_tailed()
    path = fit.save(tmp_path / "fit.nc")
    loaded = bg.BayesianMixture.load(path)
    assert str(loaded.summary()) == str(fit.summary())
    np.testing.assert_array_equal(loaded.labels_, fit.labels_)
    with pytest.raises(bg.InputError, match="predicting needs its code"):
        loaded.predict_proba(X)
    again = bg.BayesianMixture.load(path, model=student)
    np.testing.assert_array_equal(again.predict_proba(X), fit.predict_proba(X))
    np.testing.assert_array_equal(again.score_samples(X), fit.score_samples(X))


def test_another_program_than_the_fitted_one_is_refused(tmp_path):
    path = heavy_tailed().save(tmp_path / "fit.nc")
    with pytest.raises(bg.InputError, match="is not the program of this fit") as caught:
        bg.BayesianMixture.load(path, model="gaussian")
    assert "\n" not in str(caught.value)


def sourceless(df):
    """A program that was made of text, so that Python cannot find its source."""
    space = {"student": student}
    exec(f"def model(X, k): student(X, k, df={df})", space)
    return load_model(space["model"])


def test_programs_without_a_source_are_not_taken_for_each_other():
    told = replace(first().both_, model_sha256=sourceless(4.0).sha256)
    with pytest.raises(bg.InputError):
        record.with_program(told, sourceless(1.0))


def test_a_file_with_the_name_of_our_program_is_still_the_users(tmp_path):
    path = tmp_path / "gaussian_diag.py"
    path.write_text("from tests.bayes.cases import student as model\n")
    assert pair.family_of(load_model(path)) == ("VVV", False)
    assert pair.family_of(load_model("gaussian_diag")) == ("VVI", True)


@pytest.mark.parametrize("name", ["chain", "draw", "feature", "mode", "block/scale"])
def test_a_site_of_any_name_is_kept_or_refused_before_the_work(name):
    def program(X, k):
        numpyro.sample(name, dist.Normal(0.0, 1.0))
        student(X, k)

    try:
        prepared(X, program, 2)
    except bg.InputError as error:
        message = str(error)
    else:
        found = heavy_tailed().both_
        sites = found.posterior.sites | {name: found.posterior.margin}
        tree = record.to_tree(replace(found, posterior=replace(found.posterior, sites=sites)))
        assert set(map(str, tree.posterior.data_vars)) == set(sites)
        return
    assert name in message


def test_a_constant_column_is_refused_before_the_work():
    with pytest.raises(bg.InputError, match="constant"):
        fitted(np.column_stack([X, np.ones(60)]))


# --- saved, and crossed by hand ------------------------------------------------------------------


def test_thresholds_survive_saving(tmp_path):
    strict = Thresholds(unoccupied=-1.0)
    fit = fitted(thresholds=strict)
    assert fit.verdict_.name == diagnose.OVER_FITTED
    loaded = bg.BayesianMixture.load(fit.save(tmp_path / "fit.nc"))
    assert loaded.verdict_ == fit.verdict_


def by_hand(shift):
    """Draws around a mixture; the means of the last of four chains are shifted."""
    c, s = 4, 200
    stack = mixtures((c, s), 2, 2, apart=8.0)
    means = stack.means - 4.0
    means[3] += shift
    stack = Mixture(stack.weights, means, stack.scale_tril)
    log_likelihood = log_density(stack, X)
    rng = np.random.default_rng(0)
    stats = {"energy": rng.normal(size=(c, s)), "diverging": np.zeros((c, s), bool)}
    draws = Draws(rng.normal(size=(c, s, 1)), log_likelihood.sum(-1), None, stats)
    return Crossed(
        draws,
        {"weights": stack.weights},
        stack,
        np.broadcast_to(np.arange(2), (c, s, 2)).copy(),
        np.full((c, s), np.inf),
        np.full((c, s), 2),
        log_likelihood.sum(-1),
        log_likelihood[..., crossing.held_rows(60)],
        log_likelihood,
    )


def rebuilt(part):
    structure = Structure(2, (Latent("z", (1,)),), "X", (("weights", -1),), (), True)
    return Posterior.of(structure, "nuts", part, X, np.ones(60), Thresholds())


def test_chains_of_one_mode_are_all_kept():
    found = rebuilt(by_hand(0.0))
    assert found.diagnostics.chain_modes == (0, 0, 0, 0)
    assert found.kept.all()


def test_numbers_come_from_the_mode_that_predicts_best():
    part = by_hand(2.0)
    found = rebuilt(part)
    assert found.diagnostics.chain_modes == (0, 0, 0, 1)
    assert diagnose.MULTIMODAL in [flag.name for flag in found.verdict.flags]
    np.testing.assert_array_equal(found.kept, [True, True, True, False])
    alone = Crossed(*jax.tree.map(lambda a: a[:3], tuple(part)))
    assert found.predict(X[:4]).log_density == pytest.approx(rebuilt(alone).predict(X[:4])[0])
    assert len(found.loo.pointwise) == 60
    assert found.loo.elpd > rebuilt(by_hand(0.0)).loo.elpd - 5


def test_parts_of_a_run_join_into_the_whole():
    whole = by_hand(0.0)
    parts = [
        jax.tree.map(lambda a, half=half: a[:, half], whole)
        for half in (slice(0, 80), slice(80, None))
    ]
    joined = crossing.joined(parts)
    for one, other in zip(jax.tree.leaves(joined), jax.tree.leaves(whole), strict=True):
        np.testing.assert_array_equal(one, other)
    assert concatenate([whole.draws]) is whole.draws


def test_joining_keeps_the_density_of_an_approximation():
    draws = by_hand(0.0).draws
    approximate = draws._replace(log_approximation=draws.log_posterior - 1)
    joined = concatenate([approximate, approximate])
    assert joined.log_approximation.shape == (4, 400)
    np.testing.assert_array_equal(joined.log_approximation, joined.log_posterior - 1)


@pytest.mark.parametrize(
    "place",
    [
        (0.0, 2000.0),
        (7.0, -2e5),
    ],
)
def test_a_fit_follows_the_origin_of_the_columns(place):
    moved = fitted(X + np.array(place), num_draws=500)
    assert moved.verdict_.name == diagnose.STABLE
    means = moved.both_.posterior.sites["means"].mean((0, 1)) - np.array(place)
    np.testing.assert_allclose(means, first().both_.posterior.sites["means"].mean((0, 1)), atol=0.1)
    assert moved.loo_.elpd == pytest.approx(first().loo_.elpd, abs=0.5)


def test_the_pivot_is_the_order_of_the_maximum_likelihood_fit():
    problem = problem_of(X)
    ready = inference.prepare(problem, load_model("gaussian_diag"), 2, None)
    ml = restarts.fit(
        problem.table, 2, "diag", np.random.default_rng(0), restarts.Settings(n_init=4)
    )
    flipped = Mixture(*(np.asarray(part)[::-1].copy() for part in ml.mixture))
    optimum = replace(ml.optima[0], mixture=flipped)
    turned = replace(ml, mixture=flipped, optima=(optimum,))
    rng, settings = np.random.default_rng(0), Settings(num_chains=2, num_draws=250)
    modes = inference.scout(ready, turned, settings, rng)
    found = inference.fit(ready, turned, modes, settings, rng)
    np.testing.assert_allclose(found.sites["means"].mean((0, 1)), flipped.means, atol=0.3)
