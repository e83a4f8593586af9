"""Load a NumPyro mixture program, and give it its prior constants.

A program is a file or a function: `model(X, k, *, keywords)` in plain NumPyro. What it has to hold,
`bayes.structure` says.
"""

import hashlib
import inspect
import tokenize
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

from bayesgmm.data.choices import model_names, models_folder
from bayesgmm.data.errors import InputError, nearest
from bayesgmm.ml.problem import Problem

TRACING = RLock()
"""NumPyro keeps its handlers in one stack for all threads: only one may trace at a time."""


@dataclass(frozen=True, repr=False)
class Program:
    """A NumPyro program and where it came from; calling it calls its model.

    Attributes:
        name: what tables call it.
        model: the function `model(X, k, **keywords)`.
        path: its file, or "" for a function.
        sha256: of its text; "" where Python cannot find the source of a function.
        text: its source.
    """

    name: str
    model: Callable[..., Any]
    path: str
    sha256: str
    text: str

    def __repr__(self) -> str:
        return f"<program {self.name}: {self.summary}>"

    def __call__(self, X: Any, k: int, **keywords: Any) -> Any:
        return self.model(X, k, **keywords)

    @property
    def is_ours(self) -> bool:
        """Whether it is one of the library's own, whose file imports jax and numpyro only."""
        return bool(self.path) and Path(self.path).parent == models_folder()

    @property
    def summary(self) -> str:
        """The first line of its documentation."""
        return (inspect.cleandoc(self._doc()) or "no description").splitlines()[0]

    def _doc(self) -> str:
        module = inspect.getmodule(self.model)
        return (module.__doc__ if self.path and module else self.model.__doc__) or ""


def load_model(model: str | Path | Callable[..., Any] | Program) -> Program:
    """The program of that name, in that file, or made of that function.

    Args:
        model: a name such as "gaussian", the path of a Python file that defines
            `model(X, k, ...)`, or such a function.

    Raises:
        InputError: no such name or file, no function `model` in it, or it cannot be imported.
    """
    if isinstance(model, Program):
        return model
    if callable(model):
        return _from_function(model)
    text = str(model)
    if text in model_names():
        return _from_file(
            str(models_folder() / f"{text}.py"), _digest(models_folder() / f"{text}.py")
        )
    path = Path(text)
    if path.suffix == ".py" or path.is_file():
        if not path.is_file():
            raise InputError(f"model={text!r}: no such file; give the path of a Python file.")
        return _from_file(str(path.resolve()), _digest(path))
    raise InputError(
        f"model={text!r} is neither a program nor a file{nearest(text, model_names()) or '.'} "
        f"Choose one of {', '.join(model_names())}, or the path of a .py file."
    )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _from_function(model: Callable[..., Any]) -> Program:
    try:
        text = inspect.getsource(model)
    except (OSError, TypeError):
        text = ""
    digest = hashlib.sha256(text.encode()).hexdigest() if text else ""
    return Program(getattr(model, "__name__", "model"), model, "", digest, text)


@cache
def _from_file(path: str, digest: str) -> Program:
    name = Path(path).stem
    spec = spec_from_file_location(f"bayesgmm_model_{name}_{digest[:8]}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"model={path!r} is not a Python file; give the path of a .py file.")
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise InputError(
            f"model={path!r} cannot be imported: {type(error).__name__}: {first_line(error)}"
        ) from error
    function = getattr(module, "model", None)
    if not callable(function):
        raise InputError(f"model={path!r} defines no function `model(X, k, ...)`; add one.")
    function.__doc__ = function.__doc__ or module.__doc__
    with tokenize.open(path) as file:  # in the encoding that the file declares
        return Program(name, function, path, digest, file.read())


def first_line(error: BaseException) -> str:
    """Of what an error says."""
    return (str(error).splitlines() or [""])[0]


def bind(
    program: Program, problem: Problem, priors: Mapping[str, object] | None
) -> dict[str, np.ndarray]:
    """Values for the program's keywords: the user's priors, and constants of the whole data.

    The constants `location` (mid-range), `spread` (range) and `sd` (standard deviation), each of
    shape (d,), and `covariance` (d, d) are computed here, over rows of positive weight, wherever
    the program has a keyword of that name that defaults to None.

    Raises:
        InputError: a prior that the program does not have, or that is not a finite number.
    """
    keywords = {
        name: parameter.default
        for name, parameter in inspect.signature(program.model).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    given = {name: _number(name, value) for name, value in (priors or {}).items()}
    for name in given:
        if name not in keywords:
            raise InputError(
                f"priors: {program.name} has no prior {name!r}{nearest(name, keywords) or '.'} "
                f"It has {', '.join(keywords) or 'none'}."
            )
    wanted = [n for n in _CONSTANTS if n in keywords and keywords[n] is None and n not in given]
    return {name: _CONSTANTS[name](problem) for name in wanted} | given


def _number(name: str, value: object) -> np.ndarray:
    try:
        number = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        number = np.array(np.nan)
    if not np.isfinite(number).all():
        raise InputError(f"priors: {name}={value!r} is not a finite number; give one, or a list.")
    return number


def _used(problem: Problem) -> np.ndarray:
    used = problem.row_weights > 0
    return problem.X if used.all() else problem.X[used]


def _covariance(problem: Problem) -> np.ndarray:
    apart = problem.X - problem.frame.shift
    total = max(float(problem.row_weights.sum()) - 1, 1.0)
    return (apart.T * problem.row_weights) @ apart / total


_CONSTANTS: dict[str, Callable[[Problem], np.ndarray]] = {
    "location": lambda problem: (_used(problem).min(0) + _used(problem).max(0)) / 2,
    "spread": lambda problem: np.ptp(_used(problem), axis=0),
    "sd": lambda problem: np.asarray(problem.frame.scale),
    "covariance": _covariance,
}
