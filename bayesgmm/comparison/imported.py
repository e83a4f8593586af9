"""A Gaussian mixture's draws from another program: which variable is what, checked."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float

from bayesgmm.bayes.structure import WEIGHTS, Structure
from bayesgmm.data.errors import InputError, nearest
from bayesgmm.gaussian.mixture import Mixture

CHAIN = ("chain", "draw")
ROUNDED = 1e-4  # Stan's files hold six digits, so that the weights of a draw sum to 1 +- k 5e-7


class Names(NamedTuple):
    """What the draws call the parameters of a mixture; one of the last three is named.

    Attributes:
        weights: (k).
        means: (k, d), or (k) for one column.
        covariances: (k, d, d), or (d, d) where components share it; (k) variances of one column.
        scale_tril: lower Cholesky factors of the same shapes.
        sds: (k, d), or (k) for one column or for components that are spheres.
    """

    weights: str
    means: str
    covariances: str | None
    scale_tril: str | None
    sds: str | None


def groups(draws: Any) -> tuple[xr.Dataset, xr.Dataset]:
    """The posterior, and what the sampler says of its draws."""
    if isinstance(draws, Mapping) and not isinstance(draws, xr.Dataset | xr.DataTree):
        return _dataset(draws), xr.Dataset()
    if isinstance(draws, xr.Dataset):
        return _checked(draws), xr.Dataset()
    try:
        posterior = draws["posterior"]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            "draws has no group 'posterior'; give ArviZ's DataTree, a Dataset, or a dict of arrays "
            "(chain, draw, ...)."
        ) from error
    stats = draws["sample_stats"] if "sample_stats" in _children(draws) else xr.Dataset()
    return _checked(_plain(posterior)), _plain(stats)


def _children(draws: Any) -> Iterable[str]:
    return draws.children if isinstance(draws, xr.DataTree) else draws.groups()


def _plain(group: Any) -> xr.Dataset:
    return group.to_dataset() if isinstance(group, xr.DataTree) else group


def _dataset(draws: Mapping[str, Any]) -> xr.Dataset:
    arrays = {str(name): np.asarray(values) for name, values in draws.items()}
    for name, values in arrays.items():
        if values.ndim < 2:
            raise InputError(
                f"draws[{name!r}] has shape {values.shape}; give arrays (chain, draw, ...), "
                "such as get_samples(group_by_chain=True)."
            )
    dims = {
        name: [*CHAIN, *(f"{name}_dim_{i}" for i in range(values.ndim - 2))]
        for name, values in arrays.items()
    }
    return _checked(xr.Dataset({name: (dims[name], values) for name, values in arrays.items()}))


def _checked(posterior: xr.Dataset) -> xr.Dataset:
    """Chains and draws first."""
    missing = [name for name in CHAIN if name not in posterior.dims]
    if missing:
        raise InputError(f"draws has no dimension {missing[0]!r}; give (chain, draw, ...).")
    kept = [name for name, array in posterior.data_vars.items() if set(CHAIN) <= set(array.dims)]
    return posterior[kept].transpose(*CHAIN, ...)


def _values(posterior: xr.Dataset, argument: str, name: str) -> Float[np.ndarray, "c s *shape"]:
    if name not in posterior:
        known = [str(each) for each in posterior.data_vars]
        raise InputError(
            f"{argument}={name!r} is no variable of the draws{nearest(name, known) or ';'} "
            f"they hold {', '.join(known)}."
        )
    return np.asarray(posterior[name].values, dtype=float)


def mixture_of(posterior: xr.Dataset, names: Names, d: int) -> Mixture:
    if names.weights != WEIGHTS and WEIGHTS in posterior:
        raise InputError(
            f"weights={names.weights!r} is named, but the draws hold another variable 'weights'; "
            "drop or rename that."
        )
    weights = _values(posterior, "weights", names.weights)
    if weights.ndim != 3:
        raise _shape_error("weights", names.weights, weights, "(k)")
    total, k = weights.sum(-1, keepdims=True), weights.shape[-1]
    if (weights < 0).any() or (np.abs(total - 1) > ROUNDED).any():
        raise InputError(
            f"weights={names.weights!r} holds draws that are negative or do not sum to 1; name the "
            "mixture weights."
        )
    means = _values(posterior, "means", names.means)
    if d == 1 and means.ndim == 3:
        means = means[..., None]
    if means.shape[2:] != (k, d):
        raise _shape_error("means", names.means, means, f"({k}, {d})")
    return Mixture(weights / total, means, _factors(posterior, names, k, d))


def _factors(posterior: xr.Dataset, names: Names, k: int, d: int) -> np.ndarray:
    """Cholesky factors (c, s, k, d, d), or their diagonals (c, s, k, d)."""
    scales = names._asdict()
    given = [a for a in ("covariances", "scale_tril", "sds") if scales[a] is not None]
    if len(given) != 1:
        raise InputError(
            f"{', '.join(given) or 'neither covariances nor scale_tril nor sds'} is given; name "
            "exactly one of covariances=, scale_tril= and sds=."
        )
    (argument,) = given
    values = _values(posterior, argument, scales[argument])
    if argument == "sds":
        return _sds(values, scales[argument], k, d)
    if values.shape[2:] == (k,) and d == 1:
        values = values[..., None, None]
    elif values.shape[2:] == (d, d):  # shared by the components
        values = np.broadcast_to(values[:, :, None], (*values.shape[:2], k, d, d))
    if values.shape[2:] != (k, d, d):
        raise _shape_error(argument, scales[argument], values, f"({k}, {d}, {d}) or ({d}, {d})")
    return _positive(_roots(values, argument, scales[argument]), argument, scales[argument])


def _roots(values: np.ndarray, argument: str, name: str) -> np.ndarray:
    if argument == "scale_tril":
        return np.tril(values)
    finite = np.isfinite(values).all((-1, -2), keepdims=True)
    try:
        roots = np.linalg.cholesky(np.where(finite, values, np.eye(values.shape[-1])))
    except np.linalg.LinAlgError as error:
        raise InputError(
            f"covariances={name!r} holds matrices that are not positive definite; if they are "
            "Cholesky factors or standard deviations, name them as scale_tril= or sds=."
        ) from error
    return np.where(finite, roots, np.nan)


def _sds(values: np.ndarray, name: str, k: int, d: int) -> np.ndarray:
    if values.shape[2:] == (k,):
        values = np.broadcast_to(values[..., None], (*values.shape, d))
    if values.shape[2:] != (k, d):
        raise _shape_error("sds", name, values, f"({k}, {d}) or ({k},)")
    if (values <= 0).any():
        raise InputError(f"sds={name!r} holds draws that are not positive; name the deviations.")
    return values


def _positive(roots: np.ndarray, argument: str, name: str) -> np.ndarray:
    if (np.diagonal(roots, axis1=-2, axis2=-1) <= 0).any():
        raise InputError(
            f"{argument}={name!r} holds factors whose diagonal is not positive; name lower "
            "Cholesky factors."
        )
    return roots


def _shape_error(argument: str, name: str, values: np.ndarray, wanted: str) -> InputError:
    return InputError(
        f"{argument}={name!r} has shape {values.shape[2:]} in each draw, but {wanted} is expected."
    )


def structure_of(
    posterior: xr.Dataset, names: Names, mixture: Mixture, cluster_dims: Sequence[str]
) -> Structure:
    """Which axis of which variable counts the components: named ones, and those of named dims."""
    k, d = mixture.means.shape[-2:]
    unknown = [dim for dim in cluster_dims if dim not in posterior.dims]
    if unknown:
        known = [str(dim) for dim in posterior.dims if dim not in CHAIN]
        raise InputError(
            f"cluster_dims holds {unknown[0]!r}, which is no dimension of the draws; they have "
            f"{', '.join(known)}."
        )
    own = {posterior[names.weights].dims[2], posterior[names.means].dims[2], *cluster_dims}
    for name in names[2:]:
        if name is not None and posterior[name].shape[2:] != (d, d):
            own.add(posterior[name].dims[2])
    axes, shared = {WEIGHTS: -1}, []
    for name in map(str, posterior.data_vars):
        dims = posterior[name].dims
        places = [i - len(dims) for i, dim in enumerate(dims) if dim in own]
        if name == names.weights:
            continue
        if places and posterior[name].shape[places[0]] == k:
            axes[name] = places[0]
        else:
            shared.append(name)
    return Structure(
        k, (), "X", tuple(axes.items()), tuple(shared), gaussian=True, diagonal=mixture.is_diagonal
    )


def family_of(posterior: xr.Dataset, names: Names, mixture: Mixture) -> str:
    """The covariance family that the draws belong to."""
    k, d = mixture.means.shape[-2:]
    if names.sds is not None:
        return "VII" if posterior[names.sds].ndim == 3 and d > 1 else "VVI"
    name = names.covariances or names.scale_tril
    return "EEE" if posterior[name].shape[2:] == (d, d) and k > 1 else "VVV"
