"""The Bayesian estimator, which begins with the maximum-likelihood fit."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int
from sklearn.base import BaseEstimator, ClusterMixin, DensityMixin
from sklearn.utils.validation import check_is_fitted

from bayesgmm import store
from bayesgmm.bayes.allocation import partition
from bayesgmm.bayes.diagnose import Thresholds
from bayesgmm.bayes.driver import Progress, silent
from bayesgmm.bayes.partition import Partition
from bayesgmm.bayes.program import load_model
from bayesgmm.bayes.settings import Settings
from bayesgmm.comparison import both as pair
from bayesgmm.comparison import record, views
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.calibration import calibrate
from bayesgmm.comparison.summary import Summary
from bayesgmm.data.errors import InputError
from bayesgmm.data.randomness import generator
from bayesgmm.data.scalars import whole
from bayesgmm.estimators.columns import Columns
from bayesgmm.ml import restarts
from bayesgmm.ml.bootstrap import Bootstrap, bootstrap
from bayesgmm.ml.calibration import Calibration
from bayesgmm.ml.optima import MaximumLikelihood
from bayesgmm.ml.problem import Problem

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure


class BayesianMixture(Columns, DensityMixin, ClusterMixin, BaseEstimator):
    """A mixture's posterior, started from its maximum-likelihood fit.

    Args:
        n_components: number of components, k.
        model: name of a program (`bayesgmm models` lists them: "gaussian", "gaussian_tied",
            "gaussian_diag", "gaussian_spherical", "student_t", "gaussian_noise", "sparse",
            "dirichlet_process", "richardson_green", "conjugate"), path of a Python file that
            defines `model(X, k, ...)`, or such a NumPyro function.
        priors: values for the program's keywords, such as {"weights": 2}.
        inference: "nuts" (sampling), "vi" (variational) or "laplace" (normal at the modes); the
            last two are approximations, and say by Pareto k-hat how good.
        num_chains: chains, side by side on the cores there are.
        num_warmup: steps of each stage of the adaptation; by default 100, and stages of 250 after
            it as long as they pay.
        num_draws: draws of each chain, at least; sampling runs on by itself until the effective
            sample sizes of label-invariant quantities reach 400 and R-hat 1.01.
        max_draws: draws of each chain, at most; 4 num_draws by default. Where the first draws show
            that the budget cannot be enough, it is not spent. An interrupt (Ctrl-C) keeps what
            was drawn, and the verdict says so.
        guide: "full_rank", "low_rank" or "mean_field", for "vi".
        n_init: EM starts.
        checkpoint: a file in which NUTS keeps its chains every few seconds; after the process was
            killed the same call goes on from there, and ends in the same bits.
        thresholds: when the verdict raises a flag.
        random_state: int, Generator or None.
        progress: called with what is being done, how much is done, and how much there is.

    Attributes:
        posterior_: xarray.DataTree that every ArviZ function takes; relabelled draws.
        ml_: the maximum-likelihood fit.
        verdict_: flags, worst first, each with its number, meaning and remedy.
        diagnostics_: the numbers behind them.
        labels_: most probable component of each fitted row; -1 for a background.

    Memory: draws are kept, and log densities of every draw and row up to 128 MiB; above that they
    are computed again where they are needed, block by block.
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        model: Any = "gaussian",
        priors: Mapping[str, object] | None = None,
        inference: str = "nuts",
        num_chains: int = 4,
        num_warmup: int | None = None,
        num_draws: int = 1000,
        max_draws: int | None = None,
        guide: str = "full_rank",
        n_init: int = 60,
        checkpoint: str | Path | None = None,
        thresholds: Thresholds | None = None,
        random_state: object = None,
        progress: Progress | None = None,
    ) -> None:
        self.n_components = n_components
        self.model = model
        self.priors = priors
        self.inference = inference
        self.num_chains = num_chains
        self.num_warmup = num_warmup
        self.num_draws = num_draws
        self.max_draws = max_draws
        self.guide = guide
        self.n_init = n_init
        self.checkpoint = checkpoint
        self.thresholds = thresholds
        self.random_state = random_state
        self.progress = progress

    def fit(self, X: object, y: object = None, sample_weight: object = None) -> "BayesianMixture":
        """Fit to X, a DataFrame, array (n, d), path or data set's name.

        Args:
            X: the data.
            y: ignored.
            sample_weight: counts (n,), or the name of their column.

        Raises:
            InputError: bad data, more components than rows, an unknown model, weights that are not
                counts, priors that the program does not have.
        """
        k, n_init = whole("n_components", self.n_components), whole("n_init", self.n_init)
        table = self._table(X, sample_weight)
        if not table.frequency:
            raise InputError(
                "sample_weight holds weights that are not counts, for which a posterior is not "
                "defined; give counts."
            )
        if self.checkpoint is not None and self.random_state is None:
            raise InputError(
                f"checkpoint={str(self.checkpoint)!r} needs an int as random_state, so that the "
                "same call can be told to be it."
            )
        rng, seed = generator(self.random_state)
        program, problem = load_model(self.model), Problem.of(table)
        own = self.get_params()
        apart = ("model", "random_state", "progress", "checkpoint")
        options = {name: own[name] for name in own if name not in apart}
        options["thresholds"] = None
        self._adopt(
            pair.fit_both(
                problem,
                program,
                k,
                priors=self.priors,
                settings=self._settings(),
                ml_settings=restarts.Settings(n_init=n_init),
                seed=rng,
                provenance=pair.provenance_of(problem, program, seed, options),
                progress=self.progress or silent,
                checkpoint=self.checkpoint,
            )
        )
        self._remember(X, table)
        return self

    def _settings(self) -> Settings:
        return Settings(
            self.inference,
            self.num_chains,
            self.num_warmup,
            self.num_draws,
            self.max_draws,
            self.guide,
            self.thresholds or Thresholds(),
        )

    def _adopt(self, fitted: Both) -> None:
        self.both_ = fitted
        self._tree: xr.DataTree | None = None
        self.ml_: MaximumLikelihood = fitted.ml
        self.verdict_ = fitted.posterior.verdict
        self.diagnostics_ = fitted.posterior.diagnostics
        self.n_features_in_ = len(fitted.problem.table.columns)

    @property
    def labels_(self) -> Int[np.ndarray, " n"]:
        """The most probable component of each fitted row; -1 for a background."""
        check_is_fitted(self, "both_")
        return self._most_probable(self.both_.posterior.membership)

    def _most_probable(self, membership: Float[np.ndarray, "n k"]) -> Int[np.ndarray, " n"]:
        labels = membership.argmax(1)
        return np.where(labels < self.both_.n_components, labels, -1)

    @property
    def posterior_(self) -> "xr.DataTree":
        """The posterior and all that belongs to it, as a DataTree."""
        check_is_fitted(self, "both_")
        if self._tree is None:
            self._tree = record.to_tree(self.both_)
        return self._tree

    @property
    def loo_(self) -> Any:
        """Leave-one-out predictive density: elpd, its standard error, p_loo, Pareto k."""
        check_is_fitted(self, "both_")
        return self.both_.posterior.loo

    def memberships(self, level: float = 0.95) -> "xr.Dataset":
        """Each fitted row's probability of each component: posterior mean and interval.

        Returns:
            "mean", "low" and "high", all (obs_id, cluster), a background last, and "entropy" of the
            mean, (obs_id), in nats.

        Raises:
            InputError: a level that is not between 0 and 1.
        """
        check_is_fitted(self, "both_")
        return record.memberships(self.both_, level)

    def co_clustering(self) -> "xr.DataArray":
        """The probability that two fitted rows belong together, (obs_id, obs_id_bis).

        It does not depend on labels, and so is sound where they are ambiguous.

        Raises:
            InputError: there are too many rows for a matrix of them.
        """
        check_is_fitted(self, "both_")
        return record.co_clustering(self.both_)

    def partition(self, loss: str = "vi") -> Partition:
        """The single partition of the fitted rows that is nearest to the posterior's.

        Args:
            loss: "vi", variation of information, or "binder".

        Returns:
            Its `labels`, the largest cluster first, the `expected` distance, and a credible `ball`.

        Raises:
            InputError: an unknown loss.
        """
        check_is_fitted(self, "both_")
        return partition(self.both_.posterior, loss)

    def crosstab(self, y: object) -> "pd.DataFrame":
        """Rows of every component and known class; attrs hold the "adjusted_rand_index".

        Args:
            y: the class of each fitted row, (n,).

        Raises:
            InputError: not as many classes as rows, or missing ones.
        """
        return views.crosstab(self.labels_, y, self.both_.problem.row_weights)

    def predict_proba(self, X: object) -> Float[np.ndarray, "n k"]:
        """Posterior mean membership of each row, shape (n, k); a background comes last."""
        return self._predict(X).membership

    def predict(self, X: object) -> Int[np.ndarray, " n"]:
        """The component of largest posterior mean membership; -1 for a background."""
        return self._most_probable(self.predict_proba(X))

    def score_samples(self, X: object) -> Float[np.ndarray, " n"]:
        """Log posterior predictive density of each row."""
        return self._predict(X).log_density

    def score(self, X: object, y: object = None) -> float:
        """Mean log posterior predictive density."""
        return float(self.score_samples(X).mean())

    def _predict(self, X: object) -> Any:
        rows = self._rows(X)
        return self.both_.posterior.predict(rows)

    def sample(self, n_samples: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Rows from the posterior predictive, (n, d), and their components, (n,)."""
        check_is_fitted(self, "both_")
        n = whole("n_samples", n_samples)
        return views.sample_posterior(self.both_, n, generator(self.random_state)[0])

    def bootstrap(
        self, n_resamples: int = 999, kind: str = "weighted", random_state: object = None
    ) -> Bootstrap:
        """Refits of the maximum-likelihood fit; `summary` shows their intervals from then on.

        Args:
            n_resamples: how many refits; the jackknife leaves out each unit once.
            kind: "weighted" (Dirichlet row weights), "multinomial", "parametric" or "jackknife".
            random_state: int, Generator or None; the estimator's own by default.

        Raises:
            InputError: fewer than two resamples, another kind, a fit that is not admissible.
        """
        check_is_fitted(self, "both_")
        rng, _ = generator(self.random_state if random_state is None else random_state)
        problem, ml = self.both_.problem, self.ml_
        refits = bootstrap(
            ml,
            problem,
            restarts.Settings().track(problem, ml.n_components),
            rng,
            n_resamples=whole("n_resamples", n_resamples),
            kind=kind,
        )
        self._adopt(replace(self.both_, refits=refits))
        return refits

    def calibrate(
        self,
        n_simulations: int = 50,
        n_resamples: int = 199,
        random_state: object = None,
        progress: Progress | None = None,
    ) -> Calibration:
        """How far intervals and criteria can be trusted at this size, both ways, by simulation.

        Data sets as large as the data are simulated from the maximum-likelihood fit and refitted,
        the posteriors with 250 draws of four chains. It shows how often 95 % intervals cover, from
        standard errors, the bootstrap and the posterior, and how often AIC, BIC, ICL and LOO find
        the number of components. Each data set takes seconds: four posteriors are sampled.

        Args:
            n_simulations: data sets.
            n_resamples: bootstrap refits of each; 0 leaves the bootstrap out.
            random_state: int, Generator or None; the estimator's own by default.
            progress: called with what is being done, how much is done, and how much there is.

        Raises:
            InputError: fewer than two simulations, a fit that is not admissible, a program whose
                components are not normal, a fit that was loaded without its program.
        """
        check_is_fitted(self, "both_")
        rng, _ = generator(self.random_state if random_state is None else random_state)
        return calibrate(
            self.both_,
            rng,
            n_simulations=whole("n_simulations", n_simulations),
            n_resamples=whole("n_resamples", n_resamples, 0),
            progress=progress or silent,
        )

    def summary(self) -> Summary:
        """Every parameter, maximum likelihood beside the posterior; prints, and shows as HTML."""
        check_is_fitted(self, "both_")
        return Summary.of(self.both_)

    def save(self, path: str | Path) -> Path:
        """Write the fit as netCDF, which ArviZ also reads; whole or not at all."""
        return store.save(self.posterior_, path)

    @classmethod
    def load(cls, path: str | Path, model: Any = None) -> "BayesianMixture":
        """A saved fit; no code is executed.

        Args:
            path: a file that `save` wrote.
            model: the program, needed only to predict with a program that is not normal; its text
                must be the one that was fitted.

        Raises:
            InputError: not a saved fit, damaged, or another program.
        """
        fitted = record.from_tree(store.load(path))
        if model is not None:
            fitted = record.with_program(fitted, load_model(model))
        told = dict(fitted.provenance.get("options", {}))
        known = {name: told[name] for name in cls._get_param_names() if name in told}
        known |= {"n_components": fitted.n_components, "inference": fitted.posterior.inference}
        loaded = cls(**known, model=model or fitted.model)
        loaded._adopt(fitted)
        loaded.feature_names_in_ = np.array(fitted.problem.table.columns, dtype=object)
        return loaded

    def plot_trace(self) -> "Figure":
        """EM's log-likelihood, every start."""
        check_is_fitted(self, "both_")
        return views.trace(self.ml_)

    def plot_clusters(self) -> "Figure":
        """Rows with maximum-likelihood ellipses over the posterior's."""
        check_is_fitted(self, "both_")
        return views.clusters(self.both_)

    def plot_clouds(self, column: str | None = None) -> "Figure":
        """The bootstrap of the maximum-likelihood estimate over the posterior, by component.

        Weights are on one axis, the means of a column on the other.

        Args:
            column: the first by default.

        Raises:
            InputError: no such column; a program whose components are not normal; a fit that
                cannot be resampled.
        """
        check_is_fitted(self, "both_")
        refits = self.both_.resampled or self.bootstrap()
        return views.clouds(self.both_, refits, column)

    def plot_weights(self) -> "Figure":
        """Component weights: the estimate and its standard error beside the posterior."""
        check_is_fitted(self, "both_")
        return views.weights(self.both_)

    def plot_membership(self) -> "Figure":
        """Rows by their most probable component, uncertain ones marked."""
        check_is_fitted(self, "both_")
        return views.membership(self.both_)
