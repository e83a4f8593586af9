"""How far a posterior follows its prior: power scaling (Kallioinen et al. 2024), by ArviZ."""

from typing import NamedTuple

import jax
import numpy as np
from jax import lax
from jaxtyping import Float
from numpyro import handlers
from numpyro.infer.inspect import get_dependencies

from bayesgmm.bayes.posterior import Posterior, known_program
from bayesgmm.bayes.program import TRACING
from bayesgmm.bayes.target import Data, Target
from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.lowering import remembered
from bayesgmm.gaussian.precision import float64


class LogPrior(NamedTuple):
    """Log density of the priors that are scaled, (c, s), and the sites that these belong to."""

    values: Float[np.ndarray, "c s"]
    sites: tuple[str, ...]


class Sensitivities(NamedTuple):
    """How fast each of q quantities moves as the prior or the likelihood is raised to a power.

    Attributes:
        prior, likelihood: for each doubling of the power.
        noise: the largest movement with the prior that Monte-Carlo error alone brings about.
    """

    prior: Float[np.ndarray, " q"]
    likelihood: Float[np.ndarray, " q"]
    noise: float


@float64
def log_prior(posterior: Posterior) -> LogPrior:
    """Log prior density of the chains that are kept, in the space of the parameters.

    Sites whose prior has hyperparameters are left out, as they belong to the model of the rows: of
    a hierarchy only the top is scaled (Kallioinen et al. 2024, section 2.3).

    Raises:
        InputError: the fit was loaded without its program.
    """
    target, data = known_program(posterior)
    sites = scaled_sites(target, data)
    z = posterior.draws.z[posterior.kept]
    values = _log_prior(target, sites, z.reshape(-1, z.shape[-1]), data)
    return LogPrior(np.asarray(values).reshape(z.shape[:2]), sites)


@float64
def scaled_sites(target: Target, data: Data) -> tuple[str, ...]:
    """Sites without hyperparameters, which are sites that reach the rows through others only."""
    arguments = (data.X, target.structure.k)
    with TRACING, handlers.block():
        parents = get_dependencies(target.program.model, arguments, data.keywords)
    direct = parents["prior_dependencies"]
    latents = [latent.name for latent in target.structure.latents]
    hyper = set(latents) - set(direct[target.structure.mixture])
    return tuple(name for name in latents if not (set(direct[name]) - {name}) & hyper)


def sensitivities(
    draws: Float[np.ndarray, "q c s"],
    log_prior: Float[np.ndarray, "c s"],
    log_likelihood: Float[np.ndarray, "c s"],
) -> Sensitivities:
    """Sensitivity of q quantities, none of them constant, to the prior and to the likelihood.

    The noise is that of the log prior shifted by half a chain, which moves as slowly as it did and
    has no more to do with the draws: a log prior that varies widely moves all of them a little.
    """
    shifted = np.roll(log_prior, log_prior.shape[1] // 2, axis=1)
    noise = float(_moved(draws, shifted).max())
    return Sensitivities(_moved(draws, log_prior), _moved(draws, log_likelihood), noise)


def _moved(
    draws: Float[np.ndarray, "q c s"], log_density: Float[np.ndarray, "c s"]
) -> Float[np.ndarray, " q"]:
    """The gradient, with respect to log2 of its power, of how far a density moves the draws.

    That is the cumulative Jensen-Shannon distance between a quantity's posterior and the one in
    which the density is raised to a power, by importance sampling.
    """
    import xarray as xr
    from arviz_stats import psense  # type: ignore[attr-defined]

    sample = ("chain", "draw")
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({"draws": (("quantity", *sample), draws)}),
            "log_prior": xr.Dataset({"scaled": (sample, log_density)}),
        }
    )
    return psense(tree, group="prior", sample_dims=sample)["draws"].to_numpy()


@remembered(2)
def _log_prior(
    target: Target, sites: tuple[str, ...], z: Float[Array, "s p"], data: Data
) -> Float[Array, " s"]:
    def one(z: Array) -> Array:
        found = target.at(z, data).log_densities
        return sum((found[name] for name in sites), jax.numpy.zeros(()))

    return lax.map(one, z, batch_size=1000)
