"""What a program consists of is read off its trace; what it lacks is told with the remedy."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from bayesgmm.bayes.program import load_model, model_names
from bayesgmm.bayes.structure import RESERVED, Latent, Structure, understand
from bayesgmm.data.errors import InputError
from tests.bayes.cases import NOT_NORMAL, UNIVARIATE, clear_rows, prepared, student

X = clear_rows(12)
PROGRAMS = {name: name for name in model_names()} | {"student": student}


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def refusal(model, rows=X, k=2, priors=None):
    """The one line with which a program is refused."""
    with pytest.raises(InputError) as caught:
        prepared(rows, model, k, priors)
    message = str(caught.value)
    assert "\n" not in message
    return message


def assert_says(message, *parts):
    assert [part for part in parts if part not in message] == [], message


def structure_of(model, rows=X, k=2):
    return understand(load_model(model), rows, k, {})


def mixture_of(weights, k, d=2, size=None):
    """The rest of a program: components in their plate, and perhaps a wide one that comes last."""
    with numpyro.plate("cluster", k):
        means = numpyro.sample("means", dist.Normal(0.0, 10.0).expand([d]).to_event(1))
    scales = jnp.ones((k, d))
    if size == k + 1:
        means = jnp.concatenate([means, jnp.zeros((1, d))])
        scales = jnp.concatenate([scales, jnp.full((1, d), 100.0)])
    components = dist.Normal(means, scales).to_event(1)
    return dist.MixtureSameFamily(dist.Categorical(weights), components)


def sampled_weights(k):
    return numpyro.sample("weights", dist.Dirichlet(jnp.ones(k)))


def plain(X, k):
    numpyro.sample("X", mixture_of(sampled_weights(k), k), obs=X)


# --- what is understood --------------------------------------------------------------------------


def test_weights_may_be_sampled_or_made_of_other_sites():
    def of_sticks(X, k):
        with numpyro.plate("sticks", k - 1):
            sticks = numpyro.sample("stick", dist.Beta(1.0, 2.0))
        rest = jnp.concatenate([jnp.ones(1), jnp.cumprod(1 - sticks)])
        weights = jnp.concatenate([sticks, jnp.ones(1)]) * rest
        numpyro.sample("X", mixture_of(numpyro.deterministic("weights", weights), k), obs=X)

    assert dict(structure_of(plain).cluster_axes)["weights"] == -1
    found = structure_of(of_sticks, k=3)
    assert dict(found.cluster_axes)["weights"] == -1
    assert found.shared == ("stick",)


def test_one_more_component_than_the_plate_holds_is_the_background():
    def with_background(X, k):
        mixture = mixture_of(sampled_weights(k + 1), k, size=k + 1)
        numpyro.sample("X", mixture, obs=X)

    found = structure_of(with_background, k=3)
    assert (found.k, found.n_components, found.background) == (3, 4, True)
    assert not found.gaussian  # draws are no mixtures of k
    assert (structure_of(plain).n_components, structure_of(plain).background) == (2, False)


def test_one_component_needs_no_plate():
    def known(X, k):
        numpyro.deterministic("weights", jnp.ones(k))
        mean = numpyro.sample("mean", dist.Normal(0.0, 1.0).expand([2]).to_event(1))
        components = dist.Normal(mean[None].repeat(k, 0), 1.0).to_event(1)
        numpyro.sample(
            "X", dist.MixtureSameFamily(dist.Categorical(jnp.ones(k)), components), obs=X
        )

    assert structure_of(known, k=1).shared == ("mean",)
    assert_says(
        refusal(known), "no sites inside numpyro.plate('cluster', k)", "put their parameters"
    )


def test_one_column_may_be_observed_as_a_vector_or_a_matrix():
    rows = clear_rows(12, 1)

    def vector(X, k):
        with numpyro.plate("cluster", k):
            means = numpyro.sample("means", dist.Normal(0.0, 10.0))
        mixing = dist.Categorical(sampled_weights(k))
        numpyro.sample("X", dist.MixtureSameFamily(mixing, dist.Normal(means, 1.0)), obs=X[:, 0])

    def matrix(X, k):
        numpyro.sample("X", mixture_of(sampled_weights(k), k, d=1), obs=X)

    assert structure_of(vector, rows).gaussian
    assert structure_of(matrix, rows).gaussian


def test_rows_may_pass_through_arithmetic_that_leaves_them_as_they_are():
    def twice_turned(X, k):
        numpyro.sample("X", mixture_of(sampled_weights(k), k), obs=jnp.flip(jnp.flip(X, 0), 0))

    assert structure_of(twice_turned) == structure_of(plain)


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_components_are_is_recognised(name):
    rows = X[:, :1] if name in UNIVARIATE else X
    structure = prepared(rows, PROGRAMS[name], 2)[0].structure
    diagonal = name in ("gaussian_diag", "gaussian_spherical", "richardson_green", "gaussian_noise")
    assert structure.gaussian == (name not in NOT_NORMAL)
    assert structure.background == (name == "gaussian_noise")
    assert not structure.by_row
    assert not structure.diagonal or diagonal or rows.shape[1] == 1


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_components_own_coordinates_move_that_component_alone(name):
    rows = X[:, :1] if name in UNIVARIATE else X
    k = 3
    target, data = prepared(rows, PROGRAMS[name], k)
    structure = target.structure
    own = structure.own_coordinates
    assert own.shape[0] == k
    assert len(np.unique(own)) == own.size
    z = np.random.default_rng(0).normal(size=target.size)
    each = np.eye(target.size)[own].sum(1) / 8  # (k, p): all that is one component's own
    draw = jax.jit(jax.vmap(lambda z: target.draw(z, data)[0]))
    sites = jax.tree.map(np.asarray, draw(jnp.asarray(z + np.r_[np.zeros((1, len(z))), each])))
    moved = set()
    for site, axis in structure.cluster_axes:
        if site == "weights":
            continue
        values = np.moveaxis(sites[site], axis, 1).reshape(k + 1, k, -1)
        changed = (values[1:] != values[0]).any(-1)
        assert not changed[~np.eye(k, dtype=bool)].any(), site
        moved |= {site} if changed.all(where=np.eye(k, dtype=bool)) else set()
    assert moved
    for site in structure.shared:
        assert (sites[site] == sites[site][0]).all(), site


@pytest.mark.parametrize("name", PROGRAMS)
def test_latents_are_the_unconstrained_vector_piece_by_piece(name):
    rows = X[:, :1] if name in UNIVARIATE else X
    structure = prepared(rows, PROGRAMS[name], 3)[0].structure
    assert structure.size == sum(latent.size for latent in structure.latents)
    for latent in structure.latents:
        if latent.cluster_axis is not None:
            assert latent.shape[latent.cluster_axis] == 3
    assert hash(structure) == hash(prepared(rows, PROGRAMS[name], 3)[0].structure)


def test_own_coordinates_are_found_on_whatever_axis_components_lie():
    latents = (Latent("rows", (3, 2), 1), Latent("rest", (5,)), Latent("columns", (2, 2), 0))
    found = Structure(2, latents, "X", (), (), gaussian=False).own_coordinates
    np.testing.assert_array_equal(found, [[0, 2, 4, 11, 12], [1, 3, 5, 13, 14]])


def test_a_structure_without_components_parameters_has_no_own_coordinates():
    alone = Structure(3, (Latent("a", (4,)), Latent("b", ())), "X", (), (), gaussian=False)
    assert alone.own_coordinates.shape == (3, 0)
    assert alone.size == 5


def test_understanding_draws_nothing_and_is_not_seen_by_a_program_around_it():
    with numpyro.handlers.trace() as seen, numpyro.handlers.seed(rng_seed=0):
        structure_of(plain)
    assert not seen


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*(name for name in RESERVED if name != "cluster"), "a/b"])
def test_a_name_that_results_need_is_refused(name):
    def model(X, k):
        numpyro.sample(name, dist.Normal(0.0, 1.0))
        plain(X, k)

    assert_says(refusal(model), f"{name!r}", "choose another")


@pytest.mark.parametrize("name", ["cluster", "rows"])
def test_a_site_that_a_plate_of_its_name_would_hide_is_refused(name):
    def model(X, k):
        numpyro.sample(name, dist.Normal(0.0, 1.0))
        mixture = mixture_of(sampled_weights(k), k)
        with numpyro.plate("rows", len(X)):
            numpyro.sample("X", mixture, obs=X)

    assert_says(refusal(model), f"{name!r}", "choose another")


def observing(change):
    def model(X, k):
        numpyro.sample("X", mixture_of(sampled_weights(k), k), obs=change(X))

    return model


CHANGES = {
    "in another order": lambda X: X[::-1],
    "standardised": lambda X: (X - X.mean(0)) / X.std(0),
    "with columns exchanged": lambda X: X[:, ::-1],
    "on a log scale": lambda X: jnp.log(jnp.abs(X)),
    "a constant": lambda X: jnp.zeros((12, 2)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_values_than_the_rows_are_refused(change):
    message = refusal(observing(CHANGES[change]))
    assert_says(message, "other values than those of X", "obs=X", "distribution")


def of_size(size):
    def model(X, k):
        weights = sampled_weights(size(k))
        with numpyro.plate("cluster", k):
            numpyro.sample("means", dist.Normal(0.0, 10.0))
        components = dist.Normal(jnp.zeros((size(k), 2)), 1.0).to_event(1)
        numpyro.sample("X", dist.MixtureSameFamily(dist.Categorical(weights), components), obs=X)

    return model


@pytest.mark.parametrize("size", [lambda k: k - 1, lambda k: k + 2, lambda k: 7])
def test_a_number_of_components_that_does_not_follow_k_is_refused(size):
    message = refusal(of_size(size), k=3)
    assert_says(message, f"mixes {size(3)} components", "k=3", "follow the argument k", "k + 1")


def test_weights_of_a_length_that_the_mixture_has_not_are_refused():
    def model(X, k):
        numpyro.deterministic("weights", jnp.ones(k + 1) / (k + 1))
        numpyro.sample("X", mixture_of(jnp.ones(k) / k, k), obs=X)

    assert_says(refusal(model), "'weights'", "(3,)", "k=2")


def test_a_plate_of_components_of_another_length_is_refused():
    def model(X, k):
        weights = sampled_weights(k)
        with numpyro.plate("cluster", k + 3):
            means = numpyro.sample("means", dist.Normal(0.0, 10.0).expand([2]).to_event(1))
        components = dist.Normal(means[:k], 1.0).to_event(1)
        numpyro.sample("X", dist.MixtureSameFamily(dist.Categorical(weights), components), obs=X)

    assert_says(refusal(model), "'means'", "(5, 2)", "k=2", "axis -2")


@pytest.mark.parametrize(
    ("around", "word"),
    [
        (numpyro.handlers.mask(mask=np.arange(12) < 5), "masks"),
        (numpyro.handlers.scale(scale=np.linspace(0.1, 1, 12)), "scales"),
    ],
)
def test_row_weights_in_the_program_are_refused_with_their_place(around, word):
    def model(X, k):
        mixture = mixture_of(sampled_weights(k), k)
        with numpyro.plate("rows", len(X)), around:
            numpyro.sample("X", mixture, obs=X)

    assert_says(refusal(model), word, "sample_weight", "--weights")


def test_a_subsample_of_the_rows_is_refused():
    def model(X, k):
        mixture = mixture_of(sampled_weights(k), k)
        with numpyro.plate("rows", len(X), subsample_size=5):
            numpyro.sample("X", mixture, obs=numpyro.subsample(X, 1))

    assert_says(refusal(model), "model 'model'")


def test_a_mask_that_the_author_wrote_on_the_distribution_is_refused_too():
    def model(X, k):
        mixture = mixture_of(sampled_weights(k), k).expand([len(X)])
        numpyro.sample("X", mixture.mask(jnp.arange(12) < 5), obs=X)

    assert_says(refusal(model), "masks", "sample_weight")


@pytest.mark.parametrize("discrete", [dist.Bernoulli(0.5), dist.Poisson(3.0)])
def test_a_discrete_parameter_is_refused_with_the_remedy(discrete):
    def model(X, k):
        numpyro.sample("count", discrete)
        plain(X, k)

    assert_says(refusal(model), "discrete site 'count'", "MixtureSameFamily")


def test_allocations_of_each_row_are_refused():
    def model(X, k):
        weights = sampled_weights(k)
        with numpyro.plate("cluster", k):
            means = numpyro.sample("means", dist.Normal(0.0, 10.0).expand([2]).to_event(1))
        with numpyro.plate("rows", len(X)):
            z = numpyro.sample("z", dist.Categorical(weights))
            numpyro.sample("X", dist.Normal(means[z], 1.0).to_event(1), obs=X)

    assert_says(refusal(model), "no observed mixture", "MixtureSameFamily(...), obs=X")


def test_a_program_that_looks_at_numbers_is_told_that_they_are_not_there_yet():
    def model(X, k):
        if X.mean() > 0:
            plain(X, k)

    assert_says(refusal(model), "failed when it was traced", "(12, 2)", "k=2", "Tracer")


@pytest.mark.parametrize(
    ("written", "suggested"), [("wieghts", True), ("Weights", True), ("proportions", False)]
)
def test_the_nearest_name_is_suggested_only_where_one_is_near(written, suggested):
    def model(X, k):
        weights = numpyro.sample(written, dist.Dirichlet(jnp.ones(k)))
        numpyro.sample("X", mixture_of(weights, k), obs=X)

    message = refusal(model)
    assert_says(message, "no site named 'weights'", "numpyro.deterministic")
    assert (f"did you mean {written!r}?" in message) == suggested


# --- priors --------------------------------------------------------------------------------------


def with_priors(X, k, *, concentration=1.0, rate=1.0, degrees=5.0, low=0.0, high=1.0):
    weights = numpyro.sample("weights", dist.Dirichlet(jnp.full(k, concentration)))
    numpyro.sample("level", dist.Gamma(2.0, rate))
    numpyro.sample("matrix", dist.Wishart(degrees, scale_matrix=jnp.eye(2)))
    numpyro.sample("share", dist.Uniform(low, high))
    numpyro.sample("X", mixture_of(weights, k), obs=X)


@pytest.mark.parametrize(
    ("priors", "parts"),
    [
        ({"concentration": 0.0}, ["concentration=0.0", "'weights' (Dirichlet)"]),
        ({"rate": -2.0}, ["rate=-2.0", "the rate of site 'level' (Gamma)"]),
        ({"degrees": 1.0}, ["degrees=1.0", "concentration of site 'matrix' (Wishart)"]),
        ({"rate": 1.0, "concentration": -1}, ["rate=1.0", "concentration=-1", "'weights'"]),
    ],
)
def test_a_prior_that_leaves_a_distribution_undefined_is_refused(priors, parts):
    message = refusal(with_priors, priors=priors)
    assert_says(message, "priors: ", "out of its range in with_priors", "choose another", *parts)


@pytest.mark.parametrize("priors", [None, {"rate": 0.1}, {"degrees": 1.5, "concentration": 1e-3}])
def test_priors_in_their_range_are_taken(priors):
    assert prepared(X, with_priors, 2, priors)[0].structure.gaussian
