"""Simulation-based calibration: does the whole line give the posterior that it says it gives?

A truth from the prior, rows from the truth, the fit as a user would make it, and the rank of the
truth among the draws: over many simulations ranks are uniform if the program, the sampler, the
approximation and the relabelling are right, and whatever is wrong bends them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from bayesgmm.bayes.program import Program
from bayesgmm.bayes.settings import Settings
from bayesgmm.bayes.truth import Truth, draw_truth, ranks
from bayesgmm.comparison.both import Both, fit_both
from bayesgmm.data.errors import InputError
from bayesgmm.data.table import read_table
from bayesgmm.ml import restarts
from bayesgmm.ml.problem import Problem
from bayesgmm.ml.warnings import quiet

N_DRAWS = 99
"""Ranks go from 0 to it; few enough to be nearly independent of one another."""


@dataclass(frozen=True)
class Case:
    """What is simulated: a program, k, n rows and d columns, priors that need no data."""

    program: Program
    k: int
    shape: tuple[int, int]
    priors: Mapping[str, object]


@dataclass(frozen=True)
class Outcome:
    """What one simulation came to.

    Attributes:
        ranks: of the truth among `N_DRAWS` draws, quantity by quantity; none where there is no fit.
        flags: names of the verdict's findings, worst first.
        admissible: whether EM had an admissible optimum.
        lost: why there is no fit, or "". Only the rows decide that, so that what is left is
            calibrated as well as the whole.
    """

    ranks: Mapping[str, int] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    admissible: bool = False
    lost: str = ""


def simulate(
    case: Case, settings: Settings, ml_settings: restarts.Settings, rng: np.random.Generator
) -> Outcome:
    """One truth, its rows, their fit, and the truth's ranks.

    Args:
        case: what is simulated.
        settings: of the Bayesian fit.
        ml_settings: of the EM fit.
        rng: source of all.
    """
    truth = draw_truth(case.program, case.k, case.shape, case.priors, rng)
    try:
        fitted = _fitted(case, truth, settings, ml_settings, rng)
    except InputError as error:
        return Outcome(lost=str(error))
    posterior = fitted.posterior
    return Outcome(
        ranks(posterior, truth, N_DRAWS, rng),
        tuple(flag.name for flag in posterior.verdict.flags),
        fitted.ml.optima[0].admissible,
    )


@quiet()
def _fitted(
    case: Case,
    truth: Truth,
    settings: Settings,
    ml_settings: restarts.Settings,
    rng: np.random.Generator,
) -> Both:
    return fit_both(
        Problem.of(read_table(truth.X)),
        case.program,
        case.k,
        priors=case.priors,
        settings=settings,
        ml_settings=ml_settings,
        seed=rng,
        provenance={},
    )
