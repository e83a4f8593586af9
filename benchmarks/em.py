"""EM beside scikit-learn: time of an iteration, memory of a fit, and time of a whole fit.

    python benchmarks/em.py [--quick] [--runs 5] [--figure docs/em.png]

Both start from the same mixture and run in turn, in float64, on every core that the process may
use. An iteration is one EM map, timed as the difference between two numbers of iterations; times
are medians. Memory is the peak of a fit beyond what its process held before, rows included, after
a fit of fewer rows; it is read from Linux's account. In the whole
fit, scikit-learn stops at tol 1e-8 and ours at a log-likelihood that is no lower.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from bayesgmm.gaussian.arrays import blocks
from bayesgmm.gaussian.chunks import chunk_rows
from bayesgmm.gaussian.cores import available_cores
from bayesgmm.gaussian.families import family
from bayesgmm.gaussian.mixture import Mixture, log_likelihoods
from bayesgmm.gaussian.sweep import frame_of
from bayesgmm.ml import driver, em
from bayesgmm.plots.canvas import new_figure
from bayesgmm.plots.style import PALETTE, dress

TARGETS = {(100_000, 10, 10): 25, (1_000_000, 2, 5): 25, (200_000, 16, 32): 25, (20_000, 50, 20): 8}
QUICK = {(10_000, 10, 10): 0, (100_000, 2, 5): 0}
OVERLAPPING = [(100_000, 2, 3), (100_000, 5, 5), (20_000, 10, 4)]
NEVER = -1.0  # a tolerance that no fit meets
SMALL = 20_000  # fewer rows are timed over more iterations
AXES = {
    "n": [(n, 5, 5) for n in (1_000, 10_000, 100_000, 1_000_000)],
    "d": [(20_000, d, 5) for d in (2, 5, 10, 20, 50)],
    "k": [(100_000, 5, k) for k in (2, 5, 10, 20, 40)],
}


class Case(NamedTuple):
    """Rows, and the mixture that both libraries start from."""

    X: np.ndarray
    start: Mixture


def case(n: int, d: int, k: int, separation: float = 2.0, seed: int = 0) -> Case:
    """Normal components whose means have that standard deviation, started near the truth."""
    rng = np.random.default_rng(seed)
    means = separation * rng.normal(size=(k, d))
    X = rng.normal(size=(n, d))
    for part in blocks(n, 8 * d):  # whose peak of memory is not that of the fit
        X[part] += means[rng.integers(k, size=len(X[part]))]
    near = means + 0.3 * rng.normal(size=(k, d))
    return Case(X, Mixture(np.full(k, 1 / k), near, np.tile(np.eye(d), (k, 1, 1))))


def ours(given: Case, max_iter: int, tol: float = 0.0, floor: float = 0.0) -> driver.EMResult:
    """Our EM from the one start."""
    n, d = given.X.shape
    weights = np.broadcast_to(1.0, n)
    starts = Mixture(*(part[None] for part in given.start))
    data = em.Data(given.X, weights, frame_of(given.X, weights), np.full(d, floor))
    return driver.run(starts, data, family("VVV"), tol=tol, max_iter=max_iter)


def theirs(given: Case, max_iter: int, tol: float = 0.0, floor: float = 0.0) -> GaussianMixture:
    """scikit-learn's EM from the same start."""
    weights, means, scale_tril = given.start
    estimator = GaussianMixture(
        len(weights),
        tol=tol,
        reg_covar=floor,
        max_iter=max_iter,
        init_params="random_from_data",
        weights_init=weights,
        means_init=means,
        precisions_init=scale_tril,  # the identity
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(given.X)


def seconds(function: Callable[..., object], *arguments: object) -> float:
    """How long one call takes."""
    begin = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - begin


def iteration(given: Case, runs: int) -> tuple[float, float]:
    """Seconds of one EM map, ours and scikit-learn's; each run measures both."""
    maps = em.MAPS_PER_CYCLE
    few, many = 2 * maps, (20 if len(given.X) < SMALL else 6) * maps
    for max_iter in (few, many):
        assert int(ours(given, max_iter, NEVER).state.n_maps[0]) == max_iter
    times = []
    for _ in range(runs):
        more, less = seconds(ours, given, many, NEVER), seconds(ours, given, few, NEVER)
        mine = (more - less) / (many - few)
        peer = (seconds(theirs, given, 4) - seconds(theirs, given, 1)) / 3
        times.append((mine, peer))
    mine, peer = zip(*times, strict=True)
    return statistics.median(mine), statistics.median(peer)


def extra_memory(library: str, shape: tuple[int, int, int]) -> float:
    """Peak memory in MiB of a fit beyond its rows and what its process held before it."""
    command = [sys.executable, __file__, "--peak", library, json.dumps(shape)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def print_extra_memory(library: str, shape: tuple[int, int, int]) -> None:
    """What `extra_memory` asks of its process, which has fitted fewer rows before."""
    fit = {"ours": ours, "theirs": theirs}[library]
    n, *others = shape
    given, few = case(*shape), case(min(n, 2 * chunk_rows(others[0])), *others)
    fit(few, 6, floor=1e-3)
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    before = memory("VmRSS")
    fit(given, 6, floor=1e-3)
    print(memory("VmHWM") - before)


def memory(name: str) -> float:
    """An entry of Linux's account of this process, in MiB."""
    rows = Path("/proc/self/status").read_text().splitlines()
    (row,) = (row for row in rows if row.startswith(name))
    return int(row.split()[1]) / 1024


def whole_fit(shape: tuple[int, int, int]) -> tuple[float, float, int, int, float]:
    """Seconds and iterations of ours and theirs, and by how much our log-likelihood is higher."""
    given = case(*shape, separation=1.0)
    begin = time.perf_counter()
    peer = theirs(given, 5000, 1e-8)
    their_time = time.perf_counter() - begin
    value = peer.score(given.X) * len(given.X)
    for tol in 10.0 ** -np.arange(3, 13):
        ours(given, 5000, tol)  # compiled, as it is for a second data set
        begin = time.perf_counter()
        result = ours(given, 5000, tol)
        our_time = time.perf_counter() - begin
        mixture = Mixture(*(part[0] for part in result.state.mixture))
        found = float(log_likelihoods(mixture, given.X, np.broadcast_to(1.0, len(given.X)))[0])
        if found >= value - 1e-9 * abs(value):
            break
    return our_time, their_time, int(result.state.n_maps[0]), peer.n_iter_, found - value


def draw(path: Path, runs: int) -> None:
    """Time of an iteration against n, d and k."""
    figure = new_figure(9.0, 3.0)
    panels = figure.subplots(1, 3, sharey=True)
    for panel, (name, shapes) in zip(panels, AXES.items(), strict=True):
        ax = dress(panel)
        values = [dict(zip("ndk", shape, strict=True))[name] for shape in shapes]
        times = 1e3 * np.array([iteration(case(*shape), runs) for shape in shapes])
        ax.loglog(values, times[:, 1], "s--", color=PALETTE[1], label="scikit-learn")
        ax.loglog(values, times[:, 0], "o-", color=PALETTE[0], label="bayesgmm")
        fixed = dict(zip("ndk", shapes[0], strict=True))
        others = ", ".join(f"{key} = {value:,}" for key, value in fixed.items() if key != name)
        ax.set(xlabel=f"{name}  ({others})")
        ax.set_xticks(values, [f"{value:,}" for value in values])
        ax.minorticks_off()
    panels[0].set_ylabel("milliseconds an iteration")
    panels[0].legend(frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Print the tables, and draw the figure where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="smaller data, no whole fits")
    parser.add_argument("--figure", type=Path, help="where to save time against n, d and k")
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print_extra_memory(options.peak[0], json.loads(options.peak[1]))
        return
    print(f"{available_cores()} cores, float64, medians of {options.runs} interleaved runs")
    print("\none EM iteration, and the memory of a fit beyond its rows")
    print(f"{'n, d, k':>20} {'ours ms':>9} {'theirs ms':>10} {'ratio':>6} {'at least':>8}", end="")
    print(f" {'ours MiB':>9} {'theirs MiB':>10}")
    for shape, target in (QUICK if options.quick else TARGETS).items():
        mine, peer = iteration(case(*shape), options.runs)
        memory = [extra_memory(library, shape) for library in ("ours", "theirs")]
        print(
            f"{shape!s:>20} {1e3 * mine:9.2f} {1e3 * peer:10.1f} {peer / mine:6.1f} {target:8}",
            end="",
        )
        print(f" {memory[0]:9.0f} {memory[1]:10.0f}", flush=True)
    if not options.quick:
        print("\nwhole fit of overlapping components to the log-likelihood of tol 1e-8")
        print(f"{'n, d, k':>20} {'ours s':>9} {'theirs s':>10} {'ratio':>6} {'maps':>8}", end="")
        print(f" {'theirs':>9} {'gained':>10}")
        for shape in OVERLAPPING:
            mine, peer, maps, iterations, gained = whole_fit(shape)
            print(f"{shape!s:>20} {mine:9.3f} {peer:10.2f} {peer / mine:6.1f} {maps:8}", end="")
            print(f" {iterations:9} {gained:10.1e}", flush=True)
    if options.figure:
        draw(options.figure, options.runs)


if __name__ == "__main__":
    main()
