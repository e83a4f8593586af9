"""Compare programs: the same rows, described by several models."""

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
import pandas as pd
from jaxtyping import Float

from bayesgmm.bayes.driver import Progress
from bayesgmm.bayes.loo import difference, stacking
from bayesgmm.bayes.program import Program, load_model
from bayesgmm.bayes.settings import Settings
from bayesgmm.comparison import both as pair
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.verdicts import compared, outlook, tied, unreliable
from bayesgmm.comparison.words import (
    INFERENCES,
    columns,
    counted,
    distance,
    fixed,
    listed,
    number,
)
from bayesgmm.data.errors import InputError
from bayesgmm.data.lines import LEAST_NAME, WIDTH, fitting, shortened, wrapped
from bayesgmm.data.notebook import shown
from bayesgmm.data.plain import plain
from bayesgmm.data.scalars import whole
from bayesgmm.data.table import Table, check_counts
from bayesgmm.ml import restarts
from bayesgmm.ml.problem import Problem, check_components

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLOTTED = ("d_loo", "d_loo_se", "weight")


@dataclass(frozen=True)
class ProgramRow:
    """One program; distances are on the -2 log scale, 0 for the best.

    Attributes:
        program: its name.
        k: components.
        p_loo: effective number of parameters as LOO counts it.
        d_loo: -2 times the difference in elpd from the best converged program.
        d_loo_se: standard error of that; NaN for the best itself.
        weight: stacking weight of its predictive density; NaN where it did not converge.
        n_bad: rows whose LOO is not reliable.
        r_hat, ess: the worst over label-invariant quantities.
        pareto_k: of an approximation.
        verdict: the worst flag.
        usable: whether d_loo may be ranked.
    """

    program: str
    k: int
    p_loo: float
    d_loo: float
    d_loo_se: float
    weight: float
    n_bad: int
    r_hat: float
    ess: float
    pareto_k: float
    verdict: str
    usable: bool


@dataclass(frozen=True)
class ProgramComparison:
    """Fits of several programs to the same rows.

    Attributes:
        fits: the best prediction first; those that did not converge last, by name.
        provenance: what is needed to repeat it.
    """

    fits: tuple[Both, ...]
    provenance: Mapping[str, Any]

    @property
    def table(self) -> Table:
        return self.fits[0].problem.table

    @property
    def usable(self) -> list[Both]:
        """The fits that converged, the best prediction first."""
        return [each for each in self.fits if each.posterior.verdict.usable]

    @property
    def interrupted(self) -> bool:
        """Whether it was stopped before its end."""
        return any(each.posterior.partial for each in self.fits)

    @cached_property
    def stacking_weights(self) -> Float[np.ndarray, " m"]:
        """One for each of `usable`, with which their predictive densities predict best together.

        They maximise the mean log of the weighted sum of the densities of rows left out (Yao et al.
        2018).
        """
        pointwise = np.array([each.posterior.loo.pointwise for each in self.usable])
        row_weights = np.array(self.fits[0].problem.row_weights)
        return stacking(pointwise, row_weights) if self.usable else np.zeros(0)

    def fit(self, program: str, n_components: int | None = None) -> Both:
        """The fit of that program, of that many components where it was fitted with several.

        Raises:
            InputError: it was not compared.
        """
        for each in self.fits:
            if each.model == program and n_components in (None, each.n_components):
                return each
        known = ", ".join(f"{each.model} with k = {each.n_components}" for each in self.fits)
        asked = program if n_components is None else f"{program} with k = {n_components}"
        raise InputError(f"{asked} was not compared; choose from {known}.")

    def rows(self) -> list[ProgramRow]:
        """One row for each program, in the order of `fits`."""
        usable, best = self.usable, self.fits[0]
        weights = [*self.stacking_weights, *[np.nan] * (len(self.fits) - len(usable))]
        return [
            _row(each, best, float(weight)) for each, weight in zip(self.fits, weights, strict=True)
        ]

    def to_frame(self) -> pd.DataFrame:
        """The table, indexed by program and k."""
        return pd.DataFrame([vars(row) for row in self.rows()]).set_index(["program", "k"])

    def to_dict(self) -> dict[str, Any]:
        """The same numbers that the text shows, ready for JSON; NaN becomes None."""
        content = {
            "provenance": dict(self.provenance),
            "comparison": self.to_frame().reset_index().to_dict("records"),
            "sentences": self.sentences(),
        }
        return dict(plain(content))

    def to_latex(self) -> str:
        """The table for a paper."""
        frame = self.to_frame().drop(columns=["usable"])
        return str(frame.to_latex(float_format="%.3g", na_rep="--", escape=True))

    def sentences(self) -> list[str]:
        """The answer in words, the most important first."""
        names = {id(each): self.name_of(each) for each in self.fits}
        usable = [(names[id(each)], each) for each in self.usable]
        undecided = [names[id(each)] for each in self.fits if not each.posterior.verdict.usable]
        return [
            *_answer(usable),
            *_stacked(usable, self.stacking_weights),
            *unreliable(usable),
            *outlook(undecided, self.fits[0].posterior.inference),
            *(["! Interrupted: the last programs are not fitted."] if self.interrupted else []),
        ]

    def name_of(self, each: Both) -> str:
        ks = {other.n_components for other in self.fits}
        return each.model if len(ks) == 1 else f"{each.model} with k = {each.n_components}"

    def report(self, path: str | Path) -> Path:
        """Write the report, one self-contained HTML file, and return its path."""
        from bayesgmm.comparison.report.document import write

        return write(self, Path(path))

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """How much worse than the best each program predicts, and its stacking weight."""
        from bayesgmm import plots

        rows = self.rows()
        names = [self.name_of(each) for each in self.fits]
        numbers = [np.array([getattr(row, name) for row in rows]) for name in PLOTTED]
        undecided = np.array([not row.usable for row in rows])
        return plots.programs(names, *numbers, undecided=undecided, ax=ax)

    def __str__(self) -> str:
        return "\n".join([*self.header(), "", *self.lines(), "", *wrapped(self.sentences())])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return shown(self.header(), self.html_table(), self.sentences())

    def header(self) -> list[str]:
        """What was fitted."""
        table, posterior = self.table, self.fits[0].posterior
        rows = f"{table.n_rows:,} rows"
        if table.row_weights is not None:
            rows += f" of total weight {table.total_weight:,.0f}"
        count = counted(len(table.columns), "column")
        told = f": {rows} x {count} | {len(self.fits)} programs | {INFERENCES[posterior.inference]}"
        return [
            *wrapped([f"{fitting(table.name, told)}{told}"]),
            "dLOO: distance from the best program on the -2 log scale; 0 = best (*)",
            "weight: of the predictive density in stacking; bad: rows whose LOO is unreliable",
        ]

    def lines(self) -> list[str]:
        """The table as lines of text, each column as wide as its widest entry."""
        rows = self.rows()
        cells = columns([self._heading(), *(self._cells(row) for row in rows)])
        verdicts = [
            "verdict",
            *(row.verdict if row.usable else row.verdict.upper() for row in rows),
        ]
        right = [f" {line}  {verdict}" for line, verdict in zip(cells, verdicts, strict=True)]
        room = max(LEAST_NAME, WIDTH - max(map(len, right)))
        names = [shortened(name, room) for name in ("program", *(row.program for row in rows))]
        width = max(map(len, names))
        return [f"{name:{width}}{line}" for name, line in zip(names, right, strict=True)]

    def _heading(self) -> list[str]:
        sampler = ["R-hat", "ESS"] if self.fits[0].posterior.inference == "nuts" else ["k-hat"]
        return ["k", "p_loo ", "dLOO ", "+- se", "weight", "bad", *sampler]

    def _cells(self, row: ProgramRow) -> list[str]:
        open_, close = ("", " ") if row.usable else ("(", ")")
        best = "*" if row.usable and row.d_loo == 0 else ""
        nuts = self.fits[0].posterior.inference == "nuts"
        sampler = [fixed(row.r_hat, 2), fixed(row.ess, 0)] if nuts else [fixed(row.pareto_k, 2)]
        return [
            str(row.k),
            f"{open_}{fixed(row.p_loo, 1)}{close}",
            f"{open_}{distance(row.d_loo)}{best or close}",
            distance(row.d_loo_se),
            number(row.weight, 0.1),
            str(row.n_bad),
            *sampler,
        ]

    def html_table(self) -> str:
        """The table as HTML."""
        names = " ".join(["program", *self._heading(), "verdict"])
        for typed, printed in (
            ("p_loo", "p<sub>loo</sub>"),
            ("dLOO", "ΔLOO"),
            ("+- se", "±&nbsp;se"),
        ):
            names = names.replace(typed, printed)
        head = "".join(f'<th scope="col">{name}</th>' for name in names.split())
        body = "".join(self._html_row(row) for row in self.rows())
        return (
            f'<table class="programs"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        )

    def _html_row(self, row: ProgramRow) -> str:
        data = "".join(f"<td>{cell.strip()}</td>" for cell in self._cells(row))
        kind = "" if row.usable else ' class="undecided"'
        verdict = f'<td class="verdict">{html.escape(row.verdict)}</td>'
        return f'<tr{kind}><th scope="row">{html.escape(row.program)}</th>{data}{verdict}</tr>'


def _row(each: Both, best: Both, weight: float) -> ProgramRow:
    posterior = each.posterior
    gap, se = difference(posterior.loo, best.posterior.loo, np.array(each.problem.row_weights))
    found = posterior.diagnostics
    return ProgramRow(
        program=each.model,
        k=each.n_components,
        p_loo=posterior.loo.p_loo,
        d_loo=0.0 if each is best else -2 * gap,
        d_loo_se=float("nan") if each is best else 2 * se,
        weight=weight,
        n_bad=posterior.loo.n_bad,
        r_hat=found.worst_r_hat,
        ess=found.lowest_ess,
        pareto_k=found.pareto_k,
        verdict=posterior.verdict.name,
        usable=posterior.verdict.usable,
    )


def _answer(usable: Sequence[tuple[str, Both]]) -> list[str]:
    if not usable:
        return ["No program converged: none is ranked."]
    (best_name, best), *others = usable
    if not others:
        return [f"Only {best_name} converged: nothing to rank it against."]
    ties = [name for name, each in others if tied(each, best)]
    lines = [compared(*usable[0], *others[0])]
    if ties:
        lines.append(f"Tied: {listed([best_name, *ties])}; these rows do not tell them apart.")
    return lines


def _stacked(usable: Sequence[tuple[str, Both]], weights: Float[np.ndarray, " m"]) -> list[str]:
    if len(usable) < 2:
        return []
    told = [f"{name} {number(w, 0.1)}" for (name, _), w in zip(usable, weights, strict=True)]
    return [
        f"Stacking: {', '.join(told)}: so weighted, the predictive densities predict best "
        "together. These are weights of densities, not probabilities of programs."
    ]


def paired(models: Sequence[Any], n_components: object) -> list[tuple[Program, int]]:
    """Every program with its number of components.

    Args:
        models: names, paths or functions.
        n_components: one for all, or one for each.

    Raises:
        InputError: fewer than two models, an unknown one, or another number of n_components.
    """
    if isinstance(models, str) or not isinstance(models, Iterable) or len(models) < 2:
        raise InputError(
            f"models={models!r} must be at least two programs, such as ['gaussian', 'student_t']."
        )
    several = isinstance(n_components, Iterable) and not isinstance(n_components, str)
    given: list[SupportsIndex] = list(n_components) if several else [n_components] * len(models)  # type: ignore[call-overload, list-item]
    if len(given) != len(models):
        raise InputError(
            f"n_components has {len(given)} numbers for {len(models)} models; give one for all, "
            "or one for each."
        )
    ks = [whole("n_components", k) for k in given]
    return [(load_model(model), k) for model, k in zip(models, ks, strict=True)]


def run(
    table: Table,
    programs: Sequence[tuple[Program, int]],
    priors: Mapping[str, object] | None,
    settings: Settings,
    n_init: int,
    rng: np.random.Generator,
    seed: int | None,
    options: Mapping[str, Any],
    progress: Progress,
) -> ProgramComparison:
    """Fit every program both ways; its random numbers do not depend on the others.

    Raises:
        InputError: weights that are not counts, too few rows, priors that a program does not have.
    """
    check_counts(table, "for which LOO is not defined")
    problem, base = Problem.of(table), int(rng.integers(2**63))
    for _, k in programs:
        check_components(k, problem)
    fits: list[Both] = []
    for program, k in programs:
        fits.append(
            pair.fit_both(
                problem,
                program,
                k,
                priors=priors,
                settings=settings,
                ml_settings=restarts.Settings(n_init=n_init),
                seed=_own_generator(base, program, k),
                provenance=pair.provenance_of(problem, program, seed, options),
                progress=_told(progress, program.name),
            )
        )
        if fits[-1].posterior.partial:
            break
    provenance = pair.provenance_of(problem, None, seed, options)
    provenance |= {"models": [(program.name, program.sha256, k) for program, k in programs]}
    return ProgramComparison(ranked(fits), provenance)


def _own_generator(base: int, program: Program, k: int) -> np.random.Generator:
    """Which depends on the program's text alone, so that neither order nor name matters."""
    return np.random.default_rng([base, k, *(program.sha256 or program.name).encode()])


def ranked(fits: Iterable[Both]) -> tuple[Both, ...]:
    """The best prediction first; those that did not converge last, by name."""

    def rank(each: Both) -> tuple[bool, float, str, int]:
        usable = each.posterior.verdict.usable
        elpd = each.posterior.loo.elpd if usable else 0.0
        return not usable, -elpd, each.model, each.n_components

    return tuple(sorted(fits, key=rank))


def _told(progress: Progress, name: str) -> Progress:
    return lambda what, done, total, note="": progress(f"{name}: {what}", done, total, note)
