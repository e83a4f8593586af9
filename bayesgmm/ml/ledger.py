"""Where every start of a batch stands; written in place as starts go on."""

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Float, Int

from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.ml.em import EMState, Rules, init, terminate


@dataclass(frozen=True)
class Ledger:
    """The states of s starts, their families by number, expected counts, and objectives so far."""

    state: EMState
    which: Int[np.ndarray, " s"]
    counts: Float[np.ndarray, "s k"]
    history: list[list[np.ndarray]]

    @classmethod
    def of(cls, starts: Mixture, which: Int[np.ndarray, " s"] | None) -> "Ledger":
        """Nothing done yet."""
        state = init(Mixture(*(np.array(part) for part in starts)))
        s, k = state.mixture.weights.shape
        numbers = np.zeros(s, int) if which is None else np.asarray(which)
        return cls(state, numbers, np.zeros((s, k)), [[] for _ in range(s)])

    @property
    def size(self) -> int:
        return len(self.which)

    def part(self, some: Int[np.ndarray, " b"]) -> tuple[EMState, Int[np.ndarray, " b"]]:
        """Copies of the states of some starts, and their families."""
        return jax.tree.map(lambda leaf: leaf[some], self.state), self.which[some]

    def unfinished(self, left: Int[np.ndarray, " m"], rules: Rules) -> Int[np.ndarray, " _"]:
        """Those of the starts that have not ended."""
        return left[~terminate(self.state, rules.max_iter)[left]]

    def enter(
        self,
        some: Int[np.ndarray, " b"],
        state: EMState,
        counts: Float[np.ndarray, "_ k"],
        values: Float[np.ndarray, "_ steps"],
    ) -> None:
        """Note what some starts did; entries beyond their number are ignored."""

        def put(leaf: np.ndarray, new: Array) -> None:
            leaf[some] = np.asarray(new)[: len(some)]

        jax.tree.map(put, self.state, state)
        put(self.counts, counts)
        for i, row in zip(some, values, strict=False):
            self.history[i].append(row[np.isfinite(row)])

    def padded_history(self) -> Float[np.ndarray, "s steps"]:
        """One row for each start, NaN after its end."""
        joined = [np.concatenate([np.zeros(0), *parts]) for parts in self.history]
        full = np.full((len(joined), max(map(len, joined), default=0)), np.nan)
        for i, row in enumerate(joined):
            full[i, : len(row)] = row
        return full
