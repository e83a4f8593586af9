"""Programs: ours stand alone, the user's are understood, and what breaks the contract is told."""

import ast
import inspect
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from threading import Event, current_thread, main_thread

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import MCMC, NUTS

from bayesgmm.bayes.program import bind, load_model, model_names, models_folder
from bayesgmm.data.errors import InputError
from tests.bayes.cases import (
    NOT_NORMAL,
    UNIVARIATE,
    clear_rows,
    prepared,
    problem_of,
    student,
)

PROGRAMS = model_names()


def rows_for(name, n=30):
    return clear_rows(n, 1 if name in UNIVARIATE else 2)


def refusal(function, *arguments, **options):
    """The one line with which a call is refused."""
    with pytest.raises(InputError) as caught:
        function(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def assert_says(message, *parts):
    assert [part for part in parts if part not in message] == [], message


# --- our own -------------------------------------------------------------------------------------


def test_the_library_has_its_programs():
    gaussian = {"gaussian", "gaussian_tied", "gaussian_diag", "gaussian_spherical"}
    others = {"student_t", "gaussian_noise", "sparse", "dirichlet_process"}
    assert gaussian | others | {"conjugate", "richardson_green"} == set(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_traces_for_any_number_of_components(name):
    for k in (1, 2, 4):
        target, _ = prepared(rows_for(name), name, k)
        assert target.structure.k == k
        assert target.structure.gaussian == (name not in NOT_NORMAL)
        centres = "locations" if name == "student_t" else "means"
        assert dict(target.structure.cluster_axes)[centres] == -2


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_stands_on_its_own(name):
    kernel = NUTS(load_model(name).model)
    sampler = MCMC(kernel, num_warmup=2, num_samples=3, progress_bar=False)
    sampler.run(jax.random.key(0), rows_for(name, 12), 2)
    draws = sampler.get_samples()
    assert draws["weights"].shape == (3, 3 if name == "gaussian_noise" else 2)
    assert all(np.isfinite(values).all() for values in draws.values())


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_imports_only_jax_and_numpyro(name):
    tree = ast.parse(load_model(name).text)
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert imported <= {"jax", "numpyro"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_says_what_it_is_and_names_every_prior(name):
    program = load_model(name)
    assert program.summary.endswith(".")
    assert len(program.summary) < 100
    documentation = ast.get_docstring(ast.parse(program.text))
    assert documentation is not None
    priors = documentation.split("Priors, each a keyword:")[1]
    keywords = list(inspect.signature(program.model).parameters)[2:]
    assert [keyword for keyword in keywords if keyword not in priors] == []


@pytest.mark.parametrize("name", PROGRAMS)
def test_constants_of_the_data_are_those_that_the_program_would_compute(name):
    X = rows_for(name)
    program = load_model(name)
    with jax.enable_x64(True):
        keywords = bind(program, problem_of(X), None)
        seeded = numpyro.handlers.seed(program.model, jax.random.key(1))
        alone = numpyro.handlers.trace(seeded).get_trace(jnp.asarray(X), 2)
        bound = numpyro.handlers.trace(seeded).get_trace(jnp.asarray(X), 2, **keywords)
    assert keywords
    for site, message in alone.items():
        np.testing.assert_allclose(message["value"], bound[site]["value"], rtol=1e-12)


def test_constants_ignore_rows_without_weight_and_repeat_rows_with_more():
    X = np.array([[0.0], [1.0], [5.0], [100.0]])
    program = load_model("gaussian")
    found = bind(program, problem_of(X, np.array([1, 2, 1, 0])), None)
    repeated = bind(program, problem_of(X[[0, 1, 1, 2]]), None)
    assert set(found) == {"location", "spread", "sd"}
    for name, value in found.items():
        np.testing.assert_allclose(value, repeated[name], rtol=1e-14)


def test_the_users_priors_replace_the_constants():
    found = bind(load_model("gaussian"), problem_of(clear_rows()), {"location": 3, "weights": 2})
    assert found["location"] == 3
    assert found["weights"] == 2
    assert {"spread", "sd"} < set(found)


# --- the user's ----------------------------------------------------------------------------------


def test_a_program_is_a_name_a_path_or_a_function(tmp_path):
    text = load_model("gaussian").text
    path = tmp_path / "mine.py"
    path.write_text(text)
    named, filed = load_model("gaussian"), load_model(path)
    assert (filed.name, filed.text, filed.sha256) == ("mine", text, named.sha256)
    assert load_model(filed) is filed
    assert load_model(str(path)) == filed
    made = load_model(student)
    assert (made.name, made.path) == ("student", "")
    assert "def student" in made.text
    assert made.summary.startswith("Heavy-tailed")


def test_an_edited_file_is_another_program(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(load_model("gaussian").text)
    before = load_model(path)
    path.write_text(load_model("gaussian").text.replace("sd_spread=0.7", "sd_spread=0.5"))
    after = load_model(path)
    assert before.sha256 != after.sha256
    assert inspect.signature(after.model).parameters["sd_spread"].default == 0.5


def test_sites_are_told_apart_by_the_cluster_plate():
    target, _ = prepared(clear_rows(), student, 2)
    structure = target.structure
    assert structure.mixture == "values"
    assert not structure.gaussian
    assert dict(structure.cluster_axes) == {"weights": -1, "others": -2, "width": -2, "centre": -2}
    assert structure.shared == ("rank",)
    assert {latent.name: latent.shape for latent in structure.latents} == {
        "weights": (1,),
        "rank": (2,),
        "others": (2, 1),
        "width": (2, 2),
    }
    assert structure.size == 1 + 2 + 2 + 4


def test_shared_parameters_pass_through():
    target, _ = prepared(clear_rows(), "gaussian_tied", 2)
    assert set(target.structure.shared) == {"sds", "corr_tril", "scale_tril"}


def test_a_program_of_row_by_row_means_is_understood():
    def drift(X, k):
        weights = numpyro.sample("weights", dist.Dirichlet(jnp.ones(k)))
        with numpyro.plate("cluster", k):
            level = numpyro.sample("level", dist.Normal(0.0, 10.0))
        trend = jnp.linspace(0.0, 1.0, X.shape[0])[:, None]
        components = dist.Normal(level + trend, 1.0)
        with numpyro.plate("rows", X.shape[0]):
            mixture = dist.MixtureSameFamily(dist.Categorical(weights), components)
            numpyro.sample("X", mixture, obs=X[:, 0])

    target, _ = prepared(clear_rows(d=1), drift, 2)
    assert not target.structure.gaussian


def test_understanding_is_not_disturbed_by_another_thread_that_traces():
    other_inside, mine_inside, other_left = Event(), Event(), Event()

    def slow(X, k):
        plain(X, k)
        if current_thread() is not main_thread():
            other_inside.set()
            mine_inside.wait(0.5)

    def mine(X, k):
        mine_inside.set()
        other_left.wait(0.5)
        plain(X, k)

    target, data = prepared(clear_rows(), slow, 2)

    def trace_elsewhere():
        try:
            with jax.enable_x64(True):
                jax.eval_shape(target.potential, jnp.zeros(target.size), data)
        finally:
            other_left.set()

    with ThreadPoolExecutor(1) as pool:
        elsewhere = pool.submit(trace_elsewhere)
        other_inside.wait()
        found, _ = prepared(clear_rows(), mine, 2)
        elsewhere.result()
    assert found.structure.latents == target.structure.latents


# --- refusals ------------------------------------------------------------------------------------


def plain(X, k, weights="weights", n_mixtures=1, plate="cluster", size=None, around=None):
    """A program that keeps the contract unless an argument says otherwise."""
    size = k if size is None else size
    proportions = numpyro.sample(weights, dist.Dirichlet(jnp.ones(size)))
    with numpyro.plate(plate, size):
        centre = numpyro.sample("centre", dist.Normal(0.0, 10.0).expand([X.shape[1]]).to_event(1))
    mixture = dist.MixtureSameFamily(
        dist.Categorical(proportions), dist.Normal(centre, 1.0).to_event(1)
    )
    for i in range(n_mixtures):
        with around or nullcontext():
            numpyro.sample(f"X{i}", mixture, obs=X)


def with_discrete_site(X, k):
    numpyro.sample("z", dist.Categorical(jnp.ones(k) / k))
    plain(X, k)


def with_weights_of_two_axes(X, k):
    plain(X, k, weights="p")
    numpyro.deterministic("weights", jnp.ones((1, k)) / k)


def with_a_site_for_each_row(X, k):
    with numpyro.plate("all", len(X)):
        numpyro.sample("offset", dist.Normal(0.0, 1.0))
    plain(X, k)


def with_rows_left_out(X, k):
    plain(X, k, around=numpyro.handlers.mask(mask=X[:, 0] < 0))


def with_half_of_the_likelihood(X, k):
    plain(X, k, around=numpyro.handlers.scale(scale=0.5))


def of_other_rows(X, k):
    plain(X / 10, k)


def of_one_column(X, k):
    plain(X[:, :1], k)


def failing(X, k):
    raise RuntimeError("first line\nsecond line")


BROKEN = {
    "no mixture": (lambda X, k: plain(X, k, n_mixtures=0), ["no observed mixture", "exactly one"]),
    "two mixtures": (lambda X, k: plain(X, k, n_mixtures=2), ["2 (X0, X1)", "exactly one"]),
    "no weights": (lambda X, k: plain(X, k, weights="p"), ["no site named 'weights'"]),
    "another k": (lambda X, k: plain(X, k, size=k + 2), ["mixes 4 components", "k=2"]),
    "a background in the plate": (lambda X, k: plain(X, k, size=k + 1), ["'centre'", "k=2"]),
    "weights misspelt": (lambda X, k: plain(X, k, weights="weight"), ["did you mean 'weight'?"]),
    "weights of two axes": (with_weights_of_two_axes, ["'weights' has shape (1, 2)", "one axis"]),
    "a site for each row": (with_a_site_for_each_row, ["'offset'", "plate 'all'", "each row"]),
    "few rows": (lambda X, k: plain(X[:5], k), ["(5, 2)", "(60, 2)", "every row"]),
    "no plate": (lambda X, k: plain(X, k, plate="component"), ["plate('cluster', k)"]),
    "discrete": (with_discrete_site, ["discrete site 'z'", "MixtureSameFamily"]),
    "failing": (failing, ["failed", "(60, 2)", "k=2", "RuntimeError: first line"]),
    "masked rows": (with_rows_left_out, ["mask"]),
    "scaled rows": (with_half_of_the_likelihood, ["scale"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_contract_is_told_in_one_line(case):
    program, parts = BROKEN[case]
    assert_says(refusal(prepared, clear_rows(), program, 2), "model ", *parts)


def test_the_program_that_those_differ_from_is_accepted():
    target, _ = prepared(clear_rows(), plain, 2)
    assert target.structure.gaussian


@pytest.mark.parametrize(
    "program",
    [
        of_other_rows,
        of_one_column,
    ],
)
def test_a_program_that_observes_something_else_than_the_rows_is_refused(program):
    assert_says(refusal(prepared, clear_rows(), program, 2), "observe", "X")


def test_a_site_of_the_wrong_length_in_the_plate_is_refused():
    def wrong(X, k):
        plain(X, k)
        with numpyro.plate("cluster", k):
            numpyro.deterministic("extra", jnp.ones(k + 1))

    assert_says(refusal(prepared, clear_rows(), wrong, 2), "'extra'", "(3,)", "k=2")


def test_a_univariate_program_refuses_two_columns():
    message = refusal(prepared, clear_rows(), "richardson_green", 2)
    assert_says(message, "univariate", "2 columns", "choose one")


def test_a_constant_column_is_refused():
    X = np.column_stack([clear_rows(), np.ones(60)])
    assert_says(refusal(prepared, X, "gaussian", 2), "'x3'", "constant", "drop it")


FILES = {
    "import.py": ("import no_such_library_anywhere\n", ["cannot be imported", "no_such_library"]),
    "syntax.py": ("def model(X, k:\n", ["cannot be imported", "SyntaxError"]),
    "error.py": ("raise ValueError('one\\ntwo')\n", ["cannot be imported", "ValueError: one"]),
    "exit.py": ("import sys\nsys.exit(3)\n", ["cannot be imported", "SystemExit"]),
    "empty.py": ("", ["no function `model(X, k, ...)`"]),
    "other.py": ("def mixture(X, k): pass\n", ["no function `model(X, k, ...)`"]),
    "number.py": ("model = 3\n", ["no function `model(X, k, ...)`"]),
    "table.csv": ("1,2\n", ["not a Python file"]),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_without_a_program_is_told_in_one_line(name, tmp_path):
    text, parts = FILES[name]
    path = tmp_path / name
    path.write_text(text)
    assert_says(refusal(load_model, path), name, *parts)


def test_a_missing_file_is_told():
    assert_says(refusal(load_model, "no/such/file.py"), "no/such/file.py", "no such file")


def test_a_file_in_another_encoding_is_read_or_told_in_one_line(tmp_path):
    path = tmp_path / "latin.py"
    path.write_bytes(b"# -*- coding: latin-1 -*-\n# caf\xe9\ndef model(X, k): pass\n")
    try:
        assert "café" in load_model(path).text
    except InputError as error:
        assert_says(str(error), "latin.py")


def test_an_unknown_name_suggests_the_nearest():
    message = refusal(load_model, "gausian_diag")
    assert_says(message, "'gausian_diag'", "did you mean 'gaussian_diag'?", *PROGRAMS)


def test_an_unknown_prior_suggests_the_nearest():
    problem = problem_of(clear_rows())
    message = refusal(bind, load_model("gaussian"), problem, {"wieghts": 1})
    assert_says(message, "'wieghts'", "did you mean 'weights'?", "correlation")


@pytest.mark.parametrize("value", [np.nan, np.inf, "two", None, [1.0, np.nan]])
def test_a_prior_that_is_no_finite_number_is_refused(value):
    problem = problem_of(clear_rows())
    message = refusal(bind, load_model("gaussian"), problem, {"weights": value})
    assert_says(message, "weights=", "finite number")


@pytest.mark.parametrize(
    ("name", "priors", "parts"),
    [
        ("gaussian", {"weights": -1.0}, ["weights=-1.0", "concentration", "Dirichlet"]),
        ("gaussian", {"spread": -2.0}, ["spread=-2.0", "scale", "'means'"]),
        ("gaussian", {"sd_spread": 0.0}, ["sd_spread=0.0", "'sds'"]),
        ("gaussian", {"correlation": 0.0}, ["correlation=0.0", "LKJCholesky"]),
        ("conjugate", {"nu": 0.5}, ["nu=0.5", "out of its range"]),
        ("dirichlet_process", {"alpha_rate": -1}, ["alpha_rate=-1", "'alpha'"]),
    ],
)
def test_a_prior_out_of_its_range_is_refused_before_the_work(name, priors, parts):
    assert_says(refusal(prepared, clear_rows(), name, 2, priors), "priors: ", *parts)


def test_the_programs_lie_beside_the_package_or_in_it():
    assert [path.stem for path in sorted(models_folder().glob("*.py"))] == PROGRAMS
