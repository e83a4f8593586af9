"""Diagnostics on what labels cannot touch, and the verdict that they lead to.

Every number is NaN-safe: a NaN is a failure, never a pass. R-hat and effective sample sizes are the
rank-normalised ones of Vehtari et al. (2021), computed by ArviZ.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from arviz_stats.base import array_stats  # type: ignore[attr-defined]
from jaxtyping import Float, Int

from bayesgmm.gaussian.mixture import Mixture, marginal_moments, moments

MANY_COLUMNS = 16
TINY = 1e-6

INTERRUPTED = "interrupted"
COLLAPSED = "collapsed"
NOT_CONVERGED = "not converged"
POOR = "poor approximation"
MULTIMODAL = "multimodal"
OVER_FITTED = "over-fitted"
AMBIGUOUS = "labels ambiguous"
APPROXIMATE = "approximate"
STABLE = "stable"


@dataclass(frozen=True)
class Thresholds:
    """When a flag is raised."""

    r_hat: float = 1.01
    ess: float = 400.0
    e_bfmi: float = 0.3
    divergent: float = 0.01
    pareto_k: float = 0.7
    same_mode_r_hat: float = 1.2
    unoccupied: float = 0.5
    ambiguous: float = 0.025
    ambiguous_odds: float = 19.0
    width: float = 1e-3
    collapsed: float = 0.01


@dataclass(frozen=True)
class Flag:
    """One finding: its name, the number that raised it, what it means, and what to do next."""

    name: str
    number: str
    meaning: str
    next: str


@dataclass(frozen=True)
class Verdict:
    """All findings, worst first; `name` is the worst, or what to call a fit without any."""

    flags: tuple[Flag, ...]
    otherwise: str = STABLE

    @property
    def name(self) -> str:
        return self.flags[0].name if self.flags else self.otherwise

    @property
    def usable(self) -> bool:
        """Whether single-number answers may be ranked against others."""
        return not {COLLAPSED, NOT_CONVERGED, POOR, MULTIMODAL} & {flag.name for flag in self.flags}

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Diagnostics:
    """Numbers behind the verdict; NaN where they mean nothing.

    Attributes:
        r_hat: R-hat of every label-invariant quantity.
        ess_bulk: bulk effective sample size of each.
        ess_tail: tail effective sample size of each.
        e_bfmi: the smallest over chains; infinity where the sampler has no energy.
        divergences: number of divergent transitions.
        n_draws: draws over all chains.
        non_finite: draws that hold a NaN or an infinity.
        pareto_k: of the importance ratios of an approximation.
        ambiguous: share of draws among which another labelling would be as plausible.
        occupied: share of draws in which all components hold rows.
        collapsed: share of draws in which a normal component has no width to speak of; 0 for
            components that are not normal.
        chain_modes: the mode in which each chain sits, 0 for the first.
        unseen: modes of much Laplace mass that no draw came near: what led there, and the mass.
    """

    r_hat: Mapping[str, float]
    ess_bulk: Mapping[str, float]
    ess_tail: Mapping[str, float]
    e_bfmi: float
    divergences: int
    n_draws: int
    non_finite: int
    pareto_k: float
    ambiguous: float
    occupied: float
    collapsed: float = 0.0
    chain_modes: tuple[int, ...] = field(default=())
    unseen: tuple[tuple[str, float], ...] = field(default=())

    @property
    def worst_r_hat(self) -> float:
        return _nan_worst(self.r_hat.values(), max)

    @property
    def lowest_ess(self) -> float:
        return _nan_worst([*self.ess_bulk.values(), *self.ess_tail.values()], min)


def _nan_worst(values: object, worst: object) -> float:
    numbers = [float(value) for value in values]  # type: ignore[attr-defined]
    if not numbers or any(np.isnan(numbers)):
        return float("nan")
    return float(worst(numbers))  # type: ignore[operator]


def invariants(
    log_posterior: Float[np.ndarray, "c s"],
    log_likelihood: Float[np.ndarray, "c s"],
    held: Float[np.ndarray, "c s h"],
    weights: Float[np.ndarray, "c s k"],
    mixture: Mixture | None,
    n: float,
    *,
    background: bool = False,
) -> dict[str, Float[np.ndarray, "c s"]]:
    """Quantities that no relabelling changes, each of shape (c, s).

    Args:
        log_posterior: unnormalised log posterior.
        log_likelihood: summed over the rows.
        held: log mixture density at held rows.
        weights: in any order of the components; a background comes last.
        mixture: the draws as Gaussian mixtures, where they are such.
        n: how many rows there are; of the ranked weights those that stand for less than one of
            them, on average, are left out.
        background: whether the last weight is that of a background.
    """
    found = {"log posterior": log_posterior, "log-likelihood": log_likelihood}
    if weights.shape[-1] > 1:
        found["sum of squared weights"] = (weights**2).sum(-1)
    if background:
        found["weight of the background"] = weights[..., -1]
        weights = weights[..., :-1]
    if weights.shape[-1] > 1:
        ranked = -np.sort(-weights, axis=-1)
        held_by = np.nan_to_num(n * ranked.mean((0, 1)), nan=np.inf)
        found |= {
            f"weight of rank {j + 1}": ranked[..., j]
            for j in range(weights.shape[-1])
            if held_by[j] >= 1
        }
    found |= {f"log density at held row {i + 1}": held[..., i] for i in range(held.shape[-1])}
    return found if mixture is None else found | _moments(mixture)


def _moments(mixture: Mixture) -> dict[str, Float[np.ndarray, "c s"]]:
    """Mean and covariance of the whole mixture; variances alone where columns are many."""
    d = mixture.means.shape[-1]
    if d > MANY_COLUMNS:
        mean, variances = marginal_moments(mixture)
        named = {f"mixture variance {j + 1}": variances[..., j] for j in range(d)}
    else:
        mean, covariance = moments(mixture)
        rows, columns = np.tril_indices(d)
        named = {
            f"mixture covariance {i + 1},{j + 1}": covariance[..., i, j]
            for i, j in zip(rows, columns, strict=True)
        }
    return {f"mixture mean {j + 1}": mean[..., j] for j in range(d)} | named


def r_hat(values: Float[np.ndarray, "c s *rest"]) -> Float[np.ndarray, "*rest"]:
    """Rank-normalised split R-hat; infinity for chains that do not move or are not finite.

    A chain that is alone is compared with itself, half with half.
    """
    c, s = values.shape[:2]
    if c == 1 and s > 1:
        values = values[:, : s // 2 * 2].reshape(2, s // 2, *values.shape[2:])
    return _safe("rhat", values, np.inf, {})


def ess(values: Float[np.ndarray, "c s *rest"], method: str) -> Float[np.ndarray, "*rest"]:
    """Bulk or tail effective sample size; zero for chains that do not move or are not finite."""
    options = {"prob": (0.05, 0.95)} if method == "tail" else {}
    return _safe("ess", values, 0.0, {"method": method, **options})


def _safe(name: str, values: np.ndarray, bad: float, options: dict[str, object]) -> np.ndarray:
    finite = np.isfinite(values).all(axis=(0, 1))
    moving = np.ptp(np.where(np.isfinite(values), values, 0.0), axis=1).min(axis=0) > 0
    with np.errstate(all="ignore"):
        numbers = getattr(array_stats, name)(values, chain_axis=0, draw_axis=1, **options)
    return np.where(finite & moving & np.isfinite(numbers), numbers, bad)


def diagnose(
    quantities: Mapping[str, Float[np.ndarray, "c s"]],
    stats: Mapping[str, np.ndarray],
    clear: Float[np.ndarray, " draws"],
    n_occupied: Int[np.ndarray, "c s"],
    k: int,
    log_approximation: Float[np.ndarray, "c s"] | None,
    thresholds: Thresholds = Thresholds(),
    *,
    mixture: Mixture | None = None,
) -> Diagnostics:
    """Diagnostics of draws, from their label-invariant quantities and the sampler's own notes.

    Args:
        quantities: label-invariant ones.
        stats: what the sampler says of each draw, each (c, s).
        clear: how much more plausible each draw's labels are than others, see `clarity`.
        n_occupied: clusters that hold rows, (c, s).
        k: clusters.
        log_approximation: log density that draws of an approximation come from, (c, s).
        thresholds: for modes, ambiguous labels and components without width.
        mixture: the draws as Gaussian mixtures, where they are such.
    """
    quantities = _moving(quantities)
    stacked = np.stack(list(quantities.values()), axis=-1)
    names = list(quantities)
    markov = log_approximation is None
    numbers = (
        r_hat(stacked) if markov else np.full(len(names), np.nan),
        ess(stacked, "bulk"),
        ess(stacked, "tail"),
    )
    r_hats, bulk, tail = (dict(zip(names, map(float, each), strict=True)) for each in numbers)
    energy = stats.get("energy")
    return Diagnostics(
        r_hat=r_hats,
        ess_bulk=bulk,
        ess_tail=tail,
        e_bfmi=_bfmi(energy),
        divergences=int(np.sum(stats.get("diverging", 0))),
        n_draws=int(n_occupied.size),
        non_finite=int((~np.isfinite(stacked).all(-1)).sum()),
        pareto_k=float("nan")
        if log_approximation is None
        else pareto_k(quantities["log posterior"] - log_approximation),
        ambiguous=ambiguous_share(clear, thresholds),
        occupied=float((n_occupied == k).mean()),
        collapsed=0.0 if mixture is None else collapsed_share(mixture, thresholds),
        chain_modes=chain_modes(stacked, thresholds) if markov else (0,) * len(n_occupied),
    )


def ambiguous_share(clear: Float[np.ndarray, " draws"], thresholds: Thresholds) -> float:
    """The share of draws among which another labelling would be as plausible."""
    return float((clear < np.log(thresholds.ambiguous_odds)).mean())


def collapsed_share(mixture: Mixture, thresholds: Thresholds) -> float:
    """The share of draws in which some component is far narrower than components are on average.

    Widths are standard deviations of every column given those before it, compared with the average
    within components; and, lest all have collapsed, with a millionth of the columns' own.
    """
    widths = mixture.scale_tril
    if not mixture.is_diagonal:
        widths = np.diagonal(widths, axis1=-2, axis2=-1)
    typical = np.sqrt(np.nanmedian((mixture.weights[..., None] * widths**2).sum(-2), axis=(0, 1)))
    whole = np.sqrt(np.nanmedian(marginal_moments(mixture)[1], axis=(0, 1)))
    least = np.maximum(thresholds.width * typical, TINY * whole)
    with np.errstate(invalid="ignore"):
        narrow = (widths < least).any((-2, -1))
    return float(narrow.mean())


def _moving(quantities: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Without what the program fixes, unless nothing moves at all."""
    moving = {name: values for name, values in quantities.items() if np.ptp(values) != 0}
    needed = {name: quantities[name] for name in ("log posterior", "log-likelihood")}
    return needed | moving if moving else quantities


def _bfmi(energy: np.ndarray | None) -> float:
    """The smallest over chains; infinity where the sampler has no energy."""
    if energy is None:
        return np.inf
    if not np.isfinite(energy).all() or (np.ptp(energy, axis=1) == 0).any():
        return 0.0
    return float(np.min(array_stats.bfmi(energy, chain_axis=0, draw_axis=1)))


def pareto_k(log_ratio: Float[np.ndarray, "*s"]) -> float:
    """Pareto k-hat of importance ratios; infinity where they are not finite."""
    if not np.isfinite(log_ratio).all():
        return float("inf")
    if np.ptp(log_ratio) < 1e-9:
        return 0.0
    found = float(array_stats.psislw(-(log_ratio - log_ratio.max()).ravel())[1])
    return found if np.isfinite(found) else float("inf")


def chain_modes(
    stacked: Float[np.ndarray, "c s q"], thresholds: Thresholds = Thresholds()
) -> tuple[int, ...]:
    """Group chains that agree on every invariant; chains of different groups never meet."""
    c = len(stacked)
    mode = list(range(c))
    for a in range(c):
        for b in range(a + 1, c):
            if mode[b] != mode[a] and _agree(stacked[[a, b]], thresholds):
                mode = [mode[a] if m == mode[b] else m for m in mode]
    order = {m: i for i, m in enumerate(dict.fromkeys(mode))}
    return tuple(order[m] for m in mode)


def _agree(pair: np.ndarray, thresholds: Thresholds) -> bool:
    """Two chains overlap: their means differ by little compared with their spreads."""
    if not np.isfinite(pair).all():
        return True  # not a question of modes
    means, variances = pair.mean(1), pair.var(1)
    within = variances.mean(0)
    between = np.square(means[0] - means[1]) / 2
    return bool((between <= (thresholds.same_mode_r_hat**2 - 1) * within).all())


def verdict(found: Diagnostics, k: int, thresholds: Thresholds = Thresholds()) -> Verdict:
    """The flags of a fit, worst first."""
    approximate = not np.isnan(found.pareto_k)
    worst = _approximation(found, thresholds) if approximate else _convergence(found, thresholds)
    flags = [
        *_widths(found, thresholds),
        *worst,
        *_modes(found),
        *_occupation(found, k, thresholds),
        *_labels(found, thresholds),
    ]
    return Verdict(tuple(flags), APPROXIMATE if approximate else STABLE)


def interrupted(judged: Verdict, n_draws: int) -> Verdict:
    """The verdict of a run that was stopped before its end."""
    flag = Flag(
        INTERRUPTED,
        f"{n_draws} draws of each chain",
        "sampling was stopped before its end; the draws until then are kept",
        "run it again, with checkpoint=FILE (--checkpoint FILE) to go on from where it stopped",
    )
    return Verdict((flag, *judged.flags), judged.otherwise)


def _approximation(found: Diagnostics, thresholds: Thresholds) -> list[Flag]:
    if found.pareto_k <= thresholds.pareto_k and not found.non_finite:
        return []
    return [
        Flag(
            POOR,
            f"{found.non_finite} draws are not finite"
            if found.non_finite
            else f"Pareto k-hat {found.pareto_k:.2f} > {thresholds.pareto_k}",
            "the approximation misses part of the posterior; its intervals cannot be trusted",
            "sample instead: inference='nuts' (--inference nuts)",
        )
    ]


def _convergence(found: Diagnostics, thresholds: Thresholds) -> list[Flag]:
    share = found.divergences / found.n_draws
    failures = [
        (found.non_finite > 0, f"{found.non_finite} draws are not finite"),
        (
            not found.worst_r_hat <= thresholds.r_hat,
            f"R-hat {found.worst_r_hat:.3f} > {thresholds.r_hat}",
        ),
        (
            not found.lowest_ess >= thresholds.ess,
            f"ESS {found.lowest_ess:.0f} < {thresholds.ess:.0f}",
        ),
        (not found.e_bfmi >= thresholds.e_bfmi, f"E-BFMI {found.e_bfmi:.2f} < {thresholds.e_bfmi}"),
        (share > thresholds.divergent, f"{found.divergences} of {found.n_draws} draws diverged"),
    ]
    numbers = [number for failed, number in failures if failed]
    if not numbers:
        return []
    return [
        Flag(
            NOT_CONVERGED,
            "; ".join(numbers),
            "the chains have not explored the posterior; its numbers are provisional",
            "run longer (max_draws, --max-draws), use fewer components, or a simpler model",
        )
    ]


def _modes(found: Diagnostics) -> list[Flag]:
    n_modes = len(set(found.chain_modes))
    apart = [f"the chains sit in {n_modes} separate modes"] if n_modes > 1 else []
    unseen = [
        f"no chain came near the mode of {origin}, with {100 * share:.0f} % of the Laplace mass"
        for origin, share in found.unseen
    ]
    if apart:
        return [
            Flag(
                MULTIMODAL,
                "; ".join(apart + unseen),
                "the data allow different mixtures; averages over chains would describe neither",
                "look at each mode in posterior_ (coordinate 'mode'), or use fewer components",
            )
        ]
    if unseen:
        return [
            Flag(
                MULTIMODAL,
                "; ".join(unseen),
                "the draws describe one part of the posterior, and another may hold as much",
                "sample more chains (num_chains, --chains), or use fewer components",
            )
        ]
    return []


def _widths(found: Diagnostics, thresholds: Thresholds) -> list[Flag]:
    if found.collapsed <= thresholds.collapsed:
        return []
    return [
        Flag(
            COLLAPSED,
            f"{100 * found.collapsed:.0f} % of draws have a component without width",
            "it sits on rows that are equal, or on a line, where its density has no bound",
            "look for repeated or rounded rows; add their rounding error, or use fewer components",
        )
    ]


def _occupation(found: Diagnostics, k: int, thresholds: Thresholds) -> list[Flag]:
    empty = 1 - found.occupied
    if empty <= thresholds.unoccupied:
        return []
    return [
        Flag(
            OVER_FITTED,
            f"P(fewer than {k} components hold rows) = {empty:.2f}",
            "some components are usually empty, and follow their prior",
            "use fewer components",
        )
    ]


def _labels(found: Diagnostics, thresholds: Thresholds) -> list[Flag]:
    if found.ambiguous <= thresholds.ambiguous:
        return []
    return [
        Flag(
            AMBIGUOUS,
            f"{100 * found.ambiguous:.0f} % of draws have two labellings that are plausible",
            "components overlap, so parameters of single components blend into each other",
            "trust what labels do not touch: densities, totals, co_clustering() and partition()",
        )
    ]
