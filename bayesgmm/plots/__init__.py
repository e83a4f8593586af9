"""Figures from plain arrays.

A figure of one panel takes `ax` and returns the axes; a figure of several panels takes `fig` and
returns an array of axes. Without one of them a new figure of pyplot's is made, or within
`outside_pyplot()` one that pyplot does not know. Global settings are not changed.
"""

from bayesgmm.plots.canvas import figure_of, new_figure, outside_pyplot
from bayesgmm.plots.clouds import clouds
from bayesgmm.plots.clusters import clusters
from bayesgmm.plots.co_clustering import co_clustering
from bayesgmm.plots.convergence import convergence
from bayesgmm.plots.criteria import criteria_by_k, families_by_k
from bayesgmm.plots.density import Curve, Surface, density_grid, density_line, density_plane
from bayesgmm.plots.export import figure_png, figure_svg
from bayesgmm.plots.histogram import finer, histogram
from bayesgmm.plots.loo import loo_by_row
from bayesgmm.plots.memberships import memberships
from bayesgmm.plots.occupied import occupied
from bayesgmm.plots.pairs import pair_grid
from bayesgmm.plots.plane import plane
from bayesgmm.plots.predictive import predictive
from bayesgmm.plots.programs import programs
from bayesgmm.plots.relabelling import relabelling
from bayesgmm.plots.style import component_colours
from bayesgmm.plots.triangle import MOST_COLUMNS
from bayesgmm.plots.uncertainty import uncertainty
from bayesgmm.plots.weights import weights

__all__ = [
    "MOST_COLUMNS",
    "Curve",
    "Surface",
    "clouds",
    "clusters",
    "co_clustering",
    "component_colours",
    "convergence",
    "criteria_by_k",
    "density_grid",
    "density_line",
    "density_plane",
    "families_by_k",
    "figure_of",
    "figure_png",
    "figure_svg",
    "finer",
    "histogram",
    "loo_by_row",
    "memberships",
    "new_figure",
    "occupied",
    "outside_pyplot",
    "pair_grid",
    "plane",
    "predictive",
    "programs",
    "relabelling",
    "uncertainty",
    "weights",
]
