"""A program's log posterior over one flat unconstrained vector, with the data as arguments."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float
from numpyro import handlers
from numpyro.distributions.transforms import biject_to

from bayesgmm.bayes.metric import Blocks
from bayesgmm.bayes.program import TRACING, Program
from bayesgmm.bayes.recognise import component_log_probs, gaussian_mixture
from bayesgmm.bayes.structure import Structure
from bayesgmm.gaussian.arrays import Array, blocks
from bayesgmm.gaussian.likelihood import mixture_log_likelihood
from bayesgmm.gaussian.lowering import portable
from bayesgmm.gaussian.mixture import Mixture, log_joint
from bayesgmm.gaussian.passes import FEATURES, Pass
from bayesgmm.gaussian.sweep import Frame, natural

PRIOR, GUIDED, POSTERIOR = range(3)
BACKGROUND_SHARE = 0.05


@portable
class Data(NamedTuple):
    """What a target is evaluated on: rows, their weights, the sweep's frame, keyword values."""

    X: Float[Array, "n d"]
    row_weights: Float[Array, " n"]
    frame: Frame
    keywords: dict[str, Array]


class Point(NamedTuple):
    """A program at one unconstrained vector.

    Attributes:
        sites: values of all latent and deterministic sites.
        log_prior: log density of the latents, with the log Jacobian of the transforms.
        log_densities: log density of each latent by its name, without it.
        mixture: the distribution of the observed site.
        value: what it observes.
    """

    sites: dict[str, Array]
    log_prior: Array
    log_densities: dict[str, Array]
    mixture: Any
    value: Array


@dataclass(frozen=True)
class Target:
    """The unnormalised log posterior of a program; hashable, so that compiled code is reused.

    Attributes:
        program: the program.
        structure: what it consists of.
        form: of the pass over the rows, where the components are normal.
    """

    program: Program
    structure: Structure
    form: Pass = FEATURES

    @property
    def size(self) -> int:
        return self.structure.size

    @property
    def blocks(self) -> Blocks:
        """The coordinates that are whitened together."""
        return _blocks_of(self.structure)

    @property
    def durable_name(self) -> str:
        """What the program's file says, for the library's own; "" for any other."""
        program = self.program
        own = f"{program.name} {program.sha256} {self.structure} {self.form.durable_name}"
        return own if program.is_ours else ""

    def at(self, z: Float[Array, " p"], data: Data) -> Point:
        """Run the program once at the unconstrained vector z."""
        pieces = self._split(z)
        jacobian = []

        def constrain(site: dict[str, Any]) -> Array | None:
            if site["type"] != "sample" or site["is_observed"]:
                return None
            transform = biject_to(site["fn"].support)
            free = pieces[site["name"]]
            value = transform(free)
            jacobian.append(jnp.sum(transform.log_abs_det_jacobian(free, value)))
            return value

        trace = self._trace(data, constrain)
        observed = trace[self.structure.mixture]
        log_densities = {
            name: _log_prob(site)
            for name, site in trace.items()
            if site["type"] == "sample" and site is not observed
        }
        log_prior = sum(log_densities.values(), sum(jacobian, jnp.zeros(())))
        sites = {
            name: site["value"]
            for name, site in trace.items()
            if site["type"] == "deterministic" or name in pieces
        }
        return Point(sites, log_prior, log_densities, observed["fn"], observed["value"])

    def unconstrain(self, sites: dict[str, Array], data: Data) -> Float[Array, " p"]:
        """The unconstrained vector at which the sampled sites have these values."""
        trace = self._trace(data, lambda site: sites.get(site["name"]))
        pieces = [
            biject_to(trace[latent.name]["fn"].support).inv(sites[latent.name])
            for latent in self.structure.latents
        ]
        return jnp.concatenate([jnp.ravel(piece) for piece in pieces])

    def potential(self, z: Float[Array, " p"], data: Data) -> Float[Array, ""]:
        """Minus the log posterior density of z, up to a constant."""
        point = self.at(z, data)
        return -(point.log_prior + self._log_likelihood(point, data))

    def staged_potential(
        self, z: Float[Array, " p"], data: Data, guide: Float[Array, "_k _p"], stage: Array
    ) -> Float[Array, ""]:
        """Minus the log prior plus, by stage, nothing, a guided likelihood or the likelihood.

        Args:
            z: unconstrained vector.
            data: the rows.
            guide: of the generalised M-step of stage `GUIDED`, from `guide`.
            stage: `PRIOR`, `GUIDED` or `POSTERIOR`; traced, so that one program serves all three.
        """
        point = self.at(z, data)
        stages = (
            lambda: jnp.zeros(()),
            lambda: self._guided(point, data, guide),
            lambda: self._log_likelihood(point, data),
        )
        return -(point.log_prior + lax.switch(stage, stages))

    def guide(self, data: Data, resp: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "_k _p"]:
        """What guides a generalised M-step by responsibilities of the clusters.

        Normal components need no more than the expected sufficient statistics in the frame, others
        the responsibilities themselves; a background begins with a small share of every row.
        """
        shared = resp * np.asarray(data.row_weights)[:, None]
        if self.structure.background:
            rest = shared.sum(1, keepdims=True) * BACKGROUND_SHARE
            return np.concatenate([(1 - BACKGROUND_SHARE) * shared, rest], axis=1)
        if not self.structure.gaussian:
            return shared
        return _features_of(np.asarray(data.X), data.frame, shared, self.guide_shape(data)[1])

    def guide_shape(self, data: Data) -> tuple[int, int]:
        """The shape of a guide."""
        n, d = data.X.shape
        if not self.structure.gaussian:
            return n, self.structure.n_components
        p = 2 * d + 1 if self.structure.diagonal else (d + 1) * (d + 2) // 2
        return self.structure.k, p

    def _guided(self, point: Point, data: Data, guide: Array) -> Array:
        mixture = gaussian_mixture(point.mixture)
        if mixture is None:
            return jnp.sum(guide * component_log_probs(point.mixture, point.value))
        units = guide[:, 0].sum() * jnp.log(data.frame.scale).sum()
        return jnp.vdot(guide, natural(mixture, data.frame)) - units

    def _log_likelihood(self, point: Point, data: Data) -> Array:
        mixture = gaussian_mixture(point.mixture)
        if mixture is None:
            joint = component_log_probs(point.mixture, point.value)
            return data.row_weights @ jax.nn.logsumexp(joint, axis=-1)
        X = point.value if point.value.ndim == 2 else point.value[:, None]
        return mixture_log_likelihood(mixture, X, data.row_weights, data.frame, self.form)

    def log_joint(self, z: Float[Array, " p"], data: Data, X: Array) -> Float[Array, "m k"]:
        """Log joint density of rows X and components at z; X need not be the fitted rows."""
        point = self.at(z, data)
        mixture = gaussian_mixture(point.mixture)
        if mixture is not None:
            return log_joint(mixture, X)
        return component_log_probs(point.mixture, X[:, 0] if point.value.ndim == 1 else X)

    def draw(self, z: Float[Array, " p"], data: Data) -> tuple[dict[str, Array], Mixture | None]:
        """The sites at z, and the mixture they stand for where the components are normal."""
        point = self.at(z, data)
        return point.sites, gaussian_mixture(point.mixture)

    def _trace(self, data: Data, value: Callable[..., Array | None]) -> dict[str, Any]:
        seeded = handlers.seed(self.program.model, jax.random.key(0))
        substituted = handlers.substitute(seeded, substitute_fn=value)
        # A program that encloses this one must not see its sites, nor may another thread's.
        with TRACING, handlers.block():
            traced = handlers.trace(substituted)
            return dict(traced.get_trace(data.X, self.structure.k, **data.keywords))

    def _split(self, z: Array) -> dict[str, Array]:
        ends = np.cumsum([latent.size for latent in self.structure.latents])
        parts = jnp.split(z, ends[:-1])
        return {
            latent.name: jnp.reshape(part, latent.shape)
            for latent, part in zip(self.structure.latents, parts, strict=True)
        }


@cache
def _blocks_of(structure: Structure) -> Blocks:
    return Blocks.of(structure)


def _log_prob(site: dict[str, Any]) -> Array:
    log_prob = site["fn"].log_prob(site["value"])
    scale = site.get("scale")
    return jnp.sum(log_prob if scale is None else scale * log_prob)


def _features_of(
    X: Float[np.ndarray, "n d"], frame: Frame, shared: Float[np.ndarray, "n k"], p: int
) -> Float[np.ndarray, "k p"]:
    """Sums of shared rows' features in the frame, block by block, by NumPy."""
    d = X.shape[1]
    rows, columns = np.triu_indices(d + 1)
    total = np.zeros((shared.shape[1], p))
    for part in blocks(len(X), 8 * p):
        Z = (X[part] - np.asarray(frame.shift)) / np.asarray(frame.scale)
        ones = np.concatenate([np.ones((len(Z), 1)), Z], axis=1)
        short = p < rows.size
        phi = np.concatenate([ones, Z * Z], axis=1) if short else ones[:, rows] * ones[:, columns]
        total += shared[part].T @ phi
    return total
