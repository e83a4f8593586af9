"""What a program consists of, read off one abstract trace, and whether it keeps the contract.

Exactly one observed site is a mixture; a site named `weights` holds its weights; the parameters of
the components lie inside `numpyro.plate("cluster", k)`. A mixture of k + 1 components, of which the
plate holds k, has a background: it comes last and is never permuted. Everything else is shared, and
relabelling leaves it alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Int
from numpyro import handlers
from numpyro.distributions.constraints import is_dependent
from numpyro.distributions.transforms import biject_to
from numpyro.primitives import Messenger

from bayesgmm.bayes.program import TRACING, Program, first_line
from bayesgmm.bayes.recognise import (
    gaussian_mixture,
    is_by_row,
    is_masked,
    is_mixture,
    mixture_size,
    unwrapped,
)
from bayesgmm.data.errors import InputError, nearest

CLUSTER_PLATE = "cluster"
RESERVED = ("chain", "draw", "cluster", "component", "feature", "feature_bis", "obs_id", "mode")
WEIGHTS = "weights"


@dataclass(frozen=True)
class Latent:
    """A sampled site: its name, the shape of its unconstrained value, and its axis of clusters."""

    name: str
    shape: tuple[int, ...]
    cluster_axis: int | None = None

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=int))


@dataclass(frozen=True)
class Structure:
    """What the trace taught.

    Attributes:
        k: clusters.
        latents: sampled sites in order.
        mixture: name of the observed mixture site.
        cluster_axes: (site, axis from the end) for every site that is indexed by component.
        shared: the other sites, which relabelling leaves alone.
        gaussian: whether the components are normal, so that draws can be kept as mixtures.
        diagonal: whether they are normal without correlations.
        background: whether the mixture has one more component, which comes last.
        by_row: whether the components' parameters differ from row to row.
    """

    k: int
    latents: tuple[Latent, ...]
    mixture: str
    cluster_axes: tuple[tuple[str, int], ...]
    shared: tuple[str, ...]
    gaussian: bool
    diagonal: bool = False
    background: bool = False
    by_row: bool = False

    @property
    def size(self) -> int:
        """Number of unconstrained parameters."""
        return sum(latent.size for latent in self.latents)

    @property
    def n_components(self) -> int:
        """Components of the mixture: the clusters, and the background where there is one."""
        return self.k + self.background

    @property
    def own_coordinates(self) -> Int[np.ndarray, "k b"]:
        """For each cluster the unconstrained coordinates that are its own."""
        begin, own = 0, []
        for latent in self.latents:
            if latent.cluster_axis is not None:
                places = np.arange(begin, begin + latent.size).reshape(latent.shape)
                own.append(np.moveaxis(places, latent.cluster_axis, 0).reshape(self.k, -1))
            begin += latent.size
        return np.concatenate(own, axis=1) if own else np.empty((self.k, 0), dtype=int)


def understand(program: Program, X: np.ndarray, k: int, keywords: dict[str, Any]) -> Structure:
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
            f"k={k}: {type(error).__name__}: {first_line(error)}"
        ) from error
    return found[0]


def check_priors(
    program: Program, X: np.ndarray, k: int, keywords: dict[str, Any], given: Sequence[str]
) -> None:
    """Refuse values with which a distribution of the program is not defined.

    Args:
        program: the program.
        X: rows.
        k: clusters.
        keywords: values for its keywords.
        given: those that the user chose.

    Raises:
        InputError: some parameter is out of range.
    """
    names: list[tuple[str, str, str]] = []

    @jax.jit
    def ranges(X: jax.Array, keywords: dict[str, jax.Array]) -> list[jax.Array]:
        names.clear()
        inside = []
        for name, site in _trace(program, X, k, keywords).items():
            if site["type"] != "sample" or site["is_observed"]:
                continue
            fn = unwrapped(site["fn"])
            for parameter, constraint in fn.arg_constraints.items():
                value = fn.__dict__.get(parameter)
                if value is not None and not is_dependent(constraint):
                    names.append((name, type(fn).__name__, parameter))
                    inside.append(jnp.all(constraint(value)))
            if isinstance(fn, dist.Wishart | dist.WishartCholesky):  # NumPyro leaves this open
                names.append((name, type(fn).__name__, "concentration"))
                inside.append(jnp.all(fn.concentration > fn.event_shape[-1] - 1))
        return inside

    with TRACING, handlers.block():
        inside = ranges(X, keywords)
    for (site, kind, parameter), right in zip(names, inside, strict=True):
        if not right:
            told = ", ".join(f"{name}={np.asarray(keywords[name]).tolist()}" for name in given)
            raise InputError(
                f"priors: {told}: the {parameter} of site {site!r} ({kind}) is out of its range in "
                f"{program.name}; choose another value."
            )


def _trace(
    program: Program, X: jax.Array, k: int, keywords: dict[str, jax.Array]
) -> dict[str, Any]:
    named = _Named(handlers.seed(program.model, jax.random.key(0)))
    trace = dict(handlers.trace(named).get_trace(X, k, **keywords))
    for name in named.names:
        if trace[name]["type"] == "plate":  # which took the site's place in the trace
            raise InputError(
                f"model {program.name!r}: {name!r} is the name of a site and of a plate; "
                "choose another for the site."
            )
    return trace


class _Named(Messenger):
    """The names of a program's sites, plates apart."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        super().__init__(fn)
        self.names: set[str] = set()

    def postprocess_message(self, msg: dict[str, Any]) -> None:
        if msg["type"] in ("sample", "deterministic"):
            self.names.add(msg["name"])


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
    _check_latents(program, latents, X)
    _check_names(program, trace)
    valued = {
        name: site
        for name, site in trace.items()
        if name in latents or site["type"] == "deterministic"
    }
    _check_weights(program, valued)
    size, normal = mixture_size(sites[mixture]["fn"]), gaussian_mixture(sites[mixture]["fn"])
    axes = {WEIGHTS: -1} | {
        name: axis
        for name, site in valued.items()
        if name != WEIGHTS and (axis := _cluster_axis(site)) is not None
    }
    _check_axes(program, valued, axes, dict.fromkeys(axes, k) | {WEIGHTS: size})
    _check_identified(program, axes, k)
    return Structure(
        k=k,
        latents=tuple(_latent(name, site) for name, site in latents.items()),
        mixture=mixture,
        cluster_axes=tuple(axes.items()),
        shared=tuple(name for name in valued if name not in axes),
        gaussian=normal is not None and size == k,
        diagonal=normal is not None and normal.is_diagonal,
        background=size == k + 1,
        by_row=is_by_row(sites[mixture]["fn"]),
    )


def _mixture_site(program: Program, sites: dict[str, Any], X: jax.Array, k: int) -> str:
    observed = [
        name for name, site in sites.items() if site["is_observed"] and is_mixture(site["fn"])
    ]
    if len(observed) != 1:
        what = f"{len(observed)} ({', '.join(observed)})" if observed else "no"
        raise InputError(
            f"model {program.name!r} has {what} observed mixture sites, and needs exactly one: "
            "numpyro.sample(..., MixtureSameFamily(...), obs=X)."
        )
    site = sites[observed[0]]
    if mixture_size(site["fn"]) not in (k, k + 1):
        raise InputError(
            f"model {program.name!r} mixes {mixture_size(site['fn'])} components although "
            f"k={k}; let the number of components follow the argument k (k + 1 with a background "
            "that comes last)."
        )
    if is_masked(site["fn"]) or site.get("scale") is not None:
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


def _check_latents(program: Program, latents: dict[str, Any], X: jax.Array) -> None:
    for name, site in latents.items():
        if getattr(site["fn"].support, "is_discrete", False):
            raise InputError(
                f"model {program.name!r} samples the discrete site {name!r}; sum over the "
                "allocations with MixtureSameFamily instead."
            )
        plates = [f for f in site["cond_indep_stack"] if f.name != CLUSTER_PLATE]
        rows = [f.name for f in plates if f.size == X.shape[0]]
        if rows:
            raise InputError(
                f"model {program.name!r} samples {name!r} once for each row (plate {rows[0]!r}); "
                "rows have no parameters of their own here: sum them out of the likelihood."
            )


def _check_weights(program: Program, valued: dict[str, Any]) -> None:
    if WEIGHTS not in valued:
        raise InputError(
            f"model {program.name!r} has no site named 'weights'{nearest(WEIGHTS, valued) or ';'} "
            "name the mixture weights so, with numpyro.sample or numpyro.deterministic."
        )
    shape = jnp.shape(valued[WEIGHTS]["value"])
    if len(shape) != 1:
        raise InputError(
            f"model {program.name!r}: site 'weights' has shape {shape}; one axis, with an entry "
            "for each component, is expected."
        )


def _cluster_axis(site: dict[str, Any]) -> int | None:
    """The axis, counted from the end of the value, that the cluster plate indexes."""
    frames = [f for f in site.get("cond_indep_stack", []) if f.name == CLUSTER_PLATE]
    if not frames:
        return None
    if site["type"] == "deterministic":
        return -jnp.ndim(site["value"]) if jnp.ndim(site["value"]) else None
    return int(frames[0].dim) - int(site["fn"].event_dim)


def _check_axes(
    program: Program, sites: dict[str, Any], axes: dict[str, int], sizes: dict[str, int]
) -> None:
    for name, axis in axes.items():
        shape = jnp.shape(sites[name]["value"])
        if len(shape) < -axis or shape[axis] != sizes[name]:
            raise InputError(
                f"model {program.name!r}: site {name!r} has shape {shape}, but one entry for each "
                f"of k={sizes[name]} components is expected on axis {axis}."
            )


def _check_identified(program: Program, axes: dict[str, int], k: int) -> None:
    if len(axes) == 1 and k > 1:
        raise InputError(
            f"model {program.name!r} has no sites inside numpyro.plate('cluster', k), so its "
            "components cannot be identified; put their parameters there."
        )


def _latent(name: str, site: dict[str, Any]) -> Latent:
    shape = tuple(jnp.shape(biject_to(site["fn"].support).inv(site["value"])))
    frames = [f for f in site["cond_indep_stack"] if f.name == CLUSTER_PLATE]
    batch = len(site["fn"].batch_shape)
    return Latent(name, shape, batch + int(frames[0].dim) if frames else None)
