"""The figures of both estimators.

A figure of one panel takes `ax` and returns the Axes; a figure of several takes `fig` and returns
an array of Axes. Without them a new figure of pyplot's is made, `.figure` of the Axes.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from sklearn.utils.validation import check_is_fitted

from bayesgmm.comparison.both import Both
from bayesgmm.data.randomness import generator
from bayesgmm.ml.bootstrap import Bootstrap
from bayesgmm.ml.optima import MaximumLikelihood
from bayesgmm.ml.problem import Problem

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from bayesgmm.comparison.figures import Columns
    from bayesgmm.plots.canvas import Panels


class EstimateFigures:
    """The figures of a maximum-likelihood fit."""

    ml_: MaximumLikelihood
    _problem: Problem

    def plot_convergence(self, ax: "Axes | None" = None) -> "Axes":
        """The log-likelihood of every start of EM, step by step, the winner marked."""
        from bayesgmm.comparison import figures

        check_is_fitted(self, "ml_")
        return figures.convergence(self.ml_, ax)

    def plot_clusters(
        self,
        columns: "Columns" = None,
        *,
        ax: "Axes | None" = None,
        fig: "Figure | None" = None,
    ) -> "Axes | Panels":
        """The fitted rows with the components' ellipses, or the density of one column.

        Args:
            columns: names of those to show, all by default; three and more make a grid of pairs.
            ax: axes for one or two columns.
            fig: an empty figure for a grid.

        Raises:
            InputError: no such column; axes for a grid.
        """
        from bayesgmm.comparison import figures

        check_is_fitted(self, "ml_")
        return figures.ml_clusters(self.ml_, self._problem, columns, ax, fig)

    def plot_uncertainty(self, columns: "Columns" = None, *, ax: "Axes | None" = None) -> "Axes":
        """The fitted rows by their most probable component, uncertain ones marked.

        Args:
            columns: names of one or two; by default the first two.
            ax: axes to draw on.

        Raises:
            InputError: no such column, or more than two.
        """
        from bayesgmm.comparison import figures

        check_is_fitted(self, "ml_")
        return figures.ml_uncertainty(self.ml_, self._problem, columns, ax)

    def plot_density(
        self,
        columns: "Columns" = None,
        *,
        ax: "Axes | None" = None,
        fig: "Figure | None" = None,
    ) -> "Axes | Panels":
        """The estimated density over the fitted rows.

        Of two columns, regions of highest density that hold 50, 80 and 95 %; of one, the density.

        Args:
            columns: names of those to show, all by default; three and more make a grid of pairs.
            ax: axes for one or two columns.
            fig: an empty figure for a grid.

        Raises:
            InputError: no such column; axes for a grid.
        """
        from bayesgmm.comparison import figures

        check_is_fitted(self, "ml_")
        return figures.ml_density(self.ml_, self._problem, columns, ax, fig)


class PosteriorFigures:
    """The figures of a maximum-likelihood fit and its posterior, side by side."""

    both_: Both
    bootstrap: Callable[..., Bootstrap]
    random_state: object

    def plot_convergence(self, ax: "Axes | None" = None) -> "Axes":
        """The log-likelihood of every start of EM, step by step, the winner marked."""
        from bayesgmm.comparison import figures

        check_is_fitted(self, "both_")
        return figures.convergence(self.both_.ml, ax)

    def plot_clusters(
        self,
        columns: "Columns" = None,
        *,
        ax: "Axes | None" = None,
        fig: "Figure | None" = None,
    ) -> "Axes | Panels":
        """The fitted rows with maximum-likelihood ellipses over the posterior's.

        Of one column the densities are drawn.

        Args:
            columns: names of those to show, all by default; three and more make a grid of pairs.
            ax: axes for one or two columns.
            fig: an empty figure for a grid.

        Raises:
            InputError: no such column; axes for a grid.
        """
        from bayesgmm.comparison import figures

        check_is_fitted(self, "both_")
        return figures.clusters(self.both_, columns, ax, fig)

    def plot_uncertainty(self, columns: "Columns" = None, *, ax: "Axes | None" = None) -> "Axes":
        """The fitted rows by their most probable component, uncertain ones marked.

        Args:
            columns: names of one or two; by default the first two.
            ax: axes to draw on.

        Raises:
            InputError: no such column, or more than two.
        """
        from bayesgmm.comparison import figures

        check_is_fitted(self, "both_")
        return figures.uncertainty(self.both_, columns, ax)

    def plot_density(
        self,
        columns: "Columns" = None,
        *,
        ax: "Axes | None" = None,
        fig: "Figure | None" = None,
    ) -> "Axes | Panels":
        """The estimated density, as lines, over the posterior predictive's, filled, and the rows.

        Of two columns, regions of highest density that hold 50, 80 and 95 %; of one, the density.

        Args:
            columns: names of those to show, all by default; three and more make a grid of pairs.
            ax: axes for one or two columns.
            fig: an empty figure for a grid.

        Raises:
            InputError: no such column; axes for a grid; components that are not normal, in
                some of the fitted columns or in more than two.
        """
        from bayesgmm.comparison import figures

        check_is_fitted(self, "both_")
        return figures.density(self.both_, columns, ax, fig)

    def plot_weights(self, ax: "Axes | None" = None) -> "Axes":
        """Component weights: the estimate and its standard error beside the posterior."""
        from bayesgmm.comparison import posterior_figures

        check_is_fitted(self, "both_")
        return posterior_figures.weights(self.both_, ax)

    def plot_clouds(self, column: str | None = None, *, fig: "Figure | None" = None) -> "Panels":
        """The bootstrap of the maximum-likelihood estimate over the posterior, by component.

        Weights are on one axis, the means of a column on the other.

        Args:
            column: the first by default.
            fig: an empty figure to draw on.

        Returns:
            Axes (k,).

        Raises:
            InputError: no such column; a program whose components are not normal; a fit that
                cannot be resampled.
        """
        from bayesgmm.comparison import posterior_figures

        check_is_fitted(self, "both_")
        refits = self.both_.resampled or self.bootstrap()
        return posterior_figures.clouds(self.both_, refits, column, fig)

    def plot_memberships(
        self, rows: "ArrayLike | None" = None, *, level: float = 0.95, ax: "Axes | None" = None
    ) -> "Axes":
        """Single rows' probabilities of each component, with intervals.

        Args:
            rows: numbers of fitted rows, counted from 0; the ten least certain by default.
            level: mass of the intervals.
            ax: axes to draw on.

        Raises:
            InputError: no such row; a level that is not between 0 and 1.
        """
        from bayesgmm.comparison import posterior_figures

        check_is_fitted(self, "both_")
        return posterior_figures.memberships(self.both_, rows, level, ax)

    def plot_co_clustering(self, ax: "Axes | None" = None) -> "Axes":
        """The probability that two rows belong together, in the order of `partition()`.

        Of more than 1000 rows evenly spaced ones are shown. It does not depend on labels.

        Raises:
            InputError: there are too many rows for a matrix of them.
        """
        from bayesgmm.comparison import posterior_figures

        check_is_fitted(self, "both_")
        return posterior_figures.co_clustering(self.both_, ax)

    def plot_relabelling(self, name: str | None = None, *, fig: "Figure | None" = None) -> "Panels":
        """A parameter of every component before its labels were put right, and after it.

        Args:
            name: a column, whose means are shown, "weights", or a site of the program with one
                number for each component; the first column by default.
            fig: an empty figure to draw on.

        Returns:
            Axes (2, 2): as sampled above relabelled, draws left of densities.

        Raises:
            InputError: nothing of that name.
        """
        from bayesgmm.comparison import posterior_figures

        check_is_fitted(self, "both_")
        return posterior_figures.relabelling(self.both_, name, fig)

    def plot_occupied(self, ax: "Axes | None" = None) -> "Axes":
        """How many components hold rows, prior beside posterior.

        Raises:
            InputError: the fit was loaded without its program; a prior that cannot be drawn.
        """
        from bayesgmm.comparison import posterior_figures

        check_is_fitted(self, "both_")
        return posterior_figures.occupied(self.both_, ax)

    def plot_predictive(self, column: str | None = None, *, ax: "Axes | None" = None) -> "Axes":
        """A column of data sets that the posterior predicts, and of the data, by ArviZ.

        Args:
            column: the first by default.
            ax: axes to draw on.

        Raises:
            InputError: no such column; as `sample`.
        """
        from bayesgmm.comparison import posterior_figures

        check_is_fitted(self, "both_")
        rng, _ = generator(self.random_state)
        return posterior_figures.predictive(self.both_, rng, column, ax)

    def plot_loo(self, ax: "Axes | None" = None) -> "Axes":
        """The log predictive density of every row when it is left out.

        Rows whose Pareto k-hat is above its limit are marked: see `reloo`.
        """
        from bayesgmm.comparison import posterior_figures

        check_is_fitted(self, "both_")
        return posterior_figures.loo(self.both_, ax)
