"""A fit as a tree of labelled arrays, and back: what ArviZ reads and what a file holds."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, astuple, replace
from typing import Any

import numpy as np
import xarray as xr

from bayesgmm.bayes import allocation
from bayesgmm.bayes.crossing import Crossed
from bayesgmm.bayes.diagnose import Thresholds
from bayesgmm.bayes.draws import Draws
from bayesgmm.bayes.inference import prepare
from bayesgmm.bayes.loo import Loo, assembled
from bayesgmm.bayes.posterior import Peak, Posterior, SampledMode
from bayesgmm.bayes.program import Program
from bayesgmm.bayes.structure import WEIGHTS, Latent, Structure
from bayesgmm.comparison.both import Both
from bayesgmm.data.errors import InputError
from bayesgmm.data.plain import plain
from bayesgmm.data.table import Table
from bayesgmm.gaussian.families import family
from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.ml.optima import MaximumLikelihood, Optimum
from bayesgmm.ml.problem import Problem
from bayesgmm.ml.quantities import Quantities
from bayesgmm.ml.uncertainty import StandardErrors

CHAIN = ("chain", "draw")
ML_NUMBERS = (
    *("log_likelihood", "n", "n_iter", "converged", "n_starts", "n_raced"),
    *("aicc", "aic", "bic", "icl", "smallest_eigenvalue"),
)
EVERY = "cluster_or_background"
BACKGROUND = 0
"""The coordinate of a background component, beside clusters 1 to k."""
LOO_PARTS = {"elpd": "pointwise", "pareto_k": "pareto_k", "p": "p_pointwise", "how": "how"}
MIXTURE_DIMS: dict[str, tuple[str, ...]] = {
    "weights": ("cluster",),
    "means": ("cluster", "feature"),
    "scale_tril": ("cluster", "feature", "feature_bis"),
}


def to_tree(both: Both) -> xr.DataTree:
    """The fit as a DataTree; `posterior`, `sample_stats` and `log_likelihood` are ArviZ's groups.

    Relabelled draws are in `posterior`; the same as Gaussian mixtures in `mixture`; unconstrained
    draws with their relabelling in `unconstrained`; the maximum-likelihood fit in
    `maximum_likelihood`; memberships in `membership`; log densities of a few rows in `held`; the
    modes that chains sit in, in `modes`; the posterior's mode in `map`; leave-one-out predictive
    densities, once they were asked for, in `loo`. Where log densities of all draws and rows would
    take too much memory there is no `log_likelihood`.
    """
    posterior, table = both.posterior, both.problem.table
    every = components_dim(both)
    groups = {
        "/posterior": _sites(both, posterior.sites),
        "/sample_stats": _stats(both),
        "/held": xr.Dataset({"log_density": ((*CHAIN, "held"), posterior.crossed.held)}),
        "/observed_data": xr.Dataset({"X": (("obs_id", "feature"), table.X)}),
        "/constant_data": xr.Dataset({"row_weights": (("obs_id",), both.problem.row_weights)}),
        "/membership": xr.Dataset({"mean": (("obs_id", every), posterior.membership)}),
        "/unconstrained": xr.Dataset(
            {
                "z": ((*CHAIN, "parameter"), posterior.draws.z),
                "order": ((*CHAIN, every), posterior.order),
            }
        ),
        "/maximum_likelihood": _ml_dataset(both),
        "/modes": _modes(posterior),
    }
    if posterior.log_likelihood is not None:
        values = ((*CHAIN, "obs_id"), posterior.log_likelihood)
        groups["/log_likelihood"] = xr.Dataset({"X": values})
    if posterior.knows_loo:
        groups["/loo"] = _loo(posterior.loo)
    if posterior.map is not None:
        groups["/map"] = _only(_sites(both, posterior.map.sites))
    if posterior.mixture is not None:
        groups["/mixture"] = _mixtures(posterior.mixture)
    if posterior.map is not None and posterior.map.mixture is not None:
        groups["/map/mixture"] = _only(_mixtures(posterior.map.mixture))
    coords = coords_of(both)
    labelled = {
        name: dataset.assign_coords(
            {dim: values for dim, values in coords.items() if dim in dataset.dims}
        )
        for name, dataset in groups.items()
    }
    modes = np.array(posterior.diagnostics.chain_modes)
    labelled["/posterior"] = labelled["/posterior"].assign_coords(mode=("chain", modes))
    tree = xr.DataTree.from_dict(labelled)
    tree.attrs = _attributes(both)
    return tree


def _modes(posterior: Posterior) -> xr.Dataset:
    """The modes in which chains sit; the coordinate `mode` of the posterior's chains names them."""
    _, log_posterior, weight = zip(*posterior.sampled_modes, strict=True)
    parts = {"log_posterior": log_posterior, "stacking_weight": weight}
    return xr.Dataset({name: (("mode",), np.array(values)) for name, values in parts.items()})


def _peak(tree: xr.DataTree) -> Peak | None:
    if "map" not in tree.children:
        return None
    sites = {str(n): array.values[None, None] for n, array in tree["map"].data_vars.items()}
    if "mixture" not in tree["map"].children:
        return Peak(sites, None)
    parts = _mixture(tree["map/mixture"].to_dataset())
    return Peak(sites, Mixture(*(part[None, None] for part in parts)))


def _known_modes(tree: xr.DataTree) -> tuple[SampledMode, ...]:
    mode = tree["posterior"].dataset["mode"].values
    told = zip(
        _array(tree, "modes/log_posterior"), _array(tree, "modes/stacking_weight"), strict=True
    )
    return tuple(
        SampledMode(tuple(np.flatnonzero(mode == m).tolist()), float(log_posterior), float(weight))
        for m, (log_posterior, weight) in enumerate(told)
    )


def memberships(both: Both, level: float) -> xr.Dataset:
    """Memberships with intervals, by row and component."""
    found, every = allocation.memberships(both.posterior, level), components_dim(both)
    parts = {name: (("obs_id", every), getattr(found, name)) for name in ("mean", "low", "high")}
    coords = {dim: coords_of(both)[dim] for dim in ("obs_id", every)}
    return xr.Dataset(parts | {"entropy": (("obs_id",), found.entropy)}, coords)


def co_clustering(both: Both) -> xr.DataArray:
    """The co-clustering matrix, by row and row."""
    rows = coords_of(both)["obs_id"]
    return xr.DataArray(
        allocation.co_clustering(both.posterior),
        {"obs_id": rows, "obs_id_bis": rows},
        name="co_clustering",
    )


def draws_sha256(both: Both) -> str:
    """Of the relabelled draws alone: whoever repeats a fit can see that it is the same."""
    digest = hashlib.sha256()
    for name, values in sorted(both.posterior.sites.items()):
        digest.update(name.encode() + np.ascontiguousarray(values, "<f8").tobytes())
    return digest.hexdigest()


def components_dim(both: Both) -> str:
    """The dimension of what has an entry for each component of the mixture."""
    return EVERY if both.posterior.structure.background else "cluster"


def coords_of(both: Both) -> dict[str, Any]:
    c, s = both.posterior.margin.shape
    columns, clusters = list(both.problem.table.columns), np.arange(1, both.n_components + 1)
    return {
        "chain": np.arange(c),
        "draw": np.arange(s),
        "cluster": clusters,
        EVERY: np.append(clusters, BACKGROUND),
        "feature": columns,
        "feature_bis": columns,
        "obs_id": np.arange(both.problem.table.n_rows),
        "mode": np.arange(len(both.posterior.sampled_modes)),
    }


def _loo(found: Loo) -> xr.Dataset:
    parts = {name: getattr(found, field) for name, field in LOO_PARTS.items()}
    return xr.Dataset({name: (("obs_id",), values) for name, values in parts.items()})


def _only(dataset: xr.Dataset) -> xr.Dataset:
    """That of the only draw of the only chain."""
    return dataset.isel(chain=0, draw=0, drop=True)


def _mixtures(mixture: Mixture) -> xr.Dataset:
    return xr.Dataset(
        {
            name: ((*CHAIN, *MIXTURE_DIMS[name][: values.ndim - 2]), values)
            for name, values in mixture._asdict().items()
        }
    )


def _sites(both: Both, sites: Mapping[str, np.ndarray]) -> xr.Dataset:
    """Relabelled values of the program's sites."""
    return xr.Dataset(
        {
            name: ((*CHAIN, *site_dims(both, name, values.shape[2:])), values)
            for name, values in sites.items()
        }
    )


def site_dims(both: Both, name: str, shape: tuple[int, ...]) -> list[str]:
    """Names for the axes of a site's value: the component axis, and those as long as the columns.

    The former is `cluster`, or `EVERY` of weights with a background's; the latter are `feature`.
    """
    axis = dict(both.posterior.structure.cluster_axes).get(name)
    cluster = components_dim(both) if name == WEIGHTS else "cluster"
    d, free = len(both.problem.table.columns), iter(("feature", "feature_bis"))
    dims = []
    for i, size in enumerate(shape):
        if axis is not None and i == len(shape) + axis:
            dims.append(cluster)
        else:
            dims.append(next(free, f"{name}_dim_{i}") if size == d else f"{name}_dim_{i}")
    return dims


def _stats(both: Both) -> xr.Dataset:
    posterior = both.posterior
    stats = {
        "lp": posterior.draws.log_posterior,
        "margin": posterior.margin,
        "n_occupied": posterior.n_occupied,
        "log_likelihood": posterior.crossed.log_likelihood,
        **posterior.draws.stats,
    }
    if posterior.draws.log_approximation is not None:
        stats["log_q"] = posterior.draws.log_approximation
    return xr.Dataset({name: (CHAIN, np.asarray(values)) for name, values in stats.items()})


def _ml_dataset(both: Both) -> xr.Dataset:
    ml, errors = both.ml, both.errors
    length = max(len(history) for history in ml.histories)
    histories = np.full((len(ml.histories), length), np.nan)
    for i, history in enumerate(ml.histories):
        histories[i, : len(history)] = history
    optima = {
        name: np.stack([np.asarray(getattr(optimum.mixture, name)) for optimum in ml.optima])
        for name in Mixture._fields
    }
    return xr.Dataset(
        {
            name: (MIXTURE_DIMS[name], np.asarray(part))
            for name, part in ml.mixture._asdict().items()
        }
        | {
            "weights_se": (("cluster",), errors.weights),
            "means_se": (("cluster", "feature"), errors.means),
            "sds_se": (("cluster", "feature"), errors.sds),
            "correlations_se": (("cluster", "feature", "feature_bis"), errors.correlations),
            "covariances_se": (("cluster", "feature", "feature_bis"), errors.covariances),
            **_ends(both),
            "history": (("step",), ml.history),
            "histories": (("start", "start_step"), histories),
        }
        | {f"optima_{n}": (("optimum", *MIXTURE_DIMS[n]), v) for n, v in optima.items()}
    )


QUANTITY_DIMS = {
    "weights": ("cluster",),
    "means": ("cluster", "feature"),
    "sds": ("cluster", "feature"),
    "correlations": ("cluster", "feature", "feature_bis"),
    "covariances": ("cluster", "feature", "feature_bis"),
}


def _ends(both: Both) -> dict[str, Any]:
    """Bootstrap intervals, where there are any."""
    if both.boot_ends is None:
        return {}
    low, high = both.boot_ends
    return {
        f"{name}_boot": (("bound", *dims), np.stack([getattr(low, name), getattr(high, name)]))
        for name, dims in QUANTITY_DIMS.items()
    }


def _known_ends(dataset: xr.Dataset) -> tuple[Quantities, Quantities] | None:
    if "weights_boot" not in dataset:
        return None
    parts = [dataset[f"{name}_boot"].values for name in Quantities._fields]
    return Quantities(*(part[0] for part in parts)), Quantities(*(part[1] for part in parts))


def _attributes(both: Both) -> dict[str, str]:
    ml, posterior = both.ml, both.posterior
    structure = posterior.structure
    content: dict[str, Mapping[str, Any]] = {
        "provenance": both.provenance,
        "model": {
            "name": both.model,
            "sha256": both.model_sha256,
            "same_likelihood": both.same_likelihood,
            "inference": posterior.inference,
            "modes": posterior.modes,
            "unseen": posterior.diagnostics.unseen,
            "partial": posterior.partial,
            "thresholds": asdict(posterior.thresholds),
            "structure": vars(structure) | {"latents": [*map(astuple, structure.latents)]},
        },
        "ml": {
            "family": ml.family.name,
            **{name: getattr(ml, name) for name in ML_NUMBERS},
            "reasons": both.errors.reasons,
            "optima": [(o.log_likelihood, o.hits, o.reason) for o in ml.optima],
        },
        "table": {
            "name": both.problem.table.name,
            "source": both.problem.table.source,
            "weighted": both.problem.table.row_weights is not None,
        },
    }
    return {name: json.dumps(plain(value)) for name, value in content.items()}


def from_tree(tree: xr.DataTree) -> Both:
    """The fit that a tree holds; diagnostics are computed again from its draws."""
    model, ml = json.loads(tree.attrs["model"]), json.loads(tree.attrs["ml"])
    problem = _problem(tree)
    fitted = _ml(tree["maximum_likelihood"].dataset, ml)
    structure = _structure(model["structure"])
    posterior = Posterior.of(
        structure,
        model["inference"],
        _crossed(tree),
        problem.X,
        np.array(problem.row_weights),
        Thresholds(**model["thresholds"]),
        partial=model["partial"],
        modes=tuple((origin, share) for origin, share in model["modes"]),
        unseen=[(origin, share) for origin, share in model["unseen"]],
        peak=_peak(tree),
        known_membership=_array(tree, "membership/mean"),
        known_loo=_known_loo(tree, problem),
        known_modes=_known_modes(tree),
    )
    dataset = tree["maximum_likelihood"].dataset
    errors = StandardErrors(
        dataset["weights_se"].values,
        dataset["means_se"].values,
        dataset["sds_se"].values,
        dataset["correlations_se"].values,
        dataset["covariances_se"].values,
        tuple(ml["reasons"]),
    )
    return Both(
        problem,
        model["name"],
        model["sha256"],
        model["same_likelihood"],
        fitted,
        posterior,
        json.loads(tree.attrs["provenance"]),
        errors,
        known_ends=_known_ends(dataset),
    )


def _problem(tree: xr.DataTree) -> Problem:
    told = json.loads(tree.attrs["table"])
    observed = tree["observed_data"].dataset["X"]
    row_weights = _array(tree, "constant_data/row_weights") if told["weighted"] else None
    columns = tuple(str(name) for name in observed["feature"].values)
    X = np.ascontiguousarray(observed.values)
    return Problem.of(Table(X, columns, row_weights, told["name"], told["source"]))


def _array(tree: xr.DataTree, path: str) -> np.ndarray:
    group, name = path.split("/")
    return tree[group].dataset[name].values


def _structure(told: Mapping[str, Any]) -> Structure:
    return Structure(
        told["k"],
        tuple(Latent(name, tuple(shape), axis) for name, shape, axis in told["latents"]),
        told["mixture"],
        tuple((name, axis) for name, axis in told["cluster_axes"]),
        tuple(told["shared"]),
        told["gaussian"],
        told["diagonal"],
        told["background"],
        told["by_row"],
    )


def _known_loo(tree: xr.DataTree, problem: Problem) -> Loo | None:
    if "loo" not in tree.children:
        return None
    known = {name: values.values for name, values in tree["loo"].data_vars.items()}
    elpd, pareto_k, p = (known[name] for name in ("elpd", "pareto_k", "p"))
    n_draws, row_weights = _array(tree, "sample_stats/lp").size, np.array(problem.row_weights)
    return assembled(elpd, pareto_k, p, row_weights, n_draws, known.get("how"))


def _mixture(dataset: xr.Dataset, prefix: str = "") -> Mixture:
    return Mixture(*(dataset[prefix + name].values for name in Mixture._fields))


def _ml(dataset: xr.Dataset, told: Mapping[str, Any]) -> MaximumLikelihood:
    stacked = _mixture(dataset, "optima_")
    optima = tuple(
        Optimum(value, hits, Mixture(*(part[i] for part in stacked)), reason)
        for i, (value, hits, reason) in enumerate(told["optima"])
    )
    histories = dataset["histories"].values
    return MaximumLikelihood(
        mixture=_mixture(dataset),
        family=family(told["family"]),
        history=dataset["history"].values,
        histories=tuple(row[np.isfinite(row)] for row in histories),
        optima=optima,
        **{name: told[name] for name in ML_NUMBERS},
    )


def _crossed(tree: xr.DataTree) -> Crossed:
    stats = {str(name): array.values for name, array in tree["sample_stats"].data_vars.items()}
    names = ("lp", "margin", "n_occupied", "log_q", "log_likelihood")
    own = {name: stats.pop(name, None) for name in names}
    mixture = _mixture(tree["mixture"].dataset) if "mixture" in tree.children else None
    return Crossed(
        Draws(_array(tree, "unconstrained/z"), own["lp"], own["log_q"], stats),
        {str(name): array.values for name, array in tree["posterior"].data_vars.items()},
        mixture,
        _array(tree, "unconstrained/order"),
        own["margin"],
        own["n_occupied"],
        own["log_likelihood"],
        _array(tree, "held/log_density"),
        _array(tree, "log_likelihood/X") if "log_likelihood" in tree.children else None,
    )


def with_program(both: Both, program: Program) -> Both:
    """A loaded fit with the program that it was fitted with, so that it can predict.

    Raises:
        InputError: the program's text is another one.
    """
    if not program.sha256:
        raise InputError(
            f"model={program.name!r} has no source that could be compared with the one that was "
            "fitted; put it into a file."
        )
    if program.sha256 != both.model_sha256:
        raise InputError(
            f"model={program.name!r} is not the program of this fit: its sha256 is "
            f"{program.sha256[:12]}, and {both.model_sha256[:12]} was fitted."
        )
    priors = both.provenance.get("options", {}).get("priors")
    ready = prepare(both.problem, program, both.n_components, priors)
    posterior = replace(both.posterior, target=ready.target, data=ready.data)
    return replace(both, posterior=posterior)
