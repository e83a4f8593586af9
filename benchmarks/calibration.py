"""Do the intervals of maximum likelihood cover what they should? Against the number of rows.

    python benchmarks/calibration.py [--simulations 400] [--table docs/calibration.md]
        [--figure docs/calibration.png]

Data are simulated from fits to Old Faithful (VVV with two components, far apart; EEE with three,
two of which overlap) at several sizes, fitted, and counted: how often 95 % intervals from the
observed information and from the weighted bootstrap cover, and how often BIC finds k.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from bayesgmm.data.table import read_table
from bayesgmm.ml.calibration import Calibration, calibrate
from bayesgmm.ml.problem import Problem
from bayesgmm.ml.restarts import Settings, fit
from bayesgmm.plots.canvas import new_figure
from bayesgmm.plots.style import PALETTE, dress

CASES = (("VVV", 2), ("EEE", 3))
SIZES = (100, 272, 1000, 3000)
QUANTITIES = ("weights", "means", "sds", "correlations")
METHODS = ("standard error", "weighted bootstrap")


def calibrations(name: str, k: int, simulations: int) -> dict[int, Calibration]:
    """One for each size."""
    table = read_table("faithful")
    problem, found = Problem.of(table), fit(table, k, name, np.random.default_rng(0))
    track = Settings().track(problem, k)
    results = {}
    for n in SIZES:
        sized = replace(found, n=float(n))
        rng = np.random.default_rng(n)
        results[n] = calibrate(sized, problem, track, rng, n_simulations=simulations)
        print(f"\nn = {n}\n{results[n]}", flush=True)
    return results


def share(found: Calibration, method: str, quantity: str) -> tuple[float, float]:
    """Coverage in %, and its Monte-Carlo error."""
    (each,) = [c for c in found.coverages if (c.method, c.quantity) == (method, quantity)]
    return 100 * each.share, 100 * each.error


def written(results: dict[tuple[str, int], dict[int, Calibration]], simulations: int) -> str:
    """The table as Markdown."""
    lines = [
        "# Coverage of 95 % intervals",
        "",
        f"Share of intervals, in %, that cover the truth in {simulations} simulated data sets, "
        "with its Monte-Carlo error; made by `make calibration`.",
        "",
        "| truth | rows | intervals from | " + " | ".join(QUANTITIES) + " | BIC finds k |",
        "|---|---:|---|" + "---:|" * (len(QUANTITIES) + 1),
    ]
    for (name, k), each in results.items():
        for n, found in each.items():
            for method in METHODS:
                cells = [
                    "{:.1f} ± {:.1f}".format(*share(found, method, quantity))
                    for quantity in QUANTITIES
                ]
                recovered = f"{100 * found.recovered['bic'][k]:.0f}"
                row = [f"{name}, k = {k}", f"{n}", method, *cells, recovered]
                lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def drawn(results: dict[tuple[str, int], dict[int, Calibration]], path: Path) -> None:
    """Coverage against the number of rows, one panel for each kind of parameter."""
    figure = new_figure(9.5, 4.6)
    panels = figure.subplots(len(results), len(QUANTITIES), sharex=True, sharey=True)
    for row, ((name, k), each) in zip(panels, results.items(), strict=True):
        for panel, quantity in zip(row, QUANTITIES, strict=True):
            ax = dress(panel)
            ax.axhline(95, color="0.6", linewidth=0.8)
            for method, marker, colour in zip(METHODS, "os", PALETTE, strict=False):
                values, errors = zip(
                    *(share(f, method, quantity) for f in each.values()), strict=True
                )
                bars = 1.96 * np.array(errors)
                ax.errorbar(SIZES, values, bars, marker=marker, color=colour, label=method)
            ax.set_xscale("log")
            ax.set_title(f"{quantity}, {name} k = {k}", fontsize=9)
    for panel in panels[-1]:
        panel.set_xlabel("rows")
    for panel in panels[:, 0]:
        panel.set_ylabel("coverage, %")
    panels[0, 0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Simulate, print, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=400)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    results = {case: calibrations(*case, options.simulations) for case in CASES}
    if options.table:
        options.table.write_text(written(results, options.simulations))
    if options.figure:
        drawn(results, options.figure)


if __name__ == "__main__":
    main()
