"""The figures of the report, each with an alternative text and a caption."""

import base64
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup
from matplotlib.axes import Axes

from bayesgmm import plots
from bayesgmm.comparison import figures, posterior_figures
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.words import counted, listed, number
from bayesgmm.plots.canvas import Panels

if TYPE_CHECKING:
    from bayesgmm.comparison.compare import Comparison

MOST_SVG = 250_000  # characters; a figure that needs more is put in as pixels
WIDE = 6.0  # inches; a wider figure has a row to itself


class Picture(NamedTuple):
    """A figure inside the page, and what is said below it."""

    image: Markup
    caption: str
    wide: bool


def picture(axes: Axes | Panels, name: str, alternative: str, caption: str) -> Picture:
    """A figure as lines where they are few, as pixels where they are many."""
    figure = plots.figure_of(axes)
    inches = figure.get_size_inches()[0]
    svg = plots.figure_svg(figure, prefix=f"figure-{name}", title=alternative)
    if len(svg) <= MOST_SVG:
        return Picture(Markup(svg), caption, inches > WIDE)
    data = base64.b64encode(plots.figure_png(figure, dpi=170)).decode()
    image = Markup('<img src="data:image/png;base64,{}" width="{}" alt="{}">')
    return Picture(image.format(data, round(96 * inches), alternative), caption, inches > WIDE)


@plots.outside_pyplot()
def criteria(comparison: "Comparison") -> Picture:
    """The criteria against k."""
    frame = comparison.to_frame()
    columns = {name.upper(): frame[f"d_{name}"] for name in ("aic", "bic", "icl")}
    columns["LOO"] = frame["d_loo"].where(frame["usable"])
    best = [f"{name} at k = {d.idxmin()}" for name, d in columns.items() if d.notna().any()]
    return picture(
        comparison.plot(),
        "criteria",
        f"Criteria against the number of components; lowest: {listed(best)}.",
        "Distance of every k from the best, by each criterion, on the -2 log scale; lower is "
        "better, 0 is best. Bars show one standard error of LOO; hollow points are undecided.",
    )


@plots.outside_pyplot()
def of_fit(both: Both) -> list[Picture]:
    """The figures of one fit: clusters, weights, memberships, and how EM got there."""
    clouds = [] if both.resampled is None or both.posterior.mixture is None else [_clouds(both)]
    return [_clusters(both), _weights(both), *clouds, _uncertainty(both), _convergence(both)]


def _clusters(both: Both) -> Picture:
    mixture, columns = both.ml.mixture, both.problem.table.columns
    parts = [
        f"component {j + 1} ({counted(round(both.ml.counts[j]), 'row')}) around "
        + ", ".join(f"{name} {mixture.means[j, a]:.4g}" for a, name in enumerate(columns))
        for j in range(both.n_components)
    ]
    normal = both.posterior.mixture is not None
    if len(columns) == 1:
        caption = "The data, with the density of the maximum-likelihood mixture and its components"
        caption += "; the band holds 95 % of the posterior draws of the density." * normal
    else:
        caption = "Rows by their most probable component. Solid ellipses hold 95 % of a component "
        caption += "by maximum likelihood"
        caption += "; thin ones are draws from the posterior." * normal
    caption += "" if normal else ". The program's own components are not normal and are not drawn."
    return picture(figures.clusters(both), "clusters", f"Clusters: {'; '.join(parts)}.", caption)


def _weights(both: Both) -> Picture:
    draws = both.posterior.cluster_weights
    parts = [
        f"component {j + 1}: maximum likelihood {number(weight, 0.01)}, posterior mean "
        f"{number(draws[..., j].mean(), 0.01)} (sd {number(draws[..., j].std(), 0.01)})"
        for j, weight in enumerate(both.ml.mixture.weights)
    ]
    caption = (
        "Weights of the components: the posterior (density, median, 95 % interval) above the "
        "maximum-likelihood estimate with 1.96 standard errors on either side."
    )
    axes = posterior_figures.weights(both)
    return picture(axes, "weights", f"Weights: {'; '.join(parts)}.", caption)


def _clouds(both: Both) -> Picture:
    assert both.resampled is not None
    column = both.problem.table.columns[0]
    return picture(
        posterior_figures.clouds(both, both.resampled),
        "clouds",
        f"Weights against the mean of {column}, bootstrap over posterior, component by component.",
        f"What is uncertain, both ways: points are posterior draws of a component's weight and of "
        f"its mean {column}, fills hold 50 % and 95 % of them; lines hold as much of "
        f"{both.resampled.n_resamples} bootstrap refits of the maximum-likelihood estimate. "
        "Densities of both are along the sides.",
    )


def _uncertainty(both: Both) -> Picture:
    sure = both.posterior.membership.max(1) >= 0.95
    weights = both.problem.row_weights
    alternative = (
        f"Membership uncertainty: {weights[~sure].sum():,.0f} of {weights.sum():,.0f} rows belong "
        "to their most probable component with a probability below 95 %."
    )
    columns = both.problem.table.columns
    if len(columns) == 1:
        caption = "Posterior probability that a row belongs to each component."
    else:
        caption = (
            "How surely each row belongs to its component. Large, strongly coloured points are "
            "uncertain; their rim has the colour of the runner-up."
        )
        caption += f" Shown are {listed(list(columns[:2]))}." * (len(columns) > 2)
    return picture(figures.uncertainty(both), "uncertainty", alternative, caption)


def _convergence(both: Both) -> Picture:
    ml = both.ml
    alternative = (
        f"Convergence of EM: {ml.hits} of {counted(ml.n_starts, 'start')} reached the best "
        f"optimum, the winner after {ml.n_iter} iterations."
    )
    caption = (
        "How EM converged: what each start still lacked to the best log-likelihood. Starts that "
        "fall to the lower edge reached the same optimum; the others ended in lesser ones."
    )
    return picture(figures.convergence(ml), "convergence", alternative, caption)
