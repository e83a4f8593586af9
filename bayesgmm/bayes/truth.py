"""Truths drawn from a program's own prior, and where they lie among posterior draws.

If rows come from the program at parameters that come from its prior, those parameters are one more
draw from the posterior; the rank of anything they say among posterior draws is then uniform.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpyro import handlers
from numpyro.distributions.transforms import biject_to

from bayesgmm.bayes.crossing import Crossed, cross
from bayesgmm.bayes.diagnose import invariants
from bayesgmm.bayes.draws import Draws
from bayesgmm.bayes.keys import new_key
from bayesgmm.bayes.posterior import Posterior
from bayesgmm.bayes.program import TRACING, Program
from bayesgmm.bayes.recognise import is_mixture
from bayesgmm.bayes.start import values
from bayesgmm.bayes.structure import WEIGHTS, Structure
from bayesgmm.data.errors import InputError
from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.precision import float64


class Truth(NamedTuple):
    """Parameters from the prior, as an unconstrained vector, and rows from their mixture."""

    z: Float[np.ndarray, " p"]
    X: Float[np.ndarray, "n d"]


@float64
def draw_truth(
    program: Program,
    k: int,
    shape: tuple[int, int],
    priors: Mapping[str, object],
    rng: np.random.Generator,
) -> Truth:
    """One draw from the prior and n rows from its mixture, both by NumPyro's own samplers.

    Args:
        program: the program.
        k: clusters.
        shape: n rows and d columns.
        priors: values for its keywords, those that would be computed from the data among them.
        rng: source of both.

    Raises:
        InputError: the prior needs the data that are to be drawn.
    """
    keywords = {name: np.asarray(value, dtype=float) for name, value in priors.items()}
    with TRACING, handlers.block():
        z, X = _draw(program, k, shape, new_key(rng), keywords)
    if np.isnan(z).any():
        raise InputError(
            f"priors: the prior of {program.name} is computed from the data; give location, "
            "spread, sd, or what else it takes from them."
        )
    return Truth(np.asarray(z), np.asarray(X).reshape(shape))


@partial(jax.jit, static_argnums=(0, 1, 2))
def _draw(
    program: Program, k: int, shape: tuple[int, int], key: Array, keywords: dict[str, Array]
) -> tuple[Array, Array]:
    """A program run forwards on rows that are not there: what looks at them is not a number."""
    own_key, rows_key = jax.random.split(key)
    seeded = handlers.seed(program.model, own_key)
    trace = handlers.trace(seeded).get_trace(jnp.full(shape, jnp.nan), k, **keywords)
    sampled = [site for site in trace.values() if site["type"] == "sample"]
    (mixture,) = [s["fn"] for s in sampled if s["is_observed"] and is_mixture(s["fn"])]
    free = [
        jnp.ravel(biject_to(site["fn"].support).inv(site["value"]))
        for site in sampled
        if not site["is_observed"]
    ]
    return jnp.concatenate(free), mixture.sample(rows_key)


def ranks(
    posterior: Posterior,
    truth: Truth,
    n_draws: int,
    rng: np.random.Generator,
) -> dict[str, int]:
    """How many of `n_draws` posterior draws lie below the truth, quantity by quantity.

    Quantities are the log posterior, log prior and log-likelihood, which see what parameters alone
    do not (Modrak et al. 2023); all that labels cannot touch; and every parameter, the truth's
    labels being put right as those of the draws are: by their average memberships.

    Args:
        posterior: of the truth's rows; its kept chains are thinned evenly.
        truth: what the rows were drawn from.
        n_draws: few enough to be nearly independent.
        rng: breaks ties.

    Source: Talts et al. (2018), algorithm 2.
    """
    drawn = _quantities(posterior.crossed, posterior.structure)
    known = _quantities(_crossed(posterior, truth), posterior.structure)
    places = np.linspace(0, posterior.margin[posterior.kept].size - 1, n_draws).astype(int)
    return {
        name: _rank(drawn[name][posterior.kept].ravel()[places], float(value[0, 0]), rng)
        for name, value in known.items()
        if np.ptp(drawn[name]) > 0
    }


def _rank(drawn: Float[np.ndarray, " s"], value: float, rng: np.random.Generator) -> int:
    below, same = int((drawn < value).sum()), int((drawn == value).sum())
    return below + int(rng.integers(same + 1))


@float64
def _crossed(posterior: Posterior, truth: Truth) -> Crossed:
    """The truth crossed with its rows, as a chain of one draw."""
    target, data = posterior.target, posterior.data
    assert target is not None
    assert data is not None
    z = truth.z[None, None]
    log_posterior = -values(target, data, z[0])[None]
    own = Draws(z, log_posterior, None, {})
    key, n = new_key(np.random.default_rng(0)), len(posterior.X)
    membership = posterior.membership[:, : posterior.structure.k]
    pivot = np.zeros((len(data.X), posterior.structure.k))  # what fills the rows up has no say
    pivot[:n] = np.log(np.maximum(membership, np.finfo(float).tiny))
    return cross(target, data, pivot, own, 0, key, n_rows=n, each_row=True)


def _quantities(crossed: Crossed, structure: Structure) -> dict[str, Float[np.ndarray, "c s"]]:
    found = invariants(
        crossed.draws.log_posterior,
        crossed.log_likelihood,
        crossed.held,
        crossed.sites[WEIGHTS],
        crossed.mixture,
        np.inf,
        background=structure.background,
    )
    log_prior = crossed.draws.log_posterior - crossed.log_likelihood
    latents = dict.fromkeys([WEIGHTS, *(latent.name for latent in structure.latents)])
    return {"log prior": log_prior} | found | dict(_entries(crossed.sites, latents))


def _entries(
    sites: Mapping[str, np.ndarray], names: Iterable[str]
) -> Iterator[tuple[str, Float[np.ndarray, "c s"]]]:
    for name in names:
        values = sites[name]
        for entry in np.ndindex(values.shape[2:]):
            index = ", ".join(str(i + 1) for i in entry)
            yield (f"{name}[{index}]" if entry else name), values[(..., *entry)]
