"""How far both answers can be trusted at the data's own size: simulated from the fit, refitted.

The truth is the maximum-likelihood estimate, one fixed value. So coverage is that of a repeated
experiment, which no posterior interval promises; over draws from the prior it would be exact.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from bayesgmm.bayes.diagnose import Thresholds
from bayesgmm.bayes.driver import Progress, silent
from bayesgmm.bayes.program import Program
from bayesgmm.bayes.settings import Settings
from bayesgmm.comparison import both as pair
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.words import listed
from bayesgmm.data.errors import InputError
from bayesgmm.data.randomness import own_generator
from bayesgmm.gaussian.alignment import assignments, divergences
from bayesgmm.gaussian.families import family_label
from bayesgmm.gaussian.mixture import Mixture, permute
from bayesgmm.ml import calibration as by_ml
from bayesgmm.ml import restarts
from bayesgmm.ml.calibration import N_INIT, N_RESAMPLES, Calibration, best_shares
from bayesgmm.ml.coverage import LEVEL, coverages, covers
from bayesgmm.ml.problem import Problem
from bayesgmm.ml.quantities import Quantities, quantities
from bayesgmm.ml.simulation import Simulated, simulate, simulated_table
from bayesgmm.ml.warnings import quiet

N_SIMULATIONS = 50
NUM_CHAINS, NUM_DRAWS, MAX_DRAWS = 4, 250, 500
ENOUGH = Thresholds(r_hat=1.05, ess=100.0)  # a quarter of a fit's draws, a quarter of its ESS
FIXED_TRUTH = (
    "The truth is the estimate, one fixed value; posterior intervals promise their coverage on "
    "average over the prior."
)


def calibrate(
    both: Both,
    rng: np.random.Generator,
    *,
    n_simulations: int = N_SIMULATIONS,
    n_resamples: int = N_RESAMPLES,
    progress: Progress = silent,
) -> Calibration:
    """Simulate from the maximum-likelihood fit, refit both ways, and count what holds.

    Args:
        both: the fit.
        rng: source of the data sets and of everything after them.
        n_simulations: data sets, each as large as the data.
        n_resamples: bootstrap refits of each; 0 leaves the bootstrap out.
        progress: told what is being done.

    Raises:
        InputError: what `ml.calibration.calibrate` refuses; a program whose components are not
            normal, or that is not there.
    """
    program = _check(both)
    ml, problem = both.ml, both.problem
    by_ml.check(ml, problem, n_simulations, n_resamples)
    track = restarts.Settings().track(problem, ml.n_components)
    sets = simulate(ml, track, rng, n_simulations, N_INIT, progress)
    found = by_ml.count(ml, problem.table.name, sets, rng, n_resamples, progress)
    inside, distances = _posteriors(both, program, sets, rng, progress)
    undecided = {k: int(np.isinf(each).sum()) for k, each in distances.items()}
    return replace(
        found,
        coverages=(*found.coverages, *coverages("posterior", inside, ml.family)),
        recovered={**found.recovered, "loo": best_shares(distances)},
        undecided=undecided,
        remarks=tuple(_remarks(both, undecided, n_simulations)),
    )


def calibrate_ml(
    both: Both,
    rng: np.random.Generator,
    *,
    n_simulations: int = N_SIMULATIONS,
    progress: Progress = silent,
) -> Calibration:
    """The same of maximum likelihood alone, for programs whose components are not normal."""
    track = restarts.Settings().track(both.problem, both.n_components)
    found = by_ml.calibrate(
        both.ml, both.problem, track, rng, n_simulations=n_simulations, progress=progress
    )
    remark = f"Of Gaussian EM alone: the components of {both.model} are not normal."
    return replace(found, remarks=(remark,))


def _check(both: Both) -> Program:
    program = both.program
    if program is None:
        raise InputError(
            "this fit was loaded without its program, and refitting needs it: "
            f"load(path, model={both.model!r})."
        )
    if not both.posterior.structure.gaussian:
        raise InputError(
            "calibrate simulates from the maximum-likelihood fit, whose components are normal; "
            f"those of {both.model} are not, so that its parameters have no true value there. Use "
            "GaussianMixture(...).calibrate(), or another model."
        )
    return program


def _remarks(both: Both, undecided: Mapping[int, int], m: int) -> Iterator[str]:
    yield FIXED_TRUTH
    some = [f"k = {k} in {count}" for k, count in undecided.items() if count]
    if some:
        yield f"! LOO chose among posteriors that converged, which {listed(some)} of {m} did not."
    if not both.same_likelihood:
        family = family_label(both.ml.family.name, both.ml.d)
        yield f"! {both.model} may be narrower than {family}, the model that was simulated from."


def _posteriors(
    both: Both, program: Program, sets: Simulated, rng: np.random.Generator, progress: Progress
) -> tuple[list[Quantities], dict[int, Float[np.ndarray, " m"]]]:
    """What the intervals of k components cover, and for every k minus the elpd of each data set.

    It is infinite where the posterior did not converge.
    """
    m, own_k = len(sets.data.X), both.n_components
    inside, distances = [], {k: np.full(m, np.inf) for k in sets.fits}
    for i in range(m):
        progress("posteriors of simulated data sets", i, m)
        problem, own = Problem.of(simulated_table(sets.data.X[i])), own_generator(rng)
        for k in sets.fits:
            fitted = _refit(both, program, problem, k, own)
            if fitted.posterior.verdict.usable:
                distances[k][i] = -fitted.posterior.loo.elpd
            if k == own_k and i in sets.kept:
                inside.append(covers(quantities(both.ml.mixture), *_ends(fitted, both.ml.mixture)))
    progress("posteriors of simulated data sets", m, m)
    return inside, distances


@quiet()
def _refit(
    both: Both, program: Program, problem: Problem, k: int, rng: np.random.Generator
) -> Both:
    """The fit that a user would make of these rows, with fewer draws and less asked of them.

    Like `compare` it gives up soon where it cannot converge.
    """
    settings = Settings(
        both.posterior.inference,
        num_chains=NUM_CHAINS,
        num_draws=NUM_DRAWS,
        max_draws=MAX_DRAWS,
        thresholds=ENOUGH,
        look_early=True,
    )
    return pair.fit_both(
        problem,
        program,
        k,
        priors=both.provenance.get("options", {}).get("priors"),
        settings=settings,
        ml_settings=restarts.Settings(n_init=N_INIT),
        seed=rng,
        provenance={},
    )


def _ends(fitted: Both, truth: Mixture) -> tuple[Quantities, Quantities]:
    """Ends of equal-tailed intervals; EM's components say which of the truth's is which."""
    posterior = fitted.posterior
    pivot = Mixture(*(part[None] for part in fitted.ml.mixture))
    order = assignments(divergences(truth, pivot))[0]
    assert posterior.mixture is not None
    kept = Mixture(*(part[posterior.kept] for part in posterior.mixture))
    drawn = quantities(permute(kept, np.broadcast_to(order, kept.weights.shape)))
    low, high = (
        Quantities(*(np.quantile(part, end, axis=(0, 1)) for part in drawn))
        for end in ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
    )
    return low, high
