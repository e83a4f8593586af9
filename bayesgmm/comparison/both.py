"""One mixture fitted both ways."""

import platform
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from bayesgmm.bayes import inference as bayes
from bayesgmm.bayes.checkpoint import Record
from bayesgmm.bayes.driver import Progress, silent
from bayesgmm.bayes.posterior import Posterior, known_program
from bayesgmm.bayes.program import Program
from bayesgmm.bayes.settings import Settings
from bayesgmm.bayes.start import Mode
from bayesgmm.data.choices import models_folder
from bayesgmm.data.errors import InputError
from bayesgmm.data.plain import plain
from bayesgmm.data.randomness import own_generator
from bayesgmm.ml import restarts
from bayesgmm.ml.bootstrap import Bootstrap, bootstrap
from bayesgmm.ml.optima import MaximumLikelihood
from bayesgmm.ml.problem import Problem, check_components
from bayesgmm.ml.quantities import Quantities, reordered
from bayesgmm.ml.uncertainty import StandardErrors, standard_errors
from bayesgmm.ml.warnings import DegenerateFitWarning

BOOTSTRAP_WORK = 1e5  # rows x components x features; 999 refits of it take about three seconds
FAMILY_OF_PROGRAM = {
    "gaussian": "VVV",
    "gaussian_tied": "EEE",
    "gaussian_diag": "VVI",
    "gaussian_spherical": "VII",
    "conjugate": "VVV",
    "dirichlet_process": "VVV",
    "richardson_green": "VVV",
    "sparse": "VVV",
}


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        data = self.problem.table.name
        return f"<{self.model} of {data}, k = {self.n_components}: {self.posterior.verdict}>"

    def reordered(self, order: Int[np.ndarray, " k"]) -> "Both":
        """The same with the components of the maximum-likelihood fit in another order."""
        errors, ends, refits = self.known_errors, self.known_ends, self.refits
        return replace(
            self,
            ml=self.ml.reordered(order),
            known_errors=None if errors is None else errors.reordered(order),
            refits=None if refits is None else refits.reordered(order),
            known_ends=None
            if ends is None
            else (reordered(ends[0], order), reordered(ends[1], order)),
        )

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
    ready: bayes.Ready,
    ml: MaximumLikelihood,
    found: Sequence[Mode],
    settings: Settings,
    rng: np.random.Generator,
    provenance: Mapping[str, Any],
    progress: Progress = silent,
    record: Record | None = None,
) -> Both:
    """The Bayesian half, added to a maximum-likelihood fit."""
    posterior = bayes.fit(ready, ml, found, settings, rng, progress, record)
    program = ready.target.program
    return Both(
        ready.problem,
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
    settings: Settings,
    ml_settings: restarts.Settings,
    seed: np.random.Generator,
    provenance: Mapping[str, Any],
    progress: Progress = silent,
    checkpoint: str | Path | None = None,
) -> Both:
    """Fit k components by EM and by the program; the program compiles while EM runs.

    Raises:
        InputError: what `bayes.prepare` refuses; a checkpoint that is of another run.
    """
    check_components(k, problem)
    record = _record(checkpoint, k, settings, ml_settings, provenance)
    ready = bayes.prepare(problem, program, k, priors)
    ahead(ready, settings)
    progress("maximum likelihood", 0, 1)
    ml = restarts.fit(problem.table, k, family_of(program)[0], seed, ml_settings)
    progress("maximum likelihood", 1, 1)
    rng = own_generator(seed)
    found = bayes.scout(ready, ml, settings, rng, progress)
    return join(ready, ml, found, settings, rng, provenance, progress, record)


def _record(
    path: str | Path | None,
    k: int,
    settings: Settings,
    ml_settings: restarts.Settings,
    provenance: Mapping[str, Any],
) -> Record:
    """The record of a run, kept in a file if one is named.

    How many draws are wanted is no part of what run it is: a resumed run may go on longer.
    """
    if path is None:
        return Record()
    if settings.inference != "nuts":
        raise InputError(
            f"checkpoint={str(path)!r} is for inference='nuts'; {settings.inference!r} has nothing "
            "to resume."
        )
    if provenance["seed"] is None or not provenance["model_sha256"]:
        what = "an int as random_state" if provenance["seed"] is None else "a model with a source"
        raise InputError(
            f"checkpoint={str(path)!r} needs {what}, so that the same call can be told to be it."
        )
    told = {
        name: provenance[name]
        for name in ("data_sha256", "columns", "model", "model_sha256", "seed", "versions")
    }
    priors = provenance["options"].get("priors")
    counts = {"num_chains": settings.num_chains, "num_warmup": settings.num_warmup}
    own = {"n_components": k, "priors": priors, "n_init": ml_settings.n_init, **counts}
    return Record(path, plain(told | own))


def ready_again(fitted: Both) -> bayes.Ready:
    """The program and the data of a fit, for refits.

    Raises:
        InputError: its program is not there.
    """
    return bayes.Ready(*known_program(fitted.posterior), fitted.problem)


def ahead(ready: bayes.Ready, settings: Settings) -> None:
    """Begin to compile the sampler in the background."""
    from bayesgmm.bayes import nuts

    if settings.inference == "nuts":
        nuts.compile_ahead(ready.target, ready.data)


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
