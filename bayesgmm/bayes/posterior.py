"""A posterior: relabelled draws and everything that is said about them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from bayesgmm.bayes import rows
from bayesgmm.bayes.clarity import clarity, features
from bayesgmm.bayes.crossing import Crossed, ProgramLogJoint, moved, reordered
from bayesgmm.bayes.diagnose import (
    Diagnostics,
    Thresholds,
    Verdict,
    ambiguous_share,
    diagnose,
    interrupted,
    invariants,
    verdict,
)
from bayesgmm.bayes.draws import Draws
from bayesgmm.bayes.loo import LogDensities, Loo, loo, stacking
from bayesgmm.bayes.moment_match import match_moments, with_labels
from bayesgmm.bayes.relabel import relabel
from bayesgmm.bayes.structure import WEIGHTS, Structure
from bayesgmm.bayes.target import Data, Target
from bayesgmm.data.errors import InputError
from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.mixture import Mixture

LOO_NUMBERS, LOO_LEAST_DRAWS = 40_000_000, 1000
MATCH_NUMBERS = 5_000_000  # of draws x rows x rows to be left out, for each move of the draws

type Examined = tuple[Diagnostics, dict[str, np.ndarray]]
"""Diagnostics, and the label-invariant quantities that they rest on."""


class SampledMode(NamedTuple):
    """A mode in which chains sit.

    Attributes:
        chains: which ones.
        log_posterior: the mean over their draws.
        weight: its stacking weight (Yao, Vehtari and Gelman 2022), of predictive densities.
    """

    chains: tuple[int, ...]
    log_posterior: float
    weight: float


class Peak(NamedTuple):
    """A mode of the posterior, as the only draw of one chain: sites, and the mixture there."""

    sites: dict[str, np.ndarray]
    mixture: Mixture | None


@dataclass(frozen=True, repr=False)
class Posterior:
    """Relabelled draws and everything that is said about them.

    Attributes:
        structure: what the program consists of.
        inference: "nuts", "vi", "laplace", or "draws" for those made elsewhere.
        crossed: the draws, their sites and mixtures, and what they say of the rows.
        quantities: label-invariant quantities, each (c, s).
        diagnostics, verdict: what they say.
        X, row_weights: of the data, (n, d) and (n,).
        kept: the chains that single-number answers use: all, or those of the best mode.
        modes: the modes that were scouted, and their shares of the Laplace mass.
        thresholds: what the verdict was judged by.
        partial: whether sampling was interrupted.
        target, data: the program and what it is evaluated on; None for a fit that was loaded.
        peak: the mode that the kept chains lie around, as one draw; None where it is not known.
        known_membership: memberships that were saved, (n, components).
        known_loo: leave-one-out predictive densities that were saved.
        known_modes: sampled modes that were saved, or are known from the choice of chains.
    """

    structure: Structure
    inference: str
    crossed: Crossed
    quantities: Mapping[str, Float[np.ndarray, "c s"]]
    diagnostics: Diagnostics
    verdict: Verdict
    X: Float[np.ndarray, "n d"]
    row_weights: Float[np.ndarray, " n"]
    kept: Bool[np.ndarray, " c"]
    modes: tuple[tuple[str, float], ...] = ()
    thresholds: Thresholds = Thresholds()
    partial: bool = False
    target: Target | None = None
    data: Data | None = None
    peak: Peak | None = None
    known_membership: Float[np.ndarray, "n k"] | None = None
    known_loo: Loo | None = None
    known_modes: tuple[SampledMode, ...] | None = None

    def __repr__(self) -> str:
        c, s = self.margin.shape
        return f"<{c} x {s} draws by {self.inference}, k = {self.structure.k}: {self.verdict}>"

    @classmethod
    def of(
        cls,
        structure: Structure,
        inference: str,
        crossed: Crossed,
        X: Float[np.ndarray, "n d"],
        row_weights: Float[np.ndarray, " n"],
        thresholds: Thresholds,
        *,
        partial: bool = False,
        examined: Examined | None = None,
        unseen: Sequence[tuple[str, float]] = (),
        **known: Any,
    ) -> "Posterior":
        """The posterior of crossed draws: examined, judged, and with its chains chosen."""
        n = float(row_weights.sum())
        diagnostics, quantities = examined or examine(crossed, structure, thresholds, n)
        diagnostics = replace(diagnostics, unseen=tuple(unseen))
        posterior = cls(
            structure=structure,
            inference=inference,
            crossed=crossed,
            quantities=quantities,
            diagnostics=diagnostics,
            verdict=_judged(diagnostics, structure.k, thresholds, partial=partial),
            X=X,
            row_weights=row_weights,
            kept=np.ones(len(crossed.margin), bool),
            thresholds=thresholds,
            partial=partial,
            **known,
        )
        found = posterior.sampled_modes
        best = max(found, key=lambda mode: mode.weight)
        kept = np.isin(np.arange(len(crossed.margin)), best.chains)
        return replace(posterior, kept=kept, known_modes=found)

    def relabelled(
        self, order: Int[np.ndarray, "c s k"], margin: Float[np.ndarray, "c s"]
    ) -> "Posterior":
        """The same draws with their clusters in another order.

        Args:
            order: for each draw which of its clusters, as they are numbered now, comes where.
            margin: how clear that was.

        Raises:
            InputError: the program is not normal, and its code is not there.
        """
        self._drawn(self.kept)
        crossed = reordered(self.crossed, self.structure, order)._replace(margin=margin)
        share = ambiguous_share(
            clarity(features(crossed.sites, crossed.mixture, self.structure)), self.thresholds
        )
        diagnostics = replace(self.diagnostics, ambiguous=share)
        return replace(
            self,
            crossed=crossed,
            diagnostics=diagnostics,
            verdict=_judged(diagnostics, self.structure.k, self.thresholds, partial=self.partial),
            known_membership=None,
            known_loo=vars(self).get("loo", self.known_loo),
        )

    @property
    def sites(self) -> Mapping[str, np.ndarray]:
        """Relabelled values of the program's sites, each (c, s, ...)."""
        return self.crossed.sites

    @property
    def cluster_weights(self) -> Float[np.ndarray, "c s k"]:
        """Weights of the clusters in the chains that are kept; a background's is left out."""
        return self.sites[WEIGHTS][self.kept][..., : self.structure.k]

    @property
    def mixture(self) -> Mixture | None:
        """The relabelled draws as Gaussian mixtures, for programs that have such."""
        return self.crossed.mixture

    @property
    def is_sampled(self) -> bool:
        """Whether the draws are a Markov chain's, not an approximation's."""
        return self.draws.log_approximation is None

    @property
    def draws(self) -> Draws:
        """The draws before relabelling."""
        return self.crossed.draws

    @property
    def order(self) -> Int[np.ndarray, "c s k"]:
        """The relabelling."""
        return self.crossed.order

    @property
    def margin(self) -> Float[np.ndarray, "c s"]:
        """How clear the relabelling was."""
        return self.crossed.margin

    @property
    def n_occupied(self) -> Int[np.ndarray, "c s"]:
        """Clusters that held rows in a drawn allocation."""
        return self.crossed.n_occupied

    @property
    def log_likelihood(self) -> Float[np.ndarray, "c s n"] | None:
        """Log density of every draw and row, where it is kept; `log_densities` has it always."""
        return self.crossed.each_row

    def predict(self, X: Float[Array, "n d"]) -> rows.Prediction:
        """Posterior mean membership and posterior predictive density of rows, for any program.

        Draws that are kept as Gaussian mixtures need no program; others need their target.

        Raises:
            InputError: the program is not normal, and its code is not there; or its parameters
                differ from row to row, and the rows are not the fitted ones.
        """
        own = (*self._drawn(self.kept), self._order(self.kept), X)
        return rows.predict(*own, at_once=self._at_once(X))

    def by_draw(self, X: Float[Array, "n d"], most: int) -> Iterator[tuple[slice, rows.Prediction]]:
        """What draws say of rows, block by block, in about so many draws at most, evenly spaced.

        Raises:
            InputError: as `predict`.
        """
        return self._by_draw(X, self.kept, -(-self.margin[self.kept].size // most))

    def _by_draw(
        self, X: Float[Array, "n d"], chains: Bool[np.ndarray, " c"], every: int
    ) -> Iterator[tuple[slice, rows.Prediction]]:
        own = (*self._drawn(chains, every), self._order(chains, every), X)
        return rows.by_draw(*own, at_once=self._at_once(X))

    def memberships(self, most: int) -> Iterator[tuple[slice, Float[np.ndarray, "s _b k"]]]:
        """Of the fitted rows, as `by_draw`."""
        return ((places, found.membership) for places, found in self.by_draw(self.X, most))

    def every_membership(
        self, every: int = 1
    ) -> Iterator[tuple[slice, Float[np.ndarray, "s _b k"]]]:
        """Of the fitted rows, block by block, in each so-manieth draw of every chain.

        Raises:
            InputError: as `predict`.
        """
        found = self._by_draw(self.X, np.ones(len(self.kept), bool), every)
        return ((places, each.membership) for places, each in found)

    def _at_once(self, X: Float[Array, "n d"]) -> bool:
        """Whether rows have to be seen together, since each has parameters of its own."""
        if self.structure.by_row and X.shape != self.X.shape:
            raise InputError(
                f"X has {len(X)} rows; this program's parameters differ from row to row, so that "
                f"it can predict no other rows than the {len(self.X)} that it was fitted to."
            )
        return self.structure.by_row

    def _order(self, chains: Bool[np.ndarray, " c"], every: int = 1) -> Int[np.ndarray, "s k"]:
        """Where the clusters of the drawn parameters are; normal ones are in order already."""
        order = self.order[chains, ::every].reshape(-1, self.structure.n_components)
        if self.mixture is None:
            return order
        return np.broadcast_to(np.arange(order.shape[-1]), order.shape)

    def log_densities(
        self, chains: Bool[np.ndarray, " c"], X: Float[Array, "n d"], every: int = 1
    ) -> Float[np.ndarray, "c s n"]:
        """Log mixture density of every draw of those chains, or each so-manieth, at every row.

        Raises:
            InputError: the program is not normal, and its code is not there.
        """
        shape = self.margin[chains, ::every].shape
        own = self._drawn(chains, every)
        found = rows.log_densities(*own, shape[0] * shape[1], X, self.structure.n_components)
        return found.reshape(*shape, -1)

    def _drawn(
        self, chains: Bool[np.ndarray, " c"], every: int = 1
    ) -> tuple[rows.LogJoint, Any, Any]:
        """The draws of some chains as what gives log joint densities, one after another."""
        if self.mixture is not None:
            parts = (part[chains, ::every] for part in self.mixture)
            flat = Mixture(*(part.reshape(-1, *part.shape[2:]) for part in parts))
            return rows.gaussian_log_joint, flat, None
        if self.target is None:
            raise InputError(
                "this fit's program is not normal, and predicting needs its code: "
                "load(path, model='the same file')."
            )
        z = self.draws.z[chains, ::every].reshape(-1, self.draws.z.shape[-1])
        return ProgramLogJoint(self.target), z, self.data

    def _at_fitted_rows(self, chains: Bool[np.ndarray, " c"], every: int = 1) -> LogDensities:
        each_row = self.crossed.each_row
        if each_row is not None:
            return lambda some: each_row[chains, ::every, some]
        return lambda some: self.log_densities(chains, self.X[some], every)

    @cached_property
    def membership(self) -> Float[np.ndarray, "n k"]:
        """Posterior mean membership of the fitted rows."""
        if self.known_membership is not None:
            return self.known_membership
        return self.predict(self.X).membership

    @cached_property
    def loo(self) -> Loo:
        """PSIS-LOO of the kept chains, corrected for the approximation where there is one.

        Moments are matched for rows whose k-hat asks for it, where the program is there and a few
        passes over all rows are enough.
        """
        if self.known_loo is not None:
            return self.known_loo
        found, approximation = self.diagnostics, self.draws.log_approximation
        every = self._loo_every
        effective = every * max(found.ess_bulk["log-likelihood"], 1.0) / found.n_draws
        plain = loo(
            self._at_fitted_rows(self.kept, every),
            self.row_weights,
            min(1.0, effective),
            self.draws.log_posterior[self.kept, ::every],
            None if approximation is None else approximation[self.kept, ::every],
        )
        return self._matched(plain, every, min(1.0, effective))

    @property
    def knows_loo(self) -> bool:
        """Whether LOO was computed already, or could not be computed again without the program."""
        again = self.mixture is not None or self.log_likelihood is not None
        return "loo" in vars(self) or self.known_loo is not None or not again

    def _matched(self, plain: Loo, every: int, relative_ess: float) -> Loo:
        if self.target is None or self.data is None or self.structure.by_row:
            return plain
        if self.draws.log_approximation is not None or not plain.n_bad:
            return plain
        if self.margin[self.kept, ::every].size * len(self.X) * plain.n_bad > MATCH_NUMBERS:
            return plain

        def flat(values: np.ndarray) -> np.ndarray:
            some = values[self.kept, ::every]
            return some.reshape(-1, *some.shape[2:])

        own = (flat(self.draws.z), {name: flat(values) for name, values in self.sites.items()})
        z = with_labels(self.target, self.data, *own, flat(self.draws.log_posterior))
        return match_moments(plain, self.target, self.data, z, self.row_weights, relative_ess)

    @property
    def _loo_every(self) -> int:
        """LOO takes each so-manieth draw: all, but where draws times rows pass `LOO_NUMBERS`."""
        n, size = len(self.X), self.margin[self.kept].size
        most = max(1, size // LOO_LEAST_DRAWS)
        return int(np.clip(-(-n * size // LOO_NUMBERS), 1, most))

    @cached_property
    def map(self) -> Peak | None:
        """The mode that the kept chains lie around, its components where the draws have them.

        It is the highest point of the density in the unconstrained coordinates that are sampled.
        """
        if self.peak is None:
            return None
        drawn = features(self.sites, self.mixture, self.structure)
        drawn = drawn.reshape(*self.margin.shape, *drawn.shape[1:])[self.kept]
        own = features(*self.peak, self.structure)[0]
        with np.errstate(all="ignore"):
            apart = np.square((own[:, None] - drawn.mean((0, 1))) / drawn.std((0, 1)))
        order = relabel(np.nan_to_num(apart, posinf=0.0).sum(-1)[None]).order
        return Peak(*moved(self.structure, *self.peak, order[None]))

    @cached_property
    def sampled_modes(self) -> tuple[SampledMode, ...]:
        """The modes in which chains sit, with the weights that let them predict best together."""
        if self.known_modes is not None:
            return self.known_modes
        groups = np.array(self.diagnostics.chain_modes)
        chains = [groups == mode for mode in range(groups.max() + 1)]
        weights = np.ones(1)
        if len(chains) > 1:
            weights = stacking(np.stack([self._loo_of(own) for own in chains]), self.row_weights)
        return tuple(
            SampledMode(
                tuple(np.flatnonzero(own).tolist()),
                float(self.draws.log_posterior[own].mean()),
                float(weight),
            )
            for own, weight in zip(chains, weights, strict=True)
        )

    def _loo_of(self, chains: Bool[np.ndarray, " c"]) -> Float[np.ndarray, " n"]:
        """Leave-one-out log predictive density of every row by those chains alone."""
        own = (self._at_fitted_rows(chains), self.row_weights, 1.0)
        return loo(*own, self.draws.log_posterior[chains], None).pointwise


def known_program(posterior: Posterior) -> tuple[Target, Data]:
    """The program of a posterior, and what it is evaluated on.

    Raises:
        InputError: the fit was loaded without it, or its draws were made elsewhere.
    """
    if posterior.inference == "draws":
        raise InputError(
            "these draws were made elsewhere, and this needs their program: fit it here, "
            "BayesianMixture(k, model='my_model.py')."
        )
    if posterior.target is None or posterior.data is None:
        raise InputError(
            "this fit was loaded without its program, and this needs its code: "
            "load(path, model='the name or the file of the program')."
        )
    return posterior.target, posterior.data


def examine(crossed: Crossed, structure: Structure, thresholds: Thresholds, n: float) -> Examined:
    """Diagnostics of draws crossed with n rows, and the label-invariant quantities behind them."""
    quantities = invariants(
        crossed.draws.log_posterior,
        crossed.log_likelihood,
        crossed.held,
        crossed.sites[WEIGHTS],
        crossed.mixture,
        n,
        background=structure.background,
    )
    found = diagnose(
        quantities,
        crossed.draws.stats,
        clarity(features(crossed.sites, crossed.mixture, structure)),
        crossed.n_occupied,
        structure.k,
        crossed.draws.log_approximation,
        thresholds,
        mixture=crossed.mixture,
    )
    return found, quantities


def _judged(found: Diagnostics, k: int, thresholds: Thresholds, *, partial: bool) -> Verdict:
    judged = verdict(found, k, thresholds)
    return interrupted(judged, found.n_draws // len(found.chain_modes)) if partial else judged
