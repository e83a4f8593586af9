"""Compile once, ahead of need; run chains side by side, a little at a time.

XLA releases Python's lock while it compiles and while it computes, so one thread can compile what
another will need, and threads use all cores with one compiled program. Tracing holds the lock, so
it is not done in the background. Progress, interruption and checkpoints happen between calls, which
are kept short: how a chain is cut into calls changes no bit of it.
"""

import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Lock
from typing import Any, Protocol, runtime_checkable

from bayesgmm.gaussian.cores import available_cores
from bayesgmm.gaussian.precision import float64


@runtime_checkable
class Progress(Protocol):
    """Called with what is being done, how much of it is done, how much there is, and a note."""

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None: ...


SECONDS = 0.5  # of a call
FIRST_CALL = 10


def silent(what: str, done: int, total: int, note: str = "") -> None:
    """Progress that nobody watches."""


_compiler = ThreadPoolExecutor(1, thread_name_prefix="bayesgmm-compiler")
_programs: dict[Hashable, Future[Any]] = {}
_programs_lock = Lock()


def compile_once(key: Hashable, lower: Callable[[], Any]) -> Future[Any]:
    """The compiled program of that key: under way or done already, or begun now, in background.

    Args:
        key: whatever the program depends on.
        lower: traces it and returns JAX's lowered form; called here and now.
    """
    with _programs_lock:
        if key not in _programs or _failed(_programs[key]):
            lowered = float64(lower)()
            _programs[key] = _compiler.submit(float64(lowered.compile))
        return _programs[key]


def _failed(program: Future[Any]) -> bool:
    return program.done() and program.exception() is not None


def side_by_side[State](
    advance: Callable[[int, State, int], State],
    states: Sequence[State],
    n_steps: Sequence[int],
    most: int,
) -> list[State]:
    """Take every chain so many steps on; a chain's result does not depend on the others.

    The chain that has most steps before it goes next, so that all are about as far at any time.

    Args:
        advance: from a chain's number, its state and a number of steps to its next state; blocks
            until the numbers are there.
        states: one for each chain.
        n_steps: how far each has to go.
        most: steps of one call at most.

    Returns:
        The states where they end.
    """
    ends, left, sizes = list(states), list(n_steps), [min(FIRST_CALL, most)] * len(states)
    idle, lock, stop = set(range(len(states))), Lock(), Event()

    def next_chain() -> int | None:
        with lock:
            able = [c for c in idle if left[c]]
            if not able or stop.is_set():
                return None
            chain = max(able, key=lambda c: (left[c], -c))
            idle.remove(chain)
            return chain

    @float64
    def work(_: int) -> None:
        while (c := next_chain()) is not None:
            steps, begin = min(sizes[c], left[c]), time.monotonic()
            ends[c] = advance(c, ends[c], steps)
            took = max(time.monotonic() - begin, 1e-6)
            sizes[c] = max(1, min(most, 4 * steps, int(steps * SECONDS / took)))
            with lock:
                left[c] -= steps
                idle.add(c)

    cores = min(available_cores(), len(states))
    with ThreadPoolExecutor(cores) as pool:
        try:
            list(pool.map(work, range(cores)))
        except BaseException:
            stop.set()
            raise
    return ends
