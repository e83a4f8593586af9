"""One small mixture in one, two and seven columns, and every figure made of it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from bayesgmm import plots

N, K, S = 60, 3, 80


def make_mixture(d: int, k: int = K, n: int = N) -> dict[str, Any]:
    """Rows, a fit of them and draws around the fit."""
    rng = np.random.default_rng(10 * d + k)
    means = 4.0 * np.arange(k)[:, None] + rng.normal(size=(k, d))
    labels = rng.integers(k, size=n)
    covariances = np.stack([(1 + j) * (np.eye(d) + 0.4) for j in range(k)]) / 2
    roots = np.linalg.cholesky(covariances)[labels]
    return {
        "X": means[labels] + np.einsum("nij,nj->ni", roots, rng.normal(size=(n, d))),
        "labels": labels,
        "means": means,
        "covariances": covariances,
        "posterior_means": means + rng.normal(scale=0.1, size=(S, k, d)),
        "posterior_covariances": covariances * rng.uniform(0.8, 1.2, size=(S, k, 1, 1)),
    }


def make_memberships(n: int = N, k: int = K) -> np.ndarray:
    return np.random.default_rng(7).dirichlet(np.full(k, 0.3), size=n)


def make_weight_draws(k: int = K, s: int = S) -> np.ndarray:
    return np.random.default_rng(8).dirichlet(np.full(k, 20.0), size=s)


def _criteria() -> Figure:
    values = {"AIC": [9.0, 2.0, 0.0], "BIC": [0.0, 3.0, 500.0], "LOO": [40.0, 0.0, -1.0]}
    return plots.figure_of(
        plots.criteria_by_k(
            [1, 2, 3],
            values,
            errors={"LOO": [9.0, np.nan, 2.0]},
            undecided={"LOO": [False, False, True]},
        )
    )


def _histogram(k: int = K) -> Figure:
    fit = make_mixture(1, k)
    weights, sds = np.full(k, 1 / k), np.sqrt(fit["covariances"][:, 0, 0])
    grid = np.linspace(-5, 15, 50)
    band = np.abs(np.random.default_rng(1).normal(0.1, 0.01, size=(S, 50)))
    return plots.figure_of(
        plots.histogram(
            fit["X"][:, 0], weights, fit["means"][:, 0], sds, posterior_density=band, grid=grid
        )
    )


def _clouds(k: int = K) -> Figure:
    draws = make_weight_draws(k)
    best = {"ml_weights": draws.mean(0), "ml_values": draws.mean(0)}
    return plots.figure_of(plots.clouds(draws, np.sqrt(draws), draws, draws**2, **best))


def _surface(ml: float, posterior: float) -> plots.Surface:
    """Normal densities with these standard deviations."""
    x, y = np.linspace(-5, 15, 60), np.linspace(-5, 15, 50)
    z = np.hypot(*(axis - 5 for axis in np.meshgrid(x, y)))
    heights = [np.exp(-0.5 * (z / sd) ** 2) / (2 * np.pi * sd**2) for sd in (ml, posterior)]
    return plots.Surface(x, y, *heights)


def _curve() -> plots.Curve:
    x = np.linspace(-5, 15, 50)
    sds = np.linspace(1.5, 2.5, 21)[:, None]
    draws = np.exp(-0.5 * ((x - 5) / sds) ** 2) / (np.sqrt(2 * np.pi) * sds)
    return plots.Curve(x, draws[10], draws)


def _density_grid() -> Figure:
    pairs = {(x, y): _surface(1.0 + x, 1.0 + y) for x, y in [(0, 1), (0, 2), (1, 2)]}
    names = {"columns": ["a", "b", "c"]}
    return plots.figure_of(plots.density_grid(make_mixture(3)["X"], [_curve()] * 3, pairs, **names))


def _memberships(k: int) -> Figure:
    mean = make_memberships(6, k)
    ends = np.clip(mean - 0.1, 0, 1), np.clip(mean + 0.1, 0, 1)
    return plots.figure_of(plots.memberships(mean, *ends, rows=[3, 1, 4, 15, 9, 2]))


def _co_clustering(k: int) -> Figure:
    labels = np.repeat(np.arange(k), 5)
    together = 0.1 + 0.8 * (labels[:, None] == labels)
    return plots.figure_of(plots.co_clustering(together, labels))


def _relabelling(k: int) -> Figure:
    draws = make_weight_draws(k, 200).reshape(2, 100, k)
    return plots.figure_of(plots.relabelling(draws[..., ::-1], draws, name="weights"))


def _predictive() -> Figure:
    sets = np.random.default_rng(0).normal(size=(9, 40))
    return plots.figure_of(plots.predictive(sets[0], sets[1:]))


def _loo() -> Figure:
    elpd, k = np.random.default_rng(0).normal(size=(2, 40))
    return plots.figure_of(plots.loo_by_row(elpd, k, 0.7))


def _programs() -> Figure:
    names, numbers = ["a", "b", "c"], ([0, 3, 9], [np.nan, 2, 5], [0.8, 0.2, np.nan])
    return plots.figure_of(plots.programs(names, *numbers, undecided=[False, False, True]))


# Every public figure as a function of the number of components.
FIGURES: dict[str, Callable[[int], Figure]] = {
    "convergence": lambda k: plots.figure_of(
        plots.convergence([-np.exp(-np.arange(30.0) / (j + 1)) - 5 for j in range(k)])
    ),
    "criteria": lambda k: _criteria(),
    "clusters": lambda k: plots.figure_of(
        plots.clusters(**make_mixture(2, k), columns=["height", "width"])
    ),
    "pairs": lambda k: plots.figure_of(
        plots.clusters(**make_mixture(3, k), columns=["a", "b", "c"])
    ),
    "histogram": _histogram,
    "line": lambda k: plots.figure_of(
        plots.clusters(
            **make_mixture(1, k), posterior_weights=make_weight_draws(k), columns=["height"]
        )
    ),
    "density plane": lambda k: plots.figure_of(
        plots.density_plane(make_mixture(2, k)["X"], _surface(2.0, 3.0))
    ),
    "density grid": lambda k: _density_grid(),
    "density line": lambda k: plots.figure_of(
        plots.density_line(make_mixture(1, k)["X"][:, 0], _curve())
    ),
    "memberships": _memberships,
    "co-clustering": _co_clustering,
    "relabelling": _relabelling,
    "occupied": lambda k: plots.figure_of(
        plots.occupied(np.full(k, 1 / k), make_memberships(1, k)[0])
    ),
    "predictive": lambda k: _predictive(),
    "loo": lambda k: _loo(),
    "programs": lambda k: _programs(),
    "weights": lambda k: plots.figure_of(
        plots.weights(np.full(k, 1 / k), np.full(k, 0.03), make_weight_draws(k))
    ),
    "uncertainty": lambda k: plots.figure_of(
        plots.uncertainty(make_mixture(2, k)["X"], make_memberships(k=k))
    ),
    "curves": lambda k: plots.figure_of(
        plots.uncertainty(make_mixture(1, k)["X"], make_memberships(k=k))
    ),
    "clouds": _clouds,
}


@pytest.fixture(params=sorted(FIGURES))
def draw(request: pytest.FixtureRequest) -> Callable[[int], Figure]:
    """A function of k that makes one of the figures."""
    return FIGURES[request.param]


@pytest.fixture
def mixture() -> Callable[..., dict[str, Any]]:
    """`mixture(d, k, n)`: rows, a fit of them and draws around the fit."""
    return make_mixture


@pytest.fixture
def memberships() -> Callable[..., np.ndarray]:
    """`memberships(n, k)`: membership probabilities."""
    return make_memberships


@pytest.fixture
def weight_draws() -> Callable[..., np.ndarray]:
    """`weight_draws(k, s)`: posterior draws of the weights."""
    return make_weight_draws


@pytest.fixture
def surface() -> Callable[[float, float], plots.Surface]:
    """`surface(ml, posterior)`: normal densities around (5, 5) with these standard deviations."""
    return _surface


@pytest.fixture
def figures() -> dict[str, Callable[[int], Figure]]:
    """Every public figure as a function of the number of components."""
    return FIGURES
