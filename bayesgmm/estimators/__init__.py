"""scikit-learn faces over the functions of the other rooms."""

from bayesgmm.estimators.bayesian import BayesianMixture
from bayesgmm.estimators.gaussian import GaussianMixture

__all__ = ["BayesianMixture", "GaussianMixture"]
