"""How far every parameter follows its prior, and whether the data say otherwise."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from bayesgmm.bayes.sensitivity import log_prior, sensitivities
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.parameters import drawn_parameters
from bayesgmm.comparison.tables import Column, Row, grouped, grouped_html, heading, row_label
from bayesgmm.comparison.words import fixed, listed
from bayesgmm.data.lines import wrapped
from bayesgmm.data.notebook import shown
from bayesgmm.data.plain import plain
from bayesgmm.ml.places import SHARED, Place

if TYPE_CHECKING:
    import pandas as pd

THRESHOLD = 0.05  # Kallioinen et al. (2024)
WHOLE = -1
"""The component of what belongs to the whole mixture, and does not depend on labels."""
DIAGNOSES = {
    "": "",
    "weak": "the data hardly inform it",
    "conflict": "the prior and the data pull apart",
}


@dataclass(frozen=True)
class Sensitive:
    """A parameter's sensitivity to its prior and to the likelihood.

    Attributes:
        place: which parameter; of component -1 where it belongs to the whole mixture.
        prior, likelihood: distance moved for each doubling of the power.
        diagnosis: "" where the prior hardly matters; "conflict" where the prior and the likelihood
            both do; "weak" where only the prior does.
    """

    place: Place
    prior: float
    likelihood: float
    diagnosis: str


@dataclass(frozen=True)
class Sensitivity:
    """A table of sensitivities under one sentence; prints, and shows as HTML in a notebook.

    Attributes:
        rows: one for each parameter, those that do not depend on labels first.
        scaled: sites whose priors were scaled.
        followed: sites whose priors follow from theirs.
        counts: rows of each component.
        noise: sensitivity that Monte-Carlo error alone brings about.
    """

    rows: tuple[Sensitive, ...]
    scaled: tuple[str, ...]
    followed: tuple[str, ...]
    counts: Float[np.ndarray, " k"]
    noise: float = 0.0

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        if not self.rows:
            return "No parameter moves, so that there is nothing to be sensitive to a prior."
        worst = max(self.rows, key=lambda row: row.prior)
        found = f"{_named(worst.place)} ({worst.prior:.2f})"
        if not worst.diagnosis:
            return f"No parameter is sensitive to its prior; most: {found}."
        sensitive = sum(row.diagnosis != "" for row in self.rows)
        return (
            f"{sensitive} of {len(self.rows)} parameters are sensitive to the prior; "
            f"most: {found}: {DIAGNOSES[worst.diagnosis]}."
        )

    def remarks(self) -> list[str]:
        """What was scaled, and how the columns are read."""
        noisy = (
            f"Monte-Carlo error alone reaches {self.noise:.2f}, above which the prior counts here; "
            "more draws (num_draws) would show less."
        )
        follow = (
            f"; those of {listed(list(self.followed))} follow from them" if self.followed else ""
        )
        return [
            "prior, likelihood: how far the posterior moves for each doubling of the power of "
            f"either; below {THRESHOLD} hardly. weak: {DIAGNOSES['weak']}; "
            f"conflict: {DIAGNOSES['conflict']}.",
            f"Scaled: the priors of {listed(list(self.scaled))}{follow}.",
            *([noisy] if self.noise > THRESHOLD else []),
        ]

    def to_frame(self) -> "pd.DataFrame":
        """The numbers, one row per parameter, indexed by component and name."""
        import pandas as pd

        names = {WHOLE: "mixture", SHARED: "all"}
        records = [
            {
                "component": names.get(row.place.component, row.place.component),
                "parameter": row.place.label,
                "prior": row.prior,
                "likelihood": row.likelihood,
                "diagnosis": DIAGNOSES[row.diagnosis],
            }
            for row in self.rows
        ]
        columns = ["component", "parameter", "prior", "likelihood", "diagnosis"]
        return pd.DataFrame(records, columns=columns).set_index(columns[:2])

    def to_latex(self) -> str:
        """The table for a paper."""
        return str(self.to_frame().to_latex(float_format="%.3f", na_rep="--", escape=True))

    def to_dict(self) -> dict[str, Any]:
        """The same numbers that the text shows, ready for JSON."""
        content = {
            "sentence": self.sentence,
            "scaled": list(self.scaled),
            "parameters": self.to_frame().reset_index().to_dict("records"),
        }
        return dict(plain(content))

    def __str__(self) -> str:
        return "\n".join(
            [*wrapped([self.sentence]), "", *self.table(), "", *wrapped(self.remarks())]
        )

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return shown([self.sentence], grouped_html(*self._grouped()), self.remarks())

    def table(self) -> list[str]:
        """The table as lines of text."""
        return grouped(*self._grouped())

    def _grouped(self) -> tuple[list[Row], dict[int, str], list[Column]]:
        """The rows, what stands above those of each component, and the columns."""
        rows = [Row(row.place.component, _label(row.place), _cells(row)) for row in self.rows]
        headings = {row.component: self._heading(row.component) for row in rows}
        return rows, headings, [Column(name, name) for name in ("prior", "likelihood", "diagnosis")]

    def _heading(self, component: int) -> str:
        if component == WHOLE:
            return "the whole mixture"
        return "background" if component > len(self.counts) else heading(component, self.counts)


def sensitivity(both: Both) -> Sensitivity:
    """The sensitivity of every parameter to its prior; parameters that never move are left out.

    Raises:
        InputError: the fit was loaded without its program.
    """
    posterior = both.posterior
    scaled = log_prior(posterior)
    drawn = [*_invariant(both), *((each.place, each.draws) for each in drawn_parameters(both))]
    moving = [(place, draws) for place, draws in drawn if np.ptp(draws) > 0]
    latents = (latent.name for latent in posterior.structure.latents)
    followed = tuple(name for name in latents if name not in scaled.sites)
    empty = Sensitivity((), scaled.sites, followed, both.ml.counts)
    if not moving:
        return empty
    log_likelihood = posterior.crossed.log_likelihood[posterior.kept]
    found = sensitivities(np.stack([draws for _, draws in moving]), scaled.values, log_likelihood)
    least = max(THRESHOLD, found.noise)
    rows = (
        Sensitive(place, float(p), float(q), _diagnosis(p, q, least))
        for (place, _), p, q in zip(moving, found.prior, found.likelihood, strict=True)
    )
    return replace(empty, rows=tuple(rows), noise=found.noise)


def _diagnosis(prior: float, likelihood: float, least: float) -> str:
    if prior < least:
        return ""
    return "conflict" if likelihood >= THRESHOLD else "weak"


def _invariant(both: Both) -> Iterator[tuple[Place, Float[np.ndarray, "c s"]]]:
    """What does not depend on labels: weights by their rank, and the mixture's own mean."""
    posterior, columns = both.posterior, both.problem.table.columns
    means = {f"mixture mean {j + 1}": column for j, column in enumerate(columns)}
    for name, draws in posterior.quantities.items():
        if "weight" in name:
            yield Place(WHOLE, name, "", "", ()), draws[posterior.kept]
        elif name in means:
            yield Place(WHOLE, "mean", means[name], "", ()), draws[posterior.kept]


def _named(place: Place) -> str:
    """ "weight of component 3", "mean waiting of the mixture"."""
    owner = {WHOLE: " of the mixture", SHARED: ""}.get(
        place.component, f" of component {place.component}"
    )
    return place.label if place.label.startswith("weight of") else place.label + owner


def _label(place: Place) -> str:
    if place.component == WHOLE:
        return f" {place.label}"
    return row_label(place.name, place.column, place.component)


def _cells(row: Sensitive) -> dict[str, str]:
    return {
        "prior": fixed(row.prior, 3),
        "likelihood": fixed(row.likelihood, 3),
        "diagnosis": row.diagnosis,
    }
