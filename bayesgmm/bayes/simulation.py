"""Rows drawn from a program: by draws of its posterior, and by draws of its prior."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from numpyro import handlers

from bayesgmm.bayes.keys import new_keys
from bayesgmm.bayes.posterior import Posterior, known_program
from bayesgmm.bayes.program import TRACING, first_line
from bayesgmm.bayes.recognise import unwrapped
from bayesgmm.bayes.target import Data, Target
from bayesgmm.data.errors import InputError
from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.lowering import portable, remembered
from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.gaussian.precision import float64
from bayesgmm.ml.simulation import draw_rows

BLOCK_DRAWS, BLOCK_NUMBERS = 1000, 1_000_000  # of draws x rows x components x columns


class Replicates(NamedTuple):
    """n rows from each of s draws of the parameters.

    Attributes:
        X: the rows, shape (s, n, d).
        labels: the component of each, shape (s, n); a background's is k.
    """

    X: Float[np.ndarray, "s n d"]
    labels: Int[np.ndarray, "s n"]


@portable
class PriorDraws(NamedTuple):
    """s draws of the parameters from a program's prior, and n rows from each.

    Attributes:
        sites: values of the program's sites, each (s, ...).
        X: the rows, shape (s, n, d).
    """

    sites: dict[str, Array]
    X: Float[Array, "s n d"]


def replicates(
    posterior: Posterior, chosen: Int[np.ndarray, " s"], n: int, rng: np.random.Generator
) -> Replicates:
    """n rows from each of those draws of the chains that are kept, numbered end to end.

    Raises:
        InputError: the program is not normal, and its code is not there; or its components cannot
            be sampled.
    """
    if posterior.mixture is None:
        return _of_program(posterior, chosen, n, rng)
    parts = (part[posterior.kept] for part in posterior.mixture)
    draws = Mixture(*(part.reshape(-1, *part.shape[2:])[chosen] for part in parts))
    if n == 1:
        X, labels = draw_rows(draws, len(chosen), rng)
        return Replicates(X[:, None], labels[:, None])
    each = (Mixture(*(part[i] for part in draws)) for i in range(len(chosen)))
    return Replicates(*map(np.stack, zip(*(draw_rows(one, n, rng) for one in each), strict=True)))


@float64
def prior_draws(target: Target, data: Data, s: int, n: int, rng: np.random.Generator) -> PriorDraws:
    """s draws from the prior of a program, and n rows from each.

    Raises:
        InputError: the program's prior or components cannot be sampled.
    """

    def draw(block: Array) -> PriorDraws:
        return _sampled(_prior_block, target, n, new_keys(rng, len(block)), data)

    return _by_blocks(draw, s, n * data.X.shape[1] * target.structure.n_components)


@float64
def _of_program(
    posterior: Posterior, chosen: Int[np.ndarray, " s"], n: int, rng: np.random.Generator
) -> Replicates:
    (target, data), structure = known_program(posterior), posterior.structure
    if structure.by_row and n != len(posterior.X):
        raise InputError(
            "this program's parameters differ from row to row, so that it can draw whole data sets "
            f"of {len(posterior.X)} rows, and no single rows."
        )
    kept = posterior.kept
    z = posterior.draws.z[kept].reshape(-1, structure.size)[chosen]
    place = posterior.order[kept].reshape(-1, structure.n_components)[chosen].argsort(1)

    def draw(block: Array) -> tuple[Array, Array]:
        keys = new_keys(rng, len(block))
        return _sampled(_posterior_block, target, n, z[block], place[block], keys, data)

    found = _by_blocks(draw, len(chosen), n * posterior.X.shape[1] * structure.n_components)
    return Replicates(*found)


def _by_blocks[T](draw: Callable[[Array], T], s: int, numbers: int) -> T:
    """Draws in blocks of one size, end to end; the last draw fills the last block up."""
    size = int(np.clip(BLOCK_NUMBERS // numbers, 1, BLOCK_DRAWS))
    places = [np.minimum(np.arange(i, i + size), s - 1) for i in range(0, s, size)]
    parts = [draw(block) for block in places]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:s], *parts)


def _sampled(block: Callable[..., Any], target: Target, *arguments: Any) -> Any:
    """What the block draws, or why that cannot be done."""
    try:
        return block(target, *arguments)
    except NotImplementedError as error:
        raise InputError(
            f"model {target.program.name!r} has a distribution that cannot be sampled "
            f"({type(error).__name__}: {first_line(error)}); give it one that can."
        ) from error


@remembered(2)
def _posterior_block(
    target: Target, n: int, z: Array, place: Array, keys: Array, data: Data
) -> tuple[Array, Array]:
    def one(z: Array, place: Array, key: Array) -> tuple[Array, Array]:
        X, labels = _rows(target.at(z, data).mixture, n, key)
        return X, place[labels]

    return jax.vmap(one)(z, place, keys)


@remembered(2)
def _prior_block(target: Target, n: int, keys: Array, data: Data) -> PriorDraws:
    def one(key: Array) -> PriorDraws:
        own, rows = jax.random.split(key)
        sites, mixture = _from_prior(target, own, data)
        return PriorDraws(sites, _rows(mixture, n, rows)[0])

    return jax.vmap(one)(keys)


def _from_prior(target: Target, key: Array, data: Data) -> tuple[dict[str, Array], Any]:
    """Values of a program's sites, drawn from its prior, and the mixture that they give."""
    seeded = handlers.seed(target.program.model, key)
    with TRACING, handlers.block():
        trace = handlers.trace(seeded).get_trace(data.X, target.structure.k, **data.keywords)
    observed = trace.pop(target.structure.mixture)
    if any(site.get("is_observed") for site in trace.values()):
        raise InputError(
            f"model {target.program.name!r} has factors or observed sites beside its mixture, so "
            "that its prior cannot be drawn by running it; write the prior with sampled sites."
        )
    sites = {
        name: site["value"]
        for name, site in trace.items()
        if site["type"] in ("sample", "deterministic")
    }
    return sites, observed["fn"]


def _rows(mixture: Any, n: int, key: Array) -> tuple[Float[Array, "n d"], Int[Array, " n"]]:
    """n rows of a mixture and their components; one of each row's own where these differ."""
    fn = unwrapped(mixture)
    shape = () if fn.batch_shape else (n,)
    X, [labels] = fn.sample_with_intermediates(key, shape)
    return jnp.reshape(X[:n], (n, -1)), labels[:n]
