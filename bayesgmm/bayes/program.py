"""Load a NumPyro mixture program, and understand it from one abstract trace.

A program is a file or a function: `model(X, k, *, keywords)` in plain NumPyro, with one observed
site that is a mixture, and a site named `weights`. Sites inside `numpyro.plate("cluster", k)` carry
one entry for each component.
"""

import hashlib
import inspect
import tokenize
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from threading import RLock
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers

from bayesgmm.bayes import fuse
from bayesgmm.data.errors import InputError, nearest
from bayesgmm.ml.problem import Problem

CLUSTER_PLATE = "cluster"
RESERVED = ("chain", "draw", "cluster", "feature", "feature_bis", "obs_id", "mode")
TRACING = RLock()
"""NumPyro keeps its handlers in one stack for all threads: only one may trace at a time."""
WEIGHTS = "weights"


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Latent:
    """A sampled site: its name, and the shape of its unconstrained value."""

    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=int))


@dataclass(frozen=True)
class Structure:
    """What the trace taught.

    Attributes:
        k: components.
        latents: sampled sites in order.
        mixture: name of the observed mixture site.
        cluster_axes: (site, axis from the end) for every site that is indexed by component.
        shared: the other sites, which relabelling leaves alone.
        gaussian: whether the components are normal, so that draws can be kept as mixtures.
    """

    k: int
    latents: tuple[Latent, ...]
    mixture: str
    cluster_axes: tuple[tuple[str, int], ...]
    shared: tuple[str, ...]
    gaussian: bool

    @property
    def size(self) -> int:
        """Number of unconstrained parameters."""
        return sum(latent.size for latent in self.latents)


def models_folder() -> Path:
    """Where the library's own programs lie: in the wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "models"
    return inside if inside.is_dir() else package.parent / "models"


def model_names() -> list[str]:
    """Names of the library's own programs."""
    return sorted(path.stem for path in models_folder().glob("[!_]*.py"))


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
            f"model={path!r} cannot be imported: {type(error).__name__}: {_first_line(error)}"
        ) from error
    function = getattr(module, "model", None)
    if not callable(function):
        raise InputError(f"model={path!r} defines no function `model(X, k, ...)`; add one.")
    function.__doc__ = function.__doc__ or module.__doc__
    with tokenize.open(path) as file:  # in the encoding that the file declares
        return Program(name, function, path, digest, file.read())


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0]


def bind(
    program: Program, problem: Problem, priors: Mapping[str, object] | None
) -> dict[str, np.ndarray]:
    """Values for the program's keywords: the user's priors, and constants of the whole data.

    The constants `location` (mid-range), `spread` (range) and `sd` (standard deviation), each of
    shape (d,), are computed here, over rows of positive weight, wherever the program has a keyword
    of that name that defaults to None.

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
                f"priors: {program.name} has no prior {name!r}{nearest(name, keywords)}; "
                f"it has {', '.join(keywords) or 'none'}."
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


_CONSTANTS: dict[str, Callable[[Problem], np.ndarray]] = {
    "location": lambda problem: (_used(problem).min(0) + _used(problem).max(0)) / 2,
    "spread": lambda problem: np.ptp(_used(problem), axis=0),
    "sd": lambda problem: np.asarray(problem.frame.scale),
}


def understand(
    program: Program, X: np.ndarray, k: int, keywords: Mapping[str, np.ndarray]
) -> Structure:
    """What the program consists of, from one abstract trace; nothing is computed.

    Raises:
        InputError: the program breaks the contract; the message tells its author what to change.
    """
    found: list[Structure] = []

    def observed(X: jax.Array, keywords: dict[str, jax.Array]) -> jax.Array:
        trace = _trace(program, X, k, keywords)
        found.append(_structure(program, trace, X, k))
        return trace[found[0].mixture]["value"]

    try:
        with TRACING, handlers.block():
            traced = jax.make_jaxpr(observed)(X, dict(keywords)).jaxpr
            if traced.outvars[0] is not traced.invars[0]:  # not X itself, so look at its numbers
                value = _observed(program, k, found[0].mixture, X, dict(keywords))
                _check_rows(program, np.asarray(value), X)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"model {program.name!r} failed when it was traced with X of shape {X.shape} and "
            f"k={k}: {type(error).__name__}: {_first_line(error)}"
        ) from error
    return found[0]


def _trace(
    program: Program, X: jax.Array, k: int, keywords: dict[str, jax.Array]
) -> dict[str, Any]:
    seeded = handlers.seed(program.model, jax.random.key(0))
    return dict(handlers.trace(seeded).get_trace(X, k, **keywords))


@partial(jax.jit, static_argnums=(0, 1, 2))
def _observed(
    program: Program, k: int, site: str, X: jax.Array, keywords: dict[str, jax.Array]
) -> jax.Array:
    """What the site observes; the compiler drops everything else."""
    return _trace(program, X, k, keywords)[site]["value"]


def _structure(program: Program, trace: dict[str, Any], X: jax.Array, k: int) -> Structure:
    sites = {name: site for name, site in trace.items() if site["type"] == "sample"}
    latents = {name: site for name, site in sites.items() if not site["is_observed"]}
    mixture = _mixture_site(program, sites, X, k)
    _check_latents(program, latents)
    _check_names(program, trace)
    if WEIGHTS not in trace:
        raise InputError(
            f"model {program.name!r} has no site named 'weights'; name the mixture weights so, "
            "with numpyro.sample or numpyro.deterministic."
        )
    valued = {
        name: site
        for name, site in trace.items()
        if name in latents or site["type"] == "deterministic"
    }
    axes = {WEIGHTS: -1} | {
        name: axis
        for name, site in valued.items()
        if name != WEIGHTS and (axis := _cluster_axis(site)) is not None
    }
    _check_axes(program, valued, axes, k)
    shared = tuple(name for name in valued if name not in axes)
    gaussian = fuse.gaussian_mixture(sites[mixture]["fn"]) is not None
    shapes = tuple(Latent(name, _unconstrained_shape(site)) for name, site in latents.items())
    return Structure(k, shapes, mixture, tuple(axes.items()), shared, gaussian)


def _mixture_site(program: Program, sites: dict[str, Any], X: jax.Array, k: int) -> str:
    observed = [
        name for name, site in sites.items() if site["is_observed"] and fuse.is_mixture(site["fn"])
    ]
    if len(observed) != 1:
        what = f"{len(observed)} ({', '.join(observed)})" if observed else "no"
        raise InputError(
            f"model {program.name!r} has {what} observed mixture sites, and needs exactly one: "
            "numpyro.sample(..., MixtureSameFamily(...), obs=X)."
        )
    site = sites[observed[0]]
    if fuse.mixture_size(site["fn"]) != k:
        raise InputError(
            f"model {program.name!r} mixes {fuse.mixture_size(site['fn'])} components although "
            f"k={k}; let the number of components follow the argument k."
        )
    if fuse.is_masked(site["fn"]) or site.get("scale") is not None:
        raise InputError(
            f"model {program.name!r} masks or scales its observed site; give row weights as "
            "sample_weight (--weights) instead."
        )
    shape = jnp.shape(site["value"])
    if shape != X.shape and not (shape == X.shape[:1] and X.shape[1] == 1):
        raise InputError(
            f"model {program.name!r} observes {jnp.shape(site['value'])} although X has shape "
            f"{X.shape}; observe every row of X."
        )
    return observed[0]


def _check_rows(program: Program, value: np.ndarray, X: np.ndarray) -> None:
    if not np.array_equal(value.reshape(X.shape), X):
        raise InputError(
            f"model {program.name!r} observes other values than those of X; give obs=X, and put "
            "whatever transforms the rows into the program's distribution."
        )


def _check_names(program: Program, trace: dict[str, Any]) -> None:
    for name, site in trace.items():
        if site["type"] != "plate" and (name in RESERVED or "/" in name):
            raise InputError(
                f"model {program.name!r}: the site name {name!r} is taken by the results' axes or "
                "holds a slash; choose another."
            )


def _check_latents(program: Program, latents: dict[str, Any]) -> None:
    for name, site in latents.items():
        if getattr(site["fn"].support, "is_discrete", False):
            raise InputError(
                f"model {program.name!r} samples the discrete site {name!r}; sum over the "
                "allocations with MixtureSameFamily instead."
            )


def _cluster_axis(site: dict[str, Any]) -> int | None:
    """The axis, counted from the end of the value, that the cluster plate indexes."""
    frames = [f for f in site.get("cond_indep_stack", []) if f.name == CLUSTER_PLATE]
    if not frames:
        return None
    if site["type"] == "deterministic":
        return -jnp.ndim(site["value"]) if jnp.ndim(site["value"]) else None
    return int(frames[0].dim) - int(site["fn"].event_dim)


def _check_axes(program: Program, sites: dict[str, Any], axes: dict[str, int], k: int) -> None:
    for name, axis in axes.items():
        shape = jnp.shape(sites[name]["value"])
        if len(shape) < -axis or shape[axis] != k:
            raise InputError(
                f"model {program.name!r}: site {name!r} has shape {shape}, but one entry for each "
                f"of k={k} components is expected on axis {axis}."
            )
    if len(axes) == 1 and k > 1:
        raise InputError(
            f"model {program.name!r} has no sites inside numpyro.plate('cluster', k), so its "
            "components cannot be identified; put their parameters there."
        )


def _unconstrained_shape(site: dict[str, Any]) -> tuple[int, ...]:
    from numpyro.distributions.transforms import biject_to

    return tuple(jnp.shape(biject_to(site["fn"].support).inv(site["value"])))
