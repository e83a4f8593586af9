"""Variational inference by NumPyro's guides, over coordinates whitened at the best mode.

The guide starts as the Laplace approximation and is improved by stochastic gradients of the
evidence bound. It is an approximation, and says how good: Pareto k-hat of its importance ratios
(Yao et al. 2018), below 0.7 for one that can be trusted.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import lax
from numpyro.infer import SVI, Trace_ELBO
from numpyro.infer.autoguide import (
    AutoDiagonalNormal,
    AutoLowRankMultivariateNormal,
    AutoMultivariateNormal,
)
from numpyro.optim import Adam

from bayesgmm.bayes.draws import Draws
from bayesgmm.bayes.driver import Progress, silent
from bayesgmm.bayes.nuts import Place
from bayesgmm.bayes.program import TRACING
from bayesgmm.bayes.start import Mode
from bayesgmm.bayes.target import Data, Target
from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.mixture import half_log_det
from bayesgmm.gaussian.precision import float64

GUIDES: dict[str, Any] = {
    "full_rank": AutoMultivariateNormal,
    "low_rank": AutoLowRankMultivariateNormal,
    "mean_field": AutoDiagonalNormal,
}


class Settings(NamedTuple):
    """Choices of a variational fit.

    Attributes:
        guide: "full_rank", "low_rank" or "mean_field".
        num_steps: stochastic gradient steps.
        num_particles: draws for each gradient.
        learning_rate: of Adam at the start; it falls to a hundredth of that.
    """

    guide: str = "full_rank"
    num_steps: int = 2000
    num_particles: int = 16
    learning_rate: float = 0.01


@float64
def approximate(
    target: Target,
    data: Data,
    mode: Mode,
    num_chains: int,
    num_draws: int,
    key: Array,
    settings: Settings = Settings(),
    progress: Progress = silent,
) -> Draws:
    """Independent draws from the best normal approximation that the guide's family holds.

    They are arranged as chains so that every function for draws takes them; R-hat means nothing
    for them.
    """
    progress("approximating", 0, settings.num_steps)
    place = Place(jnp.asarray(mode.z), jnp.asarray(mode.scale_tril))
    with TRACING:
        z, log_p, log_q = _approximate(target, settings, num_chains * num_draws, key, place, data)
    progress("approximating", settings.num_steps, settings.num_steps)
    shape = (num_chains, num_draws)
    return Draws(
        np.asarray(z).reshape(*shape, -1),
        np.asarray(log_p).reshape(shape),
        np.asarray(log_q).reshape(shape),
        {},
    )


@partial(jax.jit, static_argnums=(0, 1, 2))
def _approximate(
    target: Target, settings: Settings, size: int, key: Array, place: Place, data: Data
) -> tuple[Array, Array, Array]:
    def log_density(u: Array) -> Array:
        return -target.potential(place.loc + place.scale_tril @ u, data)

    def whitened() -> None:
        flat = dist.ImproperUniform(dist.constraints.real_vector, (), (target.size,))
        numpyro.factor("log_density", log_density(numpyro.sample("u", flat)))

    def rate(step: Array) -> Array:
        return settings.learning_rate * 0.01 ** (step / settings.num_steps)

    scale = {} if settings.guide == "low_rank" else {"init_scale": 1.0}
    at_mode = numpyro.infer.init_to_value(values={"u": jnp.zeros(target.size)})
    guide = GUIDES[settings.guide](whitened, init_loc_fn=at_mode, **scale)
    svi = SVI(whitened, guide, Adam(rate), Trace_ELBO(num_particles=settings.num_particles))
    key_init, key_draw = jax.random.split(key)
    state, _ = lax.scan(
        lambda state, _: (svi.update(state)[0], None),
        svi.init(key_init),
        None,
        length=settings.num_steps,
    )
    posterior = guide.get_posterior(svi.get_params(state))
    u = posterior.sample(key_draw, (size,))
    log_p = lax.map(log_density, u, batch_size=min(size, 50))
    log_q = posterior.log_prob(u).reshape(size, -1).sum(-1)  # one column each if mean-field
    return place.loc + u @ place.scale_tril.T, log_p, log_q - half_log_det(place.scale_tril)
