"""Figures from plain arrays.

Every function returns the axes or the figure it drew on, and none touches matplotlib's global
state: new figures are made outside pyplot.
"""

from bayesgmm.plots.clouds import estimate_clouds
from bayesgmm.plots.clusters import clusters
from bayesgmm.plots.criteria import criteria_by_k, families_by_k
from bayesgmm.plots.export import figure_png, figure_svg
from bayesgmm.plots.figure import figure_of_clusters
from bayesgmm.plots.histogram import histogram
from bayesgmm.plots.membership import membership_uncertainty
from bayesgmm.plots.pairs import pair_grid
from bayesgmm.plots.style import component_colours
from bayesgmm.plots.trace import log_likelihood_trace
from bayesgmm.plots.weights import weights

__all__ = [
    "clusters",
    "component_colours",
    "criteria_by_k",
    "estimate_clouds",
    "families_by_k",
    "figure_of_clusters",
    "figure_png",
    "figure_svg",
    "histogram",
    "log_likelihood_trace",
    "membership_uncertainty",
    "pair_grid",
    "weights",
]
