"""Predictions and replicated data as labelled arrays."""

import numpy as np
import xarray as xr
from jaxtyping import Float

from bayesgmm.bayes.predictive import bands
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.record import components_dim, coords_of
from bayesgmm.ml.memberships import entropy


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
