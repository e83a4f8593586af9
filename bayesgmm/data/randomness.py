"""Where randomness comes from: a seed, a generator, or the operating system."""

from __future__ import annotations

import numpy as np

from bayesgmm.data.errors import InputError


def own_generator(rng: np.random.Generator) -> np.random.Generator:
    """A generator of its own for a part of the work, which then depends on nothing beside it."""
    return np.random.default_rng(int(rng.integers(2**63)))


def generator(random_state: object) -> tuple[np.random.Generator, int | None]:
    """A NumPy generator, and the seed that repeats it if there is one.

    Args:
        random_state: an int; a Generator or RandomState, which is used as it is; or None for
            entropy of the operating system, drawn as a seed so that the result can be repeated.
            The global states are never touched.

    Raises:
        InputError: it is none of these, or negative.
    """
    if isinstance(random_state, np.random.Generator):
        return random_state, None
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(int(random_state.randint(2**31))), None
    if random_state is None:
        random_state = int(np.random.default_rng().integers(2**31))
    if isinstance(random_state, int | np.integer) and random_state >= 0:
        return np.random.default_rng(int(random_state)), int(random_state)
    raise InputError(
        f"random_state={random_state!r} must be a non-negative int, a numpy Generator, or None."
    )
