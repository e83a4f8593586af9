"""Whose ideas the numbers rest on."""

from collections.abc import Sequence

# Keyed as they are cited; a list of references holds those whose key its text contains.
REFERENCES = {
    "Akaike 1974": "Akaike, H. (1974). A new look at the statistical model identification. "
    "IEEE Transactions on Automatic Control 19, 716-723.",
    "Arthur and Vassilvitskii 2007": "Arthur, D. and Vassilvitskii, S. (2007). k-means++: the "
    "advantages of careful seeding. Proceedings of the 18th Annual ACM-SIAM Symposium on Discrete "
    "Algorithms, 1027-1035.",
    "Banfield and Raftery 1993": "Banfield, J. D. and Raftery, A. E. (1993). Model-based Gaussian "
    "and non-Gaussian clustering. Biometrics 49, 803-821.",
    "Betancourt 2016": "Betancourt, M. (2016). Diagnosing suboptimal cotangent disintegrations in "
    "Hamiltonian Monte Carlo. arXiv:1604.00695.",
    "Biernacki, Celeux and Govaert 2000": "Biernacki, C., Celeux, G. and Govaert, G. (2000). "
    "Assessing a mixture model for clustering with the integrated completed likelihood. IEEE "
    "Transactions on Pattern Analysis and Machine Intelligence 22, 719-725.",
    "Celeux and Govaert 1995": "Celeux, G. and Govaert, G. (1995). Gaussian parsimonious "
    "clustering models. Pattern Recognition 28, 781-793.",
    "Dempster, Laird and Rubin 1977": "Dempster, A. P., Laird, N. M. and Rubin, D. B. (1977). "
    "Maximum likelihood from incomplete data via the EM algorithm. Journal of the Royal "
    "Statistical Society B 39, 1-38.",
    "Fraley and Raftery 2007": "Fraley, C. and Raftery, A. E. (2007). Bayesian regularization for "
    "normal mixture estimation and model-based clustering. Journal of Classification 24, 155-181.",
    "Hoffman and Gelman 2014": "Hoffman, M. D. and Gelman, A. (2014). The No-U-Turn Sampler: "
    "adaptively setting path lengths in Hamiltonian Monte Carlo. Journal of Machine Learning "
    "Research 15, 1593-1623.",
    "Ishwaran and James 2001": "Ishwaran, H. and James, L. F. (2001). Gibbs sampling methods for "
    "stick-breaking priors. Journal of the American Statistical Association 96, 161-173.",
    "Juárez and Steel 2010": "Juárez, M. A. and Steel, M. F. J. (2010). Model-based clustering of "
    "non-Gaussian panel data based on skew-t distributions. Journal of Business and Economic "
    "Statistics 28, 52-66.",
    "Kass and Raftery 1995": "Kass, R. E. and Raftery, A. E. (1995). Bayes factors. Journal of "
    "the American Statistical Association 90, 773-795.",
    "Kucukelbir et al. 2017": "Kucukelbir, A., Tran, D., Ranganath, R., Gelman, A. and Blei, D. M. "
    "(2017). Automatic differentiation variational inference. Journal of Machine Learning "
    "Research 18 (14), 1-45.",
    "Kumar et al. 2019": "Kumar, R., Carroll, C., Hartikainen, A. and Martin, O. (2019). ArviZ: a "
    "unified library for exploratory analysis of Bayesian models in Python. Journal of Open "
    "Source Software 4 (33), 1143.",
    "Lewandowski, Kurowicka and Joe 2009": "Lewandowski, D., Kurowicka, D. and Joe, H. (2009). "
    "Generating random correlation matrices based on vines and extended onion method. Journal of "
    "Multivariate Analysis 100, 1989-2001.",
    "Magnusson et al. 2019": "Magnusson, M., Andersen, M. R., Jonasson, J. and Vehtari, A. (2019). "
    "Bayesian leave-one-out cross-validation for large data. Proceedings of Machine Learning "
    "Research 97, 4244-4253.",
    "McLachlan and Peel 2000": "McLachlan, G. and Peel, D. (2000). Finite Mixture Models. Wiley, "
    "New York.",
    "O'Hagan et al. 2019": "O'Hagan, A., Murphy, T. B., Scrucca, L. and Gormley, I. C. (2019). "
    "Investigation of parameter uncertainty in clustering using a Gaussian mixture model via "
    "jackknife, bootstrap and weighted likelihood bootstrap. Computational Statistics 34, "
    "1779-1813.",
    "Paananen et al. 2021": "Paananen, T., Piironen, J., Bürkner, P.-C. and Vehtari, A. (2021). "
    "Implicitly adaptive importance sampling. Statistics and Computing 31, 16.",
    "Phan, Pradhan and Jankowiak 2019": "Phan, D., Pradhan, N. and Jankowiak, M. (2019). "
    "Composable effects for flexible and accelerated probabilistic programming in NumPyro. "
    "arXiv:1912.11554.",
    "Richardson and Green 1997": "Richardson, S. and Green, P. J. (1997). On Bayesian analysis of "
    "mixtures with an unknown number of components. Journal of the Royal Statistical Society B "
    "59, 731-792.",
    "Rousseau and Mengersen 2011": "Rousseau, J. and Mengersen, K. (2011). Asymptotic behaviour of "
    "the posterior distribution in overfitted mixture models. Journal of the Royal Statistical "
    "Society B 73, 689-710.",
    "Schwarz 1978": "Schwarz, G. (1978). Estimating the dimension of a model. Annals of Statistics "
    "6, 461-464.",
    "Sethuraman 1994": "Sethuraman, J. (1994). A constructive definition of Dirichlet priors. "
    "Statistica Sinica 4, 639-650.",
    "Stephens 2000": "Stephens, M. (2000). Dealing with label switching in mixture models. Journal "
    "of the Royal Statistical Society B 62, 795-809.",
    "Tierney and Kadane 1986": "Tierney, L. and Kadane, J. B. (1986). Accurate approximations for "
    "posterior moments and marginal densities. Journal of the American Statistical Association 81, "
    "82-86.",
    "Ueda et al. 2000": "Ueda, N., Nakano, R., Ghahramani, Z. and Hinton, G. E. (2000). SMEM "
    "algorithm for mixture models. Neural Computation 12, 2109-2128.",
    "Varadhan and Roland 2008": "Varadhan, R. and Roland, C. (2008). Simple and globally "
    "convergent methods for accelerating the convergence of any EM algorithm. Scandinavian "
    "Journal of Statistics 35, 335-353.",
    "Vehtari, Gelman and Gabry 2017": "Vehtari, A., Gelman, A. and Gabry, J. (2017). Practical "
    "Bayesian model evaluation using leave-one-out cross-validation and WAIC. Statistics and "
    "Computing 27, 1413-1432.",
    "Vehtari et al. 2021": "Vehtari, A., Gelman, A., Simpson, D., Carpenter, B. and Bürkner, P.-C. "
    "(2021). Rank-normalization, folding, and localization: an improved R-hat for assessing "
    "convergence of MCMC. Bayesian Analysis 16, 667-718.",
    "Vehtari et al. 2024": "Vehtari, A., Simpson, D., Gelman, A., Yao, Y. and Gabry, J. (2024). "
    "Pareto smoothed importance sampling. Journal of Machine Learning Research 25 (72), 1-58.",
    "Wade and Ghahramani 2018": "Wade, S. and Ghahramani, Z. (2018). Bayesian cluster analysis: "
    "point estimation and credible balls. Bayesian Analysis 13, 559-626.",
    "Yao et al. 2018": "Yao, Y., Vehtari, A., Simpson, D. and Gelman, A. (2018). Using stacking to "
    "average Bayesian predictive distributions. Bayesian Analysis 13, 917-1007.",
}


def references(texts: Sequence[str]) -> list[str]:
    """The references that the texts cite, in alphabetical order."""
    whole = "\n".join(texts)
    return [reference for key, reference in REFERENCES.items() if key in whole]
