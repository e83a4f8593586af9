"""A NumPyro effect handler: mixtures of normals that are observed get the fused density.

    from numpyro.infer import MCMC, NUTS
    MCMC(NUTS(bayesgmm.fuse(model)), num_warmup=500, num_samples=500).run(key, X, k)

The program stays as its author wrote it, and its densities, row by row, stay what they were; only
their arithmetic is another: two matrix products for all components together, forwards and
backwards, in place of a triangular solve for each component and row.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro.distributions.util import validate_sample
from numpyro.primitives import Messenger

from bayesgmm.bayes.recognise import gaussian_mixture
from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.likelihood import mixture_log_densities
from bayesgmm.gaussian.sweep import Frame

FRAME_ROWS = 1000


class fuse(Messenger):
    """The same program, whose observed mixtures of normals are evaluated by the fused kernel.

    A callable like the program itself, or a context around it. Mixtures of `MultivariateNormal` by
    any of its parameters, or of independent `Normal`, are recognised inside plates, subsamples,
    masks and scales; every other site is left alone. Values and gradients agree with the plain
    program's to rounding; the fused arithmetic loses digits in proportion to the condition number
    of the components' covariances, 2e-8 at 1e8.

    Args:
        fn: a NumPyro program.

    Raises:
        TypeError: while differentiating, if a derivative with respect to the observed rows is asked
            for; there is none.

    >>> import jax, jax.numpy as jnp, numpyro, numpyro.distributions as dist
    >>> from numpyro.infer.util import log_density
    >>> def model(X):
    ...     means = numpyro.sample("means", dist.Normal(0, 10).expand([2, 1]).to_event(2))
    ...     components = dist.Normal(means, 1.0).to_event(1)
    ...     mixture = dist.MixtureSameFamily(dist.Categorical(jnp.ones(2) / 2), components)
    ...     with numpyro.plate("rows", len(X)):
    ...         numpyro.sample("X", mixture, obs=X)
    >>> X, values = jnp.array([[-1.0], [0.5], [2.0]]), {"means": jnp.array([[0.0], [1.0]])}
    >>> plain, fused = (log_density(m, (X,), {}, values)[0] for m in (model, fuse(model)))
    >>> bool(jnp.isclose(plain, fused))
    True
    """

    def process_message(self, msg: dict[str, Any]) -> None:
        if msg["type"] == "sample" and msg["is_observed"]:
            msg["fn"] = _fused(msg["fn"])


def _fused(fn: Any) -> Any:
    """The distribution with its mixture of normals exchanged, under the same wrappers."""
    if isinstance(fn, dist.ExpandedDistribution):
        inner = _fused(fn.base_dist)
        return fn if inner is fn.base_dist else inner.expand(fn.batch_shape)
    if isinstance(fn, dist.MaskedDistribution):
        inner = _fused(fn.base_dist)
        return fn if inner is fn.base_dist else inner.mask(fn._mask)
    if isinstance(fn, dist.Independent):
        inner = _fused(fn.base_dist)
        return fn if inner is fn.base_dist else inner.to_event(fn.reinterpreted_batch_ndims)
    return FusedMixture(fn) if gaussian_mixture(fn) is not None else fn


class FusedMixture(dist.Distribution):
    """A mixture of normals with the fused density; everything else is the plain mixture's.

    Args:
        plain: the mixture, a `MixtureSameFamily` or `MixtureGeneral`.
    """

    pytree_data_fields = ("plain",)

    def __init__(self, plain: Any, *, validate_args: bool | None = None) -> None:
        self.plain = plain
        super().__init__(plain.batch_shape, plain.event_shape, validate_args=validate_args)

    @property
    def support(self) -> Any:
        return self.plain.support

    @property
    def mean(self) -> Array:
        return self.plain.mean

    @property
    def variance(self) -> Array:
        return self.plain.variance

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        return self.plain.sample(key, sample_shape)

    def component_log_probs(self, value: Array) -> Array:
        """log(weight_k) + log p_k of every value, by the plain mixture."""
        return self.plain.component_log_probs(value)

    @validate_sample  # type: ignore[untyped-decorator]
    def log_prob(self, value: Array, intermediates: Any = None) -> Array:
        mixture = gaussian_mixture(self.plain)
        assert mixture is not None
        d = mixture.means.shape[-1]
        rows = jnp.reshape(value, (-1, d))
        shape = jnp.shape(value)[:-1] if self.event_shape else jnp.shape(value)
        return mixture_log_densities(mixture, rows, _frame(value, d)).reshape(shape)


def _frame(value: Array, d: int) -> Frame:
    """Where some of the rows lie: enough for arithmetic that does not lose digits."""
    library: Any = jnp if isinstance(value, jax.core.Tracer) else np
    rows = library.reshape(library.asarray(value), (-1, d))
    some = rows[:: max(1, len(rows) // FRAME_ROWS)]
    scale = some.std(0)
    frame = Frame(some.mean(0), library.where(scale > 0, scale, 1.0))
    return jax.tree.map(lambda part: jax.lax.stop_gradient(jnp.asarray(part)), frame)
