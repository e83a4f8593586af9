"""A posterior: relabelled draws and everything that is said about them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from bayesgmm.bayes import relabel as labels
from bayesgmm.bayes import rows
from bayesgmm.bayes.crossing import Crossed, ProgramLogJoint
from bayesgmm.bayes.diagnose import (
    Diagnostics,
    Thresholds,
    Verdict,
    diagnose,
    interrupted,
    invariants,
    verdict,
)
from bayesgmm.bayes.draws import Draws
from bayesgmm.bayes.loo import LogDensities, Loo, loo, stacking
from bayesgmm.bayes.moment_match import match_moments, with_labels
from bayesgmm.bayes.structure import WEIGHTS, Structure
from bayesgmm.bayes.target import Data, Target
from bayesgmm.data.errors import InputError
from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.mixture import Mixture

LOO_NUMBERS, LOO_LEAST_DRAWS = 40_000_000, 1000
MATCH_NUMBERS = 5_000_000  # of draws x rows x rows to be left out, for each move of the draws

type Examined = tuple[Diagnostics, dict[str, np.ndarray]]
"""Diagnostics, and the label-invariant quantities that they rest on."""


@dataclass(frozen=True)
class Posterior:
    """Relabelled draws and everything that is said about them.

    Attributes:
        structure: what the program consists of.
        inference: "nuts", "vi" or "laplace".
        crossed: the draws, their sites and mixtures, and what they say of the rows.
        quantities: label-invariant quantities, each (c, s).
        diagnostics, verdict: what they say.
        X, row_weights: of the data, (n, d) and (n,).
        kept: the chains that single-number answers use: all, or those of the best mode.
        modes: the modes that were scouted, and their shares of the Laplace mass.
        thresholds: what the verdict was judged by.
        partial: whether sampling was interrupted.
        target, data: the program and what it is evaluated on; None for a fit that was loaded.
        known_membership: memberships that were saved, (n, components).
        known_loo: leave-one-out predictive densities that were saved.
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
    known_membership: Float[np.ndarray, "n k"] | None = None
    known_loo: Loo | None = None

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
        **known: Any,
    ) -> "Posterior":
        """The posterior of crossed draws: examined, judged, and with its chains chosen."""
        n = float(row_weights.sum())
        diagnostics, quantities = examined or examine(crossed, structure, thresholds, n)
        judged = verdict(diagnostics, structure.k, thresholds)
        posterior = cls(
            structure=structure,
            inference=inference,
            crossed=crossed,
            quantities=quantities,
            diagnostics=diagnostics,
            verdict=interrupted(judged, crossed.margin.shape[1]) if partial else judged,
            X=X,
            row_weights=row_weights,
            kept=np.ones(len(crossed.margin), bool),
            thresholds=thresholds,
            partial=partial,
            **known,
        )
        return replace(posterior, kept=posterior._best_mode())

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
        by_row = self.structure.by_row
        if by_row and X.shape != self.X.shape:
            raise InputError(
                f"X has {len(X)} rows; this program's parameters differ from row to row, so that "
                f"it can predict no other rows than the {len(self.X)} that it was fitted to."
            )
        log_joint, draws, context = self._drawn(self.kept)
        return rows.predict(log_joint, draws, context, self._order(), X, at_once=by_row)

    def memberships(self, most: int) -> Iterator[tuple[slice, Float[np.ndarray, "s _b k"]]]:
        """Of the fitted rows, block by block, in about so many draws at most, evenly spaced.

        Raises:
            InputError: the program is not normal, and its code is not there.
        """
        every = -(-self.margin[self.kept].size // most)
        log_joint, draws, context = self._drawn(self.kept, every)
        own = (log_joint, draws, context, self._order(every), self.X)
        return rows.memberships(*own, at_once=self.structure.by_row)

    def _order(self, every: int = 1) -> Int[np.ndarray, "s k"]:
        """Where the clusters of the drawn parameters are; normal ones are in order already."""
        order = self.order[self.kept, ::every].reshape(-1, self.structure.n_components)
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

    def _best_mode(self) -> Bool[np.ndarray, " c"]:
        """The chains of the mode with the largest stacking weight; all if there is one mode."""
        groups = np.array(self.diagnostics.chain_modes)
        if groups.max() == 0:
            return np.ones(len(groups), bool)
        chains = [groups == g for g in range(groups.max() + 1)]
        pointwise = [
            loo(
                self._at_fitted_rows(own),
                self.row_weights,
                1.0,
                self.draws.log_posterior[own],
                None,
            ).pointwise
            for own in chains
        ]
        return groups == int(stacking(np.stack(pointwise), self.row_weights).argmax())


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
        labels.clarity(_features(crossed, structure)).reshape(crossed.margin.shape),
        crossed.n_occupied,
        structure.k,
        crossed.draws.log_approximation,
        thresholds,
    )
    return found, quantities


def _features(crossed: Crossed, structure: Structure) -> Float[np.ndarray, "s k q"]:
    """What describes the clusters of relabelled draws.

    Log weights with means and log standard deviations, or with all of a cluster's sites where it is
    not normal.
    """
    k, mixture = structure.k, crossed.mixture
    weights = crossed.sites[WEIGHTS][..., :k]
    with np.errstate(divide="ignore"):
        parts = [np.log(np.maximum(weights, np.finfo(float).tiny))[..., None]]
        if mixture is not None:
            parts += [mixture.means, np.log(mixture.variances) / 2]
        else:
            axes = dict(structure.cluster_axes)
            parts += [
                np.moveaxis(crossed.sites[name], axis, 2).reshape(*weights.shape, -1)
                for name, axis in axes.items()
                if name != WEIGHTS
            ]
    every = np.concatenate(parts, axis=-1)
    return every.reshape(-1, k, every.shape[-1])
