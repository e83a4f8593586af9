"""The Bayesian estimator, which begins with the maximum-likelihood fit."""

from collections.abc import Mapping
from copy import copy
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
from bayesgmm.bayes.inference import Ready
from bayesgmm.bayes.kfold import KFold, kfold, reloo
from bayesgmm.bayes.loo import Loo
from bayesgmm.bayes.partition import Partition
from bayesgmm.bayes.posterior import Posterior
from bayesgmm.bayes.predictive import background_probability, tail_probability
from bayesgmm.bayes.program import load_model
from bayesgmm.bayes.settings import Settings
from bayesgmm.comparison import both as pair
from bayesgmm.comparison import labels, predictions, record, views
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.calibration import calibrate
from bayesgmm.comparison.checks import PredictiveCheck, predictive_check
from bayesgmm.comparison.sensitivity import Sensitivity, sensitivity
from bayesgmm.comparison.summary import Summary
from bayesgmm.data.errors import InputError
from bayesgmm.data.randomness import generator
from bayesgmm.data.scalars import whole as whole_number
from bayesgmm.data.table import check_counts
from bayesgmm.estimators.columns import Columns
from bayesgmm.estimators.figures import PosteriorFigures
from bayesgmm.ml import restarts
from bayesgmm.ml.bootstrap import Bootstrap, bootstrap
from bayesgmm.ml.calibration import Calibration
from bayesgmm.ml.optima import MaximumLikelihood
from bayesgmm.ml.problem import Problem

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


class BayesianMixture(PosteriorFigures, Columns, DensityMixin, ClusterMixin, BaseEstimator):
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
        k, n_init = (
            whole_number("n_components", self.n_components),
            whole_number("n_init", self.n_init),
        )
        table = self._table(X, sample_weight)
        check_counts(table, "for which a posterior is not defined")
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
    def loo_(self) -> Loo:
        """Leave-one-out predictive density, with elpd, its standard error, p_loo and Pareto k.

        By smoothed importance weights (PSIS), after moment matching for the few rows that ask for
        it; `n_bad` rows remain unreliable, see `reloo` and `kfold`.
        """
        check_is_fitted(self, "both_")
        return self.both_.posterior.loo

    def relabel(self, method: str = "stephens", *, by: str | None = None) -> "BayesianMixture":
        """The same fit with its components matched otherwise, or in an order that you name.

        Parameters and memberships move together, no draw is dropped, and what labels do not touch
        stays as it is.

        Args:
            method: "stephens" (2000, Kullback-Leibler to a fixed point), "ecr-1" or "ecr-2"
                (Papastamoulis and Iliopoulos 2010, to a fixed point), or "kl" or "ecr", which match
                every draw to the maximum-likelihood fit and stop.
            by: "weights", a column, whose means are taken, or a site with one entry for each
                component: they increase then in every draw; "-weights" puts the largest first.

        Raises:
            InputError: an unknown method or order; a program that is not normal, loaded without its
                code.
        """
        check_is_fitted(self, "both_")
        own = labels.labelled(self.both_, method) if by is None else labels.ordered(self.both_, by)
        found = copy(self)
        found._adopt(own)
        return found

    def reloo(self, max_refits: int = 10, random_state: object = None) -> Loo:
        """`loo_` with its unreliable rows left out by a refit each, which `summary` then shows.

        Priors stay those of the whole fit. Of a row that stands for several, one unit is left out.
        A row stays unreliable where its refit does not converge, or has nothing in common with the
        whole fit.

        Args:
            max_refits: how many refits are allowed.
            random_state: int, Generator or None; the estimator's own by default.

        Raises:
            InputError: more unreliable rows than refits; not by NUTS; no program.
        """
        most, own = whole_number("max_refits", max_refits), self._refits(random_state)
        found = reloo(*own, most, self.progress or silent)
        self._adopt(replace(self.both_, posterior=replace(self.both_.posterior, known_loo=found)))
        return found

    def kfold(self, n_folds: int = 10, random_state: object = None) -> KFold:
        """Cross-validation in random folds of rows: elpd, its standard error, and by row.

        Priors stay those of the whole fit. The units of a row that stands for several are spread
        over the folds.

        Args:
            n_folds: how many refits.
            random_state: int, Generator or None; the estimator's own by default.

        Raises:
            InputError: fewer than 2 folds, or more than rows; no program.
        """
        n = whole_number("n_folds", n_folds)
        return kfold(*self._refits(random_state), n, self.progress or silent)

    def _refits(
        self, random_state: object
    ) -> tuple[Posterior, Ready, MaximumLikelihood, Settings, np.random.Generator]:
        """The posterior, and what its refits need."""
        check_is_fitted(self, "both_")
        rng, _ = generator(self.random_state if random_state is None else random_state)
        ready, settings = pair.ready_again(self.both_), self._settings()
        return self.both_.posterior, ready, self.ml_, settings, rng

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

    def predict_interval(self, X: object, level: float = 0.95) -> "xr.Dataset":
        """Membership and log density of new rows: posterior mean and interval.

        Returns:
            "mean", "low" and "high" of the probability of each component, all (obs_id, cluster), a
            background last, and "entropy" of the mean; "log_density" of the posterior predictive,
            "log_density_low" and "log_density_high", all (obs_id).

        Raises:
            InputError: a level that is not between 0 and 1; a program that is not normal, and whose
                code is not there.
        """
        rows = self._rows(X)
        return predictions.intervals(self.both_, rows, level)

    def tail_probability(self, X: object) -> Float[np.ndarray, " n"]:
        """The probability that a new row would be no more likely than this one.

        P(p(x_new) <= p(x)), p the posterior predictive density: small for outliers, uniform for
        rows that the model describes. Below 0.01 a row is less likely than 99 % of new rows are.
        Its resolution is 1/4000.

        Raises:
            InputError: a program that is not normal, and whose code is not there.
        """
        rows = self._rows(X)
        return tail_probability(self.both_.posterior, rows)

    def outlier_probability(self, X: object) -> Float[np.ndarray, " n"]:
        """The posterior probability that a row belongs to the background, as in "gaussian_noise".

        Raises:
            InputError: a program without a background, for which there is `tail_probability`.
        """
        rows = self._rows(X)
        return background_probability(self.both_.posterior, rows)

    def sample(self, n_samples: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Rows from the posterior predictive, (n, d), and their components, (n,).

        Any program can be drawn from; rows of a background are labelled -1.

        Raises:
            InputError: a program that is not normal, and whose code is not there; components that
                cannot be sampled.
        """
        check_is_fitted(self, "both_")
        n = whole_number("n_samples", n_samples)
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
            n_resamples=whole_number("n_resamples", n_resamples),
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
            n_simulations=whole_number("n_simulations", n_simulations),
            n_resamples=whole_number("n_resamples", n_resamples, 0),
            progress=progress or silent,
        )

    def summary(self, *, with_map: bool = False) -> Summary:
        """Every parameter, maximum likelihood beside the posterior; prints, and shows as HTML.

        Args:
            with_map: also the posterior's mode (the highest point in the unconstrained coordinates
                that are sampled). Where it went with the mean, the prior moved the estimate; where
                it stayed near maximum likelihood, the posterior is skewed.
        """
        check_is_fitted(self, "both_")
        return Summary.of(self.both_, with_map=with_map)

    def posterior_predictive(self, n_draws: int = 200) -> "xr.DataTree":
        """About n_draws data sets that the posterior predicts, each as large as the data.

        Returns:
            Groups `posterior_predictive` and `observed_data`, with "X" (chain, draw, obs_id,
            feature), which ArviZ's plots take; select a feature. A row of count w stands w times.

        Raises:
            InputError: as `sample`.
        """
        check_is_fitted(self, "both_")
        s, rng = whole_number("n_draws", n_draws), generator(self.random_state)[0]
        return predictions.posterior_predictive(self.both_, s, rng)

    def prior_predictive(self, n_draws: int = 200) -> "xr.DataTree":
        """n_draws draws of the prior, and data sets as large as the data that they predict.

        Returns:
            Groups `prior`, `prior_predictive` and `observed_data`; attrs hold "share_near", the
            share of the predicted rows within three ranges of the data, and a "sentence".

        Raises:
            InputError: the fit was loaded without its program; a prior that cannot be drawn.
        """
        check_is_fitted(self, "both_")
        s, rng = whole_number("n_draws", n_draws), generator(self.random_state)[0]
        return predictions.prior_predictive(self.both_, s, rng)

    def predictive_check(self) -> PredictiveCheck:
        """Whether data sets that the posterior predicts look like the data, column by column.

        Minimum, maximum, standard deviation, skewness and kurtosis are compared.

        Returns:
            A table that prints; `.sentence` is the result, `.to_frame()` the numbers.

        Raises:
            InputError: as `sample`.
        """
        check_is_fitted(self, "both_")
        return predictive_check(self.both_)

    def occupied(self) -> "pd.DataFrame":
        """Probabilities that 1 to k components hold rows, prior beside posterior.

        Returns:
            Columns "prior" and "posterior"; attrs["sentence"] is the result.

        Raises:
            InputError: the fit was loaded without its program; a prior that cannot be drawn.
        """
        check_is_fitted(self, "both_")
        return predictions.occupied_table(self.both_)

    def sensitivity(self) -> Sensitivity:
        """How far every parameter follows its prior, by power scaling (Kallioinen et al. 2024).

        Prior and likelihood are raised to powers near one, by importance sampling of the draws.
        Where a prior has hyperparameters, these alone are scaled.

        Returns:
            A table, what does not depend on labels first, that prints; `.sentence` is the result,
            `.to_frame()` the numbers.

        Raises:
            InputError: the fit was loaded without its program.
        """
        check_is_fitted(self, "both_")
        return sensitivity(self.both_)

    def save(self, path: str | Path) -> Path:
        """Write the fit as netCDF, which ArviZ also reads; whole or not at all."""
        check_is_fitted(self, "both_")
        _ = self.both_.posterior.loo  # which a loaded fit could not always repeat
        return store.save(record.to_tree(self.both_), path)

    @classmethod
    def load(cls, path: str | Path, model: Any = None) -> "BayesianMixture":
        """A saved fit; no code is executed.

        Args:
            path: a file that `save` wrote.
            model: the program, needed for what runs it (`occupied`, `prior_predictive`,
                `sensitivity`, refits), and to predict with one that is not normal; its text must be
                the one that was fitted.

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
