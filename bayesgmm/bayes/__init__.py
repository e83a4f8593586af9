"""The posterior of any NumPyro mixture program, started from the maximum-likelihood fit."""

import warnings

with warnings.catch_warnings():
    # NumPyro imports tqdm's notebook bars, unused here, which complain where widgets are missing.
    warnings.filterwarnings("ignore", message="IProgress not found")
    import numpyro as numpyro
