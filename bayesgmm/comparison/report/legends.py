"""What the columns of the report's tables mean, for readers who meet them the first time."""

from typing import TYPE_CHECKING

from bayesgmm.bayes.diagnose import (
    AMBIGUOUS,
    APPROXIMATE,
    COLLAPSED,
    INTERRUPTED,
    MULTIMODAL,
    NOT_CONVERGED,
    OVER_FITTED,
    POOR,
    STABLE,
    Thresholds,
)
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.report.contenders import Contenders
from bayesgmm.comparison.verdicts import TIE, TIE_SE

if TYPE_CHECKING:
    from bayesgmm.comparison.compare import Comparison

Legend = list[tuple[str, str]]

# Worst first, for readers who know neither samplers nor mixtures.
VERDICTS = {
    INTERRUPTED: "the computation was stopped before its end; these are the numbers that it had",
    COLLAPSED: "a group has shrunk onto equal rows, or onto a line, where a density has no bound. "
    "No other number of such a fit means anything",
    NOT_CONVERGED: "the chains, which explore from several places which mixtures the data allow, "
    "do not agree yet, or are too short to tell. The numbers may still change: the fit is "
    "undecided, which says nothing against it",
    POOR: "the approximation is far from what it stands for. The numbers are not to be used: the "
    "fit is undecided, which says nothing against it",
    MULTIMODAL: "the data allow mixtures that differ in kind. Each of them may be right, but "
    "their average is none of them: the fit is not ranked",
    OVER_FITTED: "there are more groups than the data fill: usually some are empty",
    AMBIGUOUS: "groups overlap so much that it is not clear which is which. What does not depend "
    "on their numbering can be trusted: their sizes in order, which rows belong together, and "
    "predictions",
    APPROXIMATE: "an approximation without a sign of large error",
    STABLE: "none of these was found: the computation agrees with itself, the groups are all "
    "needed and can be told apart. It does not say that the model is right",
}
OF_SAMPLING, OF_APPROXIMATION = {INTERRUPTED, NOT_CONVERGED, STABLE}, {POOR, APPROXIMATE}


def verdicts_legend(*, sampled: bool) -> Legend:
    """What the verdicts mean that a sampler, or an approximation, can be given."""
    left_out = OF_APPROXIMATION if sampled else OF_SAMPLING
    return [(name, meaning) for name, meaning in VERDICTS.items() if name not in left_out]


def comparison_legend(comparison: "Comparison") -> Legend:
    """The columns of the comparison table."""
    sampled = comparison.fits[0].posterior.inference == "nuts"
    return [
        ("k", "number of components"),
        ("df", "free parameters: weights, means and covariances"),
        *_ml_columns(),
        *_loo_columns("k", "; compare with df"),
        *(_sampler() if sampled else _approximation()),
    ]


def programs_legend(contenders: Contenders) -> Legend:
    """The columns of the table of programs."""
    return [
        ("k", "number of components"),
        *_loo_columns("program"),
        (
            "weight",
            "weight of the program's predictive density in the sum of densities that predicts best "
            "(stacking; Yao et al. 2018); it is no probability that the program is true",
        ),
        ("bad", "rows that weigh so much that leaving them out could not be computed reliably"),
        *(_sampler() if contenders.sampled else _approximation()),
    ]


def _ml_columns() -> Legend:
    return [
        (
            "hits",
            "starts of EM that reached the best fit, of all starts; few hits mean that a better "
            "one may have been missed",
        ),
        (
            "ΔAIC, ΔBIC, ΔICL",
            "criteria that charge the maximum of the likelihood for its parameters, as the "
            "distance from the best k; 0 (*) is best. ICL also charges for overlap. A distance in "
            "BIC below 2 is hardly worth a mention, one above 10 is very strong (Kass and Raftery "
            "1995)",
        ),
    ]


def _loo_columns(what: str, more: str = "") -> Legend:
    return [
        ("p_loo", f"effective number of parameters, as prediction counts them{more}"),
        (
            "ΔLOO ± se",
            "how much worse a row is predicted when it is left out, summed over rows, on the same "
            f"scale (-2 times the difference in elpd), from the best {what} that converged. "
            f"Below {2 * TIE:g}, or below {TIE_SE:g} standard errors (se), is a tie",
        ),
    ]


def _sampler() -> Legend:
    limits = Thresholds()
    return [
        ("R-hat", f"agreement of the chains: 1 is perfect, above {limits.r_hat:g} is not enough"),
        (
            "ESS",
            f"effective sample size, what the draws are worth; below {limits.ess:g} is not enough",
        ),
        ("verdict", "the worst that was found of the fit; see Verdicts"),
    ]


def _approximation() -> Legend:
    limit = Thresholds().pareto_k
    return [
        ("k-hat", f"error of the approximation; above {limit:g} it cannot be trusted"),
        ("verdict", "the worst that was found of the fit; see Verdicts"),
    ]


def _bootstrap(both: Both) -> Legend:
    if both.boot_ends is None:
        return []
    meaning = (
        "bounds of the estimate's 95 % bootstrap interval, from refits with Dirichlet row weights "
        "(O'Hagan et al. 2019)"
    )
    if both.refits is not None and both.refits.kind != "weighted":
        meaning = f"bounds of the estimate's 95 % {both.refits.kind} bootstrap interval"
    return [("boot 2.5 %, 97.5 %", meaning)]


def parameters_legend(both: Both) -> Legend:
    """The columns of the table of parameters."""
    label, estimate = "ML", "maximum-likelihood estimate"
    if not both.same_likelihood:
        label, estimate = "Gaussian EM", "estimate of a Gaussian mixture, another likelihood"
    return [
        (f"{label}, SE", f"{estimate}, and its standard error"),
        *_bootstrap(both),
        (
            "mean, sd",
            "mean and standard deviation of the posterior; the parameter lies between the bounds "
            "headed 2.5 % and 97.5 % with 95 % probability",
        ),
        ("shift", "(mean - ML) / SE: how far Bayes moved the estimate"),
        ("ESS", "effective number of draws behind the posterior's numbers"),
    ]
