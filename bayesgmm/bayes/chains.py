"""Chains: where each is, how it is whitened, and how far its warm-up has come."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from bayesgmm.bayes.metric import Place
from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.lowering import portable


@portable
class State(NamedTuple):
    """Where a chain is in its whitened coordinates, and how its step size adapts.

    Attributes:
        u: shape (p,).
        potential: minus the log posterior density there.
        gradient: of the potential in u, shape (p,).
        averaging: NumPyro's dual averaging of the log step size: the present one, the average, and
            what they rest on.
        key: for the steps to come.
    """

    u: Float[Array, " p"]
    potential: Float[Array, ""]
    gradient: Float[Array, " p"]
    averaging: tuple[Any, Any, Any, Any, Any]
    key: Array


class Chains(NamedTuple):
    """Chains that can be run on.

    Attributes:
        states: where each is.
        groups: number of the group of each; chains that explore the same are in one.
        places: how the chains of each group are whitened.
        stage: number of the stage: of the warm-up, or of draws that are kept.
        accept: the acceptance that step sizes are adapted to.
        sampling: whether the stage's draws are kept.
        again: whether draws that were kept have led to another warm-up.
    """

    states: list[State]
    groups: list[int]
    places: dict[int, Place]
    stage: int
    accept: float
    sampling: bool = False
    again: bool = False

    def members(self, group: int) -> Bool[np.ndarray, " c"]:
        """Which chains are in that group."""
        return np.array(self.groups) == group

    def place(self, c: int) -> Place:
        """How a chain is whitened."""
        return self.places[self.groups[c]]


def beginning(
    key: Array, u: np.ndarray, potential: float, gradient: np.ndarray, step_size: float
) -> State:
    """A chain's state before its step size adapts."""
    log_step = np.asarray(np.log(step_size))
    averaging = (log_step, log_step, np.zeros(()), np.zeros((), np.int64), np.log(10) + log_step)
    return State(u, np.asarray(potential, float), gradient, averaging, key)
