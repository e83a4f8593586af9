"""Densities along columns and over pairs of columns, of the estimate and of posterior draws."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from bayesgmm.comparison.both import Both
from bayesgmm.comparison.views import flat_draws
from bayesgmm.data.errors import InputError
from bayesgmm.gaussian.mixture import Mixture, log_density
from bayesgmm.ml.problem import Problem
from bayesgmm.plots import Curve, Surface, finer

type Densities = Callable[[Sequence[int], Float[np.ndarray, "g p"]], Float[np.ndarray, "*s g"]]
"""From places of columns, and points in their space, to densities there."""

ALONG = 400  # points of a curve
MARGIN = 0.2  # around the rows, in their range


def of_mixture(mixture: Mixture) -> Densities:
    """Densities of a normal mixture, or of each of several, in any of its columns."""
    return lambda places, points: np.exp(log_density(marginal(mixture, places), points))


def of_posterior(both: Both, most: int) -> Densities:
    """Densities of at most so many posterior draws; in all columns only if they are not normal."""
    if both.posterior.mixture is None:
        return _of_program(both, most)
    return of_mixture(thinned(both, most))


def _of_program(both: Both, most: int) -> Densities:
    d = len(both.problem.table.columns)

    def densities(places: Sequence[int], points: np.ndarray) -> np.ndarray:
        if sorted(places) != list(range(d)):
            raise InputError(
                f"model {both.model!r} has components that are not normal: its density is drawn "
                "over all of one or two fitted columns; fit those alone, or see plot_clusters()."
            )
        rows = points[:, np.argsort(places)]
        parts = [found.log_density for _, found in both.posterior.by_draw(rows, most)]
        return np.exp(np.concatenate(parts, axis=1))

    return densities


def curve(problem: Problem, ml: Mixture, posterior: Densities | None, place: int) -> Curve:
    """Densities along a column, closely about the estimate's components."""
    means, variances = np.asarray(ml.means)[:, place], covariances(ml, [place])[:, 0, 0]
    x = finer(_along(problem, place, ALONG), means, np.sqrt(variances))
    points = x[:, None]
    draws = None if posterior is None else posterior([place], points)
    return Curve(x, of_mixture(ml)([place], points), draws)


def surface(
    problem: Problem, ml: Mixture, posterior: Densities | None, places: Sequence[int], cells: int
) -> Surface:
    """Densities over the plane of two columns, the posterior's as their mean over the draws."""
    x, y = (_along(problem, place, cells) for place in places)
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    mean = None if posterior is None else posterior(places, points).mean(0).reshape(y.size, x.size)
    return Surface(x, y, of_mixture(ml)(places, points).reshape(y.size, x.size), mean)


def _along(problem: Problem, place: int, points: int) -> Float[np.ndarray, " g"]:
    """Evenly spaced values of a column, from below the least row to above the largest."""
    low, high = problem.X[:, place].min(), problem.X[:, place].max()
    margin = MARGIN * (high - low)
    return np.linspace(low - margin, high + margin, points)


def marginal(mixture: Mixture, places: Sequence[int]) -> Mixture:
    """The mixture of some of the columns."""
    block = covariances(mixture, places)
    means = np.asarray(mixture.means)[..., places]
    return Mixture(np.asarray(mixture.weights), means, np.linalg.cholesky(block))


def covariances(mixture: Mixture, places: Sequence[int]) -> Float[np.ndarray, "*s k d d"]:
    """Covariances of some of the columns."""
    return np.asarray(mixture.covariances)[..., *np.ix_(places, places)]


def thinned(both: Both, most: int) -> Mixture:
    """At most so many of the kept draws, evenly spaced."""
    draws = flat_draws(both)
    places = np.unique(np.linspace(0, len(draws.weights) - 1, most).astype(int))
    return Mixture(*(part[places] for part in draws))
