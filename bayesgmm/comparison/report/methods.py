"""What was done, in the words of a paper."""

from collections.abc import Mapping, Sequence
from typing import Any

from bayesgmm.bayes import adaptation, start
from bayesgmm.bayes.diagnose import Thresholds
from bayesgmm.bayes.settings import Settings
from bayesgmm.comparison.compare import Comparison
from bayesgmm.comparison.programs import ProgramComparison
from bayesgmm.comparison.report import contenders as fits_of
from bayesgmm.comparison.report.contenders import Contenders
from bayesgmm.comparison.report.priors import priors
from bayesgmm.comparison.verdicts import TIE, TIE_SE
from bayesgmm.comparison.words import counted, listed
from bayesgmm.gaussian.families import family, family_label
from bayesgmm.ml import admissible, restarts

Told = Mapping[str, Any]


def of_components(comparison: Comparison) -> list[str]:
    """Paragraphs for the methods section of a paper, made from what was done."""
    contenders, told = fits_of.of_components(comparison), comparison.provenance
    return _paragraphs(contenders, told, _choice_of_components(comparison))


def of_programs(comparison: ProgramComparison) -> list[str]:
    """The same where programs were compared."""
    contenders, told = fits_of.of_programs(comparison), comparison.provenance
    return _paragraphs(contenders, told, _choice_of_programs(contenders))


def _paragraphs(contenders: Contenders, told: Told, choice: str) -> list[str]:
    inference = _INFERENCE[contenders.chosen.posterior.inference]
    return [
        _maximum_likelihood(contenders),
        _models(contenders, told),
        inference(contenders, told),
        choice,
        _software(told),
    ]


def spans(ks: Sequence[int]) -> str:
    """ "1 to 6" where the numbers are consecutive, "1, 2 and 5" where they are not."""
    if len(ks) > 2 and list(ks) == list(range(ks[0], ks[-1] + 1)):
        return f"{ks[0]} to {ks[-1]}"
    return listed([str(k) for k in ks])


def _maximum_likelihood(contenders: Contenders) -> str:
    table = contenders.chosen.problem.table
    ks = spans(sorted({each.n_components for each in contenders.fits}))
    rows = f"the {counted(table.n_rows, 'row')} and {counted(len(table.columns), 'column')} of "
    rows += table.name
    if table.row_weights is not None:
        rows += f", weighted by their counts (in total {table.total_weight:,.0f}),"
    refused = sum(not o.admissible for each in contenders.fits for o in each.ml.optima)
    return (
        f"Gaussian mixtures of k = {ks} {'component' if ks == '1' else 'components'} "
        f"({_families(contenders)}; Celeux and Govaert 1995) were fitted to {rows} by maximum "
        "likelihood. The EM algorithm (Dempster, Laird and Rubin 1977), accelerated by SQUAREM "
        f"(Varadhan and Roland 2008), was run from {_starts(contenders)}. It stopped when the "
        "Aitken estimate of the log-likelihood still to be gained fell below "
        f"{restarts.Settings().tol:g} per row. As the likelihood of a Gaussian mixture is "
        "unbounded, only admissible optima were considered: every component holds the rows that "
        "its covariance matrix needs, and no eigenvalue of W^(-1) Sigma is below "
        f"{admissible.MIN_EIGENVALUE:g}, Sigma being the component's covariance matrix and W the "
        f"pooled one; {refused or 'no'} distinct optima were refused on these grounds. Standard "
        "errors are from the observed information by the delta method (McLachlan and Peel 2000)"
        f"{_resampled(contenders)}.{_other_likelihood(contenders)}"
    )


def _families(contenders: Contenders) -> str:
    d = len(contenders.chosen.problem.table.columns)
    names = dict.fromkeys(each.ml.family.name for each in contenders.fits)
    return "; ".join(f"{family_label(name, d)}: {family(name).meaning}" for name in names)


def _starts(contenders: Contenders) -> str:
    starts = max(each.ml.n_raced for each in contenders.fits)
    if starts == 1:
        return "one start"
    return (
        f"{starts} starts for each k > 1: k-means++ centres (Arthur and Vassilvitskii 2007), "
        "k-means, random rows and random partitions in turn, and agglomerated partitions; the best "
        "end was then rearranged by merging components and splitting others (Ueda et al. 2000)"
    )


def _resampled(contenders: Contenders) -> str:
    found = contenders.chosen.resampled
    if found is None or found.kind != "weighted":
        return ""
    return (
        f"; bootstrap intervals are percentiles of {found.n_resamples} refits with Dirichlet row "
        "weights (O'Hagan et al. 2019)"
    )


def _other_likelihood(contenders: Contenders) -> str:
    fits = contenders.fits
    others = list(dict.fromkeys(each.model for each in fits if not each.same_likelihood))
    if not others:
        return ""
    model = "the Bayesian model below" if contenders.what == "k" else listed(others)
    return (
        f" This is another likelihood than that of {model}, for which it serves as a start and a "
        "yardstick."
    )


def _models(contenders: Contenders, told: Told) -> str:
    given = told.get("options", {}).get("priors") or {}
    first = {each.model: each for each in reversed(contenders.fits)}
    if contenders.what == "k":
        return f"The Bayesian model is {priors(contenders.chosen, given)}"
    named = " ".join(f"{name} is {priors(first[name], given)}" for name in sorted(first))
    return f"These Bayesian models were compared. {named}"


def _nuts(contenders: Contenders, told: Told) -> str:
    options = told.get("options", {})
    limits = Thresholds()
    chains, _ = contenders.chosen.posterior.margin.shape
    lengths = sorted({each.posterior.margin.shape[1] for each in contenders.fits})
    drawn = " to ".join(dict.fromkeys(f"{n:,}" for n in (lengths[0], lengths[-1])))
    return (
        f"{_sought(contenders)}, and weighed by their Laplace mass. In the modes that hold at "
        f"least {100 * start.MIN_MASS:g} % of it, {chains} chains of the No-U-Turn Sampler "
        "(Hoffman and Gelman 2014) were started, jittered, in coordinates whitened by the "
        f"curvature there. After stages of {_stages(options.get('num_warmup'))} warm-up iterations "
        f"each chain made {drawn} draws, until bulk and tail effective sample sizes of all "
        f"label-invariant quantities reached {limits.ess:g} and their R-hat fell to "
        f"{limits.r_hat:g} (Vehtari et al. 2021), or the budget was spent. E-BFMI (Betancourt "
        f"2016) and divergent transitions were checked. {_undecided(contenders)}{_relabelled()}"
    )


def _stages(num_warmup: int | None) -> str:
    settings = adaptation.Settings(num_warmup)
    return " or ".join(dict.fromkeys(str(settings.steps(stage)) for stage in (0, 1)))


def _variational(contenders: Contenders, told: Told) -> str:
    guide = told.get("options", {}).get("guide") or Settings().guide
    return (
        f"{_sought(contenders)}. At the mode of the largest Laplace mass a "
        f"{guide.replace('_', '-')} normal approximation of the unconstrained parameters was "
        "started at the Laplace approximation and fitted by stochastic gradients of the evidence "
        f"lower bound (Kucukelbir et al. 2017). {_k_hat()}{_undecided(contenders)}{_relabelled()}"
    )


def _laplace(contenders: Contenders, _: Told) -> str:
    return (
        f"{_sought(contenders)}. In those that hold at least {100 * start.MIN_MASS:g} % of the "
        "Laplace mass the posterior of the unconstrained parameters was approximated by normal "
        "distributions with the inverse curvature as covariance (Tierney and Kadane 1986). "
        f"{_k_hat()}{_undecided(contenders)}{_relabelled()}"
    )


def _sought(contenders: Contenders) -> str:
    return (
        f"For each {contenders.what} the posterior's modes were sought from EM's optima and from "
        "random starts"
    )


def _k_hat() -> str:
    return (
        "It was checked by the Pareto k-hat of its importance ratios (Vehtari et al. 2024), which "
        f"should not exceed {Thresholds().pareto_k}. "
    )


def _undecided(contenders: Contenders) -> str:
    if not contenders.undecided:
        return "All fits passed. "
    fits, are = ("fits", "are") if len(contenders.undecided) > 1 else ("fit", "is")
    named = listed(contenders.undecided)
    if contenders.what == "k":
        ks = [each.n_components for each in contenders.fits if not each.posterior.verdict.usable]
        named = f"k = {spans(ks)}"
    return f"The {fits} of {named} did not pass and {are} left undecided. "


def _relabelled() -> str:
    return (
        "The components of each draw were matched to those of the EM fit by the permutation of "
        "least Kullback-Leibler divergence between their memberships and, where labels were not "
        "clear, to the average of the draws until nothing changed (Stephens 2000); no draw was "
        "dropped. Posterior intervals are equal-tailed."
    )


def _choice_of_components(comparison: Comparison) -> str:
    d = len(comparison.table.columns)
    cells = comparison.families.cells
    types = list(dict.fromkeys(family_label(cell.covariance_type, d) for cell in cells))
    return (
        "Numbers of components were compared by AIC (Akaike 1974), BIC (Schwarz 1978), ICL with "
        "maximum a posteriori memberships (Biernacki, Celeux and Govaert 2000) and "
        f"{_left_out(fits_of.of_components(comparison))} The chosen k has "
        f"the lowest {comparison.criterion.upper()} among the fits that passed. By maximum "
        f"likelihood the same k were compared over the covariance structures {listed(types)} too."
    )


def _choice_of_programs(contenders: Contenders) -> str:
    return (
        f"Programs were compared by {_left_out(contenders)} Stacking weights are those with which "
        "the predictive densities of rows left out, added up, predict best (Yao et al. 2018)."
    )


def _left_out(contenders: Contenders) -> str:
    """Prediction of rows that are left out, and what is called a tie."""
    corrected = "" if contenders.sampled else ", corrected for the approximation"
    by = "" if contenders.sampled else " (Magnusson et al. 2019)"
    weighted = contenders.chosen.problem.table.row_weights is not None
    units = " Of a row that stands for several, one unit was left out." if weighted else ""
    return (
        "the expected log predictive density (elpd) of rows left out, by Pareto-smoothed "
        f"importance sampling (PSIS-LOO; Vehtari, Gelman and Gabry 2017){corrected}{by}.{units}"
        f"{_moved(contenders)} Differences in elpd below {TIE:g} or below {TIE_SE:g} standard "
        "errors were taken as ties."
    )


def _moved(contenders: Contenders) -> str:
    matched = sum(each.posterior.loo.n_matched for each in contenders.fits)
    if not matched:
        return ""
    return (
        f" For {counted(matched, 'row')} (over all fits) whose Pareto k-hat was too high, draws "
        "were moved to match the moments of the posterior without the row (Paananen et al. 2021)."
    )


def _software(told: Told) -> str:
    versions, seed = told["versions"], told["seed"]
    seed = "" if seed is None else f"; the random seed was {seed}"
    libraries = {"NumPyro": "numpyro", "JAX": "jax", "NumPy": "numpy", "SciPy": "scipy"}
    others = listed([f"{label} {versions[name]}" for label, name in libraries.items()])
    return (
        f"Computations used bayesgmm {versions['bayesgmm']} in double precision, with {others}, "
        f"and ArviZ {versions['arviz']} (Kumar et al. 2019) for diagnostics and PSIS-LOO{seed}."
    )


_INFERENCE = {"nuts": _nuts, "vi": _variational, "laplace": _laplace}
