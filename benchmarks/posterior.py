"""Effective draws a second: bayesgmm, the idiomatic NumPyro program, PyMC with nutpie if installed.

    python benchmarks/posterior.py [--sizes 1000,2,3 10000,5,5]

The same rows, program, priors and start (the posterior's largest mode). NumPyro and PyMC warm up
for their usual 1000 steps and draw 1000 in two chains, one for each core; bayesgmm does what `fit`
does by default, which is four chains, and its seconds hold the EM fit, the search for modes,
relabelling and diagnostics as well. An effective size is the least, bulk or tail, over what no
relabelling changes. Everybody has a process of his own with an empty compilation cache; "compiled"
leaves out the seconds that compilation took.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

TARGETS = {(10_000, 5, 5): 15}
WARM_UP, DRAWS, CHAINS, CORES = 1000, 1000, 2, 2


def rows(n: int, d: int, k: int) -> Any:
    """k groups that overlap a little."""
    import numpy as np

    rng = np.random.default_rng(0)
    centres = 5 * np.sqrt(2 / d) * rng.normal(size=(k, d))
    return centres[rng.integers(k, size=n)] + rng.normal(size=(n, d))


def bayesgmm(size: tuple[int, int, int]) -> dict[str, float]:
    """Two fits in one process; the second compiles nothing."""
    import bayesgmm as bg

    X, times = rows(*size), []
    for seed in range(2):
        begin = time.perf_counter()
        fit = bg.BayesianMixture(size[-1], random_state=seed).fit(X)
        times.append(time.perf_counter() - begin)
        if seed == 0:
            first = fit.diagnostics_
    found = fit.diagnostics_
    return {
        "seconds": times[0],
        "compiled": times[1],
        "ess": first.lowest_ess,
        "compiled_ess": found.lowest_ess,
        "r_hat": found.worst_r_hat,
        "leapfrogs": float(fit.both_.posterior.draws.stats["n_steps"].mean()),
    }


def numpyro(size: tuple[int, int, int]) -> dict[str, float]:
    """`MCMC(NUTS(model))`, started in the mode."""
    import numpyro

    numpyro.set_host_device_count(CHAINS)
    numpyro.enable_x64()
    import jax
    from numpyro.infer import MCMC, NUTS, init_to_value

    ready, start = beginning(size)
    compiling = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compiling.append(seconds) if "compile" in event else None
    )
    kernel = NUTS(ready.target.program.model, init_strategy=init_to_value(values=start))
    options = {"num_warmup": WARM_UP, "num_samples": DRAWS, "num_chains": CHAINS}
    sampler = MCMC(kernel, **options, progress_bar=False)
    begin = time.perf_counter()
    sampler.run(
        jax.random.key(0),
        ready.problem.X,
        size[-1],
        **ready.data.keywords,
        extra_fields=("num_steps",),
    )
    draws = jax.block_until_ready(sampler.get_samples(group_by_chain=True))
    seconds = time.perf_counter() - begin
    steps = sampler.get_extra_fields()["num_steps"].mean()
    factors = draws["sds"][..., None] * draws["corr_tril"]
    found = judged(ready, draws["weights"], draws["means"], factors)
    return found | timed(seconds, seconds - sum(compiling), float(steps), found["ess"])


def pymc(size: tuple[int, int, int]) -> dict[str, float]:
    """PyMC's model of the same priors, sampled by nutpie, started in the mode."""
    import numpy as np
    import nutpie
    import pymc as pm

    ready, start = beginning(size)
    constants = {name: np.asarray(value) for name, value in ready.data.keywords.items()}
    start = {name: np.asarray(value) for name, value in start.items()}
    (_, d, k), X = size, ready.problem.X
    begin = time.perf_counter()
    with pm.Model() as model:
        weights = pm.Dirichlet("weights", np.ones(k))
        log_tau = pm.Normal("log_tau", np.log(constants["sd"]) - np.log(k) / d, 1.0, shape=d)
        means = pm.Normal("means", constants["location"], constants["spread"], shape=(k, d))
        spread = pm.LogNormal.dist(log_tau, 0.7, shape=d)
        factors = [
            pm.LKJCholeskyCov(f"factor_{j}", n=d, eta=2.0, sd_dist=spread, compute_corr=True)[0]
            for j in range(k)
        ]
        pm.Deterministic("scale_tril", pm.math.stack(factors))
        components = [pm.MvNormal.dist(means[j], chol=factors[j]) for j in range(k)]
        pm.Mixture("X", w=weights, comp_dists=components, observed=X)
    scale_tril = start["sds"][..., None] * start["corr_tril"]
    first = {name: start[name] for name in ("weights", "log_tau", "means")}
    first |= {f"factor_{j}": scale_tril[j][np.tril_indices(d)] for j in range(k)}
    compiled = nutpie.compile_pymc_model(model, initial_points=first)
    middle = time.perf_counter()
    options = {"tune": WARM_UP, "draws": DRAWS, "chains": CHAINS, "cores": CORES, "seed": 0}
    tree = nutpie.sample(compiled, **options, progress_bar=False)
    end = time.perf_counter()
    draws = tree.posterior
    found = judged(ready, *(draws[name].values for name in ("weights", "means", "scale_tril")))
    steps = float(tree.sample_stats["n_steps"].mean())
    return found | timed(end - begin, end - middle, steps, found["ess"])


def beginning(size: tuple[int, int, int]) -> tuple[Any, dict[str, Any]]:
    """The program with its data, and the values of its sites in the largest mode."""
    import numpy as np

    from bayesgmm.bayes.inference import prepare
    from bayesgmm.bayes.program import load_model
    from bayesgmm.bayes.start import modes
    from bayesgmm.data.table import read_table
    from bayesgmm.gaussian.precision import float64
    from bayesgmm.ml import restarts
    from bayesgmm.ml.problem import Problem

    k = size[-1]
    problem = Problem.of(read_table(rows(*size)))
    ready = prepare(problem, load_model("gaussian"), k, None)
    ml = restarts.fit(problem.table, k, "VVV", np.random.default_rng(0), restarts.Settings())
    (best, *_) = modes(ready.target, ready.data, [ml.mixture], np.random.default_rng(0))
    sites = float64(ready.target.at)(best.place.loc, ready.data).sites
    latents = {latent.name for latent in ready.target.structure.latents}
    return ready, {name: value for name, value in sites.items() if name in latents}


def timed(seconds: float, compiled: float, leapfrogs: float, ess: float) -> dict[str, float]:
    """Seconds with and without compilation, of a run that compiled once."""
    named = {"seconds": seconds, "compiled": compiled, "leapfrogs": leapfrogs}
    return named | {"compiled_ess": ess}


def judged(ready: Any, weights: Any, means: Any, scale_tril: Any) -> dict[str, float]:
    """The least effective size, and the worst R-hat, of draws (c, s, k, ...)."""
    import jax
    import numpy as np

    from bayesgmm.bayes.crossing import held_rows
    from bayesgmm.bayes.diagnose import ess, invariants, r_hat
    from bayesgmm.gaussian.mixture import Mixture, log_joint
    from bayesgmm.gaussian.precision import float64

    mixture = Mixture(*map(np.asarray, (weights, means, scale_tril)))
    (c, s), held = mixture.weights.shape[:2], held_rows(len(ready.problem.X))

    @float64
    def densities() -> tuple[Any, Any]:
        X = jax.numpy.asarray(ready.problem.X)

        def one(draw: Mixture) -> tuple[Any, Any]:
            each = jax.nn.logsumexp(log_joint(draw, X), axis=-1)
            return each.sum(), each[held]

        flat = jax.tree.map(lambda part: part.reshape(c * s, *part.shape[2:]), mixture)
        return jax.lax.map(one, flat)

    total, at_held = map(np.asarray, densities())
    total, at_held = total.reshape(c, s), at_held.reshape(c, s, -1)
    found = invariants(total, total, at_held, mixture.weights, mixture, len(ready.problem.X))
    stacked = np.stack(list(found.values()), axis=-1)
    least = float(min(ess(stacked, "bulk").min(), ess(stacked, "tail").min()))
    return {"ess": least, "r_hat": float(r_hat(stacked).max())}


TOOLS = {"bayesgmm": bayesgmm, "numpyro": numpyro, "pymc": pymc}


def measured(tool: str, size: tuple[int, int, int]) -> dict[str, float]:
    """What one tool reports of itself, in a fresh process with an empty compilation cache."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"BAYESGMM_COMPILATION_CACHE": cache}
        command = [sys.executable, __file__, "--tool", tool, "--sizes", ",".join(map(str, size))]
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["1000,2,3", "10000,5,5"], metavar="N,D,K")
    parser.add_argument("--tool", choices=TOOLS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    nutpie = importlib.util.find_spec("pymc") and importlib.util.find_spec("nutpie")
    tools = [name for name in TOOLS if name != "pymc" or nutpie]
    sizes = [tuple(map(int, size.split(","))) for size in options.sizes]
    if options.tool:
        print(json.dumps(TOOLS[options.tool](sizes[0])))
        return
    print(
        f"{'(n, d, k)':18} {'':10} {'seconds':>8} {'compiled':>9} {'least ESS':>10} "
        f"{'R-hat':>6} {'leapfrogs':>10} {'ESS/s':>7} {'compiled':>9}"
    )
    for size in sizes:
        rates = {}
        for tool in tools:
            found = measured(tool, size)
            rates[tool] = (
                found["ess"] / found["seconds"],
                found["compiled_ess"] / found["compiled"],
            )
            print(
                f"{size!s:18} {tool:10} {found['seconds']:8.1f} {found['compiled']:9.1f} "
                f"{found['ess']:10.0f} {found['r_hat']:6.3f} {found['leapfrogs']:10.1f} "
                f"{rates[tool][0]:7.2f} {rates[tool][1]:9.2f}",
                flush=True,
            )
        for peer in tools[1:]:
            ratios = [
                ours / theirs for ours, theirs in zip(rates["bayesgmm"], rates[peer], strict=True)
            ]
            asked = f" (asked: {TARGETS[size]}x)" if peer == "numpyro" and size in TARGETS else ""
            print(
                f"{size!s:18} {ratios[0]:.1f}x {peer}, {ratios[1]:.1f}x without compilation{asked}"
            )


if __name__ == "__main__":
    main()
