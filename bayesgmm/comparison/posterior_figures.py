"""The figures that only a posterior has: what `plots` draws, from what a fit knows."""

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from bayesgmm import plots
from bayesgmm.bayes import allocation
from bayesgmm.bayes.structure import WEIGHTS
from bayesgmm.comparison import predictions
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.figures import chosen
from bayesgmm.comparison.views import flat_draws
from bayesgmm.data.errors import InputError, unknown
from bayesgmm.ml.bootstrap import Bootstrap
from bayesgmm.ml.problem import Problem
from bayesgmm.plots.canvas import Panels

UNSURE_ROWS = 10
MOST_ROWS = 1000  # of a co-clustering matrix that is shown
REPLICATES = 50
CENTRES = {"means": "mean", "locations": "location"}  # sites of programs, (k, d)


def weights(both: Both, ax: Axes | None = None) -> Axes:
    """Weights: estimate and standard error beside the posterior."""
    draws = both.posterior.cluster_weights
    flat = draws.reshape(-1, draws.shape[-1])
    return plots.weights(both.ml.mixture.weights, both.errors.weights, flat, ax=ax)


def clouds(
    both: Both, refits: Bootstrap, column: str | None = None, fig: Figure | None = None
) -> Panels:
    """The bootstrap cloud over the posterior cloud: weights against the means of a column.

    Raises:
        InputError: an unknown column; components that are not normal.
    """
    if both.posterior.mixture is None:
        raise InputError(
            f"model {both.model!r} has components that are not normal: the bootstrap is of another "
            "likelihood. plot_weights() and plot_relabelling() show its draws."
        )
    j, name = _one(both.problem, column)
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


def _one(problem: Problem, column: str | None) -> tuple[int, str]:
    """Place and name of a column, the first by default."""
    places, names = chosen(problem, column)
    if column is not None and len(names) > 1:
        raise InputError(f"column={names} are {len(names)} columns; choose one of them.")
    return places[0], names[0]


def memberships(
    both: Both, rows: ArrayLike | None = None, level: float = 0.95, ax: Axes | None = None
) -> Axes:
    """Single rows' probabilities of each component, with intervals; the least certain ten."""
    found = allocation.memberships(both.posterior, level)
    shown = np.argsort(-found.entropy, kind="stable")[:UNSURE_ROWS]
    if rows is not None:
        shown = _rows(rows, len(found.mean))
    return plots.memberships(
        found.mean[shown],
        found.low[shown],
        found.high[shown],
        rows=shown.tolist(),
        level=level,
        background=both.posterior.structure.background,
        ax=ax,
    )


def _rows(rows: ArrayLike, n: int) -> Int[np.ndarray, " r"]:
    places = np.asarray(rows)
    if places.ndim != 1 or not places.size or places.dtype.kind not in "iu":
        raise InputError(f"rows={rows!r} must be numbers of rows, such as [0, 5].")
    if places.min() < 0 or places.max() >= n:
        outside = places[(places < 0) | (places >= n)][0]
        raise InputError(f"rows: there is no row {outside}; they are counted from 0 to {n - 1}.")
    return places


def co_clustering(both: Both, ax: Axes | None = None) -> Axes:
    """The probability that two rows belong together, in the order of the point partition."""
    labels, n = allocation.partition(both.posterior, "vi").labels, len(both.problem.X)
    shown = np.unique(np.linspace(0, n - 1, min(n, MOST_ROWS)).astype(int))
    together = allocation.co_clustering(both.posterior)[np.ix_(shown, shown)]
    _, ranked = np.unique(labels[shown], return_inverse=True)
    return plots.co_clustering(together, ranked, n_rows=n, ax=ax)


def relabelling(both: Both, name: str | None = None, fig: Figure | None = None) -> Panels:
    """A parameter of every component before its labels were put right, and after it.

    Raises:
        InputError: nothing of that name has one number for each component.
    """
    known = _parameters(both)
    columns = both.problem.table.columns
    first = columns[0] if columns[0] in known else WEIGHTS
    title = first if name is None else name
    if title not in known:
        raise unknown("name", title, known)
    label, after = known[title]
    before = np.empty_like(after)
    np.put_along_axis(before, both.posterior.order[..., : after.shape[-1]], after, axis=-1)
    return plots.relabelling(before, after, name=label, fig=fig)


def _parameters(both: Both) -> dict[str, tuple[str, Float[np.ndarray, "c s k"]]]:
    """What has one number for each component, with its label and its relabelled draws.

    That is sites of the program, and by their columns the components' centres.
    """
    posterior, k = both.posterior, both.n_components
    axes = dict(posterior.structure.cluster_axes)
    found = {
        name: (name, values.reshape(*values.shape[:3])[..., :k])
        for name, values in posterior.sites.items()
        if name in axes and values.ndim + axes[name] == 2 and values.shape[3:] in ((), (1,))
    }
    means = {} if posterior.mixture is None else {"means": posterior.mixture.means}
    known, columns = {**posterior.sites, **means}, both.problem.table.columns
    for site, word in CENTRES.items():
        if site in known and known[site].shape[2:] == (k, len(columns)):
            found |= {
                name: (f"{word} {name}", known[site][..., j]) for j, name in enumerate(columns)
            }
    return found


def occupied(both: Both, ax: Axes | None = None) -> Axes:
    """How many components hold rows, prior beside posterior."""
    table = predictions.occupied_table(both)
    return plots.occupied(table["prior"].to_numpy(), table["posterior"].to_numpy(), ax=ax)


def predictive(
    both: Both, rng: np.random.Generator, column: str | None = None, ax: Axes | None = None
) -> Axes:
    """A column of data sets that the posterior predicts, and of the data."""
    j, name = _one(both.problem, column)
    tree = predictions.posterior_predictive(both, REPLICATES, rng)
    sets = tree["posterior_predictive"]["X"].to_numpy()[..., j]
    x = tree["observed_data"]["X"].to_numpy()[:, j]
    return plots.predictive(x, sets.reshape(-1, x.size), column=name, ax=ax)


def loo(both: Both, ax: Axes | None = None) -> Axes:
    """The log predictive density of every row when it is left out, unreliable ones marked."""
    found = both.posterior.loo
    return plots.loo_by_row(found.pointwise, found.pareto_k, found.good_k, ax=ax)
