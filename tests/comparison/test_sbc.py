"""Simulation-based calibration: the line is calibrated, and what breaks it is seen."""

from collections.abc import Iterable, Mapping

import numpy as np
import pytest

from bayesgmm.bayes import truth
from bayesgmm.bayes.program import load_model
from bayesgmm.bayes.relabel import reorder
from bayesgmm.bayes.settings import Settings
from bayesgmm.bayes.truth import ranks
from bayesgmm.bayes.uniformity import uniformity
from bayesgmm.comparison import sbc
from bayesgmm.comparison.sbc import N_DRAWS, Case, Outcome, simulate
from bayesgmm.ml import restarts

TWICE = np.log([1, 1, 1, 1, 2, 2])  # the last two coordinates are log standard deviations
PRIORS = {"location": [0.0], "spread": [4.0], "sd": [1.0]}
DIAG = Case(load_model("gaussian_diag"), 2, (24, 1), PRIORS)
CONJUGATE = Case(
    load_model("conjugate"), 2, (24, 1), {"location": [0.0], "scale": [[1.0]], "kappa": 0.05}
)


def outcome(case: Case, i: int) -> Outcome:
    settings = Settings(num_draws=100, max_draws=200)
    return simulate(case, settings, restarts.Settings(n_init=4), np.random.default_rng(i))


def smallest_p(found: Iterable[Mapping[str, int]]) -> float:
    """Over all quantities, each p-value times their number."""
    by_name = {name: np.array([each[name] for each in found]) for name in next(iter(found))}
    return min(uniformity(own, N_DRAWS).p for own in by_name.values()) * len(by_name)


@pytest.fixture(scope="module")
def simulations() -> tuple[list[Outcome], list[tuple]]:
    """Twenty of gaussian_diag: what they came to, and what was ranked."""
    ranked: list[tuple] = []

    def watched(*arguments: object) -> dict[str, int]:
        ranked.append(arguments)
        return ranks(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sbc, "ranks", watched)
        return [outcome(DIAG, i) for i in range(20)], ranked


def test_the_whole_line_is_calibrated(simulations) -> None:
    found, _ = simulations
    assert not any(each.lost for each in found)
    assert smallest_p([each.ranks for each in found]) > 1e-3
    told = {"log posterior", "log-likelihood", "weights[1]", "weight of rank 1", "sds[1, 1]"}
    assert told <= set(found[0].ranks)


def test_the_conjugate_program_is_calibrated() -> None:
    assert smallest_p([outcome(CONJUGATE, i).ranks for i in range(20)]) > 1e-3


def test_standard_deviations_that_are_wrong_by_two_are_seen(simulations) -> None:
    found = [
        ranks(posterior, drawn._replace(z=drawn.z + TWICE), *rest)
        for posterior, drawn, *rest in simulations[1]
    ]
    assert smallest_p(found) < 1e-4


def test_labels_that_are_left_as_they_fell_are_seen(simulations, monkeypatch) -> None:
    real = truth._crossed

    def as_they_fell(posterior, *rest):
        found = real(posterior, *rest)
        back, axes = found.order.argsort(-1), dict(posterior.structure.cluster_axes)
        sites = {n: reorder(v, back, axes[n]) if n in axes else v for n, v in found.sites.items()}
        return found._replace(sites=sites)

    monkeypatch.setattr(truth, "_crossed", as_they_fell)
    assert smallest_p([ranks(*arguments) for arguments in simulations[1]]) < 1e-4


def test_rows_that_cannot_be_fitted_are_counted_not_ranked() -> None:
    found = outcome(Case(DIAG.program, 3, (2, 1), PRIORS), 0)
    assert "needs at least 3 rows" in found.lost
    assert not found.ranks


def test_the_same_seed_gives_the_same_ranks(simulations) -> None:
    assert outcome(DIAG, 0) == simulations[0][0]
