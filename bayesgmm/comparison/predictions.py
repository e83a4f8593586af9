"""Predictions and replicated data as labelled arrays."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from jaxtyping import Float

from bayesgmm.bayes.checks import NEAR, evenly, occupied, share_near, units
from bayesgmm.bayes.posterior import known_program
from bayesgmm.bayes.predictive import bands
from bayesgmm.bayes.simulation import prior_draws, replicates
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.record import CHAIN, components_dim, coords_of, site_dims
from bayesgmm.ml.memberships import entropy

if TYPE_CHECKING:
    import pandas as pd

VAGUE = 0.1


def intervals(both: Both, X: Float[np.ndarray, "n d"], level: float) -> xr.Dataset:
    """Memberships and log densities of rows, with intervals, by row and component."""
    found, every = bands(both.posterior, X, level), components_dim(both)
    members, density = found.membership, found.log_density
    values = {
        "mean": (("obs_id", every), members.value),
        "low": (("obs_id", every), members.low),
        "high": (("obs_id", every), members.high),
        "entropy": (("obs_id",), entropy(members.value)),
        "log_density": (("obs_id",), density.value),
        "log_density_low": (("obs_id",), density.low),
        "log_density_high": (("obs_id",), density.high),
    }
    coords = {"obs_id": np.arange(len(X)), every: coords_of(both)[every]}
    return xr.Dataset(values, coords)


def posterior_predictive(both: Both, n_draws: int, rng: np.random.Generator) -> xr.DataTree:
    """Data sets that the posterior predicts, beside the data, as ArviZ's plots take them."""
    posterior, X = both.posterior, units(both.posterior)
    chosen = evenly(posterior, n_draws)
    drawn = replicates(posterior, chosen.ravel(), len(X), rng).X.reshape(*chosen.shape, *X.shape)
    return _tree(both, X, {"posterior_predictive": _rows(drawn)})


def prior_predictive(both: Both, n_draws: int, rng: np.random.Generator) -> xr.DataTree:
    """Draws of the prior, and data sets that they predict, as one chain.

    Its attrs hold "share_near", the share of rows about where the data are, and a "sentence".
    """
    posterior, X = both.posterior, units(both.posterior)
    found = prior_draws(*known_program(posterior), n_draws, len(X), rng)
    sites = {
        name: ((*CHAIN, *site_dims(both, name, values.shape[1:])), values[None])
        for name, values in found.sites.items()
    }
    groups = {"prior": xr.Dataset(sites), "prior_predictive": _rows(found.X[None])}
    tree, share = _tree(both, X, groups), share_near(np.asarray(found.X), X)
    tree.attrs = {"share_near": share, "sentence": _nearness(share)}
    return tree


def _rows(X: Float[np.ndarray, "c s n d"]) -> xr.Dataset:
    return xr.Dataset({"X": ((*CHAIN, "obs_id", "feature"), X)})


def _tree(both: Both, X: Float[np.ndarray, "n d"], groups: dict[str, xr.Dataset]) -> xr.DataTree:
    every = groups | {"observed_data": xr.Dataset({"X": (("obs_id", "feature"), X)})}
    known = coords_of(both)
    labelled = {
        name: dataset.assign_coords(
            {
                str(dim): np.arange(size) if dim in (*CHAIN, "obs_id") else known[str(dim)]
                for dim, size in dataset.sizes.items()
                if dim in known
            }
        )
        for name, dataset in every.items()
    }
    return xr.DataTree.from_dict(labelled)


def _nearness(share: float) -> str:
    """What the share of prior rows near the data says of the prior."""
    rows = (
        f"{100 * share:.0f} % of the rows that the prior predicts lie within {NEAR:g} ranges of "
        "the data"
    )
    if share < VAGUE:
        return f"Only {rows}: the prior is vague, or lies elsewhere; see that you mean it."
    return f"{rows}: the prior knows roughly where the data are."


def occupied_table(both: Both) -> "pd.DataFrame":
    """How many components hold rows, prior beside posterior; the result is in attrs["sentence"]."""
    import pandas as pd

    found = occupied(both.posterior)
    index = pd.Index(np.arange(1, both.n_components + 1), name="occupied")
    table = pd.DataFrame(found._asdict(), index)
    likeliest = int(found.posterior.argmax())
    table.attrs["sentence"] = (
        f"Components that hold rows: most probably {likeliest + 1} of {both.n_components} "
        f"(posterior {100 * found.posterior[likeliest]:.0f} %, prior "
        f"{100 * found.prior[likeliest]:.0f} %)."
    )
    return table
