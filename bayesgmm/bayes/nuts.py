"""NUTS, NumPyro's kernel, over coordinates whitened by the curvature at each chain's own mode.

A chain moves in u, where z = mode + scale_tril @ u: near the mode u has unit covariance whatever
the user's units are, so the step size and a diagonal mass matrix are all that is left to adapt.
Source: Hoffman and Gelman (2014); the windowed adaptation is Stan's, as in NumPyro.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float
from numpyro.infer.hmc import HMCState, hmc
from numpyro.infer.hmc_util import HMCAdaptState
from numpyro.infer.util import ParamInfo

from bayesgmm.bayes.diagnose import r_hat
from bayesgmm.bayes.draws import Draws
from bayesgmm.bayes.driver import Progress, compile_once, side_by_side, silent
from bayesgmm.bayes.start import Mode, allocate, value_and_gradient
from bayesgmm.bayes.target import Data, Target
from bayesgmm.data.errors import InputError
from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.lowering import portable, remembered
from bayesgmm.gaussian.precision import float64

for _state in (HMCState, HMCAdaptState):
    portable(_state)

CHUNK = 250
JITTER = 0.5
JITTER_TRIES = 20
MAX_STAGES = 3
EFFECTIVE = 100.0
FULL_TREES = 0.75
SAME_HEIGHT_R_HAT = 1.1


class Settings(NamedTuple):
    """Choices of a NUTS run; hashable, because compiled code depends on them."""

    num_warmup: int = 250
    max_tree_depth: int = 7
    warmup_tree_depth: int = 6
    target_accept_prob: float = 0.9


@portable
class Place(NamedTuple):
    """The whitening of one chain: z = loc + scale_tril @ u."""

    loc: Float[Array, " p"]
    scale_tril: Float[Array, "p p"]


class Chains(NamedTuple):
    """Chains that can be run on: the kernel's states and where each lives."""

    states: list[Any]
    places: list[Place]
    modes: list[int]


@float64
def begin(
    target: Target,
    data: Data,
    modes: Sequence[Mode],
    num_chains: int,
    key: Array,
    settings: Settings = Settings(),
) -> Chains:
    """Chains at the modes that deserve them, jittered, before their warm-up."""
    chosen = allocate(modes, num_chains)
    places = [Place(jnp.asarray(modes[m].z), jnp.asarray(modes[m].scale_tril)) for m in chosen]
    keys = jax.random.split(key, num_chains)
    states = [
        _first_state(target, data, place, one, settings)
        for place, one in zip(places, keys, strict=True)
    ]
    return Chains(states, places, chosen)


@float64
def advance(
    target: Target,
    data: Data,
    chains: Chains,
    num_steps: int,
    settings: Settings = Settings(),
    progress: Progress = silent,
    what: str = "sampling",
) -> tuple[Chains, Draws]:
    """Run every chain `num_steps` steps on (rounded up to whole chunks)."""
    n_chunks = -(-num_steps // CHUNK)
    run_chunk = compile_ahead(target, data, settings)
    done = [0]

    def tick() -> None:
        done[0] += CHUNK
        progress(what, done[0], n_chunks * CHUNK * len(chains.states))

    def chunk(c: int, state: Any) -> tuple[Any, dict[str, np.ndarray]]:
        state, output = run_chunk(state, chains.places[c], data)
        return state, jax.tree.map(np.asarray, output)

    states, outputs = side_by_side(chunk, chains.states, n_chunks, tick)
    stats = {
        name: np.stack([np.concatenate([part[name] for part in chain]) for chain in outputs])
        for name in outputs[0][0]
    }
    z, potential = stats.pop("z"), stats.pop("potential")
    return chains._replace(states=states), Draws(z, -potential, None, stats)


@float64
def warm_up(
    target: Target,
    data: Data,
    chains: Chains,
    key: Array,
    settings: Settings = Settings(),
    progress: Progress = silent,
    *,
    patient: bool = True,
) -> Chains:
    """Adapt every chain, and drop what it drew.

    Where the draws show that the curvature at the modes was a poor guide to the posterior's shape,
    all chains are whitened anew by the covariance of their pooled draws, and adapt again; but
    unless `patient`, not where they disagree although nearly all their trees were of full depth.
    """
    for stage in range(MAX_STAGES):
        chains, draws = advance(
            target, data, chains, settings.num_warmup, settings, progress, "warming up"
        )
        place = _pooled(chains, draws)
        if stage == MAX_STAGES - 1 or place is None or not (patient or _worth_it(draws, settings)):
            return chains
        keys = jax.random.split(jax.random.fold_in(key, stage), len(chains.states))
        states = [
            _state_at(target, data, place, draws.z[c, -1], keys[c], settings)
            for c in range(len(keys))
        ]
        chains = Chains(states, [place] * len(states), chains.modes)
    return chains


def _pooled(chains: Chains, draws: Draws) -> Place | None:
    """The whitening that the second halves of all chains suggest; None if the present one will do.

    The pooled covariance is shrunk towards the first chain's, as if it rested on `EFFECTIVE`
    independent draws.
    """
    half = draws.z[:, draws.z.shape[1] // 2 :]
    if not np.isfinite(half).all() or _will_do(chains, half):
        return None
    factor = np.asarray(chains.places[0].scale_tril)
    pooled = np.concatenate(half)
    white = np.linalg.solve(factor, (pooled - pooled.mean(0)).T)
    trust = EFFECTIVE / (EFFECTIVE + len(factor))
    shrunk = trust * white @ white.T / white.shape[1] + (1 - trust) * np.eye(len(factor))
    return Place(jnp.asarray(pooled.mean(0)), jnp.asarray(factor @ np.linalg.cholesky(shrunk)))


def _worth_it(draws: Draws, settings: Settings) -> bool:
    """Whether another whitening may help: the chains agree, or move without their longest trees."""
    half = slice(draws.z.shape[1] // 2, None)
    longest = 2**settings.warmup_tree_depth - 1
    agree = r_hat(draws.log_posterior[:, half]) < SAME_HEIGHT_R_HAT
    return bool(agree or draws.stats["n_steps"][:, half].mean() < FULL_TREES * longest)


def _will_do(chains: Chains, half: Float[np.ndarray, "c s p"]) -> bool:
    """All chains share one whitening, and under it they are near the origin with unit spread."""
    loc, factor = (np.asarray(part) for part in chains.places[0])
    if any(not np.array_equal(place.loc, loc) for place in chains.places):
        return False
    u = np.linalg.solve(factor, (half - loc).reshape(-1, len(loc)).T).reshape(
        len(loc), len(half), -1
    )
    spread, shift = u.std(-1), np.abs(u.mean(-1))
    return bool(spread.max() < 2 and spread.min() > 0.5 and shift.max() < 2)


@float64
def compile_ahead(
    target: Target, data: Data, settings: Settings = Settings()
) -> Callable[[Any, Place, Data], Any]:
    """Begin to compile the chunk in the background; calling the result waits for it."""
    p = target.size
    shapes = [(np.shape(leaf), np.asarray(leaf).dtype.str) for leaf in jax.tree.leaves(data)]
    key = (target, settings, tuple(shapes), tuple(data.keywords))

    def lower() -> Any:
        place = Place(jnp.zeros(p), jnp.eye(p))
        point = (jax.random.key(0), np.zeros(p), np.float64(0), np.zeros(p))
        state = _begin_state(settings, *point)
        chunk = _chunk.program(target, settings, state, place, data)
        return chunk.lower(state, place, data)

    program = compile_once(key, lower)

    def run(state: Any, place: Place, data: Data) -> Any:
        return program.result()(state, place, data)

    return run


def _kernel(settings: Settings, potential: Any, info: ParamInfo, key: Array) -> tuple[Any, Any]:
    """NumPyro's NUTS kernel, and its state at a point whose potential and gradient are known."""
    start, sample = hmc(potential, algo="NUTS")
    state = start(
        info,
        num_warmup=settings.num_warmup,
        step_size=0.5,
        dense_mass=False,
        target_accept_prob=settings.target_accept_prob,
        trajectory_length=None,
        max_tree_depth=(settings.warmup_tree_depth, settings.max_tree_depth),
        rng_key=key,
    )
    return state, sample


@remembered(1)
def _begin_state(settings: Settings, key: Array, u: Array, value: Array, gradient: Array) -> Any:
    def unused(u: Array) -> Array:
        return jnp.zeros(())

    return _kernel(settings, unused, ParamInfo(u, value, gradient), key)[0]


def _first_state(target: Target, data: Data, place: Place, key: Array, settings: Settings) -> Any:
    """A jittered start with a finite potential; the jitter shrinks until there is one."""
    key_jitter, key_kernel = jax.random.split(key)
    direction = np.asarray(jax.random.normal(key_jitter, place.loc.shape))
    for attempt in range(JITTER_TRIES):
        u = JITTER * direction / 2**attempt
        z = np.asarray(place.loc) + np.asarray(place.scale_tril) @ u
        state = _state_at(target, data, place, z, key_kernel, settings)
        if state is not None:
            return state
    raise InputError(
        f"model {target.program.name!r}: its log posterior is not finite around its mode; check "
        "its priors and their support against the data."
    )


def _state_at(
    target: Target,
    data: Data,
    place: Place,
    z: Float[np.ndarray, " p"],
    key: Array,
    settings: Settings,
) -> Any | None:
    """The kernel's state at z, or None where the potential is not finite."""
    value, gradient = value_and_gradient(target, data, z)
    if not (np.isfinite(value) and np.isfinite(gradient).all()):
        return None
    factor = np.asarray(place.scale_tril)
    u = np.linalg.solve(factor, z - np.asarray(place.loc))
    return _begin_state(settings, key, u, np.float64(value), factor.T @ gradient)


@remembered(2)
def _chunk(
    target: Target, settings: Settings, state: Any, place: Place, data: Data
) -> tuple[Any, dict[str, Array]]:
    def potential(u: Array) -> Array:
        return target.potential(place.loc + place.scale_tril @ u, data)

    info = ParamInfo(state.z, state.potential_energy, state.z_grad)
    _, sample = _kernel(settings, potential, info, state.rng_key)

    def one_step(state: Any, _: None) -> tuple[Any, dict[str, Array]]:
        state = sample(state)
        return state, {
            "u": state.z,
            "potential": state.potential_energy,
            "energy": state.energy,
            "diverging": state.diverging,
            "n_steps": state.num_steps,
            "acceptance_rate": state.accept_prob,
            "step_size": state.adapt_state.step_size,
        }

    state, output = lax.scan(one_step, state, None, length=CHUNK)
    output["z"] = place.loc + output.pop("u") @ place.scale_tril.T
    return state, output
