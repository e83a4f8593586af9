"""The gradient of the log posterior: the plain NumPyro program, the handler `fuse`, the driver.

    python benchmarks/gradient.py [--model gaussian] [--most 1000000]

The same program at the same point; gradients run inside a compiled loop, so that nothing but the
gradient is timed. Values and gradients are checked against each other before the clock starts.
"Alone" is one chain; "4 chains" are four loops on the cores there are, for the plain program the
faster of threads and `vmap`. Milliseconds for each gradient; ratios to the plain program.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer.util import initialize_model, potential_energy

from bayesgmm.bayes.fuse import fuse
from bayesgmm.bayes.inference import prepare
from bayesgmm.bayes.program import load_model
from bayesgmm.data.table import read_table
from bayesgmm.gaussian.cores import available_cores
from bayesgmm.ml.problem import Problem

SIZES = [
    (100, 2, 2),
    (1000, 2, 3),
    (10_000, 5, 5),
    (100_000, 2, 5),
    (100_000, 10, 10),
    (1_000_000, 2, 5),
]
TARGETS = {(10_000, 5, 5): 8, (100_000, 10, 10): 14}
SECONDS, RUNS, CHAINS = 0.3, 5, 4


def rows(n: int, d: int, k: int) -> np.ndarray:
    """k groups that overlap a little."""
    rng = np.random.default_rng(0)
    centres = 2.5 * rng.normal(size=(k, d))
    return centres[rng.integers(k, size=n)] + rng.normal(size=(n, d))


def looped(potential: Callable[[Any, Any], Any], times: int) -> Callable[[Any, Any], Any]:
    """So many gradients one after another, none of which can be left out."""

    def loop(z: Any, data: Any) -> Any:
        def step(z: Any, _: None) -> tuple[Any, Any]:
            value, slope = jax.value_and_grad(potential)(z, data)
            return jax.tree.map(lambda a, b: a - 1e-12 * b, z, slope), value

        return jax.lax.scan(step, z, None, length=times)

    return loop


def median_seconds(run: Callable[[], Any], times: int) -> float:
    """Seconds of one of so many, the median of several runs after one that is not counted."""
    took = []
    for _ in range(RUNS + 1):
        begin = time.perf_counter()
        jax.block_until_ready(run())
        took.append(time.perf_counter() - begin)
    return statistics.median(took[1:]) / times


class Case:
    """One way to the gradient, compiled for the number of repetitions that takes a moment."""

    def __init__(self, potential: Callable[[Any, Any], Any], z: Any, data: Any) -> None:
        self.potential, self.z, self.data = potential, z, data
        self.value, self.slope = jax.jit(jax.value_and_grad(potential))(z, data)
        few = jax.jit(looped(potential, 3))
        once = median_seconds(lambda: few(z, data), 3)
        self.times = max(3, min(20_000, int(SECONDS / once)))
        self.program = jax.jit(looped(potential, self.times)).lower(z, data).compile()

    def alone(self) -> float:
        return median_seconds(lambda: self.program(self.z, self.data), self.times)

    def chains(self, *, vectorised: bool) -> float:
        """Seconds for each gradient of one chain while four run; less is better."""
        with ThreadPoolExecutor(available_cores()) as pool:

            def run() -> Any:
                return list(pool.map(lambda _: self._once(), range(CHAINS)))

            best = median_seconds(run, self.times * CHAINS)
        if vectorised:
            batched = jax.vmap(looped(self.potential, self.times), in_axes=(0, None))
            z = jax.tree.map(lambda leaf: jnp.stack([leaf] * CHAINS), self.z)
            program = jax.jit(batched).lower(z, self.data).compile()
            run_all = lambda: program(z, self.data)  # noqa: E731
            best = min(best, median_seconds(run_all, self.times * CHAINS))
        return best

    def _once(self) -> Any:
        with jax.enable_x64(True):
            return jax.block_until_ready(self.program(self.z, self.data))


def flat(parts: Any, names: list[str]) -> np.ndarray:
    """A gradient by site as one vector in the order of the target's latents."""
    return np.concatenate([np.ravel(parts[name]) for name in names])


def compare(n: int, d: int, k: int, name: str) -> str:
    """One line of the table."""
    X = rows(n, d, k)
    problem, program = Problem.of(read_table(X)), load_model(name)
    ready = prepare(problem, program, k, None)
    data, names = ready.data, [latent.name for latent in ready.target.structure.latents]
    z = initialize_model(jax.random.key(0), program.model, model_args=(X, k)).param_info.z
    shared, observed = data.keywords, jnp.asarray(X)

    def plain(z: Any, X: Any) -> Any:
        return potential_energy(program.model, (X, k), shared, z)

    def handled(z: Any, X: Any) -> Any:
        return potential_energy(fuse(program.model), (X, k), shared, z)

    cases = [Case(plain, z, observed), Case(handled, z, observed)]
    vector = jnp.asarray(flat(z, names))
    cases.append(Case(ready.target.potential, vector, data))
    slopes = [flat(case.slope, names) for case in cases[:2]] + [np.asarray(cases[2].slope)]
    for case, slope in zip(cases[1:], slopes[1:], strict=True):
        np.testing.assert_allclose(case.value, cases[0].value, rtol=1e-10)
        np.testing.assert_allclose(slope, slopes[0], rtol=1e-8, atol=1e-10 * abs(slopes[0]).max())
    alone = [1e3 * case.alone() for case in cases]
    many = [1e3 * case.chains(vectorised=case is cases[0]) for case in cases]
    asked = f"{TARGETS[n, d, k]}x" if (n, d, k) in TARGETS else ""
    cells = [f"{n:>9,} {d:3} {k:3}", f"{alone[0]:9.3f}"]
    cells += [f"{ms:9.3f} {alone[0] / ms:5.1f}x" for ms in alone[1:]]
    cells += [f"{asked:>5} | {many[0]:9.3f}"]
    cells += [f"{ms:9.3f} {many[0] / ms:5.1f}x" for ms in many[1:]]
    return " ".join(cells)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="gaussian")
    parser.add_argument("--most", type=int, default=1_000_000, help="rows")
    options = parser.parse_args()
    with jax.enable_x64(True):
        print(f"{options.model}, {jax.default_backend()}, {available_cores()} cores, ms a gradient")
        print(f"{'':17} {'alone':>9} {'':29} {'':11} | {'4 chains':>9}")
        print(
            f"{'n':>9} {'d':>3} {'k':>3} {'plain':>9} {'fuse':>16} {'driver':>16} {'asked':>5} "
            f"| {'plain':>9} {'fuse':>16} {'driver':>16}"
        )
        for n, d, k in SIZES:
            if n <= options.most:
                print(compare(n, d, k, options.model), flush=True)


if __name__ == "__main__":
    main()
