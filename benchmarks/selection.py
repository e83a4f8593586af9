"""The whole grid of fourteen families and k = 1..9: how long it takes, and how good its optima are.

    python benchmarks/selection.py [--data faithful iris] [--n-init 60] [--no-peer]

Cold is a fresh process with an empty compilation cache; warm is a fresh process that finds the
compiled program of an earlier one; again is the second grid in one process. The peer is
scikit-learn with n_init=50 in the four families that it has; and where R has them, mclust and
jsonlite: mclustBIC's default in all families. Their fits are polished by EM without regularisation
and compared where they are admissible; a cell is lower where its log-likelihood is below the peer's
by more than 1e-6.
"""

import argparse
import json
import os
import pickle
import shutil
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


MCLUST = """
suppressMessages(library(mclust))
X <- as.matrix(read.csv(commandArgs(TRUE)[1]))
seconds <- system.time(grid <- mclustBIC(X, G = 1:9))[["elapsed"]]
cells <- list()
for (name in colnames(grid)) for (k in 1:9) if (!is.na(grid[k, name])) {
  fit <- summary(grid, X, G = k, modelNames = name)
  p <- fit$parameters
  cells[[length(cells) + 1]] <- list(
    name = name, k = k, weights = I(p$pro), means = t(matrix(p$mean, ncol(X))),
    covariances = aperm(array(p$variance$sigma, c(ncol(X), ncol(X), k)), c(3, 1, 2)))
}
cat(jsonlite::toJSON(list(seconds = seconds, cells = cells), digits = NA, auto_unbox = TRUE))
"""

type Cells = dict[tuple[str, int], float]
"""The log-likelihood of each family and k; NaN where it is not admissible."""


def scikit_learn(X: np.ndarray) -> Cells:
    """The best of 50 starts, polished."""
    found = {}
    for name, own in FAMILIES.items():
        for k in KS:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fit = GaussianMixture(k, covariance_type=name, n_init=50, random_state=0).fit(X)
            found[own, k] = polished(X, own, k, fit.weights_, fit.means_, fit.precisions_)
    return found


def mclust(X: np.ndarray) -> tuple[Cells, float]:
    """mclustBIC's fits, polished, and its seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        head = ",".join(f"x{j}" for j in range(X.shape[1]))
        np.savetxt(path, X, fmt="%.17g", delimiter=",", header=head, comments="")
        command = ["Rscript", "-e", MCLUST, str(path)]
        result = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    found = {}
    for cell in result["cells"]:
        name, k = cell["name"], cell["k"]
        precisions = np.linalg.inv(np.array(cell["covariances"]))
        precisions = (precisions + np.swapaxes(precisions, 1, 2)) / 2
        if name in FAMILIES.values():
            diagonals = np.diagonal(precisions, axis1=1, axis2=2)
            shapes = {"EEE": precisions[0], "VVI": diagonals, "VII": diagonals[:, 0]}
            precisions = shapes.get(name, precisions)
        weights = np.array(cell["weights"]) / np.sum(cell["weights"])
        found[name, k] = polished(X, name, k, weights, np.array(cell["means"]), precisions)
    return found, result["seconds"]


def polished(
    X: np.ndarray, name: str, k: int, weights: np.ndarray, means: np.ndarray, precisions: np.ndarray
) -> float:
    """Where EM ends from there; NaN where that is not admissible."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = bg.GaussianMixture(
            k,
            covariance_type=name,
            weights_init=weights,
            means_init=means,
            precisions_init=precisions,
        ).fit(X)
    best = fit.ml_.optima[0]
    return best.log_likelihood if best.admissible else float("nan")


def compared(tables: list, theirs: Cells) -> tuple[int, int, int, list[str]]:
    """How many of our cells are lower, equal and higher; and which are lower, by how much."""
    lower, equal, higher, which = 0, 0, 0, []
    for (name, k), value in theirs.items():
        for table in tables:
            cell = table[(table.covariance_type == name) & (table.n_components == k)]
            gap = float(cell.loglik.iloc[0]) - value
            lower += gap < -1e-6
            higher += gap > 1e-6
            equal += abs(gap) <= 1e-6
            if gap < -1e-6:
                which.append(f"{name},{k} by {-gap:.3g}")
    return lower, equal, higher, which


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=["faithful", "iris"])
    parser.add_argument("--n-init", type=int, default=60)
    parser.add_argument("--no-peer", action="store_true")
    options = parser.parse_args()
    print(f"{'data':10}{'cold s':>9}{'warm s':>9}{'again s':>9}")
    for name in options.data:
        with tempfile.TemporaryDirectory() as cache:
            _, cold = grids(name, options.n_init, cache, 1)
            tables, warm = grids(name, options.n_init, cache, 3)
        print(f"{name:10}{cold[0]:9.1f}{warm[0]:9.1f}{min(warm[1:]):9.1f}", flush=True)
        if options.no_peer:
            continue
        X = bg.load_dataset(name).to_numpy()
        peers = {"scikit-learn, n_init=50": scikit_learn(X)}
        if shutil.which("Rscript"):
            cells, seconds = mclust(X)
            peers[f"mclustBIC ({seconds:.2f} s)"] = cells
        for label, theirs in peers.items():
            lower, equal, higher, which = compared(tables, theirs)
            print(
                f"  {label}: {lower} lower, {equal} equal, {higher} higher in {len(tables)} grids"
            )
            for each in which:
                print(f"    {each}")


if __name__ == "__main__":
    main()
