"""Is one more component needed? The likelihood ratio against its parametric bootstrap.

The regularity that would make 2 log lambda chi-squared fails between k and k + 1 components, so its
distribution is simulated from the fit of k (McLachlan 1987). Every simulated data set is fitted as
the data are, from seeded starts of its own: refits that began at the fit would find the better
optimum of k more often than the data's fit does, and bias the test.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

from bayesgmm.data.errors import InputError
from bayesgmm.data.lines import fitting
from bayesgmm.data.plain import plain
from bayesgmm.data.randomness import generator
from bayesgmm.data.ranges import component_range
from bayesgmm.data.scalars import whole
from bayesgmm.data.table import Table, check_counts, check_spread, read_table
from bayesgmm.gaussian.families import Family, family, family_label
from bayesgmm.gaussian.mixture import Mixture
from bayesgmm.ml.em import Data
from bayesgmm.ml.problem import Problem, check_components
from bayesgmm.ml.replicates import BLOCK, Replicates, fit_replicates
from bayesgmm.ml.simulation import draw_rows
from bayesgmm.ml.told import Told

if TYPE_CHECKING:
    import pandas as pd

N_RESAMPLES = 199
N_INIT = 8
LEVEL = 0.05


@dataclass(frozen=True)
class LikelihoodRatio:
    """The test of k components against k + 1.

    Attributes:
        n_components: k, the null hypothesis.
        statistic: 2 (log-likelihood of k + 1 less that of k); NaN where one has no admissible fit.
        p_value: (1 + how many simulated statistics are as large) / (1 + how many there are).
        p_error: its Monte-Carlo standard error.
        null: the simulated statistics.
        lost: data sets that were simulated and had no admissible fit.
    """

    n_components: int
    statistic: float
    p_value: float
    p_error: float
    null: Float[np.ndarray, " b"] = field(repr=False)
    lost: int


@dataclass(frozen=True, repr=False)
class LikelihoodRatios(Told):
    """Tests of k against k + 1 in turn, up to the first k that is not rejected.

    Attributes:
        name: of the data.
        covariance_type: family of both hypotheses.
        tests: in the order of k.
        ks: numbers of components that were to be tested.
        level: a p-value at or below it rejects k.
        d: columns of the data.
    """

    name: str
    covariance_type: str
    tests: tuple[LikelihoodRatio, ...]
    ks: tuple[int, ...]
    level: float
    d: int

    @property
    def n_components_(self) -> int | None:
        """The first k that is not rejected; None where all were."""
        last = self.tests[-1]
        return last.n_components if last.p_value > self.level else None

    @property
    def table(self) -> "pd.DataFrame":
        """One row for each test."""
        import pandas as pd

        return pd.DataFrame(self._records())

    def to_dict(self) -> dict[str, Any]:
        """The same numbers that the text shows, ready for JSON."""
        content = {
            "data": self.name,
            "covariance_type": self.covariance_type,
            "level": self.level,
            "tests": self._records(),
            "sentences": self.sentences(),
        }
        return dict(plain(content))

    def lines(self) -> list[str]:
        """One row for each test."""
        label = family_label(self.covariance_type, self.d)
        head = f": {label}, likelihood ratio of k against k + 1"
        lines = [
            f"{fitting(self.name, head)}{head}",
            "",
            "   k  2 log ratio   p-value  +- error  simulated",
        ]
        lines += [
            f"{t.n_components:4} {t.statistic:12.2f} {t.p_value:9.3f} {t.p_error:9.3f} "
            f"{len(t.null):10}"
            for t in self.tests
        ]
        return lines

    def sentences(self) -> list[str]:
        """What the tests say."""
        k, last = self.n_components_, self.tests[-1]
        if not np.isfinite(last.p_value):
            lines = [
                f"No answer at k = {last.n_components}: it or {last.n_components + 1} has no "
                "admissible fit of the data, or of any simulated."
            ]
        elif k is None:
            lines = [
                f"Every k up to {last.n_components} is rejected at {self.level:g}: try more "
                "components."
            ]
        else:
            lines = [f"k = {k} is the first that is not rejected at {self.level:g}."]
        near = [t for t in self.tests if abs(t.p_value - self.level) < 2 * t.p_error]
        if near:
            ks = ", ".join(str(test.n_components) for test in near)
            lines.append(f"! At k = {ks}, p is within two errors of the level: simulate more.")
        lost = sum(test.lost for test in self.tests)
        if lost:
            lines.append(f"{lost} simulated data sets had no admissible fit and are left out.")
        return lines

    def _records(self) -> list[dict[str, object]]:
        return [
            {
                "n_components": test.n_components,
                "statistic": test.statistic,
                "p_value": test.p_value,
                "p_error": test.p_error,
                "n_resamples": len(test.null),
                "lost": test.lost,
            }
            for test in self.tests
        ]


def likelihood_ratios(
    X: object,
    n_components: SupportsIndex | Iterable[SupportsIndex] = range(1, 9),
    covariance_type: str = "full",
    *,
    columns: Sequence[str] | None = None,
    sample_weight: object = None,
    n_resamples: int = N_RESAMPLES,
    n_init: int = N_INIT,
    level: float = LEVEL,
    random_state: object = None,
) -> LikelihoodRatios:
    """Parametric bootstrap tests of k components against k + 1, up to the first not rejected.

    Args:
        X: a DataFrame, array (n, d), path or data set's name.
        n_components: numbers of components k to test, each against k + 1.
        covariance_type: the family of both.
        columns: columns of X to use.
        sample_weight: counts (n,), or a column's name.
        n_resamples: simulated data sets for each test.
        n_init: EM starts, of the data and of every simulated data set alike.
        level: a p-value at or below it rejects k.
        random_state: int, Generator or None.

    Raises:
        InputError: bad data, an unknown family, weights that are not counts, fewer than two
            resamples, a level that is not between 0 and 1, too few rows.

    Source: McLachlan (1987); McLachlan and Peel (2000), section 6.6.
    """
    table = read_table(X, columns, sample_weight)  # type: ignore[arg-type]
    rng, _ = generator(random_state)
    ks = component_range(n_components)
    return in_sequence(table, ks, covariance_type, rng, n_resamples, n_init, level)


def in_sequence(
    table: Table,
    ks: Sequence[int],
    covariance_type: str,
    rng: Generator,
    n_resamples: int = N_RESAMPLES,
    n_init: int = N_INIT,
    level: float = LEVEL,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> LikelihoodRatios:
    """`likelihood_ratios` of a table that was read."""
    member, n_init = family(covariance_type), whole("n_init", n_init)
    n_resamples = whole("n_resamples", n_resamples)
    if n_resamples < 2:
        raise InputError(f"n_resamples={n_resamples} must be at least 2; 199 is usual.")
    if not 0 < level < 1:
        raise InputError(f"level={level!r} must lie between 0 and 1, such as 0.05.")
    check_counts(table, "which cannot be simulated")
    check_spread(table)
    problem = Problem.of(table)
    tests: list[LikelihoodRatio] = []
    if 1 / (n_resamples + 1) > level:
        raise InputError(
            f"n_resamples={n_resamples} cannot give a p-value of level={level:g} or less; simulate "
            f"at least {int(np.ceil(1 / level - 1 - 1e-9))}."
        )
    check_components(max(ks) + 1, problem)
    for k in (ks := sorted(ks)):
        progress("likelihood ratio", len(tests), len(ks))
        tests.append(_test(problem, k, member, rng, n_resamples, n_init))
        if not tests[-1].p_value <= level:
            break
    d = len(table.columns)
    return LikelihoodRatios(table.name, member.name, tuple(tests), tuple(ks), level, d)


def _test(
    problem: Problem, k: int, member: Family, rng: Generator, n_resamples: int, n_init: int
) -> LikelihoodRatio:
    d = problem.X.shape[1]
    data = Data(problem.X[None], problem.row_weights, problem.frame, np.zeros(d))
    null, statistic = _statistics(data, k, member, n_init, rng)
    if not np.isfinite(statistic[0]):
        nan = float("nan")
        return LikelihoodRatio(k, nan, nan, nan, np.zeros(0), 0)
    n = round(float(problem.row_weights.sum()))
    fitted = Mixture(*(part[0] for part in null.mixture))
    most = max(1, BLOCK // (8 * n * d))
    parts = []
    for first in range(0, n_resamples, most):
        m = min(most, n_resamples - first)
        X = draw_rows(fitted, m * n, rng)[0].reshape(m, n, d)
        simulated = data._replace(X=X, row_weights=np.ones(n))
        parts.append(_statistics(simulated, k, member, n_init, rng)[1])
    values = np.concatenate(parts)
    usable = values[np.isfinite(values)]
    if not usable.size:
        nan = float("nan")
        return LikelihoodRatio(k, float(statistic[0]), nan, nan, usable, values.size)
    p = (1 + int((usable >= statistic[0]).sum())) / (1 + usable.size)
    error = float(np.sqrt(p * (1 - p) / max(usable.size, 1)))
    return LikelihoodRatio(k, float(statistic[0]), p, error, usable, int(values.size - usable.size))


def _statistics(
    data: Data, k: int, member: Family, n_init: int, rng: Generator
) -> tuple[Replicates, Float[np.ndarray, " m"]]:
    """The fits of k, and 2 log lambda against k + 1, of every data set."""
    null, more = (fit_replicates(data, each, member, n_init, rng) for each in (k, k + 1))
    return null, 2 * (more.log_likelihood - null.log_likelihood)
