"""The summary of one fit: maximum likelihood and posterior, parameter by parameter."""

import html
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesgmm.bayes.checks import occupied_after
from bayesgmm.bayes.diagnose import MULTIMODAL
from bayesgmm.bayes.loo import Loo
from bayesgmm.bayes.posterior import Posterior, SampledMode
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.parameters import Parameter, parameters
from bayesgmm.comparison.tables import Column, Name, by_column, grouped, heading
from bayesgmm.comparison.verdicts import MOST_REFITS
from bayesgmm.comparison.words import INFERENCES, counted, fixed, listed, number
from bayesgmm.data.lines import fitting, wrapped
from bayesgmm.data.notebook import shown
from bayesgmm.data.plain import plain
from bayesgmm.gaussian.families import family_label

CERTAIN = 0.95


@dataclass(frozen=True)
class Summary:
    """A table of parameters under a verdict; prints as text, and as HTML in a notebook."""

    both: Both
    rows: tuple[Parameter, ...]
    with_map: bool = False

    @classmethod
    def of(cls, both: Both, *, with_map: bool = False) -> "Summary":
        """The summary of a fit; with the posterior's mode beside its mean if that is asked for."""
        return cls(both, tuple(parameters(both)), with_map)

    def to_frame(self) -> pd.DataFrame:
        """The numbers, one row per parameter, indexed by component and name."""
        records = [
            {
                "component": row.component or "all",
                "parameter": row.label,
                "ml": row.ml,
                "se": row.se,
                "boot_low": row.boot_low,
                "boot_high": row.boot_high,
                "map": row.map,
                "mean": row.mean,
                "sd": row.sd,
                "low": row.low,
                "high": row.high,
                "shift": row.shift,
                "ess": row.ess,
            }
            for row in self.rows
        ]
        return pd.DataFrame(records).set_index(["component", "parameter"])

    def to_dict(self) -> dict[str, Any]:
        """The same numbers that the text shows, ready for JSON; NaN becomes None."""
        both, found = self.both, self.both.posterior.diagnostics
        content = {
            "provenance": dict(both.provenance),
            "verdict": both.posterior.verdict.name,
            "flags": [vars(flag) for flag in both.posterior.verdict.flags],
            "r_hat": found.worst_r_hat,
            "ess": found.lowest_ess,
            "divergences": found.divergences,
            "pareto_k": found.pareto_k,
            "aic": both.ml.aic,
            "bic": both.ml.bic,
            "icl": both.ml.icl,
            "log_likelihood": both.ml.log_likelihood,
            "df": both.ml.n_parameters,
            "elpd_loo": both.posterior.loo.elpd,
            "elpd_loo_se": both.posterior.loo.se,
            "p_loo": both.posterior.loo.p_loo,
            "parameters": self.to_frame().reset_index().to_dict("records"),
            "remarks": self.remarks(),
        }
        return dict(plain(content))

    def to_latex(self) -> str:
        """The table for a paper."""
        shown = self.to_frame()
        frame = (shown if self.with_map else shown.drop(columns="map")).rename(
            columns={
                "ml": "ML",
                "se": "SE",
                "boot_low": "boot 2.5 %",
                "boot_high": "boot 97.5 %",
                "map": "MAP",
                "low": "2.5 %",
                "high": "97.5 %",
                "ess": "ESS",
            }
        )
        return str(frame.to_latex(float_format="%.3g", na_rep="--", escape=True))

    def __str__(self) -> str:
        return "\n".join(
            [*wrapped(headline(self.both)), "", *self.table(), *wrapped(self.remarks())]
        )

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return shown(headline(self.both), self.html_table(), self.remarks())

    def table(self) -> list[str]:
        """The table as lines of text; without the bootstrap where that would be too wide."""
        names = [Name(row.component, row.name, row.column) for row in self.rows]
        rows = by_column(names, [_cells(row) for row in self.rows])
        headings = {row.component: self._heading(row.component) for row in self.rows}
        narrow = [column for column in self._columns() if column.key != "boot"]
        return grouped(rows, headings, self._columns(), narrow)

    def _columns(self) -> list[Column]:
        ml = "ML" if self.both.same_likelihood else "EM*"
        refits = self.both.refits
        name = "95% jack" if refits is not None and refits.kind == "jackknife" else "95% boot"
        boot = [Column("boot", name)] if self.has_bootstrap else []
        return [
            Column("ml", ml),
            Column("se", "SE"),
            *boot,
            Column("bar", ""),
            *([Column("map", "MAP")] if self.with_map else []),
            Column("mean", "mean"),
            Column("sd", "sd"),
            Column("interval", "95% interval"),
            Column("shift", "shift"),
            Column("ess", "ESS"),
        ]

    @property
    def has_bootstrap(self) -> bool:
        """Whether there are bootstrap intervals to show."""
        return any(np.isfinite(row.boot_low) for row in self.rows)

    def html_table(self) -> str:
        """The table as HTML, components as row groups."""
        ml = "ML" if self.both.same_likelihood else "Gaussian EM"
        boot = ("boot 2.5 %", "boot 97.5 %") if self.has_bootstrap else ()
        peak = ("MAP",) if self.with_map else ()
        names = (
            "parameter",
            ml,
            "SE",
            *boot,
            *peak,
            "mean",
            "sd",
            "2.5 %",
            "97.5 %",
            "shift",
            "ESS",
        )
        head = "".join(f'<th scope="col">{name}</th>' for name in names)
        shown = ["ml", "se", *(["boot"] if boot else []), *(["map"] if peak else [])]
        body = "".join(self._html_group(each, shown, len(names)) for each in self._components())
        return f"<table><thead><tr>{head}</tr></thead>{body}</table>"

    def _html_group(self, component: int, shown: list[str], width: int) -> str:
        title = html.escape(self._heading(component))
        own = [_html_row(row, shown) for row in self.rows if row.component == component]
        heading = f'<tr class="group"><th colspan="{width}" scope="rowgroup">{title}</th></tr>'
        return f"<tbody>{heading}{''.join(own)}</tbody>"

    def remarks(self) -> list[str]:
        """What the table says, in sentences."""
        lines = (
            []
            if self.both.same_likelihood
            else ["* Gaussian EM: another likelihood than the program's; a start and a yardstick."]
        )
        lines += [
            f"{flag.name}: {flag.number}. {_capital(flag.meaning)}. Next: {flag.next}."
            for flag in self.both.posterior.verdict.flags
        ]
        lines += _modes(self.both.posterior)
        lines += self._occupied()
        reasons = enumerate(self.both.errors.reasons, 1)
        lines += [f"No standard errors for component {j}: {why}." for j, why in reasons if why]
        lines += [self._agreement()] if self.both.same_likelihood else []
        lines += left_out(self.both.posterior.loo)
        return [*lines, *self._unlabelled(), self._certainty()]

    def _unlabelled(self) -> list[str]:
        """What kept its order: of a program what has no plate, of draws what no dimension tells."""
        names = ", ".join(self.both.posterior.structure.shared)
        if not names:
            return []
        if self.both.posterior.inference != "draws":
            return [f"Shared by all components, not relabelled: {names}."]
        return [
            f"Not relabelled, as no dimension is known to count components: {names}. What belongs "
            "to components moves too where cluster_dims names that dimension."
        ]

    def _components(self) -> list[int]:
        return list(dict.fromkeys(row.component for row in self.rows))

    def _heading(self, component: int) -> str:
        if component > self.both.n_components:
            return "background"
        return heading(component, self.both.ml.counts)

    def _agreement(self) -> str:
        compared = [row for row in self.rows if np.isfinite(row.shift)]
        if not compared:
            return "No parameter has a standard error to compare with."
        apart = [row for row in compared if abs(row.mean - row.ml) > max(row.se, row.sd)]
        largest = max(apart or compared, key=lambda row: abs(row.shift))
        where = _where(largest)
        if apart:
            others = f" and {counted(len(apart) - 1, 'parameter')} more" if len(apart) > 1 else ""
            return (
                f"ML and Bayes disagree in {where} ({largest.shift:+.1f} SE){others} by more than "
                f"either's uncertainty. {self._why(largest)}"
            )
        if abs(largest.shift) < 1:
            most = f"most: {where}, {largest.shift:+.1f}"
            return f"ML and Bayes agree: nothing differs by 1 SE ({most})."
        return (
            f"ML and Bayes differ most in {where}: {largest.shift:+.1f} SE, which is within the "
            "posterior's own spread."
        )

    def _why(self, row: Parameter) -> str:
        """Where the posterior's mean went: with its mode, or away from it."""
        if self.both.posterior.diagnostics.ambiguous > self.both.posterior.thresholds.ambiguous:
            return "Labels are ambiguous: the means of single components blend."
        if MULTIMODAL in [flag.name for flag in self.both.posterior.verdict.flags]:
            return (
                "Several modes: the numbers are of one, and maximum likelihood may be in another."
            )
        if not np.isfinite(row.map):
            return "The prior, or a skewed likelihood, moves the posterior mean: read the interval."
        if abs(row.map - row.ml) > abs(row.mean - row.map):
            return (
                "The posterior's mode moved with its mean: so the prior speaks where the data say "
                "little."
            )
        return (
            "The posterior's mode stayed near ML: the posterior is skewed, and its mean lies off "
            "its peak; read the interval."
        )

    def _occupied(self) -> list[str]:
        """How many components hold rows, where it is not all of them."""
        chances = occupied_after(self.both.posterior)
        if chances[-1] >= CERTAIN:
            return []
        told = [f"{j} ({100 * p:.0f} %)" for j, p in enumerate(chances, 1) if p >= 1 - CERTAIN]
        return [f"Components that hold rows: {', '.join(told)}. Next: fit.occupied(), the prior's."]

    def _certainty(self) -> str:
        certain = self.both.posterior.membership.max(1) >= CERTAIN
        weights = self.both.problem.row_weights
        return f"Rows below 95 % certain: {weights[~certain].sum():,.0f} of {weights.sum():,.0f}."


def _where(row: Parameter) -> str:
    return f"{row.label} of component {row.component}" if row.component else row.label


def _modes(posterior: Posterior) -> list[str]:
    """The modes that chains sit in, if they are several; numbers are those of one of them."""
    modes = posterior.sampled_modes
    if len(modes) == 1:
        return []
    shown = tuple(np.flatnonzero(posterior.kept).tolist())
    return [
        f"Mode {m} ({_chains(mode)}): mean log posterior {mode.log_posterior:.1f}, stacking "
        f"weight {mode.weight:.2f}{'; the numbers above are its' if mode.chains == shown else ''}."
        for m, mode in enumerate(modes)
    ]


def _chains(mode: SampledMode) -> str:
    """The chains of a mode, in words."""
    numbers = [str(c) for c in mode.chains]
    return f"chain{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}"


def headline(both: Both) -> list[str]:
    """The verdict, the diagnostics and the criteria, in four lines."""
    ml, posterior = both.ml, both.posterior
    found, k = posterior.diagnostics, both.n_components
    what, how = (
        f"BayesianMixture({k}), ",
        f", {model_label(both)}: {posterior.verdict.name.upper()}",
    )
    name = fitting(both.problem.table.name, what + how)
    return [
        f"{what}{name}{how}",
        _quality(posterior),
        f"ambiguous draws {100 * found.ambiguous:.0f} %, all {k} occupied "
        f"{100 * found.occupied:.0f} %",
        f"AIC {fixed(ml.aic, 1)}  BIC {fixed(ml.bic, 1)}  ICL {fixed(ml.icl, 1)} | "
        f"elpd_loo {posterior.loo.elpd:.1f} +- {posterior.loo.se:.1f}  "
        f"p_loo {posterior.loo.p_loo:.1f}",
    ]


def _quality(posterior: Posterior) -> str:
    """How well the posterior was sampled or approximated."""
    found = posterior.diagnostics
    if not posterior.is_sampled:
        return f"{INFERENCES[posterior.inference]}, Pareto k-hat {fixed(found.pareto_k, 2)}"
    divergences = f", divergences {found.divergences}"
    return (
        f"worst R-hat {fixed(found.worst_r_hat, 3)}, lowest ESS {fixed(found.lowest_ess, 0)}"
        f"{divergences if 'diverging' in posterior.draws.stats else ''}"
    )


def left_out(found: Loo) -> list[str]:
    """How rows were left out that smoothed weights could not, and what to do about the others."""
    limit = f"Pareto k above {found.good_k:.2f}"
    ways = {"moment matching": found.n_matched, "a refit each": found.n_refitted}
    told = listed([f"{counted(n, 'row')} by {way}" for way, n in ways.items() if n])
    lines = [f"LOO leaves out {told}: weights alone could not ({limit})."] if told else []
    if found.n_bad:
        few = found.n_bad <= MOST_REFITS
        each = "reloo() (--reloo), a refit each, or " if few else ""
        remedy = f"{each}kfold() (--kfold 10), ten refits"
        lines.append(
            f"LOO is unreliable for {counted(found.n_bad, 'row')} ({limit}). Next: {remedy}."
        )
    return lines


def model_label(both: Both) -> str:
    """The program's name with the covariance family that its EM fit belongs to."""
    if not both.same_likelihood:
        return both.model
    return f"{both.model} ({family_label(both.ml.family.name, len(both.problem.table.columns))})"


def _cells(row: Parameter) -> dict[str, str]:
    """The cells of a row; an interval is one of them, its ends aligned later."""
    spread = row.sd if np.isfinite(row.sd) and row.sd > 0 else row.se
    return {
        "ml": number(row.ml, spread),
        "se": number(row.se, row.se),
        "boot": f"{number(row.boot_low, spread)} {number(row.boot_high, spread)}",
        "bar": "|",
        "map": number(row.map, spread),
        "mean": number(row.mean, spread),
        "sd": number(row.sd, row.sd),
        "interval": f"{number(row.low, spread)} {number(row.high, spread)}",
        "shift": _signed(row.shift),
        "ess": fixed(row.ess, 0),
    }


def _html_row(row: Parameter, first: list[str]) -> str:
    cells = _cells(row)
    shown = [*first, "mean", "sd", "interval", "shift", "ess"]
    data = [part for key in shown for part in cells[key].split(" ")]
    entries = "".join(f"<td>{cell}</td>" for cell in data)
    return f'<tr><th scope="row">{html.escape(row.label)}</th>{entries}</tr>'


def _signed(value: float) -> str:
    if not np.isfinite(value):
        return "-"
    return "0.0" if abs(value) < 0.05 else f"{value:+.1f}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
