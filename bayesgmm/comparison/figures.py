"""The figures of a fit: what `plots` draws, from what a fit knows."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayesgmm import plots
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.densities import (
    Densities,
    covariances,
    curve,
    of_mixture,
    of_posterior,
    surface,
    thinned,
)
from bayesgmm.comparison.views import flat_draws
from bayesgmm.data.errors import InputError, unknown
from bayesgmm.gaussian.mixture import Mixture, most_probable, responsibilities
from bayesgmm.ml.bootstrap import Bootstrap
from bayesgmm.ml.optima import MaximumLikelihood
from bayesgmm.ml.problem import Problem
from bayesgmm.plots.canvas import Panels

type Columns = str | Sequence[str] | None
"""Names of the columns to show."""

DRAWS = 200  # of which densities and ellipses are made
CELLS = 120  # along each side of the plane


def convergence(ml: MaximumLikelihood, ax: Axes | None = None) -> Axes:
    """EM's log-likelihood, every start, the winner marked."""
    ends = [history[-1] if history.size else -np.inf for history in ml.histories]
    best = int(np.argmin(np.abs(np.array(ends) - ml.log_likelihood)))
    return plots.convergence(list(ml.histories), best=best, ax=ax)


def ml_clusters(
    ml: MaximumLikelihood,
    problem: Problem,
    columns: Columns = None,
    ax: Axes | None = None,
    fig: Figure | None = None,
) -> Axes | Panels:
    """Rows by component, with the estimate's ellipses or density."""
    labels = most_probable(ml.mixture, problem.X)
    return _clusters(ml.mixture, problem, labels, None, columns, ax, fig)


def clusters(
    both: Both,
    columns: Columns = None,
    ax: Axes | None = None,
    fig: Figure | None = None,
) -> Axes | Panels:
    """Rows by component; maximum likelihood over the posterior."""
    if both.posterior.mixture is None:
        return ml_clusters(both.ml, both.problem, columns, ax, fig)
    labels, draws = both.posterior.membership.argmax(1), thinned(both, DRAWS)
    return _clusters(both.ml.mixture, both.problem, labels, draws, columns, ax, fig)


def _clusters(
    mixture: Mixture,
    problem: Problem,
    labels: Int[np.ndarray, " n"],
    draws: Mixture | None,
    columns: Columns,
    ax: Axes | None,
    fig: Figure | None,
) -> Axes | Panels:
    places, names = chosen(problem, columns)
    return plots.clusters(
        problem.X[:, places],
        labels,
        mixture.means[:, places],
        covariances(mixture, places),
        weights=mixture.weights,
        columns=names,
        row_weights=problem.table.row_weights,
        posterior_weights=None if draws is None else draws.weights,
        posterior_means=None if draws is None else draws.means[..., places],
        posterior_covariances=None if draws is None else covariances(draws, places),
        ax=one_panel(names, ax, fig),
        fig=fig,
    )


def ml_density(
    ml: MaximumLikelihood,
    problem: Problem,
    columns: Columns = None,
    ax: Axes | None = None,
    fig: Figure | None = None,
) -> Axes | Panels:
    """The estimated density over the rows."""
    return _density(problem, of_mixture(ml.mixture), None, "ML", columns, ax, fig)


def density(
    both: Both,
    columns: Columns = None,
    ax: Axes | None = None,
    fig: Figure | None = None,
) -> Axes | Panels:
    """The estimated density over the posterior predictive's, and the rows."""
    estimate = "ML" if both.same_likelihood else "Gaussian EM"
    ml, posterior = of_mixture(both.ml.mixture), of_posterior(both, DRAWS)
    return _density(both.problem, ml, posterior, estimate, columns, ax, fig)


def _density(
    problem: Problem,
    ml: Densities,
    posterior: Densities | None,
    estimate: str,
    columns: Columns,
    ax: Axes | None,
    fig: Figure | None,
) -> Axes | Panels:
    places, names = chosen(problem, columns)
    ax = one_panel(names, ax, fig)
    X, row_weights = problem.X[:, places], problem.table.row_weights
    if len(places) == 1:
        return plots.density_line(
            X[:, 0],
            curve(problem, ml, posterior, places[0]),
            column=names[0],
            row_weights=row_weights,
            estimate=estimate,
            ax=ax,
        )
    if len(places) == 2:
        own = surface(problem, ml, posterior, places, CELLS)
        return plots.density_plane(
            X, own, columns=names, row_weights=row_weights, estimate=estimate, ax=ax
        )
    shown = places[: plots.MOST_COLUMNS]
    pairs = combinations(range(len(shown)), 2)
    return plots.density_grid(
        X,
        [curve(problem, ml, posterior, place) for place in shown],
        {
            pair: surface(problem, ml, posterior, [shown[j] for j in pair], CELLS // 2)
            for pair in pairs
        },
        columns=names,
        row_weights=row_weights,
        estimate=estimate,
        fig=fig,
    )


def ml_uncertainty(
    ml: MaximumLikelihood, problem: Problem, columns: Columns = None, ax: Axes | None = None
) -> Axes:
    """Rows by their most probable component given the estimates, uncertain ones marked."""
    return _uncertainty(problem, responsibilities(ml.mixture, problem.X), columns, ax)


def uncertainty(both: Both, columns: Columns = None, ax: Axes | None = None) -> Axes:
    """Rows by their most probable component, uncertain ones marked."""
    return _uncertainty(both.problem, both.posterior.membership, columns, ax)


def _uncertainty(
    problem: Problem, membership: Float[np.ndarray, "n k"], columns: Columns, ax: Axes | None
) -> Axes:
    places, names = in_plane(problem, columns)
    return plots.uncertainty(problem.X[:, places], membership, columns=names, ax=ax)


def weights(both: Both, ax: Axes | None = None) -> Axes:
    """Weights: estimate and standard error beside the posterior."""
    draws = both.posterior.cluster_weights
    flat = draws.reshape(-1, draws.shape[-1])
    return plots.weights(both.ml.mixture.weights, both.errors.weights, flat, ax=ax)


def clouds(
    both: Both, refits: Bootstrap, column: str | None = None, fig: Figure | None = None
) -> Panels:
    """The bootstrap cloud over the posterior cloud: weights against the means of a column."""
    (j, *_), (name, *_) = chosen(both.problem, column)
    draws, mixture = flat_draws(both), both.ml.mixture
    return plots.clouds(
        refits.mixtures.weights,
        refits.mixtures.means[..., j],
        draws.weights,
        draws.means[..., j],
        ml_weights=mixture.weights,
        ml_values=mixture.means[:, j],
        name=f"mean {name}",
        fig=fig,
    )


def chosen(problem: Problem, columns: Columns) -> tuple[list[int], list[str]]:
    """Places and names of the columns to show; all by default.

    Raises:
        InputError: an unknown column, one that is named twice, or none.
    """
    names = list(problem.table.columns)
    shown = names if columns is None else [columns] if isinstance(columns, str) else list(columns)
    for name in shown:
        if name not in names:
            raise unknown("column", name, names)
    if not shown or len(set(shown)) < len(shown):
        raise InputError(f"columns={shown} must be different columns, at least one.")
    return [names.index(name) for name in shown], shown


def in_plane(problem: Problem, columns: Columns) -> tuple[list[int], list[str]]:
    """Places and names of one or two columns; the first two by default.

    Raises:
        InputError: as `chosen`; or more than two columns.
    """
    places, names = chosen(problem, list(problem.table.columns)[:2] if columns is None else columns)
    if len(names) > 2:
        raise InputError(f"columns={names} are too many for one panel; choose one or two.")
    return places, names


def one_panel(names: Sequence[str], ax: Axes | None, fig: Figure | None) -> Axes | None:
    """The axes to draw on, which may be the only ones of a given figure.

    Raises:
        InputError: one panel for three columns or more.
    """
    if len(names) < 3:
        return fig.add_subplot() if ax is None and fig is not None else ax
    if ax is not None:
        raise InputError(
            f"ax is one panel, and {len(names)} columns make a grid of them: choose two, such as "
            f"columns={list(names[:2])}, or give an empty figure as fig."
        )
    return None
