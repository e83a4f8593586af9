"""How long a user waits: whole commands, cold and warm, and a second fit in one process.

    python benchmarks/end_to_end.py [--runs 5]

Cold is a fresh process with an empty compilation cache; warm is a fresh process that finds the
compiled programs of an earlier one. The peer of the second fit is the idiomatic NumPyro `MCMC` on
the same program, one short chain, run again in the same process.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BAYESGMM = str(Path(sys.executable).with_name("bayesgmm"))
COMMANDS = {
    "fit faithful -k 2": ["fit", "faithful", "-k", "2"],
    "compare faithful -k 1:6": ["compare", "faithful", "-k", "1:6"],
}
TARGETS = {"fit faithful -k 2": (8.0, 3.0), "compare faithful -k 1:6": (40.0, 10.0)}

SECOND_FIT = """
import statistics, time
import bayesgmm as bg
X = bg.load_dataset("faithful")
times = []
for seed in range({runs} + 1):
    begin = time.perf_counter()
    bg.BayesianMixture(2, random_state=seed).fit(X)
    times.append(time.perf_counter() - begin)
print(times[0], statistics.median(times[1:]))
"""

PEER = """
import statistics, time
import jax, numpyro
from numpyro.infer import MCMC, NUTS
import bayesgmm as bg
numpyro.enable_x64()
X = jax.numpy.asarray(bg.load_dataset("faithful").to_numpy())
times = []
for seed in range({runs} + 1):
    sampler = MCMC(NUTS(bg.load_model("gaussian").model), num_warmup=500, num_samples=500,
                   progress_bar=False)
    begin = time.perf_counter()
    sampler.run(jax.random.key(seed), X, 2)
    jax.block_until_ready(sampler.get_samples())
    times.append(time.perf_counter() - begin)
print(times[0], statistics.median(times[1:]))
"""


def wall(command: list[str], cache: str) -> float:
    """Seconds that a whole process takes."""
    environment = os.environ | {"BAYESGMM_COMPILATION_CACHE": cache}
    begin = time.perf_counter()
    subprocess.run(command, env=environment, capture_output=True, check=True)
    return time.perf_counter() - begin


def command_times(arguments: list[str], runs: int) -> tuple[float, float]:
    """Cold once, and the median of warm runs."""
    with tempfile.TemporaryDirectory() as cache:
        cold = wall([BAYESGMM, *arguments], cache)
        warm = [wall([BAYESGMM, *arguments], cache) for _ in range(runs)]
    return cold, statistics.median(warm)


def in_process(code: str, runs: int) -> tuple[float, float]:
    """First and median later time that the code reports of itself."""
    command = [sys.executable, "-c", code.format(runs=runs)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, later = done.stdout.split()
    return float(first), float(later)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    print(f"{'what':44} {'cold s':>8} {'target':>7} {'warm s':>8} {'target':>7}")
    for name, arguments in COMMANDS.items():
        cold, warm = command_times(arguments, runs)
        cold_target, warm_target = TARGETS[name]
        print(f"{name:44} {cold:8.2f} {cold_target:7.1f} {warm:8.2f} {warm_target:7.1f}")
    first, later = in_process(SECOND_FIT, runs)
    name = "BayesianMixture(2).fit, 4 chains x 1000"
    print(f"{name:44} {first:8.2f} {'':7} {later:8.2f} {0.5:7.1f}")
    first, peer = in_process(PEER, runs)
    name = "idiomatic NumPyro MCMC, 1 chain x (500+500)"
    print(f"{name:44} {first:8.2f} {'':7} {peer:8.2f}")
    print(f"a later fit takes {peer / later:.1f} times less than the peer's single chain")


if __name__ == "__main__":
    main()
