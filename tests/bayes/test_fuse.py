"""A program that is fused says what the plain program says: values, derivatives, draws."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpyro import handlers
from numpyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO, log_likelihood
from numpyro.infer.autoguide import AutoNormal
from numpyro.infer.util import log_density, potential_energy

from bayesgmm.bayes.fuse import FRAME_ROWS, FusedMixture, fuse

QUICKLY = {"xla_backend_optimization_level": 0}
ROWS = np.random.default_rng(1).normal(size=(12, 2)) * 3
WEIGHTS = np.random.default_rng(2).uniform(0.1, 3, size=12)
HALF = np.arange(12) % 2 == 0


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


# --- programs ------------------------------------------------------------------------------------


def covariances(tril):
    return tril @ jnp.swapaxes(tril, -1, -2)


def sds(tril):
    return jnp.diagonal(tril, axis1=-2, axis2=-1)


def normal(mean, **covariance):
    return dist.MultivariateNormal(mean, **covariance)


# Name: from means (k, d) and factors (k, d, d) to the components.
COMPONENTS = {
    "scale_tril": lambda means, tril: normal(means, scale_tril=tril),
    "covariance_matrix": lambda means, tril: normal(means, covariance_matrix=covariances(tril)),
    "precision_matrix": lambda means, tril: normal(means, precision_matrix=covariances(tril)),
    "one shared factor": lambda means, tril: normal(means, scale_tril=tril[0]),
    "one shared covariance": lambda means, tril: normal(
        means, covariance_matrix=covariances(tril[0])
    ),
    "independent columns": lambda means, tril: dist.Normal(means, sds(tril)).to_event(1),
    "one scale a component": lambda means, tril: dist.Normal(means, sds(tril)[:, :1]).to_event(1),
    "one scale": lambda means, tril: dist.Normal(means, tril[0, 0, 0]).to_event(1),
    "a list": lambda means, tril: [
        normal(mean, scale_tril=factor) for mean, factor in zip(means, tril, strict=True)
    ],
    "a list of independent columns": lambda means, tril: [
        dist.Normal(mean, scale).to_event(1) for mean, scale in zip(means, sds(tril), strict=True)
    ],
    "one column": lambda means, tril: dist.Normal(means[:, 0], sds(tril)[:, 0]),
    "student": lambda means, tril: dist.StudentT(4.0, means, sds(tril)).to_event(1),
}
NORMAL = [name for name in COMPONENTS if name != "student"]


def in_plate(mixture, X):
    with numpyro.plate("rows", len(X)):
        numpyro.sample("X", mixture, obs=X)


def by_hand(mixture, X):
    numpyro.sample("X", mixture, obs=X)


def expanded(mixture, X):
    numpyro.sample("X", mixture.expand([len(X)]), obs=X)


def in_two_plates(mixture, X):
    with numpyro.plate("repeats", 3, dim=-2), numpyro.plate("rows", len(X), dim=-1):
        numpyro.sample("X", mixture, obs=jnp.stack([X, X + 1, X * 2]))


def weighted(mixture, X):
    with numpyro.plate("rows", len(X)), handlers.scale(scale=jnp.asarray(WEIGHTS)):
        numpyro.sample("X", mixture, obs=X)


def tempered(mixture, X):
    with numpyro.plate("rows", len(X)), handlers.scale(scale=0.3):
        numpyro.sample("X", mixture, obs=X)


def masked(mixture, X):
    with numpyro.plate("rows", len(X)), handlers.mask(mask=jnp.asarray(HALF)):
        numpyro.sample("X", mixture, obs=X)


def masked_by_itself(mixture, X):
    numpyro.sample("X", mixture.mask(jnp.asarray(HALF)), obs=X)


def with_missing_rows(mixture, X):
    masked(mixture, jnp.where(HALF.reshape((-1,) + (1,) * (X.ndim - 1)), X, jnp.nan))


def not_observed_at_all(mixture, X):
    with numpyro.plate("rows", len(X)), handlers.mask(mask=False):
        numpyro.sample("X", mixture, obs=X)


def subsampled(mixture, X):
    with numpyro.plate("rows", len(X), subsample_size=5) as some:
        numpyro.sample("X", mixture, obs=jnp.asarray(X)[some])


def subsampled_by_numpyro(mixture, X):
    with numpyro.plate("rows", len(X), subsample_size=5):
        numpyro.sample("X", mixture, obs=numpyro.subsample(X, event_dim=X.ndim - 1))


def fused_inside_the_plate(mixture, X):
    with numpyro.plate("rows", len(X)), fuse():
        numpyro.sample("X", mixture, obs=X)


def beside_other_sites(mixture, X):
    numpyro.sample("noise", dist.Normal(0.0, 1.0), obs=0.3)
    numpyro.factor("penalty", -mixture.mean.sum())
    in_plate(mixture, X)


def one_event(mixture, X):
    numpyro.sample("X", mixture.expand([len(X)]).to_event(1), obs=X)


def one_event_that_is_masked(mixture, X):
    masked = mixture.expand([len(X)]).mask(jnp.asarray(HALF))
    numpyro.sample("X", masked.to_event(1), obs=X)


SITES = [
    by_hand,
    expanded,
    in_two_plates,
    weighted,
    tempered,
    masked,
    masked_by_itself,
    with_missing_rows,
    not_observed_at_all,
    subsampled,
    subsampled_by_numpyro,
    fused_inside_the_plate,
    beside_other_sites,
    one_event,
    one_event_that_is_masked,
]


def program(components="scale_tril", site: Callable = in_plate, k=2):
    """A program of those components, whose rows are observed so."""

    def model(X):
        d = X.shape[1]
        weights = numpyro.sample("weights", dist.Dirichlet(jnp.full(k, 2.0)))
        with numpyro.plate("cluster", k):
            means = numpyro.sample("means", dist.Normal(0.0, 5.0).expand([d]).to_event(1))
            noise = numpyro.sample("noises", dist.Normal(0.0, 1.0).expand([d, d]).to_event(2))
        tril = jnp.tril(noise, -1) / 4 + jnp.exp(noise / 4) * jnp.eye(d)
        parts = COMPONENTS[components](means, tril)
        mixing = dist.Categorical(weights)
        if isinstance(parts, list):
            support = dist.constraints.real_vector
            mixture = dist.MixtureGeneral(mixing, parts, support=support)
        else:
            mixture = dist.MixtureSameFamily(mixing, parts)
        site(mixture, X[:, 0] if components == "one column" else X)

    return model


def values(d=2, k=2, seed=0, shape=()):
    """Values of its sites."""
    rng = np.random.default_rng(seed)
    return {
        "weights": jnp.asarray(rng.dirichlet(np.full(k, 5.0), size=shape)),
        "means": jnp.asarray(rng.normal(size=(*shape, k, d)) * 3),
        "noises": jnp.asarray(rng.normal(size=(*shape, k, d, d))),
    }


def density(model, X):
    """Its log joint density, as a function of the values; the same key whatever is random."""

    def log_joint(values):
        return log_density(handlers.seed(model, jax.random.key(5)), (X,), {}, values)[0]

    return log_joint


def assert_alike(found, expected, digits=1e-10):
    """Equal up to so small a share of the greatest entry of each array."""
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert jnp.shape(one) == jnp.shape(other)
        scale = np.abs(other).max(initial=0.0)
        np.testing.assert_allclose(one, other, rtol=digits, atol=digits * scale)


def together(*functions):
    """One function that gives the results of all, compiled in a moment."""
    return jax.jit(lambda *x: [each(*x) for each in functions], compiler_options=QUICKLY)


def both(model, X, of=jax.value_and_grad):
    """A function of the values that gives something of the fused program, and of the plain one."""
    return together(of(density(fuse(model), X)), of(density(model, X)))


def site_of(model, values):
    """The observed site of a program."""
    told = handlers.substitute(handlers.seed(model, jax.random.key(5)), values)
    return handlers.trace(told).get_trace(ROWS)["X"]


def innermost(fn):
    while not isinstance(fn, FusedMixture) and hasattr(fn, "base_dist"):
        fn = fn.base_dist
    return fn


# --- values and derivatives ----------------------------------------------------------------------


@settings(max_examples=8, deadline=None, derandomize=True, phases=[Phase.generate])  # no shrinking
@given(
    components=st.sampled_from(NORMAL),
    n=st.integers(1, 40),
    d=st.integers(1, 4),
    k=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_value_and_gradient_are_those_of_the_plain_program(components, n, d, k, seed):
    X = np.random.default_rng(seed).normal(size=(n, d)) * 3
    assert_alike(*both(program(components, k=k), X)(values(d, k, seed)))


OBSERVED = [(in_plate, components) for components in NORMAL]
OBSERVED += [(site, "scale_tril") for site in SITES]
OBSERVED += [
    (site, "one column")
    for site in (in_two_plates, with_missing_rows, one_event, one_event_that_is_masked)
]


@pytest.mark.parametrize(
    ("site", "components"), OBSERVED, ids=lambda part: getattr(part, "__name__", part)
)
def test_however_mixtures_are_written_and_observed_each_density_stays(site, components):
    seen = []

    def each(model):
        def with_rows(values):
            joint, trace = log_density(handlers.seed(model, jax.random.key(5)), (ROWS,), {}, values)
            seen.append(trace["X"]["fn"])
            return joint, seen[-1].log_prob(trace["X"]["value"])

        return jax.value_and_grad(with_rows, has_aux=True)

    model = program(components, site)
    plain, fused = each(model), each(fuse(model))
    found, expected = together(fused, plain)(values())
    assert isinstance(innermost(seen[0]), FusedMixture)
    assert seen[0].batch_shape == seen[1].batch_shape
    assert seen[0].event_shape == seen[1].event_shape
    assert np.isfinite(expected[0][0])
    assert_alike(found, expected)


def test_a_program_is_fused_under_handlers_around_it():
    model = program()

    def around(model):
        scaled = handlers.scale(handlers.mask(model, jnp.array(True)), 0.3)
        return handlers.condition(scaled, {"means": values()["means"]})

    free = {name: value for name, value in values(seed=1).items() if name != "means"}
    each = [jax.value_and_grad(density(around(m), ROWS)) for m in (fuse(model), model)]
    assert_alike(*together(*each)(free))


def test_rows_given_by_a_condition_are_observed_rows():
    def drawn(X):
        program(site=lambda mixture, X: numpyro.sample("X", mixture.expand([len(X)])))(X)

    observed = handlers.condition(drawn, {"X": jnp.asarray(ROWS)})
    inside = handlers.condition(fuse(drawn), {"X": jnp.asarray(ROWS)})
    each = [density(model, ROWS) for model in (fuse(observed), inside, program())]
    *found, expected = together(*each)(values())
    assert_alike(found, [expected, expected])


def test_a_context_fuses_what_it_encloses():
    seen = []

    def model(X):
        with handlers.trace() as trace, fuse():
            program()(X)
        seen.append(trace["X"]["fn"])

    each = [density(model, ROWS), density(program(), ROWS)]
    assert_alike(*together(*each)(values()))
    assert isinstance(innermost(seen[0]), FusedMixture)


@pytest.mark.parametrize("components", ["scale_tril", "independent columns"])
def test_second_derivatives_are_those_of_the_plain_program(components):
    assert_alike(*both(program(components), ROWS, jax.hessian)(values()), digits=1e-9)


def test_forward_and_reverse_mode_agree():
    fused = density(fuse(program()), ROWS)
    assert_alike(*together(jax.jacfwd(fused), jax.grad(fused))(values()))


def test_a_batch_of_parameters_is_its_members():
    model, many = program("covariance_matrix"), values(shape=(4,))

    def batched(density):
        return jax.vmap(jax.value_and_grad(density))

    found, expected = both(model, ROWS, batched)(many)
    assert_alike(found, expected)
    third = jax.tree.map(lambda part: part[2], many)
    assert_alike(jax.tree.map(lambda part: part[2], found), both(model, ROWS)(third)[0])


def test_many_rows_are_the_plain_programs_rows():
    X = np.random.default_rng(3).normal(size=(3 * FRAME_ROWS + 7, 2))
    assert_alike(*both(program(), X)(values()))


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize(("units", "origin"), [(1e-6, 0.0), (1e6, 0.0), (1.0, 2.0**17)])
def test_units_and_origin_of_the_rows_cost_no_digits(units, origin, traced):
    def mixture(means):
        components = dist.MultivariateNormal(means, scale_tril=units * jnp.eye(2))
        return dist.MixtureSameFamily(dist.Categorical(jnp.array([0.3, 0.7])), components)

    def model(X):
        means = numpyro.sample("means", dist.Normal(origin, units).expand([2, 2]).to_event(2))
        in_plate(mixture(means), X)

    steps = np.random.default_rng(4).integers(-40, 40, size=(2, 14, 2)) / 16  # exact sums
    X, means = origin + units * steps[0], origin + units * steps[1, :2]

    def of(model):
        return lambda X, means: jax.value_and_grad(density(model, X))({"means": means})

    if traced:
        assert_alike(*together(of(fuse(model)), of(model))(X, means))
    else:
        assert_alike(*both(model, X)({"means": jnp.asarray(means)}))


def test_a_constant_column_and_a_single_row_have_a_frame():
    for X in (ROWS[:1], ROWS * np.array([1.0, 0.0]) + 0.1):
        assert_alike(*both(program(), X)(values()))


def test_float32_is_fused_in_float32():
    with jax.enable_x64(False):
        X = jnp.asarray(ROWS, jnp.float32)
        given = jax.tree.map(lambda part: part.astype(jnp.float32), values())
        found, expected = both(program(), X)(given)
        assert found[0].dtype == jnp.float32
        assert_alike(found, expected, digits=1e-4)


def test_the_matrix_products_stand_for_the_triangular_solves():
    """A solve for every row is what the plain program costs; the fused one solves for factors."""
    n = 48  # unlike any other axis

    def shapes(model):
        text = str(jax.make_jaxpr(jax.grad(density(model, np.resize(ROWS, (n, 2)))))(values()))
        return [line for line in text.splitlines() if "triangular_solve" in line and str(n) in line]

    assert shapes(program())
    assert shapes(fuse(program())) == []


# --- what is not asked for -----------------------------------------------------------------------


@pytest.mark.parametrize("derivative", [jax.grad, jax.jacfwd])
@pytest.mark.parametrize("components", ["scale_tril", "independent columns", "one column"])
def test_a_derivative_in_the_rows_is_refused_and_never_zero(derivative, components):
    def of_rows(X):
        return density(fuse(program(components)), X)(values())

    with pytest.raises(TypeError, match="no derivative with respect to the data"):
        jax.eval_shape(derivative(of_rows), jnp.asarray(ROWS))


def test_rows_that_a_parameter_transforms_are_refused_when_it_moves():
    def model(X):
        power = numpyro.sample("power", dist.Normal(1.0, 0.1))
        program()(jnp.sign(X) * jnp.abs(X) ** power)

    at = values() | {"power": jnp.array(0.9)}
    plain, fused = (density(m, jnp.asarray(ROWS)) for m in (model, fuse(model)))
    assert_alike(*together(fused, plain)(at))
    with pytest.raises(TypeError, match="differentiate the parameters only"):
        jax.eval_shape(jax.grad(fused), at)


def no_mixture(mixture, X):
    with numpyro.plate("rows", len(X)):
        numpyro.sample("X", dist.Normal(mixture.mean, 3.0).to_event(1), obs=X)


def of_row_by_row_weights(mixture, X):
    weights = jnp.full((len(X), 2), 0.5)
    mixing, components = dist.Categorical(weights), mixture.component_distribution
    with numpyro.plate("rows", len(X)):
        numpyro.sample("X", dist.MixtureSameFamily(mixing, components), obs=X)


def latent(mixture, X):
    numpyro.sample("X", mixture)


def of_masked_components(mixture, X):
    switched = mixture.component_distribution.mask(jnp.array([True, False]))
    mixed = dist.MixtureSameFamily(mixture.mixing_distribution, switched)
    with numpyro.plate("rows", len(X)):
        numpyro.sample("X", mixed, obs=X)


OTHER = {
    "heavy tails": program("student"),
    "no mixture": program(site=no_mixture),
    "weights of each row": program(site=of_row_by_row_weights),
    "latent rows": program(site=latent),
    "masked components": program(site=of_masked_components),
}


@pytest.mark.parametrize("case", OTHER)
def test_any_other_site_is_left_alone(case):
    plain, fused = (site_of(model, values()) for model in (OTHER[case], fuse(OTHER[case])))
    assert type(innermost(fused["fn"])) is type(innermost(plain["fn"])) is not FusedMixture
    assert_alike(fused["fn"].log_prob(fused["value"]), plain["fn"].log_prob(plain["value"]))


def test_a_program_that_is_left_alone_keeps_its_derivative_in_the_rows():
    def of_rows(model):
        return jax.grad(lambda X: density(model, X)(values()))

    model = program("student")
    np.testing.assert_array_equal(*together(of_rows(fuse(model)), of_rows(model))(ROWS))


# --- the distribution ----------------------------------------------------------------------------


def plain_and_fused():
    model = program(site=by_hand)
    return [site_of(each, values())["fn"] for each in (model, fuse(model))]


def test_everything_but_the_density_is_the_plain_mixtures():
    plain, fused = plain_and_fused()
    key = jax.random.key(3)
    np.testing.assert_array_equal(fused.sample(key, (5,)), plain.sample(key, (5,)))
    np.testing.assert_array_equal(fused.mean, plain.mean)
    np.testing.assert_array_equal(fused.variance, plain.variance)
    np.testing.assert_array_equal(
        fused.component_log_probs(ROWS), plain.component_log_probs(jnp.asarray(ROWS))
    )
    assert fused.support is plain.support
    assert (fused.batch_shape, fused.event_shape) == (plain.batch_shape, plain.event_shape)


def test_it_crosses_the_border_of_a_compiled_function():
    plain, fused = plain_and_fused()
    found = jax.jit(lambda fn, X: fn.log_prob(X))(fused, jnp.asarray(ROWS))
    assert_alike(found, plain.log_prob(jnp.asarray(ROWS)))


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3)])
def test_the_axes_of_the_value_are_the_axes_of_the_density(shape):
    plain, fused = plain_and_fused()
    X = jnp.asarray(np.random.default_rng(0).normal(size=(*shape, 2)))
    assert_alike(fused.log_prob(X), plain.log_prob(X))


# --- NumPyro's inferences ------------------------------------------------------------------------


def test_log_likelihood_is_the_plain_programs_for_each_draw_and_row():
    draws = values(shape=(4,))
    plain, fused = (log_likelihood(model, draws, ROWS) for model in (program(), fuse(program())))
    assert fused["X"].shape == (4, len(ROWS))
    assert_alike(fused, plain)


def test_predictive_draws_are_the_plain_programs():
    def model(X, observe=True):
        site = in_plate if observe else expanded_and_drawn
        program(site=site)(X)

    draws = values(shape=(4,))
    for kind in ({"posterior_samples": draws}, {"num_samples": 3}):
        plain, fused = (
            Predictive(m, **kind)(jax.random.key(1), ROWS, observe=False)
            for m in (model, fuse(model))
        )
        assert plain.keys() == fused.keys()
        for name in plain:
            np.testing.assert_array_equal(fused[name], plain[name])


def expanded_and_drawn(mixture, X):
    with numpyro.plate("rows", len(X)):
        numpyro.sample("X", mixture)


def test_chains_are_the_plain_programs():
    """So few steps that rounding has not grown."""
    plain_model = program("independent columns", weighted)
    plain, fused = (
        MCMC(NUTS(model, max_tree_depth=3), num_warmup=2, num_samples=4, progress_bar=False)
        for model in (plain_model, fuse(plain_model))
    )
    for sampler in (plain, fused):
        sampler.run(jax.random.key(2), ROWS, extra_fields=("potential_energy",))
    assert_alike(fused.get_samples(), plain.get_samples(), digits=1e-7)
    assert_alike(fused.get_extra_fields(), plain.get_extra_fields(), digits=1e-7)


def test_the_potential_is_the_plain_programs():
    free = {"weights": jnp.array([0.4]), "means": ROWS[:2], "noises": jnp.zeros((2, 2, 2))}

    def potential(model):
        return jax.value_and_grad(lambda z: potential_energy(model, (ROWS,), {}, z))

    assert_alike(*together(potential(fuse(program())), potential(program()))(free))


@pytest.mark.parametrize("site", [in_plate, subsampled])
def test_a_variational_step_is_the_plain_programs(site):
    results = []
    for model in (program(site=site), fuse(program(site=site))):
        guide = AutoNormal(handlers.block(program(site=in_plate), hide=["X"]))
        svi = SVI(model, guide, numpyro.optim.SGD(1e-3), Trace_ELBO())
        state, loss = svi.update(svi.init(jax.random.key(4), ROWS), ROWS)
        results.append((loss, svi.get_params(state)))
    assert_alike(results[1], results[0])
