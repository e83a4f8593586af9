"""Compile once, ahead of need; run chains side by side, in chunks.

XLA releases Python's lock while it compiles and while it computes, so one thread can compile what
another will need, and threads use all cores with one compiled program. Tracing holds the lock, so
it is not done in the background. Progress and interruption happen between chunks.
"""

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Lock
from typing import Any

from bayesgmm.gaussian.cores import available_cores
from bayesgmm.gaussian.precision import float64

type Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def silent(what: str, done: int, total: int) -> None:
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


def side_by_side[State, Output](
    advance: Callable[[int, State], tuple[State, Output]],
    states: Sequence[State],
    n_chunks: int,
    tick: Callable[[], None],
) -> tuple[list[State], list[list[Output]]]:
    """Advance every chain by `n_chunks` chunks; a chain's result does not depend on the others.

    Args:
        advance: from a chain's number and state to its next state and what it puts out; blocks
            until the numbers are there.
        states: one for each chain.
        n_chunks: how often to call it for each.
        tick: called after every chunk of any chain.

    Returns:
        The final states, and for each chain the outputs of its chunks.
    """
    stop = Event()

    @float64
    def chain(c: int) -> tuple[State, list[Output]]:
        state, outputs = states[c], []
        for _ in range(n_chunks):
            if stop.is_set():
                break
            state, output = advance(c, state)
            outputs.append(output)
            tick()
        return state, outputs

    with ThreadPoolExecutor(min(available_cores(), len(states))) as pool:
        try:
            results = list(pool.map(chain, range(len(states))))
        except BaseException:
            stop.set()
            raise
    return [state for state, _ in results], [outputs for _, outputs in results]
