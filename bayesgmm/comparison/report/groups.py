"""The groups of a mixture in one sentence: how large they are, and where they lie."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from bayesgmm.bayes.diagnose import AMBIGUOUS
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.parameters import Parameter
from bayesgmm.comparison.words import decimals, listed, number
from bayesgmm.gaussian.mixture import Mixture

FEW_GROUPS, MANY_GROUPS = 3, 6
CENTRES = (
    "mean",
    "means",
    "locations",
)  # what the programs of the library call a component's centre


def groups(both: Both, rows: Sequence[Parameter]) -> str:
    """What the groups are.

    Args:
        both: the fit.
        rows: its parameters.
    """
    k, posterior = both.n_components, both.posterior
    if AMBIGUOUS in {flag.name for flag in posterior.verdict.flags}:
        return _in_order(both)
    if not posterior.verdict.usable:
        return _by_estimate(rows, k)
    if k == 1:
        place = _place(both, rows, 1)
        return f"The group {f'lies around {place}' if place else 'holds every row'}."
    if k > MANY_GROUPS:
        return _range([row for row in rows if row.component <= k], k)
    sizes = {row.component: row for row in rows if row.name == "weight"}
    told = [f"group {j} {_share(sizes[j])}{_around(both, rows, j)}" for j in range(1, k + 1)]
    told += [f"the background {_share(sizes[k + 1])}"] if k + 1 in sizes else []
    first = told[0].replace(" % (", " % of them (95 % interval ", 1)
    first = first.replace("group 1 ", "Group 1 holds ", 1)
    return f"{'; '.join([first, *told[1:]])}."


def columns_apart(mixture: Mixture, most: int) -> list[int]:
    """The columns in which components lie farthest apart, at most so many, in their order.

    Apart is the spread of the means, in within-component standard deviations.
    """
    within = mixture.weights @ mixture.variances
    centre = mixture.weights @ mixture.means
    between = mixture.weights @ (mixture.means - centre) ** 2
    return sorted(np.argsort(-between / within, kind="stable")[:most].tolist())


def percent(value: float, spread: float) -> str:
    """A share in percent, to the digits of the tables.

    >>> percent(0.3561, 0.029)
    '35.6'
    """
    return f"{100 * value:.{max(0, decimals(spread) - 2)}f}"


def _share(row: Parameter) -> str:
    low, high = (percent(end, row.sd) for end in (row.low, row.high))
    return f"{percent(row.mean, row.sd)} % ({low} % to {high} %)"


def _around(both: Both, rows: Sequence[Parameter], component: int) -> str:
    place = _place(both, rows, component)
    return f", around {place}" if place else ""


def _place(both: Both, rows: Sequence[Parameter], component: int) -> str:
    """Where a group lies, in the columns that tell the groups apart."""
    names, k = both.problem.table.columns, both.n_components
    most = FEW_GROUPS if k <= FEW_GROUPS else FEW_GROUPS - 1
    shown = [names[j] for j in columns_apart(both.ml.mixture, most)]
    centres = [row for row in rows if row.component == component and row.name in CENTRES]
    told = [
        f"{row.column or names[0]} {number(row.mean, row.sd)}"
        for row in centres
        if (row.column or names[0]) in shown
    ]
    return listed(told)


def _in_order(both: Both) -> str:
    """Sizes in order, which do not depend on labels."""
    draws = both.posterior.cluster_weights
    ranked: Float[np.ndarray, "c s k"] = -np.sort(-draws, axis=-1)
    pairs = zip(ranked.mean((0, 1)), ranked.std((0, 1)), strict=True)
    told = [f"{percent(float(m), 0.01)} % (sd {percent(float(s), 0.01)} %)" for m, s in pairs]
    return (
        "The groups overlap so much that single ones cannot be told apart; in order of size they "
        f"hold {listed(told)} of the rows."
    )


def _by_estimate(rows: Sequence[Parameter], k: int) -> str:
    sizes = [row for row in rows if row.name == "weight" and row.component <= k]
    told = [f"{percent(row.ml, row.sd)} %" for row in sizes if np.isfinite(row.ml)]
    if k == 1 or not told:
        return "Nothing can be said of the groups with any certainty."
    return (
        f"By maximum likelihood alone groups 1 {'and' if k == 2 else 'to'} {k} hold "
        f"{listed(told)} of the rows, whose uncertainty is not known."
    )


def _range(rows: Sequence[Parameter], k: int) -> str:
    sizes = sorted((row.mean, row.sd) for row in rows if row.name == "weight")
    (small, sd), (large, other) = sizes[0], sizes[-1]
    return f"The {k} groups hold from {percent(small, sd)} % to {percent(large, other)} % of them."
