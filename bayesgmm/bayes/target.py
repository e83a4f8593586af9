"""A program's log posterior over one flat unconstrained vector, with the data as arguments."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float
from numpyro import handlers
from numpyro.distributions.transforms import biject_to

from bayesgmm.bayes import fuse
from bayesgmm.bayes.program import TRACING, Program, Structure
from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.lowering import portable
from bayesgmm.gaussian.mixture import Mixture, log_joint
from bayesgmm.gaussian.sweep import Frame

PRIOR, GUIDED, POSTERIOR = range(3)


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
        mixture: the distribution of the observed site.
        value: what it observes.
    """

    sites: dict[str, Array]
    log_prior: Array
    mixture: Any
    value: Array


@dataclass(frozen=True)
class Target:
    """The unnormalised log posterior of a program; hashable, so that compiled code is reused."""

    program: Program
    structure: Structure

    @property
    def size(self) -> int:
        return self.structure.size

    @property
    def durable_name(self) -> str:
        """What the program's file says, for the library's own; "" for any other."""
        program = self.program
        return f"{program.name} {program.sha256} {self.structure}" if program.is_ours else ""

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

        seeded = handlers.seed(self.program.model, jax.random.key(0))
        substituted = handlers.substitute(seeded, substitute_fn=constrain)
        # A program that encloses this one must not see its sites, nor may another thread's.
        with TRACING, handlers.block():
            trace = handlers.trace(substituted).get_trace(data.X, self.structure.k, **data.keywords)
        observed = trace[self.structure.mixture]
        others = (s for s in trace.values() if s["type"] == "sample" and s is not observed)
        log_prior = sum((_log_prob(site) for site in others), sum(jacobian, jnp.zeros(())))
        sites = {
            name: site["value"]
            for name, site in trace.items()
            if site["type"] == "deterministic" or name in pieces
        }
        return Point(sites, log_prior, observed["fn"], observed["value"])

    def potential(self, z: Float[Array, " p"], data: Data) -> Float[Array, ""]:
        """Minus the log posterior density of z, up to a constant."""
        point = self.at(z, data)
        return -(point.log_prior + self._log_likelihood(point, data))

    def staged_potential(
        self, z: Float[Array, " p"], data: Data, resp: Float[Array, "n k"], stage: Array
    ) -> Float[Array, ""]:
        """Minus the log prior plus, by stage, nothing, a guided likelihood or the likelihood.

        Args:
            z: unconstrained vector.
            data: the rows.
            resp: responsibilities that guide the generalised M-step of stage `GUIDED`.
            stage: `PRIOR`, `GUIDED` or `POSTERIOR`; traced, so that one program serves all three.
        """
        point = self.at(z, data)

        def guided() -> Array:
            joint = fuse.component_log_probs(point.mixture, point.value)
            return jnp.sum(data.row_weights[:, None] * resp * joint)

        stages = (lambda: jnp.zeros(()), guided, lambda: self._log_likelihood(point, data))
        return -(point.log_prior + lax.switch(stage, stages))

    def _log_likelihood(self, point: Point, data: Data) -> Array:
        return fuse.log_likelihood(point.mixture, point.value, data.row_weights, data.frame)

    def log_joint(self, z: Float[Array, " p"], data: Data, X: Array) -> Float[Array, "m k"]:
        """Log joint density of rows X and components at z; X need not be the fitted rows."""
        point = self.at(z, data)
        mixture = fuse.gaussian_mixture(point.mixture)
        if mixture is not None:
            return log_joint(mixture, X)
        return fuse.component_log_probs(point.mixture, X[:, 0] if point.value.ndim == 1 else X)

    def draw(self, z: Float[Array, " p"], data: Data) -> tuple[dict[str, Array], Mixture | None]:
        """The sites at z, and the mixture they stand for where the components are normal."""
        point = self.at(z, data)
        return point.sites, fuse.gaussian_mixture(point.mixture)

    def _split(self, z: Array) -> dict[str, Array]:
        ends = np.cumsum([latent.size for latent in self.structure.latents])
        parts = jnp.split(z, ends[:-1])
        return {
            latent.name: jnp.reshape(part, latent.shape)
            for latent, part in zip(self.structure.latents, parts, strict=True)
        }


def _log_prob(site: dict[str, Any]) -> Array:
    log_prob = site["fn"].log_prob(site["value"])
    scale = site.get("scale")
    return jnp.sum(log_prob if scale is None else scale * log_prob)
