"""Limited-memory BFGS under jit, where a call of the function costs what the function costs.

Handing one evaluation to XLA and back takes ten times as long as a small model's gradient, so the
whole descent is compiled. Source: Nocedal (1980), algorithm 7.4 and 7.5 of Nocedal and Wright
(2006), with the bisection for the weak Wolfe conditions of Lewis and Overton (2013).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Float, Int

from bayesgmm.gaussian.arrays import Array

MEMORY = 20
DECREASE, CURVATURE = 1e-4, 0.9
MOST_TRIES = 25
QUIET_MOVES = 3

type ValueAndGradient = Callable[[Array], tuple[Array, Array]]


class Descent(NamedTuple):
    """Where a descent is: at x, and looking how far to go in a direction.

    Attributes:
        x, value, gradient: the point, and what the function is there.
        steps, changes: the last moves and changes of the gradient, newest last, (m, p); zeros
            where there were none.
        direction, length: what is tried next: x + length * direction.
        low, high: lengths between which the right one lies.
        n_tries: of this direction.
        n_moves: so far.
        quiet: how many of them, the last ones, gained next to nothing.
    """

    x: Float[Array, " p"]
    value: Float[Array, ""]
    gradient: Float[Array, " p"]
    steps: Float[Array, "m p"]
    changes: Float[Array, "m p"]
    direction: Float[Array, " p"]
    length: Float[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]
    n_tries: Int[Array, ""]
    n_moves: Int[Array, ""]
    quiet: Int[Array, ""]


def minimise(
    function: ValueAndGradient, x: Float[Array, " p"], max_moves: Array, ftol: float
) -> Descent:
    """From x downhill, until moves gain less than `ftol` of the value, or for `max_moves`.

    The function is written down once, and evaluated once a turn: its first value is found by a
    move of no length.

    Args:
        function: value and gradient; where either is not finite, nothing is gained.
        x: where to begin; the function must be finite there.
        max_moves: at most; none is an evaluation.
        ftol: relative gain that counts as nothing, `QUIET_MOVES` times in a row.
    """
    zeros, empty = jnp.zeros_like(x), jnp.zeros((MEMORY, x.shape[0]))
    zero, none, infinity = jnp.zeros(()), jnp.zeros((), int), jnp.array(jnp.inf)
    begin = Descent(
        x, infinity, zeros, empty, empty, zeros, zero, zero, infinity, none, none - 1, none
    )

    def unfinished(now: Descent) -> Array:
        going = (now.n_moves < max_moves) & (now.quiet < QUIET_MOVES) & (now.n_tries < MOST_TRIES)
        return (now.n_moves < 0) & (now.n_tries == 0) | (now.n_moves >= 0) & going

    return lax.while_loop(unfinished, lambda now: _turn(function, now, ftol), begin)


def _turn(function: ValueAndGradient, now: Descent, ftol: float) -> Descent:
    """Try the length; move if it will do, or look for a better one."""
    value, gradient = function(now.x + now.length * now.direction)
    finite = jnp.isfinite(value) & jnp.isfinite(gradient).all()
    slope = now.direction @ now.gradient
    enough = finite & (value <= now.value + DECREASE * now.length * slope)
    far = gradient @ now.direction >= CURVATURE * slope
    last = now.n_tries == MOST_TRIES - 1
    moved = _moved(now, value, gradient, ftol)
    low = jnp.where(enough, now.length, now.low)
    high = jnp.where(enough, now.high, now.length)
    length = jnp.where(jnp.isfinite(high), (low + high) / 2, 2 * now.length)
    length = jnp.where((now.n_tries == MOST_TRIES - 2) & (low > 0), low, length)  # it will do
    searching = now._replace(length=length, low=low, high=high, n_tries=now.n_tries + 1)
    done = enough & (far | last)
    return Descent(*(jnp.where(done, a, b) for a, b in zip(moved, searching, strict=True)))


def _moved(now: Descent, value: Array, gradient: Array, ftol: float) -> Descent:
    step, change = now.length * now.direction, gradient - now.gradient
    curved = step @ change > 1e-12 * jnp.sqrt((step @ step) * (change @ change))

    def remembered(past: Array, new: Array) -> Array:
        return jnp.where(curved, jnp.concatenate([past[1:], new[None]]), past)

    steps, changes = remembered(now.steps, step), remembered(now.changes, change)
    direction = _direction(gradient, steps, changes)
    direction = jnp.where(direction @ gradient < 0, direction, -gradient)
    steepest = ~(steps[-1] != 0).any()
    first = 1 / jnp.maximum(jnp.sqrt(gradient @ gradient), 1)
    tiny = ftol * jnp.maximum(jnp.maximum(jnp.abs(value), jnp.abs(now.value)), 1)
    quiet = (now.n_moves >= 0) & (now.value - value <= tiny)
    return Descent(
        now.x + step,
        value,
        gradient,
        steps,
        changes,
        direction,
        jnp.where(steepest, first, 1.0),
        jnp.zeros(()),
        jnp.array(jnp.inf),
        jnp.zeros((), int),
        now.n_moves + 1,
        jnp.where(quiet, now.quiet + 1, 0),
    )


def _direction(
    gradient: Float[Array, " p"], steps: Float[Array, "m p"], changes: Float[Array, "m p"]
) -> Float[Array, " p"]:
    """Minus the approximate inverse Hessian times the gradient: the two loops."""
    products = (steps * changes).sum(-1)
    rho = jnp.where(products > 0, 1 / jnp.where(products > 0, products, 1), 0.0)

    def newest_first(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        q, alphas = carry
        j = MEMORY - 1 - i
        alpha = rho[j] * (steps[j] @ q)
        return q - alpha * changes[j], alphas.at[j].set(alpha)

    q, alphas = lax.fori_loop(0, MEMORY, newest_first, (gradient, jnp.zeros(MEMORY)))
    last = changes[-1] @ changes[-1]
    q = q * jnp.where(last > 0, products[-1] / jnp.where(last > 0, last, 1), 1.0)

    def oldest_first(j: Array, q: Array) -> Array:
        return q + steps[j] * (alphas[j] - rho[j] * (changes[j] @ q))

    return -lax.fori_loop(0, MEMORY, oldest_first, q)
