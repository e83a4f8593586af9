"""Variational inference by NumPyro's guides, over coordinates whitened at the best mode.

The guide starts as the Laplace approximation and is improved by stochastic gradients of the
evidence bound. It is an approximation, and says how good: Pareto k-hat of its importance ratios
(Yao et al. 2018), below 0.7 for one that can be trusted.
"""

from collections.abc import Callable
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
from bayesgmm.bayes.driver import Progress, compile_once, silent
from bayesgmm.bayes.keys import new_key, new_keys
from bayesgmm.bayes.metric import Place
from bayesgmm.bayes.program import TRACING
from bayesgmm.bayes.start import Mode
from bayesgmm.bayes.target import Data, Target
from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.precision import float64

GUIDES: dict[str, Any] = {
    "full_rank": AutoMultivariateNormal,
    "low_rank": AutoLowRankMultivariateNormal,
    "mean_field": AutoDiagonalNormal,
}
CALL = 100  # steps at a time
DRAWS_AT_ONCE = 50


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
    rng: np.random.Generator,
    settings: Settings = Settings(),
    progress: Progress = silent,
) -> Draws:
    """Independent draws from the best normal approximation that the guide's family holds.

    They are arranged as chains so that every function for draws takes them; R-hat means nothing
    for them.
    """
    place = jax.tree.map(jnp.asarray, mode.place)
    state = _run(_begin, target, settings, new_key(rng), place, data)
    for done in range(0, settings.num_steps, CALL):
        progress("approximating", done, settings.num_steps)
        steps = np.int32(min(CALL, settings.num_steps - done))
        state = _run(_improve, target, settings, state, steps, place, data)
    keys = new_keys(rng, num_chains * num_draws)
    z, log_p, log_q = _run(_finish, target, settings, state, keys, place, data)
    progress("approximating", settings.num_steps, settings.num_steps)
    shape = (num_chains, num_draws)
    return Draws(
        np.asarray(z).reshape(*shape, -1),
        np.asarray(log_p).reshape(shape),
        np.asarray(log_q).reshape(shape) - target.blocks.half_log_det(mode.place),
        {},
    )


def _run(step: Callable[..., Any], target: Target, settings: Settings, *arrays: Any) -> Any:
    """A step of the fit, compiled once for the target, the settings and the arrays' shapes."""
    shapes = tuple((np.shape(leaf), str(leaf.dtype)) for leaf in jax.tree.leaves(arrays))

    def lower() -> Any:
        with TRACING:
            return jax.jit(partial(step, target, settings)).lower(*arrays)

    return compile_once((step, target, settings, shapes), lower).result()(*arrays)


class _Fit(NamedTuple):
    """The guide and its optimiser over the whitened program; made anew in every trace."""

    log_density: Callable[[Array], Array]
    guide: Any
    svi: SVI

    @classmethod
    def of(cls, target: Target, settings: Settings, place: Place, data: Data) -> "_Fit":
        def log_density(u: Array) -> Array:
            return -target.potential(target.blocks.forward(place, u), data)

        def whitened() -> None:
            flat = dist.ImproperUniform(dist.constraints.real_vector, (), (target.size,))
            numpyro.factor("log_density", log_density(numpyro.sample("u", flat)))

        def rate(step: Array) -> Array:
            return settings.learning_rate * 0.01 ** (step / settings.num_steps)

        scale = {} if settings.guide == "low_rank" else {"init_scale": 1.0}
        at_mode = numpyro.infer.init_to_value(values={"u": jnp.zeros(target.size)})
        guide = GUIDES[settings.guide](whitened, init_loc_fn=at_mode, **scale)
        loss = Trace_ELBO(num_particles=settings.num_particles)
        return cls(log_density, guide, SVI(whitened, guide, Adam(rate), loss))


def _begin(target: Target, settings: Settings, key: Array, place: Place, data: Data) -> Any:
    return _Fit.of(target, settings, place, data).svi.init(key)


def _improve(
    target: Target, settings: Settings, state: Any, steps: Array, place: Place, data: Data
) -> Any:
    svi = _Fit.of(target, settings, place, data).svi
    svi.init(state.rng_key)  # names the parameters; the compiler drops its numbers
    return lax.fori_loop(0, steps, lambda _, state: svi.update(state)[0], state)


def _finish(
    target: Target, settings: Settings, state: Any, keys: Array, place: Place, data: Data
) -> tuple[Array, Array, Array]:
    log_density, guide, svi = _Fit.of(target, settings, place, data)
    svi.init(state.rng_key)
    posterior = guide.get_posterior(svi.get_params(state))
    u = jax.vmap(posterior.sample)(keys)
    log_p = lax.map(log_density, u, batch_size=min(len(keys), DRAWS_AT_ONCE))
    log_q = posterior.log_prob(u).reshape(len(keys), -1).sum(-1)  # one column each if mean-field
    return jax.vmap(lambda one: target.blocks.forward(place, one))(u), log_p, log_q
