"""Gaussian and other mixtures, by maximum likelihood and by full Bayesian inference, side by side.

>>> import bayesgmm as bg
>>> X = bg.load_dataset("faithful")
>>> bg.GaussianMixture(2, random_state=0).fit(X).means_.round(2)
array([[ 2.04, 54.48],
       [ 4.29, 79.97]])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayesgmm.bayes.fuse import fuse
    from bayesgmm.bayes.program import load_model
    from bayesgmm.comparison.compare import compare
    from bayesgmm.data.datasets import load_dataset
    from bayesgmm.data.errors import InputError
    from bayesgmm.estimators import BayesianMixture, GaussianMixture
    from bayesgmm.estimators.elsewhere import relabel
    from bayesgmm.ml.likelihood_ratio import likelihood_ratios
    from bayesgmm.ml.selection import select

__version__ = "0.1.0"
__all__ = [
    "BayesianMixture",
    "GaussianMixture",
    "InputError",
    "compare",
    "fuse",
    "likelihood_ratios",
    "load_dataset",
    "load_model",
    "relabel",
    "select",
]

_HOMES = {
    "BayesianMixture": "bayesgmm.estimators.bayesian",
    "GaussianMixture": "bayesgmm.estimators.gaussian",
    "InputError": "bayesgmm.data.errors",
    "compare": "bayesgmm.comparison.compare",
    "fuse": "bayesgmm.bayes.fuse",
    "likelihood_ratios": "bayesgmm.ml.likelihood_ratio",
    "load_dataset": "bayesgmm.data.datasets",
    "load_model": "bayesgmm.bayes.program",
    "relabel": "bayesgmm.estimators.elsewhere",
    "select": "bayesgmm.ml.selection",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bayesgmm' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
