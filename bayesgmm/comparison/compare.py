"""Compare numbers of components, by maximum likelihood and by Bayes, on one scale."""

import html
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesgmm.bayes import inference as bayes
from bayesgmm.bayes.driver import Progress, silent
from bayesgmm.bayes.loo import difference
from bayesgmm.bayes.program import Program, load_model
from bayesgmm.bayes.settings import Settings
from bayesgmm.comparison import both as pair
from bayesgmm.comparison import programs
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.calibration import calibrate, calibrate_ml
from bayesgmm.comparison.programs import ProgramComparison
from bayesgmm.comparison.summary import Summary, model_label
from bayesgmm.comparison.verdicts import sentences
from bayesgmm.comparison.words import (
    INFERENCES,
    columns,
    counted,
    distance,
    fixed,
    number,
)
from bayesgmm.data.errors import InputError
from bayesgmm.data.lines import fitting, wrapped
from bayesgmm.data.notebook import shown
from bayesgmm.data.plain import plain
from bayesgmm.data.randomness import generator, own_generator
from bayesgmm.data.ranges import component_range
from bayesgmm.data.table import Table, check_counts, read_table
from bayesgmm.gaussian.families import families_for
from bayesgmm.ml import restarts
from bayesgmm.ml.calibration import Calibration
from bayesgmm.ml.problem import Problem, check_components
from bayesgmm.ml.selection import Selection, check_criterion, scan

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FAMILY_STARTS = 12  # of each cell of the grid that is one sentence here


@dataclass(frozen=True)
class Row:
    """One number of components; distances are on the -2 log scale, 0 for the best row.

    Attributes:
        k: components.
        df: free parameters by maximum likelihood.
        hits, n_starts: EM starts that reached the best optimum, of all.
        d_aic, d_bic, d_icl: distances from the best k; NaN where a criterion is not defined.
        p_loo: effective number of parameters as LOO counts it.
        d_loo: -2 times the difference in elpd from the best converged k.
        d_loo_se: standard error of that; NaN for the best itself.
        r_hat, ess: the worst over label-invariant quantities.
        verdict: the worst flag.
        usable: whether d_loo may be ranked.
    """

    k: int
    df: int
    hits: int
    n_starts: int
    d_aic: float
    d_bic: float
    d_icl: float
    p_loo: float
    d_loo: float
    d_loo_se: float
    r_hat: float
    ess: float
    verdict: str
    usable: bool


@dataclass(frozen=True)
class Comparison:
    """Fits of several numbers of components, both ways.

    Attributes:
        fits: one for each k, in order; k = 1 is always among them.
        criterion: what chooses k among the converged fits.
        families: the same k over all covariance families, by maximum likelihood.
        provenance: what is needed to repeat it.
        calibration: of the chosen k, if it was asked for.
    """

    fits: tuple[Both, ...]
    criterion: str
    families: Selection
    provenance: Mapping[str, Any]
    calibration: Calibration | None = None

    @property
    def interrupted(self) -> bool:
        """Whether it was stopped before its end."""
        return "interrupted_before_k" in self.provenance or any(
            each.posterior.partial for each in self.fits
        )

    @property
    def table(self) -> Table:
        return self.fits[0].problem.table

    def fit(self, n_components: int) -> Both:
        """The fit of that many components.

        Raises:
            InputError: it was not compared.
        """
        for each in self.fits:
            if each.n_components == n_components:
                return each
        known = ", ".join(str(each.n_components) for each in self.fits)
        raise InputError(f"n_components={n_components} was not compared; choose from {known}.")

    @property
    def chosen_(self) -> Both:
        """The fit of lowest criterion among the converged; among all where none converged."""
        usable = [each for each in self.fits if each.posterior.verdict.usable] or list(self.fits)
        return min(usable, key=lambda each: getattr(each.ml, self.criterion))

    def summary(self) -> Summary:
        """The parameters of the chosen k."""
        return Summary.of(self.chosen_)

    def rows(self) -> list[Row]:
        """One row for each k."""
        usable = [each for each in self.fits if each.posterior.verdict.usable] or list(self.fits)
        best = max(usable, key=lambda each: each.posterior.loo.elpd)
        least = {
            name: min(getattr(each.ml, name) for each in self.fits)
            for name in ("aic", "bic", "icl")
        }
        return [_row(each, best, least) for each in self.fits]

    def to_frame(self) -> pd.DataFrame:
        """The table, indexed by k."""
        return pd.DataFrame([vars(row) for row in self.rows()]).set_index("k")

    def to_dict(self) -> dict[str, Any]:
        """The same numbers that the text shows, ready for JSON; NaN becomes None."""
        summary = self.summary().to_frame().reset_index()
        content = {
            "provenance": dict(self.provenance),
            "criterion": self.criterion,
            "chosen_k": self.chosen_.n_components,
            "comparison": self.to_frame().reset_index().to_dict("records"),
            "weights": [_weights(each) for each in self.fits],
            "parameters": summary.to_dict("records"),
            "families": self.families.table.to_dict("records"),
            "calibration": self.calibration.to_dict() if self.calibration else None,
            "sentences": self.sentences(),
        }
        return plain(content)

    def sentences(self) -> list[str]:
        """The answer in words, the most important first."""
        return sentences(self)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """The criteria and LOO against k."""
        from bayesgmm import plots

        rows = self.rows()
        names = {"AIC": "d_aic", "BIC": "d_bic", "ICL": "d_icl", "LOO": "d_loo"}
        columns = {
            label: np.array([getattr(row, name) for row in rows])
            for label, name in names.items()
            if np.isfinite([getattr(row, name) for row in rows]).all()
        }
        return plots.criteria_by_k(
            [row.k for row in rows],
            columns,
            errors={"LOO": np.array([np.nan_to_num(row.d_loo_se) for row in rows])},
            undecided={"LOO": np.array([not row.usable for row in rows])},
            ax=ax,
        )

    def calibrated(
        self,
        n_simulations: int = 50,
        random_state: object = None,
        progress: Progress = silent,
    ) -> "Comparison":
        """The same with a calibration of the chosen fit, both ways, which the report then shows.

        Where the program's components are not normal it is of maximum likelihood alone.

        Args:
            n_simulations: data sets, each as large as the data.
            random_state: int, Generator or None.
            progress: called with what is being done, how much is done, and how much there is.

        Raises:
            InputError: fewer than two simulations, a fit that is not admissible.
        """
        rng, _ = generator(random_state)
        chosen = self.chosen_
        by = calibrate if chosen.posterior.structure.gaussian else calibrate_ml
        found = by(chosen, rng, n_simulations=n_simulations, progress=progress)
        return replace(self, calibration=found)

    def report(self, path: str | Path) -> Path:
        """Write the report, one self-contained HTML file, and return its path."""
        from bayesgmm.comparison.report.document import write

        return write(self, Path(path))

    def __str__(self) -> str:
        words = wrapped(self.sentences())
        return "\n".join([*self.header(), "", *self.lines(), "", *self.weight_lines(), "", *words])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        tables = self.html_table() + self.html_weights()
        return shown(self.header(), tables, self.sentences())

    def header(self) -> list[str]:
        """What was fitted."""
        first, table = self.fits[0], self.table
        starts = max(each.ml.n_raced for each in self.fits)
        how = INFERENCES[first.posterior.inference]
        if first.posterior.inference == "nuts":
            how += f" {len(first.posterior.kept)} chains"
        rows = f"{table.n_rows:,} rows"
        if table.row_weights is not None:
            rows += f" of total weight {table.total_weight:,.0f}"
        columns = counted(len(table.columns), "column")
        told = f": {rows} x {columns} | {model_label(first)} | {starts} EM starts | {how}"
        return [
            *wrapped([f"{fitting(table.name, told)}{told}"]),
            "dAIC .. dLOO: distance from the best row on the -2 log scale; 0 = best (*)",
        ]

    def lines(self) -> list[str]:
        """The table as lines of text, each column as wide as its widest entry."""
        nuts = self.fits[0].posterior.inference == "nuts"
        left = ["k", "df", "hits", "dAIC ", "dBIC ", "dICL "]
        right = ["p_loo ", "dLOO ", "+- se", *(["R-hat", "ESS"] if nuts else ["k-hat"])]
        ml = columns([left, *(_ml_cells(row) for row in self.rows())])
        bayes = columns([right, *(self._bayes_cells(row) for row in self.rows())])
        verdicts = ["verdict", *(_shouted(row) for row in self.rows())]
        ml_title = "maximum likelihood" if self.fits[0].same_likelihood else "Gaussian EM"
        width = max(map(len, ml))
        return [
            f"{ml_title:^{width}}| Bayes ({INFERENCES[self.fits[0].posterior.inference]})",
            *(f"{m}| {b}  {v}" for m, b, v in zip(ml, bayes, verdicts, strict=True)),
        ]

    def _bayes_cells(self, row: Row) -> list[str]:
        open_, close = ("", " ") if row.usable else ("(", ")")
        best = "*" if row.usable and row.d_loo == 0 else ""
        found = self.fit(row.k).posterior.diagnostics
        last = (
            [fixed(found.pareto_k, 2)]
            if np.isfinite(found.pareto_k)
            else [fixed(row.r_hat, 2), fixed(row.ess, 0)]
        )
        return [
            f"{open_}{fixed(row.p_loo, 1)}{close}",
            f"{open_}{distance(row.d_loo)}{best or close}",
            distance(row.d_loo_se),
            *last,
        ]

    def weight_lines(self) -> list[str]:
        """Weights, largest first, by maximum likelihood beside the posterior, for every k."""
        told = [_weights(each) for each in self.fits]
        ml = [" ".join(number(w, 0.01) for w in each["ml"]) for each in told]
        width = max(len("weights, largest first: ML"), *(len(text) for text in ml))
        first = max(len(str(each["k"])) for each in told)
        lines = [f"{'k':>{first}} {'weights, largest first: ML':{width}} | posterior mean (sd)"]
        for each, text in zip(told, ml, strict=True):
            pairs = zip(each["mean"], each["sd"], strict=True)
            right = " ".join(f"{number(m, 0.01)} ({number(s, 0.01)})" for m, s in pairs)
            lines += _wrapped(f"{each['k']:{first}} {text:{width}} | ", right)
        return lines

    def html_table(self) -> str:
        """The table as HTML."""
        nuts = self.fits[0].posterior.inference == "nuts"
        names = ["k", "df", "hits", "ΔAIC", "ΔBIC", "ΔICL", "p<sub>loo</sub>", "ΔLOO", "± se"]
        names += ["R-hat", "ESS", "verdict"] if nuts else ["k-hat", "verdict"]
        head = "".join(f'<th scope="col">{name}</th>' for name in names)
        body = "".join(self._html_row(row, nuts) for row in self.rows())
        left = "maximum likelihood" if self.fits[0].same_likelihood else "Gaussian EM"
        right = f"Bayes ({INFERENCES[self.fits[0].posterior.inference]})"
        return (
            f'<table class="compare"><thead><tr><td></td>'
            f'<th colspan="5" scope="colgroup">{left}</th>'
            f'<th colspan="{len(names) - 6}" scope="colgroup">{right}</th></tr>'
            f"<tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )

    def _html_row(self, row: Row, nuts: bool) -> str:
        around = "{}" if row.usable else "({})"
        chosen = row.k == self.chosen_.n_components
        best = "*" if row.usable and row.d_loo == 0 else ""
        cells = [
            str(row.df),
            f"{row.hits}/{row.n_starts}",
            *(_starred(value).strip() for value in (row.d_aic, row.d_bic, row.d_icl)),
            around.format(fixed(row.p_loo, 1)),
            around.format(fixed(row.d_loo, 1)) + best,
            fixed(row.d_loo_se, 1),
        ]
        if nuts:
            cells += [fixed(row.r_hat, 2), fixed(row.ess, 0)]
        else:
            cells += [fixed(self.fit(row.k).posterior.diagnostics.pareto_k, 2)]
        data = "".join(f"<td>{cell}</td>" for cell in cells)
        kind = (
            ' class="chosen" aria-current="true"'
            if chosen
            else ""
            if row.usable
            else ' class="undecided"'
        )
        verdict = f'<td class="verdict">{html.escape(row.verdict)}</td>'
        return f'<tr{kind}><th scope="row">{row.k}</th>{data}{verdict}</tr>'

    def html_weights(self) -> str:
        """Weights for every k as HTML."""
        rows = []
        for each in (_weights(fit) for fit in self.fits):
            ml = " ".join(number(w, 0.01) for w in each["ml"])
            pairs = zip(each["mean"], each["sd"], strict=True)
            right = " ".join(f"{number(m, 0.01)}&nbsp;({number(s, 0.01)})" for m, s in pairs)
            rows.append(f'<tr><th scope="row">{each["k"]}</th><td>{ml}</td><td>{right}</td></tr>')
        names = ("k", "weights, largest first: ML", "posterior mean (sd)")
        head = "".join(f'<th scope="col">{name}</th>' for name in names)
        return (
            f'<table class="weights"><thead><tr>{head}</tr></thead>'
            f"<tbody>{''.join(rows)}</tbody></table>"
        )


def compare(
    X: object,
    n_components: int | Iterable[int] = range(1, 7),
    *,
    model: Any = "gaussian",
    models: Sequence[Any] | None = None,
    priors: Mapping[str, object] | None = None,
    columns: Sequence[str] | None = None,
    sample_weight: object = None,
    criterion: str = "bic",
    inference: str = "nuts",
    num_chains: int = 4,
    num_warmup: int | None = None,
    num_draws: int = 1000,
    max_draws: int | None = None,
    n_init: int = restarts.Settings.n_init,
    random_state: object = None,
    progress: Progress = silent,
) -> Comparison | ProgramComparison:
    """How many components: AIC, BIC and ICL next to LOO, posterior weights and verdicts.

    With `models`, which program: LOO, stacking weights and verdicts.

    Args:
        X: a DataFrame, array (n, d), path or data set's name.
        n_components: numbers of components; 1 is always added. With `models` one number for all
            programs, or one for each.
        model: name, path or function of a NumPyro program.
        models: several of them, which are compared with each other.
        priors: values for the program's keywords, such as {"weights": 2}.
        columns: columns of X to use.
        sample_weight: row weights (n,), or a column's name; counts only.
        criterion: "bic", "aic" or "icl"; chooses k among the converged fits. Programs have
            likelihoods of their own, and are compared by LOO only.
        inference: "nuts", "vi" or "laplace".
        num_chains, num_warmup, num_draws, max_draws: as of `BayesianMixture`.
        n_init: EM starts for each k.
        random_state: int, Generator or None.
        progress: called with what is being done, how much is done, and how much there is.

    Raises:
        InputError: bad data, an unknown model or criterion, too few rows for k; `model` or a
            criterion beside `models`.
    """
    table = read_table(X, columns, sample_weight)  # type: ignore[arg-type]
    rng, seed = generator(random_state)
    settings = Settings(inference, num_chains, num_warmup, num_draws, max_draws)
    options: dict[str, Any] = {
        "priors": dict(priors or {}) or None,
        "criterion": criterion,
        "inference": inference,
        "num_chains": num_chains,
        "num_warmup": num_warmup,
        "num_draws": num_draws,
        "max_draws": max_draws,
        "n_init": n_init,
    }
    if models is not None:
        check_alone(model, criterion)
        several = programs.paired(models, n_components)
        told = {"n_components": [k for _, k in several], **options}
        own = (priors, settings, n_init, rng, seed, told, progress)
        return programs.run(table, several, *own)
    ks = sorted({1, *component_range(n_components)})
    options = {"n_components": ks, **options}
    program = load_model(model)
    return run(
        table, ks, program, priors, criterion, settings, n_init, rng, seed, options, progress
    )


def check_alone(model: object, criterion: str) -> None:
    """Refuse what has no meaning where several programs are compared.

    Raises:
        InputError: a single model, or a criterion of maximum likelihood.
    """
    if model != "gaussian":
        raise InputError(f"model={model!r} has no meaning beside models; add it to them.")
    if criterion != "bic":
        raise InputError(
            f"criterion={criterion!r} chooses a number of components by one likelihood; models "
            "differ in theirs and are compared by LOO: leave it out."
        )


def run(
    table: Table,
    ks: Sequence[int],
    program: Program,
    priors: Mapping[str, object] | None,
    criterion: str,
    settings: Settings,
    n_init: int,
    rng: np.random.Generator,
    seed: int | None,
    options: Mapping[str, Any],
    progress: Progress,
) -> Comparison:
    """`compare` on a checked table.

    What holds Python's lock is done here, one k after another; sampling, which does not, runs in
    the background meanwhile.
    """
    check_criterion(criterion, table)
    check_counts(table, "for which BIC and LOO are not defined")
    problem = Problem.of(table)
    for k in ks:
        check_components(k, problem)
    prepared = [bayes.prepare(problem, program, k, priors) for k in ks]
    for ready in prepared:
        pair.ahead(ready, settings)
    family_name, _ = pair.family_of(program)
    progress("maximum likelihood", 0, 1)
    ml_settings = restarts.Settings(n_init=n_init)
    fits = restarts.fit_range(table, ks, family_name, rng, ml_settings, quiet=True)
    progress("maximum likelihood", 1, 1)
    provenance = pair.provenance_of(problem, program, seed, options)
    rngs = [own_generator(rng) for _ in ks]
    settings = replace(settings, look_early=True)

    interrupted = Event()
    waiting: list[Future[Both]] = []
    families = None
    with ThreadPoolExecutor(1) as pool:
        try:
            for ml, ready, own in zip(fits, prepared, rngs, strict=True):
                told = _told(progress, ml.n_components, interrupted)
                found = bayes.scout(ready, ml, settings, own, told)
                both = (ready, ml, found, settings, own, provenance, told)
                waiting.append(pool.submit(pair.join, *both))
            progress("covariance families", 0, 1)
            names = [member.name for member in families_for(len(table.columns))]
            starts = min(n_init, FAMILY_STARTS)
            families = scan(table, ks, names, rng, criterion, starts, known=fits)
            progress("covariance families", 1, 1)
            joined = [each.result() for each in waiting]
        except BaseException as error:
            interrupted.set()
            pool.shutdown(cancel_futures=True)
            joined = [each.result() for each in waiting if _succeeded(each)]
            if not isinstance(error, KeyboardInterrupt) or len(joined) < 2:
                raise
            missing = [k for k in ks if k not in {each.n_components for each in joined}]
            provenance |= {"interrupted_before_k": missing}
            families = families or scan(table, ks, [family_name], rng, criterion, 1, known=fits)
    return Comparison(tuple(joined), criterion, families, provenance)


def _succeeded(each: "Future[Both]") -> bool:
    return each.done() and not each.cancelled() and each.exception() is None


def _told(progress: Progress, k: int, interrupted: Event) -> Progress:
    """Progress that says which k it is of, and stops the work once it is in vain."""

    def told(what: str, done: int, total: int, note: str = "") -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        progress(f"k = {k}: {what}", done, total, note)

    return told


def _row(each: Both, best: Both, least: Mapping[str, float]) -> Row:
    ml, posterior = each.ml, each.posterior
    gap, se = difference(posterior.loo, best.posterior.loo, each.problem.row_weights)
    return Row(
        k=each.n_components,
        df=ml.n_parameters,
        hits=ml.hits,
        n_starts=ml.n_starts,
        d_aic=ml.aic - least["aic"],
        d_bic=ml.bic - least["bic"],
        d_icl=ml.icl - least["icl"],
        p_loo=posterior.loo.p_loo,
        d_loo=0.0 if each is best else -2 * gap,
        d_loo_se=float("nan") if each is best else 2 * se,
        r_hat=posterior.diagnostics.worst_r_hat,
        ess=posterior.diagnostics.lowest_ess,
        verdict=posterior.verdict.name,
        usable=posterior.verdict.usable,
    )


def _weights(each: Both) -> dict[str, Any]:
    """Weights sorted by size within EM and within every draw, so that labels play no part."""
    draws = each.posterior.cluster_weights
    ranked = -np.sort(-draws, axis=-1)
    return {
        "k": each.n_components,
        "ml": sorted((float(w) for w in each.ml.mixture.weights), reverse=True),
        "mean": [float(w) for w in ranked.mean((0, 1))],
        "sd": [float(w) for w in ranked.std((0, 1))],
    }


def _ml_cells(row: Row) -> list[str]:
    distances = (row.d_aic, row.d_bic, row.d_icl)
    hits = f"{row.hits}/{row.n_starts}"
    return [str(row.k), str(row.df), hits, *map(_starred, distances)]


def _shouted(row: Row) -> str:
    return row.verdict if row.usable else row.verdict.upper()


def _starred(gap: float) -> str:
    return f"{distance(gap)}{'*' if gap == 0 else ' '}"


def _wrapped(left: str, right: str, width: int = 80) -> list[str]:
    lines, line = [], left
    for piece in right.split(") "):
        piece = piece if piece.endswith(")") else f"{piece})"
        if len(line) + len(piece) > width and line.strip() and line != left:
            lines.append(line.rstrip())
            line = f"{'| ':>{len(left)}}"
        line += f"{piece} "
    return [*lines, line.rstrip()]
