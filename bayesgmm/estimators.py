"""scikit-learn faces over the functions of the other rooms."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClusterMixin, DensityMixin
from sklearn.utils.validation import check_is_fitted

from bayesgmm import store
from bayesgmm.bayes import posterior as bayes
from bayesgmm.bayes.diagnose import Thresholds
from bayesgmm.bayes.driver import Progress, silent
from bayesgmm.bayes.program import load_model
from bayesgmm.comparison import both as pair
from bayesgmm.comparison import record, views
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.summary import Summary
from bayesgmm.data.errors import InputError, counted, one_line, unknown
from bayesgmm.data.randomness import generator
from bayesgmm.data.scalars import non_negative, whole
from bayesgmm.data.table import Table, check_spread, read_table
from bayesgmm.gaussian.families import family
from bayesgmm.gaussian.mixture import Mixture, log_density, most_probable, responsibilities
from bayesgmm.ml import criteria, restarts, seeding
from bayesgmm.ml.optima import MaximumLikelihood
from bayesgmm.ml.problem import Problem, check_components

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


class _Columns:
    """What both estimators know of the columns they were fitted to."""

    feature_names_in_: np.ndarray
    n_features_in_: int

    def _table(self, X: object, sample_weight: object) -> Table:
        """Rows to fit, and their weights."""
        table = read_table(X, weights=sample_weight)  # type: ignore[arg-type]
        check_spread(table)
        return table

    def _remember(self, X: object, table: Table) -> None:
        self.n_features_in_ = len(table.columns)
        if _named(X):
            self.feature_names_in_ = np.array(table.columns, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _rows(self, X: object) -> Float[np.ndarray, "n d"]:
        """Rows to predict: a DataFrame's columns are taken by name."""
        check_is_fitted(self, "n_features_in_")
        names = list(getattr(self, "feature_names_in_", [])) if _named(X) else None
        rows = read_table(X, names or None).X
        if rows.shape[1] != self.n_features_in_:
            raise InputError(
                f"X has {rows.shape[1]} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input; choose the same columns."
            )
        return rows


class GaussianMixture(_Columns, DensityMixin, BaseEstimator):
    """Gaussian mixture by maximum likelihood: EM from many starts, the best admissible optimum.

    The interface is scikit-learn's. What differs: `tol` is the log-likelihood per row still to be
    gained (1e-9, not the last step's 1e-3); `n_init` is 60, not 1; `reg_covar` is relative to each
    column's variance and 0 by default; `max_iter` counts EM maps (3000); components are ordered by
    their means, first column first; `fit` takes `sample_weight`.

    Args:
        n_components: number of components, k.
        covariance_type: a family of Celeux and Govaert (1995) by mclust's name: EII, VII, EEI, VEI,
            EVI, VVI, EEE, VEE, EVE, VVE, EEV, VEV, EVV or VVV, E or V for one column; or
            scikit-learn's "full" (VVV), "tied" (EEE), "diag" (VVI) or "spherical" (VII).
        tol: stop when the Aitken estimate of the gain per row still to come is below it.
        reg_covar: added to the variances, relative to each column's; 0 for maximum likelihood.
        max_iter: EM maps at most, for each start.
        n_init: number of starts; for k = 1 there is one.
        init_params: "mixed", "kmeans", "k-means++", "random_from_data", "random" or
            "agglomerative".
        weights_init, means_init, precisions_init: a start to use alone, in scikit-learn's shapes;
            what is not given comes from one seeded start, and components keep their order.
        random_state: int, Generator or None.
        warm_start: start from the last solution.
        on_collapse: what to do about components that collapse onto few rows: "restart" takes the
            best of the other starts, "raise" is an error, "floor" adds a millionth of the columns'
            variances, "prior" finds the most probable mixture under the conjugate prior of Fraley
            and Raftery (2007).
        equal_weights: whether all components weigh the same.
        verbose: 1 prints what the starts found, 2 also the bounds of the best.
        verbose_interval: the bounds printed are this many apart.

    Attributes:
        weights_: shape (k,).
        means_: shape (k, d).
        covariances_, precisions_, precisions_cholesky_: in scikit-learn's shape for the type.
        converged_, n_iter_, lower_bound_, lower_bounds_: as in scikit-learn; per row.
        ml_: the full result, with optima, hits, criteria and what was refused.

    >>> import bayesgmm as bg
    >>> fit = bg.GaussianMixture(3, covariance_type="tied", random_state=0).fit(
    ...     bg.load_dataset("faithful"))
    >>> round(fit.ml_.bic, 2)
    2314.3
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-9,
        reg_covar: float = 0.0,
        max_iter: int = 3000,
        n_init: int = 60,
        init_params: str = "mixed",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        random_state: object = None,
        warm_start: bool = False,
        on_collapse: str = "restart",
        equal_weights: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.on_collapse = on_collapse
        self.equal_weights = equal_weights
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    def fit(self, X: object, y: object = None, sample_weight: object = None) -> "GaussianMixture":
        """Fit to X, a DataFrame, array (n, d), path or data set's name.

        Args:
            X: the data.
            y: ignored.
            sample_weight: row weights (n,), or the name of their column.

        Raises:
            InputError: bad data, more components than rows, an unknown covariance_type.
        """
        k, settings = whole("n_components", self.n_components), self._settings()
        table = self._table(X, sample_weight)
        rng, _ = generator(self.random_state)
        first = self._first(table, rng)
        before = self.ml_.history if self.warm_start and hasattr(self, "ml_") else np.array([])
        self.ml_: MaximumLikelihood = restarts.fit(
            table, k, self.covariance_type, rng, settings, first
        )
        self._problem = Problem.of(table)
        self._remember(X, table)
        self._publish(before)
        if self.verbose:
            self._print()
        return self

    def _settings(self) -> restarts.Settings:
        if not isinstance(self.covariance_type, str):
            raise InputError(
                f"covariance_type={self.covariance_type!r} must be one name, such as 'full'."
            )
        if not isinstance(self.init_params, str) or self.init_params not in seeding.METHODS:
            raise unknown("init_params", self.init_params, seeding.METHODS)
        return restarts.Settings(
            n_init=whole("n_init", self.n_init),
            tol=non_negative("tol", self.tol),
            max_iter=whole("max_iter", self.max_iter),
            reg_covar=non_negative("reg_covar", self.reg_covar),
            init_params=self.init_params,
            equal_weights=bool(self.equal_weights),
            on_collapse=self.on_collapse,
        )

    def _first(self, table: Table, rng: np.random.Generator) -> Mixture | None:
        """The one start that the user wants, if any."""
        if self.warm_start and hasattr(self, "ml_"):
            old, new = self.ml_.mixture.means.shape, (self.n_components, len(table.columns))
            if old != new:
                raise InputError(
                    f"warm_start: the last solution has {old[0]} components in {old[1]} columns, "
                    f"and {new[0]} in {new[1]} are wanted; fit without warm_start."
                )
            return self.ml_.mixture
        given = (self.weights_init, self.means_init, self.precisions_init)
        if all(part is None for part in given):
            return None
        problem = Problem.of(table)
        check_components(self.n_components, problem)
        seeded = seeding.starts(
            table.X, problem.row_weights, problem.frame, self.n_components, 1, rng, self.init_params
        )
        k, d = self.n_components, len(table.columns)
        weights = _given("weights_init", self.weights_init, (k,), seeded.weights[0])
        means = _given("means_init", self.means_init, (k, d), seeded.means[0])
        if self.precisions_init is None:
            return Mixture(weights, means, np.asarray(seeded.scale_tril[0]))
        member = family(self.covariance_type)
        precisions = views.full_matrices(
            _numbers("precisions_init", self.precisions_init), member, k, d
        )
        return Mixture(weights, means, np.linalg.cholesky(np.linalg.inv(precisions)))

    def _publish(self, before: np.ndarray) -> None:
        mixture, member = self.ml_.mixture, self.ml_.family
        self.weights_, self.means_ = mixture.weights, mixture.means
        self.covariances_ = views.in_shape(np.asarray(mixture.covariances), member)
        precisions, factors = views.precisions(mixture)
        self.precisions_ = views.in_shape(precisions, member)
        self.precisions_cholesky_ = views.in_shape(factors, member)
        self.converged_, self.n_iter_ = self.ml_.converged, self.ml_.n_iter
        self.lower_bounds_ = list(np.append(before, self.ml_.history) / self.ml_.n)
        self.lower_bound_ = self.ml_.log_likelihood / self.ml_.n

    def _print(self) -> None:
        fit = self.ml_
        print(
            f"EM: {fit.hits} of {counted(fit.n_starts, 'start')} reached the best lower bound, "
            f"{self.lower_bound_:.6f} per row, in {counted(fit.n_iter, 'map')}."
        )
        if self.verbose > 1:
            interval = whole("verbose_interval", self.verbose_interval)
            for step in range(0, len(self.lower_bounds_), interval):
                print(f"  step {step}: {self.lower_bounds_[step]:.6f}")

    def score_samples(self, X: object) -> Float[np.ndarray, " n"]:
        """Log density of each row."""
        rows = self._rows(X)
        return log_density(self.ml_.mixture, rows)

    def score(self, X: object, y: object = None) -> float:
        """Mean log density of the rows."""
        return float(self.score_samples(X).mean())

    def predict(self, X: object) -> Int[np.ndarray, " n"]:
        """The most probable component of each row."""
        rows = self._rows(X)
        return most_probable(self.ml_.mixture, rows)

    def predict_proba(self, X: object) -> Float[np.ndarray, "n k"]:
        """Probability of each component for each row, given the estimates."""
        rows = self._rows(X)
        return responsibilities(self.ml_.mixture, rows)

    def fit_predict(
        self, X: object, y: object = None, sample_weight: object = None
    ) -> Int[np.ndarray, " n"]:
        """`fit`, then `predict` of the same rows."""
        return self.fit(X, y, sample_weight).predict(self._problem.X)

    def sample(self, n_samples: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Rows drawn from the fitted mixture, (n, d), and their components, (n,)."""
        check_is_fitted(self, "ml_")
        n = whole("n_samples", n_samples)
        return views.sample(self.ml_.mixture, n, generator(self.random_state)[0])

    def aic(self, X: object) -> float:
        """Akaike's criterion of the estimates on X; smaller is better."""
        total = float(self.score_samples(X).sum())
        return criteria.aic(total, self.ml_.n_parameters)

    def bic(self, X: object) -> float:
        """Schwarz's criterion of the estimates on X; smaller is better."""
        densities = self.score_samples(X)
        return criteria.bic(float(densities.sum()), self.ml_.n_parameters, float(densities.size))

    def plot_trace(self) -> "Figure":
        """The log-likelihood of every start, step by step."""
        check_is_fitted(self, "ml_")
        return views.trace(self.ml_)

    def plot_clusters(self) -> "Figure":
        """The fitted rows with the components' ellipses, or the density of one column."""
        check_is_fitted(self, "ml_")
        return views.ml_clusters(self.ml_, self._problem)


class BayesianMixture(_Columns, DensityMixin, ClusterMixin, BaseEstimator):
    """A mixture's posterior, started from its maximum-likelihood fit.

    Args:
        n_components: number of components, k.
        model: name of a program ("gaussian", "gaussian_tied", "gaussian_diag",
            "gaussian_spherical", "conjugate"), path of a Python file that defines
            `model(X, k, ...)`, or such a NumPyro function.
        priors: values for the program's keywords, such as {"weights": 2}.
        inference: "nuts" (sampling) or "vi" (variational, labelled approximate).
        num_chains: chains, side by side on the cores there are.
        num_warmup: steps of adaptation; by default 250, repeated as long as it
            pays, at most 3 times.
        num_draws: draws of each chain, at least; sampling runs on by itself until the effective
            sample sizes of label-invariant quantities reach 400 and R-hat 1.01.
        max_draws: draws of each chain, at most; 4 num_draws by default. Where the first draws show
            that the budget cannot be enough, it is not spent.
        guide: "full_rank", "low_rank" or "mean_field", for "vi".
        n_init: EM starts.
        thresholds: when the verdict raises a flag.
        random_state: int, Generator or None.
        progress: called with what is being done, how much is done, and how much there is.

    Attributes:
        posterior_: xarray.DataTree that every ArviZ function takes; relabelled draws.
        ml_: the maximum-likelihood fit.
        verdict_: flags, worst first, each with its number, meaning and remedy.
        diagnostics_: the numbers behind them.
        labels_: most probable component of each fitted row.
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
        rng, seed = generator(self.random_state)
        program, problem = load_model(self.model), Problem.of(table)
        own = self.get_params()
        options = {
            name: own[name] for name in own if name not in ("model", "random_state", "progress")
        }
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
            )
        )
        self._remember(X, table)
        return self

    def _settings(self) -> bayes.Settings:
        return bayes.Settings(
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
        """The most probable component of each fitted row."""
        check_is_fitted(self, "both_")
        return self.both_.posterior.membership.argmax(1)

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

    def predict_proba(self, X: object) -> Float[np.ndarray, "n k"]:
        """Posterior mean membership of each row, shape (n, k)."""
        return self._predict(X).membership

    def predict(self, X: object) -> Int[np.ndarray, " n"]:
        """The component of largest posterior mean membership."""
        return self.predict_proba(X).argmax(1)

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

    def plot_weights(self) -> "Figure":
        """Component weights: the estimate and its standard error beside the posterior."""
        check_is_fitted(self, "both_")
        return views.weights(self.both_)

    def plot_membership(self) -> "Figure":
        """Rows by their most probable component, uncertain ones marked."""
        check_is_fitted(self, "both_")
        return views.membership(self.both_)


def _given(
    name: str, value: ArrayLike | None, shape: Sequence[int], otherwise: np.ndarray
) -> np.ndarray:
    if value is None:
        return np.asarray(otherwise)
    array = _numbers(name, value)
    if array.shape != tuple(shape) or not np.isfinite(array).all():
        raise InputError(
            f"{name} has shape {array.shape}, but finite values of shape {tuple(shape)} are needed."
        )
    if name == "weights_init" and (abs(array.sum() - 1) > 1e-6 or (array <= 0).any()):
        raise InputError("weights_init must be positive and sum to one.")
    return array


def _numbers(name: str, value: ArrayLike) -> np.ndarray:
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is no array of numbers: {one_line(error)}.") from error


def _named(X: object) -> bool:
    """Whether the data bring names for their columns."""
    return hasattr(X, "columns") or isinstance(X, str | Path)
