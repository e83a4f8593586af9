"""Raw draws of the unconstrained vector, from any inference."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Draws(NamedTuple):
    """Draws of c chains, s each, before labels are put right.

    Attributes:
        z: unconstrained vectors, shape (c, s, p).
        log_posterior: their unnormalised log density, shape (c, s).
        log_approximation: log density of the distribution that they were drawn from, shape (c, s),
            where that is not the posterior itself; None for NUTS.
        stats: what the sampler says of each draw, each of shape (c, s).
    """

    z: Float[np.ndarray, "c s p"]
    log_posterior: Float[np.ndarray, "c s"]
    log_approximation: Float[np.ndarray, "c s"] | None
    stats: dict[str, np.ndarray]


def concatenate(parts: Sequence[Draws]) -> Draws:
    """Successive parts of the same chains, end to end."""
    if len(parts) == 1:
        return parts[0]
    approximations = [
        part.log_approximation for part in parts if part.log_approximation is not None
    ]
    return Draws(
        np.concatenate([part.z for part in parts], axis=1),
        np.concatenate([part.log_posterior for part in parts], axis=1),
        np.concatenate(approximations, axis=1) if approximations else None,
        {
            name: np.concatenate([part.stats[name] for part in parts], axis=1)
            for name in parts[0].stats
        },
    )


def first(draws: Draws, s: int) -> Draws:
    """The first s draws of every chain."""
    return _part(draws, slice(None, s))


def rest(draws: Draws, s: int) -> Draws:
    """The draws of every chain after the first s."""
    return _part(draws, slice(s, None))


def _part(draws: Draws, some: slice) -> Draws:
    approximation = draws.log_approximation
    return Draws(
        draws.z[:, some],
        draws.log_posterior[:, some],
        None if approximation is None else approximation[:, some],
        {name: values[:, some] for name, values in draws.stats.items()},
    )
