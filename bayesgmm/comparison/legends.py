"""What the columns of the report's tables mean, for readers who meet them the first time."""

from typing import TYPE_CHECKING

from bayesgmm.bayes.diagnose import Thresholds
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.verdicts import TIE, TIE_SE

if TYPE_CHECKING:
    from bayesgmm.comparison.compare import Comparison

Legend = list[tuple[str, str]]


def comparison_legend(comparison: "Comparison") -> Legend:
    """The columns of the comparison table."""
    sampled = comparison.fits[0].posterior.inference == "nuts"
    return [*_ml_columns(), *_loo_columns(), *(_sampler() if sampled else _approximation())]


def _ml_columns() -> Legend:
    return [
        ("k", "number of components"),
        ("df", "free parameters: weights, means and covariances"),
        (
            "hits",
            "starts of EM that reached the best fit, of all starts; few hits mean that a better "
            "one may have been missed",
        ),
        (
            "ΔAIC, ΔBIC, ΔICL",
            "criteria that charge the maximum of the likelihood for its parameters, as the "
            "distance from the best k; 0 (*) is best. ICL also charges for overlap. A distance in "
            "BIC below 2 is hardly worth a mention, one above 10 is strong (Kass and Raftery "
            "1995)",
        ),
    ]


def _loo_columns() -> Legend:
    return [
        ("p_loo", "effective number of parameters, as prediction counts them; compare with df"),
        (
            "ΔLOO ± se",
            "how much worse a row is predicted when it is left out, summed over rows, on the same "
            "scale (-2 times the difference in elpd), from the best k that converged. "
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
