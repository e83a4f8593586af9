"""What was done, in the words of a paper."""

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bayesgmm.bayes import adaptation, start
from bayesgmm.bayes.diagnose import Thresholds
from bayesgmm.bayes.settings import Settings
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.verdicts import TIE, TIE_SE
from bayesgmm.comparison.words import counted, listed
from bayesgmm.gaussian.families import family_label
from bayesgmm.ml import admissible, restarts

if TYPE_CHECKING:
    from bayesgmm.comparison.compare import Comparison

_WEIGHTS = "for the weights, symmetric Dirichlet with concentration {weights}"
_MEANS = (
    "for the means, independent normal with mean {location} and standard deviation {spread} "
    "(Richardson and Green 1997)"
)
_SCALES = (
    "for the standard deviations sigma of the components, log sigma ~ Normal(log tau, "
    "{sd_spread}) with log tau ~ Normal(log(s k^(-1/d)), 1) for {what}, s being {sd}"
)
_CORRELATIONS = (
    "for the correlation matrices, LKJ with shape {correlation} "
    "(Lewandowski, Kurowicka and Joe 2009)"
)
# For d columns; what a keyword of the program is called where it is computed from the data.
PRIORS: dict[str, tuple[str, ...]] = {
    "gaussian": (_WEIGHTS, _MEANS, _SCALES, _CORRELATIONS),
    "gaussian_tied": (
        _WEIGHTS,
        _MEANS,
        "for the shared standard deviations sigma, log sigma ~ Normal(log(s k^(-1/d)), "
        "{sd_spread}), s being {sd}",
        _CORRELATIONS,
    ),
    "gaussian_diag": (_WEIGHTS, _MEANS, _SCALES),
    "gaussian_spherical": (_WEIGHTS, _MEANS, _SCALES),
    "gaussian_noise": (
        "for the weights, Dirichlet with concentration {weights} for every cluster and {noise} for "
        "the background, which is uniform over the box of the data (Banfield and Raftery 1993)",
        _MEANS,
        _SCALES,
        _CORRELATIONS,
    ),
    "sparse": (f"{_WEIGHTS} (Rousseau and Mengersen 2011)", _MEANS, _SCALES, _CORRELATIONS),
    "dirichlet_process": (
        "for the weights, sticks broken at Beta(1, alpha) fractions (Sethuraman 1994), k of them "
        "(Ishwaran and James 2001), with alpha gamma of shape {alpha_shape} and rate {alpha_rate}",
        _MEANS,
        _SCALES,
        _CORRELATIONS,
    ),
    "conjugate": (
        _WEIGHTS,
        "for the means, given the covariance matrices, normal with mean {location} and precision "
        "{kappa} times that of the component",
        "for the covariance matrices, inverse Wishart with {nu} degrees of freedom and scale "
        "{scale} (Fraley and Raftery 2007)",
    ),
    "richardson_green": (
        _WEIGHTS,
        _MEANS,
        "for the precisions, gamma with shape {alpha} and rate beta, beta being gamma with shape "
        "{g} and rate {h}/R², R the range (Richardson and Green 1997)",
    ),
    "student_t": (
        _WEIGHTS,
        _MEANS,
        _SCALES,
        _CORRELATIONS,
        "for the degrees of freedom, gamma with shape {df_shape} and rate {df_rate} "
        "(Juarez and Steel 2010)",
    ),
}
_COMPUTED = {
    "location": "the mid-range of its column",
    "spread": "the column's range",
    "sd": "the column's standard deviation",
    "nu": "d + 2",
    "scale": "S k^(-2/d), S being the covariance matrix of the data",
}


def methods(comparison: "Comparison") -> list[str]:
    """Paragraphs for the methods section of a paper, made from what was done."""
    return [
        _maximum_likelihood(comparison),
        _priors(comparison),
        _INFERENCE[comparison.fits[0].posterior.inference](comparison),
        _choice(comparison),
        _software(comparison),
    ]


def spans(ks: Sequence[int]) -> str:
    """ "1 to 6" where the numbers are consecutive, "1, 2 and 5" where they are not."""
    if len(ks) > 2 and list(ks) == list(range(ks[0], ks[-1] + 1)):
        return f"{ks[0]} to {ks[-1]}"
    return listed([str(k) for k in ks])


def _maximum_likelihood(comparison: "Comparison") -> str:
    first, table = comparison.fits[0], comparison.table
    family, d = first.ml.family, len(table.columns)
    ks = spans([each.n_components for each in comparison.fits])
    rows = f"the {counted(table.n_rows, 'row')} and {counted(d, 'column')} of {table.name}"
    if table.row_weights is not None:
        rows += f", weighted by their counts (in total {table.total_weight:,.0f}),"
    refused = sum(not o.admissible for each in comparison.fits for o in each.ml.optima)
    return (
        f"Gaussian mixtures of k = {ks} {'component' if ks == '1' else 'components'} "
        f"({family_label(family.name, d)}: {family.meaning}; Celeux and Govaert 1995) were fitted "
        f"to {rows} by maximum likelihood. The EM algorithm (Dempster, Laird and Rubin 1977), "
        f"accelerated by SQUAREM (Varadhan and Roland 2008), was run from {_starts(comparison)}. "
        "It stopped when the Aitken estimate of the log-likelihood still to be gained fell below "
        f"{restarts.Settings().tol:g} per row. As the likelihood of a Gaussian "
        "mixture is unbounded, only admissible optima were considered: every component holds the "
        "rows that its covariance matrix needs, and no eigenvalue of W^(-1) Sigma is below "
        f"{admissible.MIN_EIGENVALUE:g}, Sigma being the component's covariance matrix and W the "
        f"pooled one; {refused or 'no'} distinct optima were refused on these grounds. Standard "
        "errors are from the observed information by the delta method (McLachlan and Peel 2000)."
        + ("" if first.same_likelihood else _OTHER_LIKELIHOOD)
    )


def _starts(comparison: "Comparison") -> str:
    starts = max(each.ml.n_raced for each in comparison.fits)
    if starts == 1:
        return "one start"
    return (
        f"{starts} starts for each k > 1: k-means++ centres (Arthur and Vassilvitskii 2007), "
        "k-means, random rows and random partitions in turn, and agglomerated partitions; the best "
        "end was then rearranged by merging components and splitting others (Ueda et al. 2000)"
    )


_OTHER_LIKELIHOOD = (
    " This is another likelihood than that of the Bayesian model below, for which it serves as a "
    "start and a yardstick."
)


def _priors(comparison: "Comparison") -> str:
    first = comparison.fits[0]
    opening = (
        f"The Bayesian model is the program {first.model} (sha256 {first.model_sha256[:12]}), "
        "written in NumPyro (Phan, Pradhan and Jankowiak 2019). "
    )
    phrases = PRIORS.get(first.model) if first.same_likelihood else None
    given: Mapping[str, Any] = comparison.provenance.get("options", {}).get("priors") or {}
    if phrases is None or first.program is None:
        changed = listed([f"{name} = {value}" for name, value in given.items()])
        return f"{opening}Its priors are those of its file{', with ' * bool(changed)}{changed}."
    values = _keywords(first) | {name: f"{value}" for name, value in given.items()}
    spherical = first.model == "gaussian_spherical"
    values["what"] = "all columns together" if spherical else "each column"
    if spherical and "sd" not in given:
        values["sd"] = "the root mean square of the columns' standard deviations"
    used = phrases if len(comparison.table.columns) > 1 else phrases[:3]
    return opening + f"Its priors are: {'; '.join(phrase.format(**values) for phrase in used)}."


def _keywords(both: Both) -> dict[str, str]:
    """Defaults of the program's keywords; those that come from the data in words."""
    assert both.program is not None
    parameters = inspect.signature(both.program.model).parameters
    return {
        name: _COMPUTED.get(name, "") if parameter.default is None else f"{parameter.default:g}"
        for name, parameter in parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def _nuts(comparison: "Comparison") -> str:
    options = comparison.provenance.get("options", {})
    limits = Thresholds()
    chains, _ = comparison.fits[0].posterior.margin.shape
    lengths = sorted({each.posterior.margin.shape[1] for each in comparison.fits})
    drawn = " to ".join(dict.fromkeys(f"{n:,}" for n in (lengths[0], lengths[-1])))
    return (
        "For each k the posterior's modes were sought from EM's optima and from random starts, and "
        "weighed by their Laplace mass. In the modes that hold at least "
        f"{100 * start.MIN_MASS:g} % of it, {chains} chains of the No-U-Turn Sampler (Hoffman and "
        "Gelman 2014) were started, jittered, in coordinates whitened by the curvature there. "
        f"After stages of {_stages(options.get('num_warmup'))} warm-up iterations each "
        f"chain made {drawn} draws, until bulk and tail effective sample sizes of all "
        f"label-invariant quantities reached {limits.ess:g} and their R-hat fell to "
        f"{limits.r_hat:g} (Vehtari et al. 2021), or the budget was spent. E-BFMI (Betancourt "
        f"2016) and divergent transitions were checked. {_undecided(comparison)}{_relabelled()}"
    )


def _stages(num_warmup: int | None) -> str:
    settings = adaptation.Settings(num_warmup)
    return " or ".join(dict.fromkeys(str(settings.steps(stage)) for stage in (0, 1)))


def _variational(comparison: "Comparison") -> str:
    guide = Settings().guide.replace("_", "-")
    return (
        "For each k the posterior's modes were sought from EM's optima and from random starts. At "
        f"the mode of the largest Laplace mass a {guide} normal approximation of the unconstrained "
        "parameters was started at the Laplace approximation and fitted by stochastic gradients of "
        "the evidence lower bound (Kucukelbir et al. 2017). It was checked by the Pareto k-hat of "
        f"its importance ratios (Yao et al. 2018), which should not exceed {Thresholds().pareto_k}."
        f" {_undecided(comparison)}{_relabelled()}"
    )


def _laplace(comparison: "Comparison") -> str:
    return (
        "For each k the posterior's modes were sought from EM's optima and from random starts. In "
        "those that hold at least "
        f"{100 * start.MIN_MASS:g} % of the Laplace mass the posterior of the unconstrained "
        "parameters was approximated by normal distributions with the inverse curvature as "
        "covariance (Tierney and Kadane 1986). It was checked by the Pareto k-hat of "
        f"its importance ratios (Yao et al. 2018), which should not exceed {Thresholds().pareto_k}."
        f" {_undecided(comparison)}{_relabelled()}"
    )


def _undecided(comparison: "Comparison") -> str:
    ks = [each.n_components for each in comparison.fits if not each.posterior.verdict.usable]
    if not ks:
        return "All k passed. "
    fits, are = ("fits", "are") if len(ks) > 1 else ("fit", "is")
    return f"The {fits} of k = {spans(ks)} did not pass and {are} left undecided. "


def _relabelled() -> str:
    return (
        "The components of each draw were matched to those of the EM fit by the permutation of "
        "least Kullback-Leibler divergence between their memberships and, where labels were not "
        "clear, to the average of the draws until nothing changed (Stephens 2000); no draw was "
        "dropped. Posterior intervals are equal-tailed."
    )


def _choice(comparison: "Comparison") -> str:
    sampled = comparison.fits[0].posterior.inference == "nuts"
    corrected = "" if sampled else ", corrected for the approximation"
    by = "" if sampled else " (Magnusson et al. 2019)"
    types = list(dict.fromkeys(cell.covariance_type for cell in comparison.families.cells))
    counts = (
        " Of a row that stands for several, one unit was left out."
        if comparison.table.row_weights is not None
        else ""
    )
    counts += _left_out(comparison)
    return (
        "Numbers of components were compared by AIC (Akaike 1974), BIC (Schwarz 1978), ICL with "
        "maximum a posteriori memberships (Biernacki, Celeux and Govaert 2000) and the expected "
        "log predictive density (elpd) of rows left out, by Pareto-smoothed importance sampling "
        f"(PSIS-LOO; Vehtari, Gelman and Gabry 2017){corrected}{by}.{counts} Differences in elpd "
        f"below {TIE:g} or below {TIE_SE:g} standard errors were taken as ties. The chosen k has "
        f"the lowest {comparison.criterion.upper()} among the fits that passed. By maximum "
        f"likelihood the same k were compared over the covariance structures {listed(types)} too."
    )


def _left_out(comparison: "Comparison") -> str:
    matched = sum(each.posterior.loo.n_matched for each in comparison.fits)
    if not matched:
        return ""
    return (
        f" For {counted(matched, 'row')} (over all k) whose Pareto k-hat was too high, draws were "
        "moved to match the moments of the posterior without the row (Paananen et al. 2021)."
    )


def _software(comparison: "Comparison") -> str:
    versions, seed = comparison.provenance["versions"], comparison.provenance["seed"]
    seed = "" if seed is None else f"; the random seed was {seed}"
    told = {"NumPyro": "numpyro", "JAX": "jax", "NumPy": "numpy", "SciPy": "scipy"}
    others = listed([f"{label} {versions[name]}" for label, name in told.items()])
    return (
        f"Computations used bayesgmm {versions['bayesgmm']} in double precision, with {others}, "
        f"and ArviZ {versions['arviz']} (Kumar et al. 2019) for diagnostics and PSIS-LOO{seed}."
    )


_INFERENCE = {"nuts": _nuts, "vi": _variational, "laplace": _laplace}
