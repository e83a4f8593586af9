"""One mixture fitted both ways."""

import platform
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from bayesgmm.bayes import posterior as bayes
from bayesgmm.bayes.driver import Progress, silent
from bayesgmm.bayes.posterior import Posterior
from bayesgmm.bayes.program import Program, models_folder
from bayesgmm.bayes.start import Mode
from bayesgmm.bayes.target import Data, Target
from bayesgmm.data.errors import InputError
from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.precision import float64
from bayesgmm.ml import restarts
from bayesgmm.ml.bootstrap import Bootstrap, bootstrap
from bayesgmm.ml.optima import MaximumLikelihood
from bayesgmm.ml.problem import Problem, check_components
from bayesgmm.ml.quantities import Quantities
from bayesgmm.ml.uncertainty import StandardErrors, standard_errors
from bayesgmm.ml.warnings import DegenerateFitWarning

BOOTSTRAP_WORK = 1e5  # rows x components x features; 999 refits of it take about three seconds
FAMILY_OF_PROGRAM = {
    "gaussian": "VVV",
    "gaussian_tied": "EEE",
    "gaussian_diag": "VVI",
    "gaussian_spherical": "VII",
    "conjugate": "VVV",
    "richardson_green": "VVV",
}


@dataclass(frozen=True)
class Both:
    """A maximum-likelihood fit and a posterior of the same number of components.

    Attributes:
        problem: the data.
        model: the program's name, and sha256 of its text.
        same_likelihood: whether EM maximised the program's own likelihood; if not, the
            maximum-likelihood column is another model's and is headed "Gaussian EM".
        ml: the maximum-likelihood fit.
        posterior: the posterior.
        provenance: what is needed to repeat it.
        known_errors: standard errors that were saved.
        refits: a bootstrap that was asked for.
        known_ends: ends of bootstrap intervals that were saved.
    """

    problem: Problem
    model: str
    model_sha256: str
    same_likelihood: bool
    ml: MaximumLikelihood
    posterior: Posterior
    provenance: Mapping[str, Any]
    known_errors: StandardErrors | None = None
    refits: Bootstrap | None = None
    known_ends: tuple[Quantities, Quantities] | None = None

    @cached_property
    def errors(self) -> StandardErrors:
        """Standard errors of the maximum-likelihood fit."""
        return self.known_errors or standard_errors(self.ml, self.problem)

    @cached_property
    def resampled(self) -> Bootstrap | None:
        """The bootstrap that was asked for; else 999 weighted refits where they take a moment.

        None of a fit that was loaded, that is not admissible or whose rows are too many.
        """
        if self.refits is not None or self.known_errors is not None:
            return self.refits
        k, d = self.ml.mixture.means.shape
        work = len(self.problem.X) * k * (d + 1) * (d + 2)
        usable = self.ml.converged and self.ml.optima[0].admissible
        if work > BOOTSTRAP_WORK or not usable or not self.problem.table.frequency:
            return None
        track = restarts.Settings().track(self.problem, k)
        rng = np.random.default_rng(int(self.problem.table.sha256[:8], 16))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DegenerateFitWarning)
            try:
                return bootstrap(self.ml, self.problem, track, rng)
            except InputError:  # nearly every refit collapsed
                return None

    @cached_property
    def boot_ends(self) -> tuple[Quantities, Quantities] | None:
        """95 % bootstrap intervals of the maximum-likelihood estimates, as lower and upper ends."""
        return self.known_ends if self.resampled is None else self.resampled.intervals()

    @property
    def program(self) -> Program | None:
        """The program; None for a fit that was loaded without it."""
        return self.posterior.target.program if self.posterior.target else None

    @property
    def n_components(self) -> int:
        return self.ml.n_components


def family_of(program: Program) -> tuple[str, bool]:
    """The covariance family whose EM starts the program, and whether it is the same likelihood."""
    own = bool(program.path) and Path(program.path).parent == models_folder()
    name = FAMILY_OF_PROGRAM.get(program.name) if own else None
    return name or "VVV", name is not None


def join(
    problem: Problem,
    program: Program,
    ml: MaximumLikelihood,
    target: Target,
    data: Data,
    found: Sequence[Mode],
    settings: bayes.Settings,
    key: Array,
    provenance: Mapping[str, Any],
    progress: Progress = silent,
) -> Both:
    """The Bayesian half, added to a maximum-likelihood fit."""
    posterior = bayes.fit(target, data, ml, found, settings, key, progress)
    return Both(
        problem,
        program.name,
        program.sha256,
        family_of(program)[1],
        ml.in_full(),
        posterior,
        provenance,
    )


def fit_both(
    problem: Problem,
    program: Program,
    k: int,
    *,
    priors: Mapping[str, object] | None,
    settings: bayes.Settings,
    ml_settings: restarts.Settings,
    seed: np.random.Generator,
    provenance: Mapping[str, Any],
    progress: Progress = silent,
) -> Both:
    """Fit k components by EM and by the program; the program compiles while EM runs."""
    check_components(k, problem)
    target, data = bayes.prepare(problem, program, k, priors)
    ahead(target, data, settings)
    progress("maximum likelihood", 0, 1)
    ml = restarts.fit(problem.table, k, family_of(program)[0], seed, ml_settings)
    progress("maximum likelihood", 1, 1)
    key = jax_key(seed)
    found = bayes.scout(target, data, ml, settings, key, progress)
    return join(problem, program, ml, target, data, found, settings, key, provenance, progress)


def ahead(target: Target, data: Data, settings: bayes.Settings) -> None:
    """Begin to compile the sampler in the background."""
    from bayesgmm.bayes import nuts

    if settings.inference == "nuts":
        nuts.compile_ahead(target, data, settings.kernel)


@float64
def jax_key(seed: np.random.Generator) -> Array:
    """A JAX key from a NumPy generator."""
    return jax.random.key(int(seed.integers(2**63)))


def provenance_of(
    problem: Problem, program: Program | None, seed: int | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Versions, seed, options and hashes: what is needed to repeat a fit."""
    libraries = ("bayesgmm", "jax", "numpyro", "arviz", "numpy", "scipy", "scikit-learn")
    return {
        "data": problem.table.name,
        "source": problem.table.source,
        "data_sha256": problem.table.sha256,
        "rows": problem.table.n_rows,
        "columns": list(problem.table.columns),
        "model": program.name if program else "",
        "model_sha256": program.sha256 if program else "",
        "seed": seed,
        "options": {name: value for name, value in options.items() if value is not None},
        "versions": {name: _version(name) for name in libraries}
        | {"python": platform.python_version()},
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
