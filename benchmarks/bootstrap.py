"""999 bootstrap refits beside mclust's: time, memory, and whether the standard errors agree.

    python benchmarks/bootstrap.py [--runs 5]

The fit is EEE with three components on Old Faithful. Ours is the whole call, warm: resampling,
refits, labels. The peer is MclustBootstrap, where R has mclust; its refits stop at its own
tolerance. Memory is the peak beyond what the process held before the call, read from Linux's
account.
"""

import argparse
import shutil
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np

import bayesgmm as bg

N = 999
PEERS = {"weighted": "wlbs", "multinomial": "bs", "parametric": "pb", "jackknife": "jk"}
MCLUST = """
suppressMessages(library(mclust))
fit <- Mclust(faithful, G = 3, modelNames = "EEE", verbose = FALSE)
for (type in c("wlbs", "bs", "pb", "jk")) {
  set.seed(1)
  seconds <- system.time(b <- MclustBootstrap(fit, nboot = %d, type = type, verbose = FALSE))
  s <- summary(b, what = "se")
  cat(type, seconds[["elapsed"]], s$pro, s$mean, "\n")
}
"""


def memory(name: str) -> float:
    """An entry of Linux's account of this process, in MiB."""
    rows = Path("/proc/self/status").read_text().splitlines()
    (row,) = (row for row in rows if row.startswith(name))
    return int(row.split()[1]) / 1024


def ours(fit: bg.GaussianMixture, kind: str, runs: int) -> tuple[float, float, np.ndarray]:
    """Median seconds, MiB, and standard errors of weights and means."""
    fit.bootstrap(N, kind, random_state=0)
    times = []
    for seed in range(runs):
        begin = time.perf_counter()
        found = fit.bootstrap(N, kind, random_state=seed)
        times.append(time.perf_counter() - begin)
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    before = memory("VmRSS")
    found = fit.bootstrap(N, kind, random_state=0)
    more = memory("VmHWM") - before
    errors = found.standard_errors
    return statistics.median(times), more, np.concatenate([errors.weights, errors.means.ravel()])


def theirs() -> dict[str, tuple[float, np.ndarray]]:
    """Seconds and standard errors of each type; empty without R and mclust."""
    if not shutil.which("Rscript"):
        return {}
    command = ["Rscript", "-e", MCLUST % N]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = {}
    for line in done.stdout.splitlines():
        kind, *numbers = line.split()
        seconds, *errors = map(float, numbers)
        found[kind] = (seconds, np.array(errors))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    X = bg.load_dataset("faithful")
    fit = bg.GaussianMixture(3, covariance_type="EEE", random_state=0).fit(X)
    peers = theirs()
    print(f"faithful, EEE with 3 components, {N} refits (jackknife: {len(X)})")
    print(f"{'kind':12} {'ours s':>7} {'MiB':>5} {'mclust s':>9} {'ratio':>6}  SE, ours / mclust's")
    for kind, name in PEERS.items():
        seconds, more, errors = ours(fit, kind, options.runs)
        line = f"{kind:12} {seconds:7.3f} {more:5.0f}"
        if name in peers:
            peer, others = peers[name]
            ratios = errors / _in_our_order(others, fit)
            low, high = ratios.min(), ratios.max()
            line += f" {peer:9.2f} {peer / seconds:6.1f}  {low:.2f} to {high:.2f}"
        print(line, flush=True)


def _in_our_order(errors: np.ndarray, fit: bg.GaussianMixture) -> np.ndarray:
    """mclust numbers components in an order of its own: 1, 2, 3 are our middle, first and last."""
    order = [1, 0, 2]
    k, d = fit.means_.shape
    weights, means = errors[:k], errors[k:].reshape(k, d)
    return np.concatenate([weights[order], means[order].ravel()])


if __name__ == "__main__":
    main()
