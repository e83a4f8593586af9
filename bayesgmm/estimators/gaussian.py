"""The maximum-likelihood estimator."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils.validation import check_is_fitted

from bayesgmm.bayes.driver import Progress, silent
from bayesgmm.comparison import views
from bayesgmm.comparison.estimate import EstimateSummary
from bayesgmm.data.errors import InputError, counted, one_line, unknown
from bayesgmm.data.randomness import generator
from bayesgmm.data.scalars import non_negative, whole
from bayesgmm.data.table import Table
from bayesgmm.estimators.columns import Columns
from bayesgmm.estimators.figures import EstimateFigures
from bayesgmm.gaussian.families import family
from bayesgmm.gaussian.mixture import Mixture, log_density, most_probable, responsibilities
from bayesgmm.ml import criteria, restarts, seeding
from bayesgmm.ml.bootstrap import Bootstrap, bootstrap
from bayesgmm.ml.calibration import Calibration, calibrate
from bayesgmm.ml.optima import MaximumLikelihood
from bayesgmm.ml.problem import Problem, check_components
from bayesgmm.ml.race import Track
from bayesgmm.ml.uncertainty import StandardErrors, standard_errors

MOST_MAPS = 2**62


class GaussianMixture(EstimateFigures, Columns, DensityMixin, BaseEstimator):
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
        self._track: Track = settings.track(self._problem, k)
        self.__dict__.pop("bootstrap_", None)
        self._remember(X, table)
        self._publish(before)
        if self.verbose:
            self._print()
        return self

    def _settings(self) -> restarts.Settings:
        for name in ("warm_start", "equal_weights"):
            if not isinstance(getattr(self, name), bool | np.bool_):
                raise InputError(f"{name}={getattr(self, name)!r} must be True or False.")
        if not isinstance(self.covariance_type, str):
            raise InputError(
                f"covariance_type={self.covariance_type!r} must be one name, such as 'full'."
            )
        if not isinstance(self.init_params, str) or self.init_params not in seeding.METHODS:
            raise unknown("init_params", self.init_params, seeding.METHODS)
        return restarts.Settings(
            n_init=whole("n_init", self.n_init),
            tol=non_negative("tol", self.tol),
            max_iter=min(whole("max_iter", self.max_iter), MOST_MAPS),
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

    def standard_errors(self, kind: str = "information") -> StandardErrors:
        """Standard errors of every parameter, in the user's units.

        Args:
            kind: "information", from the observed information; or "sandwich", which also holds
                where the family is wrong.
        """
        check_is_fitted(self, "ml_")
        return standard_errors(self.ml_, self._problem, kind)

    def bootstrap(
        self, n_resamples: int = 999, kind: str = "weighted", random_state: object = None
    ) -> Bootstrap:
        """Refits of resampled rows, labels aligned; `summary` shows the latest from then on.

        Args:
            n_resamples: how many refits; the jackknife leaves out each unit once.
            kind: "weighted" (Dirichlet row weights), "multinomial", "parametric" or "jackknife".
            random_state: int, Generator or None; the estimator's own by default.

        Raises:
            InputError: fewer than two resamples, another kind, row weights that are not counts, a
                fit that is not admissible.
        """
        check_is_fitted(self, "ml_")
        self.bootstrap_ = bootstrap(
            self.ml_,
            self._problem,
            self._track,
            self._generator(random_state),
            n_resamples=whole("n_resamples", n_resamples),
            kind=kind,
        )
        return self.bootstrap_

    def summary(self, kind: str = "information") -> EstimateSummary:
        """Every estimate, its standard error and intervals; prints, and shows as HTML.

        Args:
            kind: of the standard errors, "information" or "sandwich".
        """
        errors = self.standard_errors(kind)
        return EstimateSummary(self.ml_, self._problem, errors, getattr(self, "bootstrap_", None))

    def calibrate(
        self,
        n_simulations: int = 200,
        n_resamples: int = 199,
        random_state: object = None,
        progress: Progress | None = None,
    ) -> Calibration:
        """Whether intervals and criteria can be believed at this size, by simulation from the fit.

        Args:
            n_simulations: data sets, each as large as the data.
            n_resamples: bootstrap refits of each; 0 leaves the bootstrap out.
            random_state: int, Generator or None; the estimator's own by default.
            progress: called with what is being done, how much is done, and how much there is.

        Raises:
            InputError: fewer than two simulations, row weights that are not counts, a fit that is
                not admissible.
        """
        check_is_fitted(self, "ml_")
        return calibrate(
            self.ml_,
            self._problem,
            self._track,
            self._generator(random_state),
            n_simulations=whole("n_simulations", n_simulations),
            n_resamples=whole("n_resamples", n_resamples, 0),
            progress=progress or silent,
        )

    def _generator(self, random_state: object) -> np.random.Generator:
        return generator(self.random_state if random_state is None else random_state)[0]


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
