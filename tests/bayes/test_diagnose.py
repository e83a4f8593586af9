"""A NaN, a stuck chain and a lonely mode are failures; switched labels are not."""

from dataclasses import replace

import arviz
import numpy as np
import pytest
from arviz_stats.base import array_stats

from bayesgmm.bayes import diagnose as d
from bayesgmm.bayes.diagnose import (
    Diagnostics,
    Flag,
    Thresholds,
    Verdict,
    chain_modes,
    diagnose,
    ess,
    invariants,
    pareto_k,
    r_hat,
    verdict,
)
from bayesgmm.bayes.relabel import relabel, reorder
from bayesgmm.gaussian.mixture import (
    Mixture,
    log_density,
    log_responsibilities,
    moments,
    responsibilities,
)
from tests.bayes.cases import clear_rows, mixtures

C, S, K = 4, 500, 3
RNG = np.random.default_rng(0)
NAMES = ("log posterior", "log-likelihood", "sum of squared weights")
GOOD = {name: RNG.normal(size=(C, S)) for name in NAMES}
STATS = {"energy": RNG.normal(size=(C, S)), "diverging": np.zeros((C, S), bool)}


def found(quantities=None, **changes):
    """Diagnostics of good draws, changed in one respect."""
    arguments = {
        "quantities": GOOD if quantities is None else quantities,
        "stats": STATS,
        "clear": np.full(C * S, np.inf),
        "n_occupied": np.full((C, S), K),
        "k": K,
        "log_approximation": None,
    }
    return diagnose(**(arguments | changes))


def flags(diagnostics, k=K):
    return {flag.name: flag for flag in verdict(diagnostics, k).flags}


def everywhere(change):
    return {name: change(values.copy()) for name, values in GOOD.items()}


# --- one finding at a time -----------------------------------------------------------------------


def test_good_draws_are_stable():
    diagnostics = found()
    assert verdict(diagnostics, K).name == d.STABLE
    assert verdict(diagnostics, K).usable
    assert diagnostics.worst_r_hat == max(diagnostics.r_hat.values()) < 1.01
    assert diagnostics.lowest_ess > 400
    assert diagnostics.chain_modes == (0, 0, 0, 0)


@pytest.mark.parametrize("chains", [[0], [0, 1, 2, 3]])
def test_stuck_chains_have_not_converged(chains):
    def stuck(values):
        values[chains] = values[chains, :1]
        return values

    diagnostics = found(everywhere(stuck))
    assert diagnostics.worst_r_hat == np.inf
    assert diagnostics.lowest_ess == 0
    assert d.NOT_CONVERGED in flags(diagnostics)
    assert not verdict(diagnostics, K).usable


def test_chains_that_all_stick_at_one_point_have_not_converged():
    diagnostics = found(everywhere(np.ones_like))
    assert d.NOT_CONVERGED in flags(diagnostics)
    assert d.MULTIMODAL not in flags(diagnostics)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", NAMES)
def test_one_draw_that_is_not_finite_is_a_failure(name, bad):
    spoilt = {key: values.copy() for key, values in GOOD.items()}
    spoilt[name][2, 7] = bad
    diagnostics = found(spoilt)
    assert diagnostics.non_finite == 1
    assert not diagnostics.worst_r_hat < 1.01
    flag = flags(diagnostics)[d.NOT_CONVERGED]
    assert "1 draws are not finite" in flag.number


def test_draws_that_are_all_nan_are_a_failure():
    diagnostics = found(everywhere(lambda values: np.full_like(values, np.nan)))
    assert d.NOT_CONVERGED in flags(diagnostics)
    assert diagnostics.non_finite == C * S


def test_a_nan_in_the_energy_is_a_failure():
    energy = STATS["energy"].copy()
    energy[0, 0] = np.nan
    diagnostics = found(stats=STATS | {"energy": energy})
    assert not diagnostics.e_bfmi >= 0.3
    assert d.NOT_CONVERGED in flags(diagnostics)


def test_a_quantity_that_the_program_fixes_is_no_failure():
    """A program with weights that it does not sample has a constant sum of squares."""
    fixed = GOOD | {"sum of squared weights": np.full((C, S), 1 / K)}
    assert verdict(found(fixed), K).name == d.STABLE


def test_a_chain_in_another_mode_is_found():
    def lonely(values):
        values[2] += 30
        return values

    diagnostics = found(everywhere(lonely))
    assert diagnostics.chain_modes == (0, 0, 1, 0)
    assert "2 separate modes" in flags(diagnostics)[d.MULTIMODAL].number
    assert not verdict(diagnostics, K).usable


def test_a_difference_in_one_quantity_is_enough_for_another_mode():
    apart = GOOD | {"log-likelihood": GOOD["log-likelihood"] + [[0], [9], [0], [9]]}
    assert found(apart).chain_modes == (0, 1, 0, 1)


def test_modes_are_joined_by_the_chains_between_them():
    steps = np.array([0.0, 0.6, 1.2, 40.0])[:, None]
    stacked = (GOOD["log posterior"] + steps)[..., None]
    assert chain_modes(stacked) == (0, 0, 0, 1)
    assert chain_modes(stacked[[0, 2, 3]]) == (0, 1, 2)


def test_slow_chains_are_told_by_their_effective_size():
    walk = everywhere(lambda values: np.cumsum(values, axis=1))
    diagnostics = found(walk)
    flag = flags(diagnostics)[d.NOT_CONVERGED]
    assert "R-hat" in flag.number
    assert "ESS" in flag.number


def test_divergences_beyond_one_in_a_hundred_are_told():
    some = np.zeros((C, S), bool)
    some[0, :20] = True
    assert not flags(found(stats=STATS | {"diverging": some}))
    some[0, :21] = True
    diagnostics = found(stats=STATS | {"diverging": some})
    assert "21 of 2000 draws diverged" in flags(diagnostics)[d.NOT_CONVERGED].number


def test_a_low_energy_fraction_is_told():
    energy = np.cumsum(STATS["energy"], axis=1) / 5
    diagnostics = found(stats=STATS | {"energy": energy})
    expected = array_stats.bfmi(energy, chain_axis=0, draw_axis=1).min()
    assert diagnostics.e_bfmi == pytest.approx(expected)
    assert "E-BFMI" in flags(diagnostics)[d.NOT_CONVERGED].number


def test_empty_components_are_over_fitted_beyond_one_half():
    occupied = np.full((C, S), K)
    occupied[:2] = K - 1
    assert not flags(found(n_occupied=occupied))
    occupied[2, 0] = 1
    diagnostics = found(n_occupied=occupied)
    assert diagnostics.occupied == pytest.approx(0.5 - 1 / (C * S))
    assert set(flags(diagnostics)) == {d.OVER_FITTED}
    assert verdict(diagnostics, K).usable


def test_labels_are_ambiguous_beyond_one_draw_in_forty():
    clear = np.full(C * S, np.log(19.1))
    clear[:50] = np.log(18.9)
    assert not flags(found(clear=clear))
    clear[50] = -1.0  # another labelling is the more plausible
    diagnostics = found(clear=clear)
    assert diagnostics.ambiguous == pytest.approx(51 / 2000)
    assert set(flags(diagnostics)) == {d.AMBIGUOUS}
    assert verdict(diagnostics, K).usable


# --- approximations ------------------------------------------------------------------------------


def approximated(noise, quantities=None):
    log_q = GOOD["log posterior"] - noise
    return found(quantities, stats={}, log_approximation=log_q)


def test_an_approximation_has_a_k_hat_and_never_an_r_hat():
    diagnostics = approximated(0.3 * RNG.normal(size=(C, S)))
    assert np.isfinite(diagnostics.pareto_k)
    assert np.isnan(list(diagnostics.r_hat.values())).all()
    assert np.isnan(diagnostics.worst_r_hat)
    assert diagnostics.chain_modes == (0, 0, 0, 0)
    assert verdict(diagnostics, K).name == d.APPROXIMATE
    assert verdict(diagnostics, K).usable


def test_a_poor_approximation_is_told():
    diagnostics = approximated(5 * RNG.normal(size=(C, S)))
    assert diagnostics.pareto_k > 0.7
    assert "Pareto k-hat" in flags(diagnostics)[d.POOR].number
    assert not verdict(diagnostics, K).usable


@pytest.mark.parametrize("name", NAMES)
def test_an_approximation_with_a_nan_is_poor_and_says_why(name):
    spoilt = {key: values.copy() for key, values in GOOD.items()}
    spoilt[name][0, 0] = np.nan
    flag = flags(approximated(0.1 * RNG.normal(size=(C, S)), spoilt))[d.POOR]
    assert "not finite" in flag.number or "k-hat inf" in flag.number


def test_a_hopeless_approximation_is_poor():
    """Ratios so unequal that all but one vanish; the shape of their tail has no estimate."""
    diagnostics = approximated(RNG.standard_cauchy(size=(C, S)) * 5)
    assert set(flags(diagnostics)) == {d.POOR}


def test_an_exact_approximation_is_not_poor():
    diagnostics = approximated(3.0)
    assert verdict(diagnostics, K).name == d.APPROXIMATE
    assert pareto_k(np.zeros((C, S))) <= 0.7


def test_k_hat_is_that_of_arviz():
    log_ratio = RNG.normal(size=(C, S)) * 2
    expected = array_stats.psislw(-log_ratio.ravel())[1]
    assert pareto_k(log_ratio) == pytest.approx(float(expected), abs=1e-6)
    assert pareto_k(log_ratio + 1e4) == pytest.approx(float(expected), abs=1e-6)
    assert pareto_k(np.where(log_ratio > 3, np.nan, log_ratio)) == np.inf


# --- the numbers ---------------------------------------------------------------------------------


def test_r_hat_and_ess_are_those_of_arviz():
    walk = np.stack([GOOD["log posterior"], np.cumsum(GOOD["log-likelihood"], 1)], axis=-1)
    tree = arviz.from_dict({"posterior": {"a": walk[..., 0], "b": walk[..., 1]}})
    expected = {
        "rhat": arviz.rhat(tree),
        "bulk": arviz.ess(tree, method="bulk"),
        "tail": arviz.ess(tree, method="tail", prob=(0.05, 0.95)),
    }
    numbers = {"rhat": r_hat(walk), "bulk": ess(walk, "bulk"), "tail": ess(walk, "tail")}
    for name, values in expected.items():
        group = values.posterior if "posterior" in getattr(values, "children", {}) else values
        np.testing.assert_allclose(numbers[name], [float(group["a"]), float(group["b"])])


def test_a_chain_that_is_alone_is_compared_with_itself():
    steady = np.random.default_rng(0).normal(size=(1, 401, 2))
    assert (r_hat(steady) < 1.03).all()
    steady[0, 200:, 1] += 3.0
    assert r_hat(steady)[0] < 1.03
    assert r_hat(steady)[1] > 1.5


def test_invariants_do_not_change_when_labels_do():
    stack = mixtures((C, S), K)
    order = np.stack([[RNG.permutation(K) for _ in range(S)] for _ in range(C)])
    axes = zip(stack, (-1, -2, -3), strict=True)
    switched = Mixture(*(reorder(part, order, axis) for part, axis in axes))
    held, log_likelihood = RNG.normal(size=(C, S, 5)), GOOD["log-likelihood"]

    def of(mixture):
        own = (GOOD["log posterior"], log_likelihood, held, mixture.weights, mixture)
        return invariants(*own, 12.0)

    before, after = of(stack), of(switched)
    assert set(before) == set(after)
    for name, values in before.items():
        assert values.shape == (C, S)
        np.testing.assert_allclose(values, after[name], rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(before["log-likelihood"], log_likelihood)
    expected = {"sum of squared weights", "weight of rank 1", "mixture mean 2"}
    assert expected | {"mixture covariance 2,1", "log density at held row 1"} < set(before)


def test_perfect_label_switching_is_not_flagged_after_relabelling():
    """Each chain has its own labels, and one changes them halfway; only labels differ."""
    X = clear_rows(40, 2)
    pivot = mixtures((), 2, 2, apart=8.0)
    pivot = pivot._replace(means=pivot.means - 4.0)
    noise = RNG.normal(size=(C, S, 2, 2)) / 10
    flip = np.zeros((C, S), int)
    flip[1], flip[2, S // 2 :] = 1, 1
    order = np.stack([flip, 1 - flip], axis=-1)
    weights = RNG.dirichlet([20.0, 40.0], size=(C, S))
    tril = np.broadcast_to(pivot.scale_tril, (C, S, 2, 2, 2))
    clear = Mixture(weights, pivot.means + noise, tril)
    axes = zip(clear, (-1, -2, -3), strict=True)
    drawn = Mixture(*(reorder(part, order, axis) for part, axis in axes))
    assert array_stats.rhat(drawn.means[..., 0, 0], chain_axis=0, draw_axis=1) > 1.5

    resp, log_pivot = responsibilities(drawn, X), log_responsibilities(pivot, X)
    cost = np.einsum("csna,csna->csa", resp, np.log(resp + 1e-300))[..., None]
    cost = cost - np.einsum("csna,nb->csab", resp, log_pivot)
    right = relabel(cost.reshape(C * S, 2, 2))
    means = reorder(drawn.means, right.order.reshape(C, S, 2), -2)
    np.testing.assert_array_equal(means, clear.means)
    log_p = log_density(drawn, X)
    own = (GOOD["log posterior"], log_p.sum(-1), log_p[..., :3], drawn.weights, drawn)
    n_occupied = np.full((C, S), 2)
    diagnostics = diagnose(invariants(*own, 40.0), STATS, right.margin, n_occupied, 2, None)
    assert verdict(diagnostics, 2).name == d.STABLE


def test_weights_that_stand_for_less_than_a_row_are_no_quantity_to_watch():
    weights = np.stack([RNG.uniform(0.6, 0.7, (C, S)), RNG.uniform(0.3, 0.4, (C, S))], axis=-1)
    weights = np.concatenate([weights, RNG.uniform(0, 1e-4, (C, S, 1))], axis=-1)
    own = (GOOD["log posterior"], GOOD["log-likelihood"], np.zeros((C, S, 1)), weights, None)
    assert "weight of rank 3" not in invariants(*own, 1000.0)
    assert "weight of rank 3" in invariants(*own, 1e6)


def test_a_background_has_a_weight_of_its_own():
    weights = RNG.dirichlet([5.0, 3.0, 90.0], size=(C, S))
    own = (GOOD["log posterior"], GOOD["log-likelihood"], np.zeros((C, S, 1)), weights, None)
    found = invariants(*own, 100.0, background=True)
    np.testing.assert_array_equal(found["weight of the background"], weights[..., 2])
    np.testing.assert_array_equal(found["weight of rank 1"], weights[..., :2].max(-1))
    assert "weight of rank 3" not in found


def test_many_columns_are_watched_by_their_variances():
    many = d.MANY_COLUMNS + 1
    stack = mixtures((2, 3), 2, many)
    own = (np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 3, 1)), stack.weights, stack)
    found = invariants(*own, 10.0)
    assert f"mixture variance {many}" in found
    _, covariance = moments(stack)
    np.testing.assert_allclose(found["mixture variance 2"], covariance[..., 1, 1], rtol=1e-12)
    assert not [name for name in found if "covariance" in name]


def test_a_component_is_collapsed_where_it_is_far_narrower_than_the_others():
    stack = mixtures((C, S), 2, 2)
    assert d.collapsed_share(stack, Thresholds()) == 0
    narrow = stack.scale_tril.copy()
    narrow[0, :50, 1] *= 1e-4
    found = diagnose(
        GOOD, STATS, np.full(C * S, np.inf), np.full((C, S), K), K, None, mixture=stack
    )
    assert found.collapsed == 0
    spoiled = Mixture(stack.weights, stack.means, narrow)
    assert d.collapsed_share(spoiled, Thresholds()) == pytest.approx(50 / (C * S))
    flagged = verdict(replace(found, collapsed=50 / (C * S)), K)
    assert flagged.name == d.COLLAPSED
    assert not flagged.usable
    assert not verdict(replace(found, collapsed=0.005), K).flags


def test_a_line_is_without_width_whatever_its_direction():
    stack = mixtures((C, S), 2, 2)
    flat = stack.scale_tril.copy()
    flat[:, :, 0] = np.array([[1.0, 0.0], [1.0, 1e-7]])
    assert d.collapsed_share(Mixture(stack.weights, stack.means, flat), Thresholds()) == 1.0


def test_where_all_components_have_collapsed_the_columns_tell():
    stack = mixtures((C, S), 2, 2)
    small = Mixture(stack.weights, stack.means, 1e-8 * stack.scale_tril)
    assert d.collapsed_share(small, Thresholds()) == 1.0
    apart = Mixture(stack.weights, stack.means, 1e-4 * stack.scale_tril)
    assert d.collapsed_share(apart, Thresholds()) == 0.0


# --- the verdict ---------------------------------------------------------------------------------

EVERYTHING = Diagnostics(
    r_hat={"a": 1.5},
    ess_bulk={"a": 10.0},
    ess_tail={"a": 20.0},
    e_bfmi=0.1,
    divergences=500,
    n_draws=1000,
    non_finite=1,
    pareto_k=np.nan,
    ambiguous=0.5,
    occupied=0.1,
    chain_modes=(0, 1),
)


def test_flags_come_worst_first():
    names = [flag.name for flag in verdict(EVERYTHING, K).flags]
    assert names == [d.NOT_CONVERGED, d.MULTIMODAL, d.OVER_FITTED, d.AMBIGUOUS]
    assert verdict(EVERYTHING, K).name == str(verdict(EVERYTHING, K)) == d.NOT_CONVERGED
    approximate = verdict(replace(EVERYTHING, pareto_k=0.9, chain_modes=(0, 0)), K)
    assert [flag.name for flag in approximate.flags] == [d.POOR, d.OVER_FITTED, d.AMBIGUOUS]


def test_every_flag_has_its_number_its_meaning_and_a_remedy():
    every = verdict(EVERYTHING, K).flags + verdict(replace(EVERYTHING, pareto_k=0.9), K).flags
    for flag in every:
        assert flag.number
        assert flag.meaning
        assert flag.next
    number = every[0].number
    for part in ("1 draws", "R-hat 1.500 > 1.01", "ESS 10 < 400", "E-BFMI 0.10 < 0.3", "500 of"):
        assert part in number


def test_a_nan_anywhere_in_the_diagnostics_is_never_a_pass():
    good = replace(
        EVERYTHING,
        r_hat={"a": 1.0},
        ess_bulk={"a": 900.0},
        ess_tail={"a": 900.0},
        e_bfmi=1.0,
        divergences=0,
        non_finite=0,
        ambiguous=0.0,
        occupied=1.0,
        chain_modes=(0, 0),
    )
    assert not verdict(good, K).flags
    for change in (
        {"r_hat": {"a": 1.0, "b": np.nan}},
        {"ess_bulk": {"a": np.nan}},
        {"ess_tail": {"a": np.nan}},
        {"e_bfmi": np.nan},
    ):
        assert verdict(replace(good, **change), K).name == d.NOT_CONVERGED


def test_thresholds_are_settings():
    lenient = Thresholds(ess=1.0, r_hat=2.0, e_bfmi=0.0, divergent=1.0)
    names = [flag.name for flag in verdict(replace(EVERYTHING, non_finite=0), K, lenient).flags]
    assert d.NOT_CONVERGED not in names
    assert verdict(found(), K, Thresholds(ess=1e9)).name == d.NOT_CONVERGED


def test_a_verdict_without_flags_has_a_name():
    assert Verdict(()).name == d.STABLE
    assert Verdict((), d.APPROXIMATE).name == d.APPROXIMATE
    assert not Verdict((Flag(d.MULTIMODAL, "", "", ""),)).usable
