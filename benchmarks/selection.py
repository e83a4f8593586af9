"""The whole grid of fourteen families and k = 1..9: how long it takes, and how good its optima are.

    python benchmarks/selection.py [--data faithful iris] [--n-init 60] [--no-peer]

Cold is a fresh process with an empty compilation cache; warm is a fresh process that finds the
compiled program of an earlier one; again is the second grid in one process. The peer is
scikit-learn with n_init=50 in the four families that it has, its best fit polished by EM without
regularisation; a cell is lower where its log-likelihood is below the peer's by more than 1e-6.
"""

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn.mixture import GaussianMixture

import bayesgmm as bg

FAMILIES = {"full": "VVV", "tied": "EEE", "diag": "VVI", "spherical": "VII"}
KS = range(1, 10)

GRID = """
import pickle, sys, time
begin = time.perf_counter()
import bayesgmm as bg
X = bg.load_dataset({name!r})
grids, times = [], []
for seed in range({repeats}):
    first = begin if seed == 0 else time.perf_counter()
    grids.append(bg.select(X, random_state=seed, n_init={n_init}).table)
    times.append(time.perf_counter() - first)
pickle.dump((grids, times), open(sys.argv[1], "wb"))
"""


def grids(name: str, n_init: int, cache: str, repeats: int) -> tuple[list, list[float]]:
    """Tables and seconds of grids in one fresh process."""
    environment = os.environ | {"BAYESGMM_COMPILATION_CACHE": cache}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grids"
        program = GRID.format(name=name, repeats=repeats, n_init=n_init)
        subprocess.run([sys.executable, "-c", program, str(path)], env=environment, check=True)
        return pickle.loads(path.read_bytes())


def peer(X: np.ndarray, covariance_type: str, k: int) -> float:
    """scikit-learn's best log-likelihood of 50 starts, polished; NaN where it is not admissible."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = GaussianMixture(k, covariance_type=covariance_type, n_init=50, random_state=0)
        theirs.fit(X)
        ours = bg.GaussianMixture(
            k,
            covariance_type=covariance_type,
            weights_init=theirs.weights_,
            means_init=theirs.means_,
            precisions_init=theirs.precisions_,
        ).fit(X)
    best = ours.ml_.optima[0]
    return best.log_likelihood if best.admissible else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=["faithful", "iris"])
    parser.add_argument("--n-init", type=int, default=60)
    parser.add_argument("--no-peer", action="store_true")
    options = parser.parse_args()
    print(
        f"{'data':10}{'cold s':>9}{'warm s':>9}{'again s':>9}{'lower':>8}{'equal':>8}{'higher':>8}"
    )
    for name in options.data:
        with tempfile.TemporaryDirectory() as cache:
            _, cold = grids(name, options.n_init, cache, 1)
            tables, warm = grids(name, options.n_init, cache, 3)
        counts = ""
        if not options.no_peer:
            X = bg.load_dataset(name).to_numpy()
            lower = equal = higher = 0
            for theirs, ours in FAMILIES.items():
                for k in KS:
                    value = peer(X, theirs, k)
                    for table in tables:
                        cell = table[(table.covariance_type == ours) & (table.n_components == k)]
                        gap = float(cell.loglik.iloc[0]) - value
                        lower += gap < -1e-6
                        higher += gap > 1e-6
                        equal += abs(gap) <= 1e-6
            counts = f"{lower:8}{equal:8}{higher:8}"
        again = sorted(warm[1:])[0]
        print(f"{name:10}{cold[0]:9.1f}{warm[0]:9.1f}{again:9.1f}{counts}", flush=True)


if __name__ == "__main__":
    main()
