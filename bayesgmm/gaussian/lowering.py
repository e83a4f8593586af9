"""Functions under jit whose lowered form outlives the process.

A compiled program that an earlier process left in JAX's cache is found in a moment, but only by the
program's text, and writing that text (tracing, lowering) takes as long as many a fit. So the text
is kept too: a function decorated with `remembered` is traced once for each set of shapes, exported
as StableHLO and filed under a digest of everything that it depends on: its static arguments, the
shapes, this library's source, the versions and settings of JAX and NumPyro. It is filed only where
all of that is known; a user's own program, whose file may depend on anything, is traced each time.
"""

import gc
import hashlib
import os
import tempfile
from collections.abc import Callable, Hashable
from functools import cache, partial, wraps
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple
from weakref import WeakSet

import jax
from jax import export

from bayesgmm.gaussian.compilation import programs_folder
from bayesgmm.gaussian.memory import crowded

DIGEST_BYTES = 32
MOST_PROGRAMS = 64  # of one function
LIBRARIES = ("jax", "jaxlib", "numpyro", "numpy")


class Remembered:
    """A function of static arguments, then arrays; see `remembered`."""

    def __init__(self, function: Callable[..., Any], n_static: int) -> None:
        self.function = function
        self.n_static = n_static
        self.programs: dict[Hashable, Callable[..., Any]] = {}
        self.lock = RLock()
        wraps(function)(self)
        _EVERY.add(self)

    def __call__(self, *arguments: Any) -> Any:
        return self.program(*arguments)(*arguments[self.n_static :])

    def program(self, *arguments: Any) -> Any:
        """The function of the arrays alone, under jit, for arrays of these shapes.

        Args:
            arguments: as for a call; in place of arrays, `jax.ShapeDtypeStruct`s will do.
        """
        static, arrays = arguments[: self.n_static], arguments[self.n_static :]
        leaves, tree = jax.tree.flatten(arrays)
        shapes = tuple((leaf.shape, leaf.dtype) for leaf in map(jax.typeof, leaves))
        key = (static, tree, shapes)
        with self.lock:
            program = self.programs.pop(key, None)
            if program is None:
                _make_room()
                program = self._made(static, arrays, str((tree, shapes)))
            self.programs[key] = program  # the last in the row: the first is the longest unused
            self.keep(MOST_PROGRAMS)
        return program

    def keep(self, most: int) -> None:
        """Let the longest unused programs go, so that so many are left."""
        for key in list(self.programs)[: max(0, len(self.programs) - most)]:
            self.programs.pop(key, None)

    def _made(self, static: tuple[Any, ...], arrays: tuple[Any, ...], shapes: str) -> Any:
        plain = jax.jit(partial(self.function, *static))
        names = [durable_name(argument) for argument in static]
        folder = programs_folder()
        if folder is None or not all(names):
            return plain
        parts = [self.function.__module__, self.function.__qualname__, *names, shapes, *_world()]
        path = folder / hashlib.sha256("\n".join(parts).encode()).hexdigest()
        exported = _read(path)
        if exported is None:
            try:
                exported = export.export(plain)(*arrays)
                _write(path, bytes(exported.serialize()))
            except (ImportError, OSError, ValueError):  # no serialiser, no room, no such type
                return plain
        return jax.jit(exported.call)


_EVERY: WeakSet[Remembered] = WeakSet()


def _make_room() -> None:
    """Where a process can hold few programs more, let go of half of each function's."""
    if crowded():
        for function in list(_EVERY):
            function.keep(len(function.programs) // 2)
        gc.collect()


def remembered(n_static: int) -> Callable[[Callable[..., Any]], Remembered]:
    """Put a function under jit: its first `n_static` arguments are static, the rest arrays.

    All are given by position. NamedTuples among the arrays or results must be `portable`.
    """
    return partial(Remembered, n_static=n_static)


def portable[T](kind: type[T]) -> type[T]:
    """Let a NamedTuple cross the border of a remembered function (a class decorator)."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    return export.register_namedtuple_serialization(kind, serialized_name=name)


def durable_name(static: object) -> str:
    """What a static argument is in any process, or "" where that cannot be said.

    Numbers, text and tuples of them name themselves, functions of this library go by their name,
    and other objects may have a `durable_name`.
    """
    if isinstance(static, str | int | float | bool | None):
        return repr(static)
    own_name = getattr(static, "durable_name", None)
    if isinstance(own_name, str):
        return own_name
    if isinstance(static, tuple):
        names = [durable_name(part) for part in static]
        return f"{type(static).__name__}({', '.join(names)})" if all(names) else ""
    if callable(static) and str(static.__module__).startswith("bayesgmm."):
        name = getattr(static, "__qualname__", "<")
        return "" if "<" in name else f"{static.__module__}.{name}"
    return ""


def _read(path: Path) -> export.Exported | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, program = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if hashlib.sha256(program).digest() != digest:
        return None
    try:
        return export.deserialize(bytearray(program))
    except (ImportError, ValueError):
        return None


def _write(path: Path, program: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(hashlib.sha256(program).digest() + program)
    os.replace(file.name, path)


class _World(NamedTuple):
    """Everything outside its arguments that a lowered program depends on."""

    source: str
    versions: str
    backend: str
    settings: str


def _world() -> _World:
    settings = {
        name: getattr(jax.config, name, value)  # as this thread sees it
        for name, value in jax.config.values.items()
        if "cache" not in name and "log" not in name
    }
    return _World(_source(), _versions(), jax.default_backend(), str(sorted(settings.items())))


@cache
def _source() -> str:
    package = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def _versions() -> str:
    return ", ".join(f"{name} {_version(name)}" for name in LIBRARIES)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "?"
