import numpy as np
import pytest
from scipy.stats import multivariate_normal

import bayesgmm as bg
from bayesgmm import plots
from bayesgmm.comparison.densities import curve, of_mixture, of_posterior, surface
from bayesgmm.data.table import read_table
from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.ml.problem import Problem


def test_columns_of_a_mixture_are_its_marginal() -> None:
    rng = np.random.default_rng(0)
    factor = np.tril(rng.normal(size=(3, 3)))
    mixture = Mixture(np.ones(1), np.array([[1.0, 2.0, 3.0]]), factor[None])
    points = rng.normal(size=(7, 2))
    block = (factor @ factor.T)[np.ix_([2, 0], [2, 0])]
    expected = multivariate_normal([3.0, 1.0], block).pdf(points)
    np.testing.assert_allclose(of_mixture(mixture)([2, 0], points), expected)


def test_surface_is_the_posterior_predictive(faithful_fit: bg.BayesianMixture) -> None:
    both = faithful_fit.both_
    posterior = of_posterior(both, 2000)
    found = surface(both.problem, both.ml.mixture, posterior, [0, 1], 12)
    points = np.stack(np.meshgrid(found.x, found.y), axis=-1).reshape(-1, 2)
    density = np.exp(faithful_fit.score_samples(points)).reshape(12, 12)
    np.testing.assert_allclose(found.posterior, density, rtol=1e-6, atol=1e-12)
    assert found.x[0] < both.problem.X[:, 0].min()
    assert found.y[-1] > both.problem.X[:, 1].max()


def test_curve_has_the_mass_of_a_column(faithful_fit: bg.BayesianMixture) -> None:
    both = faithful_fit.both_
    found = curve(both.problem, both.ml.mixture, of_posterior(both, 50), 1)
    assert found.draws is not None
    mass = np.trapezoid(np.vstack([found.ml, found.draws]), found.x)
    np.testing.assert_allclose(mass, 1.0, atol=0.01)


def test_a_narrow_component_has_its_peak() -> None:
    problem = Problem.of(read_table(np.linspace(40.0, 96.0, 30)[:, None]))
    sds = np.array([1e-4, 5.0])[:, None, None]
    narrow = Mixture(np.array([0.1, 0.9]), np.array([[50.0], [80.0]]), sds)
    peak = 0.1 / (1e-4 * np.sqrt(2 * np.pi))
    assert curve(problem, narrow, None, 0).ml.max() == pytest.approx(peak, rel=1e-6)
    ax = plots.clusters(problem.X, np.zeros(30, int), narrow.means, sds**2, weights=[0.1, 0.9])
    assert max(line.get_ydata().max() for line in ax.lines) == pytest.approx(peak, rel=1e-6)
