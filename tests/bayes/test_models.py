"""The programs against the densities that their sources give, all by SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.infer.util import log_density
from scipy import stats
from scipy.special import gammaln

from bayesgmm.bayes.program import load_model, model_names

K = 3
RNG = np.random.default_rng(0)
X = {d: RNG.normal(20, 4, size=(30, d)) * np.array([1.0, 7.0])[:d] for d in (1, 2)}
TRACED = {
    "gaussian": {"weights": 2.0, "sd_spread": 0.5, "correlation": 3.0, "spread": 5.0},
    "gaussian_tied": {"weights": 2.0, "sd_spread": 0.5, "correlation": 3.0, "location": 1.0},
    "gaussian_diag": {"weights": 2.0, "sd_spread": 0.5, "sd": 3.0},
    "gaussian_spherical": {"weights": 2.0, "sd_spread": 0.5, "sd": 3.0},
    "gaussian_noise": {"weights": 2.0, "noise": 0.5, "sd_spread": 0.5, "correlation": 3.0},
    "sparse": {"weights": 0.01, "sd_spread": 0.5, "correlation": 3.0},
    "dirichlet_process": {"alpha_shape": 3.0, "alpha_rate": 0.5, "sd_spread": 0.5},
    "student_t": {"weights": 2.0, "df_shape": 3.0, "df_rate": 0.5, "correlation": 3.0},
    "richardson_green": {"weights": 2.0, "alpha": 3.0, "g": 0.5, "h": 4.0, "spread": 9.0},
    "conjugate": {"weights": 2.0, "kappa": 0.3, "nu": 7.0, "location": 19.0},
}
CASES = [
    (name, d, chosen)
    for name in TRACED
    for d in ((1,) if name == "richardson_green" else (1, 2))
    for chosen in (False, True)
]


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def test_every_program_is_here():
    assert sorted(TRACED) == model_names()


# --- values of the sites, and what is said of them in the sources --------------------------------


def cholesky_corr(d):
    """Factors of correlation matrices, one for each component."""
    if d == 1:
        return None
    r = np.array([-0.5, 0.1, 0.7])
    tril = np.zeros((K, 2, 2))
    tril[:, 0, 0], tril[:, 1, 0], tril[:, 1, 1] = 1.0, r, np.sqrt(1 - r**2)
    return tril


def sites(d):
    """Values that serve several programs."""
    return {
        "weights": np.array([0.2, 0.5, 0.3]),
        "log_tau": np.array([0.3, -0.4])[:d],
        "means": np.array([[15.0, 100.0], [22.0, 150.0], [19.0, 120.0]])[:, :d],
        "sds": np.array([[1.0, 5.0], [2.0, 9.0], [0.5, 20.0]])[:, :d],
        "corr_tril": cholesky_corr(d),
    }


def lkj_2d(tril, shape):
    """For two columns r is 2 Beta(shape, shape) - 1 (Lewandowski, Kurowicka and Joe 2009).

    The density is that of r, times |dr / dL| = 1 for the free entry of the factor, L21 = r.
    """
    return stats.beta(shape, shape, loc=-1, scale=2).logpdf(tril[..., 1, 0]).sum()


def constants(d, priors):
    x = X[d]
    middle, spread = (x.min(0) + x.max(0)) / 2, np.ptp(x, axis=0)
    sd = priors.get("sd", 1.0) * np.ones(d) if "sd" in priors else x.std(0)
    return priors.get("location", middle), priors.get("spread", spread), sd


def hierarchy(values, d, priors):
    """The scales: log tau_j ~ Normal(log(sd_j k^(-1/d)), 1), log sigma_kj ~ Normal(log tau_j)."""
    _, _, sd = constants(d, priors)
    spread = priors.get("sd_spread", 0.7)
    tau = stats.norm(np.log(sd * K ** (-1 / d)), 1.0).logpdf(values["log_tau"])
    sds = stats.lognorm(spread, scale=np.exp(values["log_tau"])).logpdf(values["sds"])
    return tau.sum() + sds.sum()


def means(values, d, priors, name="means"):
    location, spread, _ = constants(d, priors)
    return stats.norm(location, spread).logpdf(values[name]).sum()


def correlations(values, d, priors):
    return lkj_2d(values["corr_tril"], priors.get("correlation", 2.0)) if d == 2 else 0.0


def dirichlet(values, priors, default=1.0):
    concentration = np.full(K, priors.get("weights", default))
    return stats.dirichlet(concentration).logpdf(values["weights"])


def gaussian(d, priors, default=1.0):
    values = sites(d)
    parts = (means, hierarchy, correlations)
    expected = dirichlet(values, priors, default) + sum(part(values, d, priors) for part in parts)
    return values, expected


def sparse(d, priors):
    return gaussian(d, priors, default=0.1)


def gaussian_diag(d, priors):
    values = sites(d) | {"corr_tril": None}
    return values, dirichlet(values, priors) + means(values, d, priors) + hierarchy(
        values, d, priors
    )


def gaussian_spherical(d, priors):
    values = sites(d) | {"corr_tril": None, "log_tau": np.array(0.3), "sds": np.array([1, 2, 0.5])}
    _, _, sd = constants(d, priors)
    centre = np.log(np.sqrt(np.mean(sd**2)) * K ** (-1 / d))
    scales = stats.lognorm(priors.get("sd_spread", 0.7), scale=np.exp(0.3)).logpdf(values["sds"])
    tau = stats.norm(centre, 1.0).logpdf(0.3)
    return values, dirichlet(values, priors) + means(values, d, priors) + tau + scales.sum()


def gaussian_tied(d, priors):
    values = sites(d)
    values |= {"sds": np.array([2.0, 11.0])[:d], "log_tau": None}
    values["corr_tril"] = None if d == 1 else values["corr_tril"][2]
    _, _, sd = constants(d, priors)
    scale = sd * K ** (-1 / d)
    scales = stats.lognorm(priors.get("sd_spread", 1.0), scale=scale).logpdf(values["sds"]).sum()
    shared = correlations(values, d, priors)
    return values, dirichlet(values, priors) + means(values, d, priors) + scales + shared


def gaussian_noise(d, priors):
    values = sites(d) | {"weights": np.array([0.2, 0.4, 0.3, 0.1])}
    concentration = np.append(np.full(K, priors.get("weights", 1.0)), priors.get("noise", 1.0))
    parts = (means, hierarchy, correlations)
    weights = stats.dirichlet(concentration).logpdf(values["weights"])
    return values, weights + sum(part(values, d, priors) for part in parts)


def dirichlet_process(d, priors):
    values = sites(d) | {"weights": None, "alpha": np.array(0.8), "fractions": np.array([0.6, 0.3])}
    shape, rate = priors.get("alpha_shape", 2.0), priors.get("alpha_rate", 2.0)
    expected = stats.gamma(shape, scale=1 / rate).logpdf(0.8)
    expected += stats.beta(1.0, 0.8).logpdf(values["fractions"]).sum()
    return values, expected + sum(
        part(values, d, priors) for part in (means, hierarchy, correlations)
    )


def student_t(d, priors):
    values = sites(d)
    values["locations"] = values.pop("means")
    values["df"] = np.array([3.0, 8.0, 30.0])
    shape, rate = priors.get("df_shape", 2.0), priors.get("df_rate", 0.1)
    expected = dirichlet(values, priors) + means(values, d, priors, "locations")
    expected += stats.gamma(shape, scale=1 / rate).logpdf(values["df"]).sum()
    return values, expected + hierarchy(values, d, priors) + correlations(values, d, priors)


def richardson_green(d, priors):
    """mu ~ N(xi, R^2), s^-2 ~ Gamma(2, beta), beta ~ Gamma(0.2, 10 / R^2), w ~ Dirichlet(1)."""
    values = {name: sites(1)[name] for name in ("weights", "means")}
    variances, beta = np.array([2.0, 5.0, 0.7]), 0.7
    values |= {"variances": variances, "beta": np.array(beta)}
    alpha, g, h = (priors.get(name, own) for name, own in (("alpha", 2), ("g", 0.2), ("h", 10)))
    R = priors.get("spread", np.ptp(X[1]))
    precision = stats.gamma(alpha, scale=1 / beta).logpdf(1 / variances) - 2 * np.log(variances)
    expected = dirichlet(values, priors) + means(values, 1, priors) + precision.sum()
    return values, expected + stats.gamma(g, scale=R**2 / h).logpdf(beta)


def conjugate(d, priors):
    """S ~ InverseWishart(nu, scale), mu | S ~ Normal(location, S / kappa).

    The program samples the Cholesky factor T of the inverse of S. With P = T T' the Jacobian is
    |dP / dT| = 2^d prod_j T_jj^(d - j + 1), and |dS / dP| = |P|^-(d + 1) (Muirhead 1982, section
    2.1); the density of S is SciPy's.
    """
    values = {name: sites(d)[name] for name in ("weights", "means")}
    root = np.stack([np.array([[1.0, 0.0], [r, 0.2]])[:d, :d] for r in (0.1, -0.3, 0.05)])
    values["precision_tril"] = root
    location, _, _ = constants(d, priors)
    nu, kappa = priors.get("nu", d + 2.0), priors.get("kappa", 0.01)
    scale = np.cov(X[d], rowvar=False).reshape(d, d) / K ** (2 / d)
    expected = dirichlet(values, priors)
    for tril, mean in zip(root, values["means"], strict=True):
        S = np.linalg.inv(tril @ tril.T)
        diagonal = np.diagonal(tril)
        expected += stats.invwishart(nu, scale).logpdf(S)
        expected += stats.multivariate_normal(np.broadcast_to(location, d), S / kappa).logpdf(mean)
        expected += d * np.log(2) + (np.arange(d, 0, -1) * np.log(diagonal)).sum()
        expected -= (d + 1) * 2 * np.log(diagonal).sum()  # |dS / dP|
    return values, expected


FORMULAS = {name: globals()[name] for name in TRACED}


def density_of(name, x, values, priors):
    """The log density of the latents, and the trace."""
    given = {site: jnp.asarray(value) for site, value in values.items() if value is not None}
    priors = {key: jnp.broadcast_to(value, _shape(key, x)) for key, value in priors.items()}
    total, trace = log_density(load_model(name).model, (jnp.asarray(x), K), priors, given)
    latents = {site for site, each in trace.items() if each["type"] == "sample"} - {"X"}
    assert latents == set(given)
    return float(total - trace["X"]["fn"].log_prob(jnp.asarray(x)).sum()), trace


def _shape(keyword, x):
    return (x.shape[1],) if keyword in ("location", "spread", "sd") else ()


@pytest.mark.parametrize(("name", "d", "chosen"), CASES)
def test_the_prior_is_that_of_its_source(name, d, chosen):
    priors = TRACED[name] if chosen else {}
    values, expected = FORMULAS[name](d, priors)
    found, _ = density_of(name, X[d], values, priors)
    assert found == pytest.approx(expected, rel=1e-9)


# --- what the rows are, given the sites ----------------------------------------------------------


def likelihood_of(name, d, **priors):
    values, _ = FORMULAS[name](d, priors)
    _, trace = density_of(name, X[d], values, priors)
    return values, np.asarray(trace["X"]["fn"].log_prob(jnp.asarray(X[d])))


def covariances(values, d):
    sds = values["sds"]
    if sds.ndim == 1:  # one for each round component, or one set for all components
        sds = np.repeat(sds[:, None], d, axis=1) if len(sds) == K else np.tile(sds, (K, 1))
    tril = values.get("corr_tril")
    tril = np.eye(d) if tril is None else tril
    scale = sds[..., None] * tril
    return scale @ np.swapaxes(scale, -1, -2)


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize(
    "name", ["gaussian", "gaussian_tied", "gaussian_diag", "gaussian_spherical", "sparse"]
)
def test_rows_are_a_mixture_of_normals(name, d):
    values, found = likelihood_of(name, d)
    parts = [
        w * stats.multivariate_normal(m, S).pdf(X[d])
        for w, m, S in zip(values["weights"], values["means"], covariances(values, d), strict=True)
    ]
    np.testing.assert_allclose(found, np.log(np.sum(parts, axis=0)), rtol=1e-10)


def test_rows_of_the_conjugate_program_have_the_inverse_precisions():
    values, found = likelihood_of("conjugate", 2)
    parts = [
        w * stats.multivariate_normal(m, np.linalg.inv(T @ T.T)).pdf(X[2])
        for w, m, T in zip(
            *(values[n] for n in ("weights", "means", "precision_tril")), strict=True
        )
    ]
    np.testing.assert_allclose(found, np.log(np.sum(parts, axis=0)), rtol=1e-10)


def test_rows_of_richardson_and_green_have_the_variances_of_their_components():
    values, found = likelihood_of("richardson_green", 1)
    sds, x = np.sqrt(values["variances"]), X[1]
    parts = values["weights"] * stats.norm(values["means"][:, 0], sds).pdf(x)
    np.testing.assert_allclose(found, np.log(parts.sum(1)), rtol=1e-10)


@pytest.mark.parametrize("d", [1, 2])
def test_rows_of_the_robust_program_are_a_mixture_of_multivariate_t(d):
    values, found = likelihood_of("student_t", d)
    parts = [
        w * stats.multivariate_t(m, S, df).pdf(X[d])
        for w, m, S, df in zip(
            *(values["weights"], values["locations"], covariances(values, d), values["df"]),
            strict=True,
        )
    ]
    np.testing.assert_allclose(found, np.log(np.sum(parts, axis=0)), rtol=1e-10)


@pytest.mark.parametrize("d", [1, 2])
def test_the_background_is_uniform_over_the_box_of_the_rows(d):
    values, found = likelihood_of("gaussian_noise", d)
    volume = np.prod(np.ptp(X[d], axis=0))
    parts = [
        w * stats.multivariate_normal(m, S).pdf(X[d])
        for w, m, S in zip(values["weights"], values["means"], covariances(values, d), strict=False)
    ]
    expected = np.log(np.sum(parts, axis=0) + values["weights"][K] / volume)
    np.testing.assert_allclose(found, expected, rtol=1e-8)  # the box is a billionth wider


def test_stick_breaking_gives_what_is_left_to_the_last_component():
    values, found = likelihood_of("dirichlet_process", 2)
    v, w = values["fractions"]
    weights = np.array([v, (1 - v) * w, (1 - v) * (1 - w)])
    _, trace = density_of("dirichlet_process", X[2], values, {})
    np.testing.assert_allclose(trace["weights"]["value"], weights, rtol=1e-12)
    parts = [
        w * stats.multivariate_normal(m, S).pdf(X[2])
        for w, m, S in zip(weights, values["means"], covariances(values, 2), strict=True)
    ]
    np.testing.assert_allclose(found, np.log(np.sum(parts, axis=0)), rtol=1e-10)


def test_a_student_t_with_many_degrees_of_freedom_is_the_normal_program():
    values, normal = likelihood_of("gaussian", 2)
    heavy = values | {"locations": values["means"], "means": None, "df": np.full(K, 1e7)}
    _, trace = density_of("student_t", X[2], heavy, {})
    robust = trace["X"]["fn"].log_prob(jnp.asarray(X[2]))
    np.testing.assert_allclose(robust, normal, rtol=1e-4)


def test_for_one_column_the_conjugate_prior_is_normal_inverse_gamma():
    """S ~ InverseGamma(nu / 2, scale / 2), mu | S ~ Normal(location, S / kappa)."""
    nu, scale, kappa = 4.0, 10.0, 0.05
    S, mu = np.array([2.0, 5.0, 0.7]), np.array([15.0, 22.0, 19.0])
    values = {
        "weights": sites(1)["weights"],
        "precision_tril": (S**-0.5)[:, None, None],
        "means": mu[:, None],
    }
    priors = {"nu": nu, "scale": scale, "kappa": kappa, "location": 20.0}
    found, _ = density_of("conjugate", X[1], values, priors)
    variance = stats.invgamma(nu / 2, scale=scale / 2).logpdf(S).sum()
    jacobian = np.log(2 * S**1.5).sum()  # of S = T^-2
    centre = stats.norm(20.0, np.sqrt(S / kappa)).logpdf(mu).sum()
    assert found == pytest.approx(gammaln(K) + variance + jacobian + centre, rel=1e-10)
