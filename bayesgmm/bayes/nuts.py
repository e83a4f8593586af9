"""NUTS, with NumPyro's trees, over coordinates whitened by the curvature at each chain's own mode.

A chain moves in u, where z = loc + F u: near the mode u has unit covariance whatever the user's
units are, so that the step size alone is left to adapt. Where the draws of the warm-up show that
the curvature was a poor guide, chains are whitened anew by their covariance, and adapt again.
Source: Hoffman and Gelman (2014); Betancourt (2017) for the trees.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Int
from numpyro.infer.hmc_util import (
    IntegratorState,
    build_tree,
    dual_averaging,
    euclidean_kinetic_energy,
    velocity_verlet,
)

from bayesgmm.bayes.adaptation import (
    DIVERGENT,
    SAME_HEIGHT_R_HAT,
    Settings,
    next_accept,
    rewhitened,
    settled,
    worth_it,
)
from bayesgmm.bayes.chains import Chains, State, beginning
from bayesgmm.bayes.checkpoint import Record
from bayesgmm.bayes.diagnose import r_hat
from bayesgmm.bayes.draws import Draws
from bayesgmm.bayes.driver import Progress, compile_once, side_by_side, silent
from bayesgmm.bayes.keys import new_key, wrapped
from bayesgmm.bayes.metric import Place
from bayesgmm.bayes.start import Mode, allocate, value_and_gradient
from bayesgmm.bayes.target import Data, Target
from bayesgmm.data.errors import InputError
from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.lowering import portable, remembered
from bayesgmm.gaussian.precision import float64

CALL = 250  # steps of one call at most
DEEPEST = 10
JITTER = 0.5
MOST_RISE = 10.0  # of the potential at a start, for each coordinate
JITTER_TRIES = 20


@portable
class Plan(NamedTuple):
    """What a call does: how many steps, how deep trees get, whether the step size adapts."""

    n_steps: Int[Array, ""]
    depth: Int[Array, ""]
    target_accept_prob: Float[Array, ""]
    adapts: Int[Array, ""]


@float64
def begin(
    target: Target,
    data: Data,
    modes: Sequence[Mode],
    num_chains: int,
    rng: np.random.Generator,
    settings: Settings = Settings(),
) -> Chains:
    """Chains at the modes that deserve them, jittered, before their warm-up."""
    chosen = allocate(modes, num_chains)
    places = {m: jax.tree.map(jnp.asarray, modes[m].place) for m in chosen}
    states = [_first_state(target, data, places[m], rng) for m in chosen]
    return Chains(states, chosen, places, 0, settings.accept_probs[0])


@float64
def warm_up(
    target: Target,
    data: Data,
    chains: Chains,
    settings: Settings = Settings(),
    progress: Progress = silent,
    record: Record | None = None,
    *,
    patient: bool = True,
) -> Chains:
    """Adapt every chain, and drop what it drew.

    Where the draws show that the curvature at the modes was a poor guide to the posterior's shape,
    chains of a mode are whitened anew by the covariance of their pooled draws, and adapt again; but
    unless `patient`, not where they disagree although nearly all their trees were of full depth.
    """
    record = record or Record()
    while not chains.sampling:
        record.enter(chains)
        steps = settings.steps(chains.stage)
        states = _run(target, data, chains, steps, settings, progress, record)
        chains = chains._replace(states=states)
        draws = record.draws()
        chains = _next_stage(target, data, chains, draws, settings, patient)
    record.enter(chains)
    return chains


@float64
def advance(
    target: Target,
    data: Data,
    chains: Chains,
    num_steps: int,
    settings: Settings = Settings(),
    progress: Progress = silent,
    record: Record | None = None,
) -> tuple[Chains, Draws]:
    """Run every chain until `num_steps` of its draws are recorded; returns them all."""
    if record is None:
        record = Record()
        record.enter(chains)
    states = _run(target, data, chains, num_steps, settings, progress, record)
    return chains._replace(states=states), record.draws()


def _run(
    target: Target,
    data: Data,
    chains: Chains,
    num_steps: int,
    settings: Settings,
    progress: Progress,
    record: Record,
) -> list[State]:
    """Take every chain to so many recorded steps."""
    sampling = chains.sampling
    depth = settings.max_tree_depth if sampling else settings.warmup_tree_depth
    call = compile_ahead(target, data)

    def take(c: int, state: State, n_steps: int) -> State:
        plan = (
            np.int32(n_steps),
            np.int32(depth),
            np.float64(chains.accept),
            np.int32(not sampling),
        )
        state, output = call(state, chains.place(c), data, Plan(*plan))
        # Copies: what is longer than this call is let go.
        taken = {name: np.array(np.asarray(part)[:n_steps]) for name, part in output.items()}
        record.add(c, state, taken)
        what = "sampling" if sampling else "warming up"
        progress(what, record.n_steps(), num_steps * len(chains.states), record.account())
        return state

    missing = [max(0, num_steps - done) for done in record.steps()]
    return side_by_side(take, record.states(chains.states), missing, CALL)


def _next_stage(
    target: Target,
    data: Data,
    chains: Chains,
    draws: Draws,
    settings: Settings,
    patient: bool,
) -> Chains:
    """The chains as they go on after a stage of the warm-up: to adapt again, or to sample."""
    better = rewhitened(target.blocks, chains, draws)
    moved = better is not chains
    accept = next_accept(chains.accept, draws, settings, moved=moved)
    last = chains.again or chains.stage + 1 >= settings.max_stages
    done = not moved and accept == chains.accept
    if last or done or not (patient or worth_it(draws, settings)):
        states = settled(chains, settings)
        return chains._replace(states=states, stage=chains.stage + 1, sampling=True)
    return _moved(target, data, better, draws)._replace(accept=accept)


def adapt_again(
    target: Target, data: Data, chains: Chains, draws: Draws, settings: Settings = Settings()
) -> Chains | None:
    """Chains for one more stage of the warm-up, if the draws that were kept ask for it.

    They show the posterior's shape better than those of the warm-up did. None where the present
    whitening will do, or chains disagree about what the shape is, unless trajectories diverged; and
    the second time.
    """
    diverged = draws.stats["diverging"].mean() > DIVERGENT
    better = rewhitened(target.blocks, chains, draws)
    agree = r_hat(draws.log_posterior) < SAME_HEIGHT_R_HAT
    if chains.again or not ((better is not chains and agree) or diverged):
        return None
    _, crooked, careful = settings.accept_probs
    accept = careful if diverged else max(chains.accept, crooked)
    moved = _moved(target, data, better, draws)
    return moved._replace(accept=accept, sampling=False, again=True)


def _moved(target: Target, data: Data, chains: Chains, draws: Draws) -> Chains:
    """The chains where their draws end, as they are whitened now, at the next stage."""
    steps = draws.stats["step_size"][:, -1]
    states = [
        _state_at(target, data, chains.place(c), draws.z[c, -1], state.key, steps[c])
        for c, state in enumerate(chains.states)
    ]
    return chains._replace(states=states, stage=chains.stage + 1)


@float64
def compile_ahead(target: Target, data: Data) -> Callable[[State, Place, Data, Plan], Any]:
    """Begin to compile the call in the background; calling the result waits for it."""
    shapes = [(np.shape(leaf), np.asarray(leaf).dtype.str) for leaf in jax.tree.leaves(data)]
    key = (target, tuple(shapes), tuple(data.keywords))

    def lower() -> Any:
        p = target.size
        place = Place(jnp.zeros(p), tuple(jnp.asarray(part) for part in target.blocks.units()))
        state = beginning(wrapped(np.zeros(2, np.uint32)), np.zeros(p), 0.0, np.zeros(p), 1.0)
        plan = Plan(np.int32(1), np.int32(1), np.float64(0), np.int32(0))
        return _call.program(target, state, place, data, plan).lower(state, place, data, plan)

    program = compile_once(key, lower)

    def run(state: State, place: Place, data: Data, plan: Plan) -> Any:
        return program.result()(state, place, data, plan)

    return run


def _first_state(target: Target, data: Data, place: Place, rng: np.random.Generator) -> State:
    """A jittered start not far above the mode's potential; the jitter shrinks until there is one.

    Where the curvature is a poor guide to the posterior's shape, as beside a component that is very
    narrow, a jitter that it thinks small leads so far up that no step size leads back.
    """
    key, direction = new_key(rng), rng.normal(size=target.size)
    lowest = float(value_and_gradient(target, data, np.asarray(place.loc))[0])
    for attempt in range(JITTER_TRIES):
        u = JITTER * direction / 2**attempt
        z = target.blocks.spread(place, u[None])[0]
        state = _state_at(target, data, place, z, key, target.size**-0.25)
        high = not float(state.potential) - lowest <= MOST_RISE * target.size
        if not high and np.isfinite(state.gradient).all():
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
    step_size: float,
) -> State:
    """A chain's state at z."""
    value, gradient = value_and_gradient(target, data, z)
    u = target.blocks.backward(place, z)
    return beginning(key, u, value, target.blocks.pulled(place, gradient), step_size)


@remembered(1)
def _call(
    target: Target, state: State, place: Place, data: Data, plan: Plan
) -> tuple[State, dict[str, Array]]:
    """`plan.n_steps` transitions, at most `CALL`; the output is filled up to there."""

    def potential(u: Array) -> Array:
        return target.potential(target.blocks.forward(place, u), data)

    _, leapfrog = velocity_verlet(potential, euclidean_kinetic_energy)
    _, average = dual_averaging()

    def transition(state: State) -> tuple[State, dict[str, Array]]:
        key, key_momentum, key_tree = jax.random.split(state.key, 3)
        momentum = jax.random.normal(key_momentum, state.u.shape)
        step_size = jnp.exp(state.averaging[0])
        tree = build_tree(
            leapfrog,
            euclidean_kinetic_energy,
            IntegratorState(state.u, momentum, state.potential, state.gradient),
            jnp.ones_like(state.u),
            step_size,
            key_tree,
            max_tree_depth=(plan.depth, DEEPEST),
        )
        acceptance = tree.sum_accept_probs / tree.num_proposals
        adapted = average(plan.target_accept_prob - acceptance, state.averaging)
        averaging = jax.tree.map(
            lambda new, old: jnp.where(plan.adapts, new, old), adapted, state.averaging
        )
        new = State(tree.z_proposal, tree.z_proposal_pe, tree.z_proposal_grad, averaging, key)
        told = {
            "u": new.u,
            "potential": new.potential,
            "energy": tree.z_proposal_energy,
            "diverging": tree.diverging,
            "n_steps": tree.num_proposals,
            "acceptance_rate": acceptance,
            "step_size": step_size,
        }
        return new, told

    shapes = jax.eval_shape(transition, state)[1]
    empty = jax.tree.map(lambda leaf: jnp.zeros((CALL, *leaf.shape), leaf.dtype), shapes)

    def one_step(i: Array, carry: tuple[State, Any]) -> tuple[State, Any]:
        state, told = transition(carry[0])
        return state, jax.tree.map(lambda rows, new: rows.at[i].set(new), carry[1], told)

    state, output = lax.fori_loop(0, plan.n_steps, one_step, (state, empty))
    output["z"] = jax.vmap(lambda u: target.blocks.forward(place, u))(output.pop("u"))
    return state, output
