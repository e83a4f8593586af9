"""What a run of chains has done so far: in memory, and in a file that outlives the process.

A chain's next steps depend on its state alone, so that a run which is resumed from the file ends in
the bits of one that was never interrupted.
"""

import io
import json
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bayesgmm.bayes.chains import Chains, State
from bayesgmm.bayes.draws import Draws
from bayesgmm.bayes.keys import wrapped
from bayesgmm.bayes.metric import Place
from bayesgmm.data.errors import InputError
from bayesgmm.gaussian.precision import float64
from bayesgmm.store import writable, write_atomically

SAVE_SECONDS = 5.0
SHARE_OF_TIME = 0.1  # that writing may take
FORMAT = "bayesgmm checkpoint 1"


class Record:
    """The present stage of a run: its chains as it began, and every chain's steps since.

    Args:
        path: the file to keep it in; None for memory alone.
        identity: what the run is of; a file of another run is refused.

    Raises:
        InputError: the file is no checkpoint, is damaged, or belongs to another run.
    """

    def __init__(
        self, path: str | Path | None = None, identity: Mapping[str, Any] | None = None
    ) -> None:
        self.path = None if path is None else writable(path)
        self.identity = json.loads(json.dumps(dict(identity or {})))
        self.chains: Chains | None = None
        self._states: list[State] = []
        self._outputs: list[list[dict[str, np.ndarray]]] = []
        self._lock = Lock()
        self._saved, self._took = time.monotonic(), 0.0
        if self.path is not None and self.path.is_file():
            self._read(self.path)

    @property
    def is_sampling(self) -> bool:
        """Whether the present stage's draws are kept."""
        return self.chains is not None and self.chains.sampling

    def enter(self, chains: Chains) -> None:
        """Begin a stage, unless it is the one that was resumed."""
        if self.chains is not None and self.chains.stage == chains.stage:
            return
        with self._lock:
            self.chains = chains
            self._states = list(chains.states)
            self._outputs = [[] for _ in chains.states]
            self._save()

    def add(self, c: int, state: State, output: dict[str, np.ndarray]) -> None:
        """A chain has gone some steps further."""
        with self._lock:
            self._states[c] = state
            self._outputs[c].append(output)
            due = max(SAVE_SECONDS, self._took / SHARE_OF_TIME)
            if time.monotonic() - self._saved > due:
                self._save()

    def close(self) -> None:
        """Write what is not written yet."""
        with self._lock:
            if self.chains is not None:
                self._save()

    def steps(self) -> list[int]:
        """How many steps of this stage every chain has gone."""
        return [sum(len(part["n_steps"]) for part in parts) for parts in self._outputs]

    def n_steps(self) -> int:
        """Steps of this stage by all chains."""
        return sum(self.steps())

    def account(self) -> str:
        """How this stage's steps were taken, in words."""
        parts = [part for outputs in self._outputs for part in list(outputs)]
        accepted = np.concatenate([part["acceptance_rate"] for part in parts])
        diverged = sum(int(part["diverging"].sum()) for part in parts)
        return f"acceptance {accepted.mean():.2f}, {diverged} divergent"

    def states(self, fallback: list[State]) -> list[State]:
        """Where every chain is."""
        return list(self._states) or fallback

    def draws(self) -> Draws:
        """The steps of this stage that all chains have gone."""
        with self._lock:
            parts = [_joined(outputs) for outputs in self._outputs]
        shortest = min((len(part["n_steps"]) if part else 0) for part in parts)
        names = parts[0] if shortest else {}
        stats = {name: np.stack([part[name][:shortest] for part in parts]) for name in names}
        if not stats:
            size = len(self._states[0].u) if self._states else 0
            return Draws(np.empty((len(parts), 0, size)), np.empty((len(parts), 0)), None, {})
        z, potential = stats.pop("z"), stats.pop("potential")
        return Draws(z, -potential, None, stats)

    def _save(self) -> None:
        if self.path is None or self.chains is None:
            return
        begin = time.monotonic()
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **self._arrays())
        write_atomically(self.path, buffer.getvalue())
        self._saved = time.monotonic()
        self._took = self._saved - begin

    def _arrays(self) -> dict[str, Any]:
        assert self.chains is not None
        chains = self.chains
        arrays: dict[str, Any] = {
            "format": np.array(FORMAT),
            "identity": np.array(json.dumps(self.identity)),
            "groups": np.array(chains.groups),
            "stage": np.array(chains.stage),
            "accept": np.array(chains.accept),
            "sampling": np.array([chains.sampling, chains.again]),
        }
        for group, place in chains.places.items():
            parts = [place.loc, *place.factors]
            arrays |= {f"place {group} {i}": np.asarray(part) for i, part in enumerate(parts)}
        for when, states in (("begin", chains.states), ("now", self._states)):
            for c, state in enumerate(states):
                leaves = jax.tree.leaves(state._replace(key=jax.random.key_data(state.key)))
                arrays |= {f"{when} {c} {i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
        for c, outputs in enumerate(self._outputs):
            self._outputs[c] = [_joined(outputs)] if outputs else []
            for part in self._outputs[c]:
                arrays |= {f"output {c} {name}": values for name, values in part.items()}
        return arrays

    def _read(self, path: Path) -> None:
        try:
            arrays = _arrays_in(path)
            told = json.loads(str(arrays["identity"]))
            self._resume(arrays)
        except Exception as error:  # whatever a damaged archive leads to
            raise InputError(
                f"checkpoint={str(path)!r} exists and is no checkpoint of this version, or is "
                "damaged; remove it, or name another file."
            ) from error
        for name in told.keys() | self.identity.keys():
            if told.get(name) != self.identity.get(name):
                raise InputError(
                    f"checkpoint={str(path)!r} is of another run: {name} is "
                    f"{_short(told.get(name))} there and {_short(self.identity.get(name))} here; "
                    "repeat that run, or name another file."
                )

    @float64
    def _resume(self, arrays: Mapping[str, np.ndarray]) -> None:
        groups = [int(group) for group in arrays["groups"]]
        places = {group: _place(arrays, group) for group in groups}
        states = [_state(arrays, "begin", c) for c in range(len(groups))]
        stage, accept = int(arrays["stage"]), float(arrays["accept"])
        sampling, again = map(bool, arrays["sampling"])
        self.chains = Chains(states, groups, places, stage, accept, sampling, again)
        self._states = [_state(arrays, "now", c) for c in range(len(groups))]
        outputs = [_numbered(arrays, f"output {c}") for c in range(len(groups))]
        self._outputs = [[output] if output else [] for output in outputs]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _joined(outputs: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    if len(outputs) == 1:
        return outputs[0]
    return (
        {name: np.concatenate([part[name] for part in outputs]) for name in outputs[0]}
        if outputs
        else {}
    )


def _arrays_in(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    if str(arrays["format"]) != FORMAT:
        raise ValueError(f"format {arrays['format']}")
    return arrays


def _numbered(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    own = f"{prefix} "
    return {name[len(own) :]: values for name, values in arrays.items() if name.startswith(own)}


def _place(arrays: Mapping[str, np.ndarray], group: int) -> Place:
    parts = _numbered(arrays, f"place {group}")
    loc, *factors = (jnp.asarray(parts[str(i)]) for i in range(len(parts)))
    return Place(loc, tuple(factors))


def _state(arrays: Mapping[str, np.ndarray], when: str, c: int) -> State:
    parts = _numbered(arrays, f"{when} {c}")
    u, potential, gradient, *averaging, key = (parts[str(i)] for i in range(len(parts)))
    first, second, third, fourth, fifth = averaging
    resumed = (first, second, third, fourth, fifth)
    return State(u, potential, gradient, resumed, wrapped(key))
