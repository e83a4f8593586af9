"""Simulation-based calibration of every program and of the whole line.

    python benchmarks/sbc.py [--simulations 500] [--programs gaussian,sparse] [--inference nuts,vi]
        [--results benchmarks/sbc.jsonl] [--table docs/sbc.md] [--figure docs/sbc.png]

Parameters are drawn from the program's prior, rows from its mixture; EM, the search for modes, the
sampler and the relabelling then do what they do for a user. Over many simulations the rank of the
truth among the draws is uniform if all of it is right (Talts et al. 2018). Results are appended to
a file, so that an interrupted run goes on where it stopped; delete the file to begin anew.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from arviz_stats.ecdf_utils import ecdf_pit

from bayesgmm.bayes.diagnose import Thresholds
from bayesgmm.bayes.program import load_model
from bayesgmm.bayes.settings import INFERENCES, Settings
from bayesgmm.bayes.uniformity import Uniformity, shares, uniformity
from bayesgmm.comparison.sbc import N_DRAWS, Case, simulate
from bayesgmm.ml import restarts
from bayesgmm.plots.canvas import new_figure
from bayesgmm.plots.style import LABEL_SIZE, NOTE_SIZE, PALETTE, dress

ROWS, LEVEL = 48, 0.05
STARTS = restarts.Settings(n_init=8)
# A quarter of the draws that a fit has by default, and a quarter of the effective ones asked for,
# which is as many as are ranked among.
FITTED = {"num_draws": 250, "max_draws": 250, "thresholds": Thresholds(r_hat=1.05, ess=100.0)}
BLIND = ("log", "sum", "weight of", "mixture")  # how names begin of what labels do not touch
SEEN = {"location": [0.0, 0.0], "spread": [4.0, 4.0], "sd": [1.0, 1.0]}
ALONE = {"location": [0.0], "spread": [4.0], "sd": [1.0]}
SIZES: Mapping[str, tuple[int, int, dict[str, Any]]] = {  # k, columns, constants of the prior
    "gaussian": (2, 2, SEEN),
    "gaussian_tied": (2, 2, SEEN),
    "gaussian_diag": (3, 2, SEEN),
    "gaussian_spherical": (2, 2, SEEN),
    "student_t": (2, 1, ALONE),
    "gaussian_noise": (2, 1, ALONE),
    "sparse": (3, 1, ALONE),
    "dirichlet_process": (3, 1, ALONE),
    "richardson_green": (3, 1, {"location": [0.0], "spread": [4.0]}),
    "conjugate": (2, 2, {"location": [0.0, 0.0], "covariance": np.eye(2).tolist(), "kappa": 0.05}),
}
APPROXIMATED = ("gaussian",)


class Job(NamedTuple):
    """A program and how it is fitted."""

    program: str
    inference: str

    def __str__(self) -> str:
        return self.program if self.inference == "nuts" else f"{self.program}, {self.inference}"


def jobs(programs: Sequence[str], inferences: Sequence[str]) -> list[Job]:
    """NUTS for every program, approximations for those that shall show what they cost."""
    return [
        Job(program, inference)
        for inference in inferences
        for program in programs
        if inference == "nuts" or program in APPROXIMATED
    ]


def case(program: str) -> Case:
    """What is simulated of a program."""
    k, d, priors = SIZES[program]
    return Case(load_model(program), k, (ROWS, d), priors)


def simulated(job: Job, i: int) -> dict[str, Any]:
    """The outcome of simulation i, which depends on nothing else; seconds are the processor's."""
    settings = Settings(job.inference, **FITTED)
    rng = np.random.default_rng([i, *f"{job}".encode()])
    began = time.process_time()
    outcome = simulate(case(job.program), settings, STARTS, rng)
    return {**job._asdict(), "i": i, **asdict(outcome), "seconds": time.process_time() - began}


def known(path: Path) -> dict[Job, dict[int, dict[str, Any]]]:
    """What the file holds, by job and simulation; a line that was cut off is left out."""
    found: dict[Job, dict[int, dict[str, Any]]] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        with suppress(json.JSONDecodeError):
            told = json.loads(line)
            found.setdefault(Job(told["program"], told["inference"]), {})[told["i"]] = told
    return found


def run(chosen: Sequence[Job], simulations: int, path: Path) -> None:
    """Do what the file lacks."""
    done = known(path)
    with path.open("a") as file:
        file.write("\n")  # after a line that was cut off
        for job in chosen:
            for i in sorted(set(range(simulations)) - set(done.get(job, ()))):
                file.write(json.dumps(simulated(job, i)) + "\n")
                file.flush()
                if (i + 1) % 50 == 0:
                    print(f"{job}: {i + 1} of {simulations}", flush=True)


def ranks_of(told: Mapping[int, dict[str, Any]]) -> dict[str, np.ndarray]:
    """Ranks of every quantity over the simulations that have it."""
    fits = [each["ranks"] for each in told.values() if each["ranks"]]
    names = dict.fromkeys(name for each in fits for name in each)
    return {name: np.array([each[name] for each in fits if name in each]) for name in names}


def tests_of(told: Mapping[int, dict[str, Any]]) -> dict[str, Uniformity]:
    """How uniform the ranks of every quantity are."""
    return {name: uniformity(ranks, N_DRAWS) for name, ranks in ranks_of(told).items()}


def written(results: Mapping[Job, Mapping[int, dict[str, Any]]]) -> str:
    """The tables as Markdown."""
    lines = [
        "# Simulation-based calibration",
        "",
        f"Parameters from the prior, {ROWS} rows from the mixture, the fit, and the rank of the "
        f"truth among {N_DRAWS} draws; made by `make sbc`. If program, sampler and relabelling are "
        "right, ranks are uniform. p-values are of the quantity that departs most (chi-square over "
        "bins, or the distribution function), multiplied by the number of tests. A simulation "
        "whose rows no start can be fitted to is lost, which its rows alone decide, so that ranks "
        "of the others stay uniform; fits that did not converge are counted and kept.",
        "",
        "![Distribution of ranks less the uniform one, a panel for each program](sbc.png)",
        "",
        "In the corner of a panel: quantities x simulations. The band is that of Sailynoja, "
        "Burkner and Vehtari (2022) by ArviZ, at 5 % divided by the number of quantities.",
        "",
        "| program | k | columns | simulations | lost | EM not admissible | not converged | "
        "multimodal | quantities | departs most | mean rank | spread | p |",
        "|---|" + "---:|" * 8 + "---|" + "---:|" * 3,
    ]
    lines += [_row(job, told) for job, told in results.items()]
    lines += [
        "",
        "The fractions of `dirichlet_process` are as sampled: they belong to an order of the "
        "sticks, and chains rarely travel from one order to another. They are not to be read; "
        "weights, means and whatever labels cannot touch are.",
        "",
        "The rows of `vi` and `laplace` are approximations, whose ranks need not be uniform: what "
        'departs there is their error, and "poor" counts the fits whose k-hat says so.',
        "",
        "Mean rank is 0.5 if the posterior lies where it should; spread is 1 if it is as wide as "
        "it should be, larger where it is too narrow.",
    ]
    return "\n".join(lines) + "\n"


def _row(job: Job, told: Mapping[int, dict[str, Any]]) -> str:
    k, d, _ = SIZES[job.program]
    tests = tests_of(told)
    name, worst = min(tests.items(), key=lambda item: item[1].p)
    flagged = [
        sum(flag in each["flags"] for each in told.values())
        for flag in ("not converged", "multimodal")
    ]
    failed = sum("poor approximation" in each["flags"] for each in told.values())
    cells = [
        f"{job}",
        k,
        d,
        len(told),
        sum(bool(each["lost"]) for each in told.values()),
        sum(not each["admissible"] for each in told.values()),
        flagged[0] if job.inference == "nuts" else f"{failed} poor",
        flagged[1],
        len(tests),
        name,
        f"{worst.mean:.2f}",
        f"{worst.spread:.2f}",
        f"{min(1.0, worst.p * len(tests)):.2g}",
    ]
    return f"| {' | '.join(map(str, cells))} |"


def drawn(results: Mapping[Job, Mapping[int, dict[str, Any]]], path: Path) -> None:
    """ECDF less the diagonal, with the band that all curves of a panel stay in 95 times in 100."""
    columns = 4
    rows = -(-len(results) // columns)
    figure = new_figure(10, 2.3 * rows + 0.4)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for ax in panels[len(results) :]:
        ax.set_axis_off()
    for ax, (job, told) in zip(panels, results.items(), strict=False):
        _panel(dress(ax), job, ranks_of(told))
    for ax in panels[::columns]:
        ax.set_ylabel("ECDF - rank")
    for ax in panels[max(0, len(results) - columns) : len(results)]:
        ax.set_xlabel("rank of the truth")
        ax.tick_params(labelbottom=True)
    handles = [
        panels[0].plot([], [], color=PALETTE[0], label="what labels do not touch")[0],
        panels[0].plot([], [], color=PALETTE[1], label="parameters, relabelled")[0],
    ]
    band = "where all curves of a panel stay 95 times in 100"
    handles.append(panels[0].fill_between([], [], color="0.9", linewidth=0, label=band))
    figure.legend(handles=handles, loc="outside upper left", ncols=3, frameon=False, fontsize=9)
    figure.savefig(path, dpi=150)


def _panel(ax: Any, job: Job, ranks: Mapping[str, np.ndarray]) -> None:
    m = max(map(len, ranks.values()))
    widest = np.arange(m) / m
    x, _, low, high = ecdf_pit(widest, 1 - LEVEL / len(ranks), 20_000)
    ax.fill_between(x, low - x, high - x, color="0.9", linewidth=0)
    ax.axhline(0, color="0.6", linewidth=0.8)
    for name, own in ranks.items():
        at, ecdf, _, _ = ecdf_pit(shares(own, N_DRAWS), 0.95, 1)
        blind = name.startswith(BLIND) and not name.startswith("log_")
        ax.plot(at, ecdf - at, color=PALETTE[0 if blind else 1], linewidth=0.7, alpha=0.7)
    ax.set_title(f"{job}", fontsize=LABEL_SIZE, loc="left")
    told = {"transform": ax.transAxes, "ha": "right", "fontsize": NOTE_SIZE}
    ax.text(0.98, 0.03, f"{len(ranks)} x {m}", **told)


def main() -> None:
    """Simulate what is not there yet, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=500)
    parser.add_argument("--programs", default=",".join(SIZES))
    parser.add_argument("--inference", default=",".join(INFERENCES))
    parser.add_argument("--results", type=Path, default=Path("benchmarks/sbc.jsonl"))
    parser.add_argument("--table", type=Path)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    chosen = jobs(options.programs.split(","), options.inference.split(","))
    run(chosen, options.simulations, options.results)
    done = known(options.results)
    results = {
        job: {i: each for i, each in done[job].items() if i < options.simulations} for job in chosen
    }
    text = written(results)
    print(text)
    if options.table:
        options.table.write_text(text)
    if options.figure:
        drawn(results, options.figure)


if __name__ == "__main__":
    main()
