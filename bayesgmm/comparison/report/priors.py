"""The priors of a program in the words of a paper."""

import inspect
from collections.abc import Mapping
from typing import Any

from bayesgmm.comparison.both import Both
from bayesgmm.comparison.words import listed

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
        "(Juárez and Steel 2010)",
    ),
}
_COMPUTED = {
    "location": "the mid-range of its column",
    "spread": "the column's range",
    "sd": "the column's standard deviation",
    "nu": "d + 2",
    "scale": "S k^(-2/d), S being the covariance matrix of the data",
}


def priors(both: Both, given: Mapping[str, Any]) -> str:
    """The program and its priors, in sentences.

    Args:
        both: a fit of the program.
        given: values of its keywords that were not left to their defaults.
    """
    opening = (
        f"the program {both.model} (sha256 {both.model_sha256[:12]}), written in NumPyro (Phan, "
        "Pradhan and Jankowiak 2019). "
    )
    phrases = PRIORS.get(both.model) if both.program and both.program.is_ours else None
    if phrases is None:
        changed = listed([f"{name} = {value}" for name, value in given.items()])
        return f"{opening}Its priors are those of its file{', with ' * bool(changed)}{changed}."
    values = _keywords(both) | {name: f"{value}" for name, value in given.items()}
    spherical = both.model == "gaussian_spherical"
    values["what"] = "all columns together" if spherical else "each column"
    if spherical and "sd" not in given:
        values["sd"] = "the root mean square of the columns' standard deviations"
    single = len(both.problem.table.columns) == 1
    used = [each for each in phrases if not (single and each is _CORRELATIONS)]
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
