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
    of_posterior,
    surface,
    thinned,
)
from bayesgmm.data.errors import InputError, unknown
from bayesgmm.gaussian.mixture import Mixture, most_probable, responsibilities
from bayesgmm.ml.em import MAPS_PER_CYCLE
from bayesgmm.ml.optima import MaximumLikelihood
from bayesgmm.ml.problem import Problem
from bayesgmm.plots.canvas import Panels, figure_given

type Columns = str | Sequence[str] | None
"""Names of the columns to show."""

DRAWS = 200  # of which densities and ellipses are made
GAUSSIAN_EM = "Gaussian EM"  # where EM maximised another likelihood than the program's
CELLS = 120  # along each side of the plane


def convergence(ml: MaximumLikelihood, ax: Axes | None = None) -> Axes:
    """EM's log-likelihood, every start, the winner marked."""
    ends = [history[-1] if history.size else -np.inf for history in ml.histories]
    best = int(np.argmin(np.abs(np.array(ends) - ml.log_likelihood)))
    return plots.convergence(list(ml.histories), every=MAPS_PER_CYCLE, best=best, ax=ax)


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
    """Rows by component; maximum likelihood over the posterior, where its components are normal."""
    normal = both.posterior.mixture is not None
    labels, draws = both.posterior.membership.argmax(1), thinned(both, DRAWS) if normal else None
    own = (both.ml.mixture, both.problem, labels, draws, columns, ax, fig)
    return _clusters(*own, None if both.same_likelihood else GAUSSIAN_EM)


def _clusters(
    mixture: Mixture,
    problem: Problem,
    labels: Int[np.ndarray, " n"],
    draws: Mixture | None,
    columns: Columns,
    ax: Axes | None,
    fig: Figure | None,
    estimate: str | None = None,
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
        estimate=estimate,
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
    return _density(problem, ml.mixture, None, "ML", columns, ax, fig)


def density(
    both: Both,
    columns: Columns = None,
    ax: Axes | None = None,
    fig: Figure | None = None,
) -> Axes | Panels:
    """The estimated density over the posterior predictive's, and the rows."""
    estimate = "ML" if both.same_likelihood else GAUSSIAN_EM
    posterior = of_posterior(both, DRAWS)
    return _density(both.problem, both.ml.mixture, posterior, estimate, columns, ax, fig)


def _density(
    problem: Problem,
    ml: Mixture,
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
    membership = responsibilities(ml.mixture, problem.X)
    return _uncertainty(problem, membership, columns, ax, background=False)


def uncertainty(both: Both, columns: Columns = None, ax: Axes | None = None) -> Axes:
    """Rows by their most probable component, uncertain ones marked."""
    background = both.posterior.structure.background
    return _uncertainty(both.problem, both.posterior.membership, columns, ax, background=background)


def _uncertainty(
    problem: Problem,
    membership: Float[np.ndarray, "n k"],
    columns: Columns,
    ax: Axes | None,
    *,
    background: bool,
) -> Axes:
    places, names = in_plane(problem, columns)
    X = problem.X[:, places]
    return plots.uncertainty(X, membership, columns=names, background=background, ax=ax)


def chosen(problem: Problem, columns: Columns) -> tuple[list[int], list[str]]:
    """Places and names of the columns to show; all by default.

    Raises:
        InputError: an unknown column, one that is named twice, or none.
    """
    names = list(problem.table.columns)
    wanted = names if columns is None else columns
    shown = np.atleast_1d(np.asarray(wanted, dtype=np.object_)).tolist()
    for name in shown:
        if name not in names:
            raise unknown("column", name, names)
    if not shown or len(set(shown)) < len(shown):
        raise InputError(f"columns={shown} must be different columns, at least one.")
    return [names.index(name) for name in shown], shown


def in_plane(problem: Problem, columns: Columns) -> tuple[list[int], list[str]]:
    """Places and names of two columns, or of the only one; the first two by default.

    Raises:
        InputError: as `chosen`; or another number of columns.
    """
    every = list(problem.table.columns)
    places, names = chosen(problem, every[:2] if columns is None else columns)
    if len(names) != min(len(every), 2):
        raise InputError(
            f"columns={names} do not make a plane; memberships are shown over two columns, such "
            f"as {every[:2]}."
        )
    return places, names


def one_panel(names: Sequence[str], ax: Axes | None, fig: Figure | None) -> Axes | None:
    """The axes to draw on, which may be the only ones of a given figure.

    Raises:
        InputError: one panel for three columns or more.
    """
    if len(names) < 3:
        return figure_given(fig).add_subplot() if ax is None and fig is not None else ax
    if ax is not None:
        raise InputError(
            f"ax is one panel, and {len(names)} columns make a grid of them: choose two, such as "
            f"columns={list(names[:2])}, or give an empty figure as fig."
        )
    return None
