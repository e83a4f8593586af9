"""The summary: maximum likelihood beside the posterior, in the user's units."""

from dataclasses import replace

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.comparison.parameters import Parameter
from bayesgmm.comparison.summary import Summary


def test_posterior_columns_are_those_of_the_draws(faithful_fit: bg.BayesianMixture) -> None:
    frame = faithful_fit.summary().to_frame()
    draws = faithful_fit.posterior_["posterior"]["means"].sel(cluster=1, feature="waiting").values
    row = frame.loc[(1, "mean waiting")]
    assert row["mean"] == pytest.approx(draws.mean())
    assert row["sd"] == pytest.approx(draws.std())
    assert row["low"] == pytest.approx(np.quantile(draws, 0.025))
    assert row["high"] == pytest.approx(np.quantile(draws, 0.975))
    assert row["ml"] == faithful_fit.ml_.mixture.means[0, 1]


def test_shift_is_in_standard_errors(faithful_fit: bg.BayesianMixture) -> None:
    frame = faithful_fit.summary().to_frame()
    np.testing.assert_allclose(frame["shift"], (frame["mean"] - frame["ml"]) / frame["se"])


def test_units_of_the_user_carry_through() -> None:
    """Minutes to seconds: every estimate of that column is 60 times as large."""
    X = bg.load_dataset("faithful")
    seconds = X.assign(waiting=60 * X["waiting"])
    one, other = (
        bg.BayesianMixture(2, num_draws=500, random_state=0).fit(data).summary().to_frame()
        for data in (X, seconds)
    )
    for name in ("mean waiting", "sd waiting"):
        for column in ("ml", "se"):
            ratio = other.loc[(1, name), column] / one.loc[(1, name), column]
            assert ratio == pytest.approx(60, rel=1e-5)
        gap = other.loc[(1, name), "mean"] / 60 - one.loc[(1, name), "mean"]
        assert abs(gap) < 0.3 * one.loc[(1, name), "sd"]


def test_lines_fit_80_columns(faithful_fit: bg.BayesianMixture) -> None:
    assert max(map(len, faithful_fit.summary().table())) <= 80


def test_html_and_latex_hold_every_parameter(faithful_fit: bg.BayesianMixture) -> None:
    summary = faithful_fit.summary()
    for row in summary.rows:
        assert row.label in summary._repr_html_()
    assert summary.to_latex().count(r"\\") >= len(summary.rows)


def test_empty_components_are_told_with_their_probabilities(
    faithful_fit: bg.BayesianMixture,
) -> None:
    assert "hold rows" not in str(faithful_fit.summary())
    both = faithful_fit.both_
    n_occupied = both.posterior.n_occupied.copy()
    n_occupied[:3] = 1
    crossed = both.posterior.crossed._replace(n_occupied=n_occupied)
    fewer = replace(both, posterior=replace(both.posterior, crossed=crossed))
    assert "hold rows: 1 (75 %), 2 (25 %)." in str(Summary.of(fewer))


def test_tied_spreads_are_shown_once() -> None:
    fit = bg.BayesianMixture(2, model="gaussian_tied", num_draws=500, random_state=0)
    frame = fit.fit("faithful").summary().to_frame()
    assert ("all", "sd waiting") in frame.index
    assert (1, "sd waiting") not in frame.index


def test_the_mode_is_a_column_where_it_is_asked_for(faithful_fit: bg.BayesianMixture) -> None:
    plain, more = faithful_fit.summary(), faithful_fit.summary(with_map=True)
    for one, has in ((plain, False), (more, True)):
        assert ("MAP" in str(one)) == has
        assert ("MAP" in one._repr_html_()) == has
        assert ("MAP" in one.to_latex()) == has
    assert max(map(len, more.table())) <= 80
    frame = plain.to_frame()
    assert (abs(frame["map"] - frame["mean"]) < frame["sd"]).all()
    head, *rows = more._repr_html_().split("<tr")[1:]
    assert {row.count("<td>") for row in rows if "<td>" in row} == {head.count("<th") - 1}


def disagreeing(**change: float) -> Summary:
    """A summary of one parameter whose estimates lie as is said."""
    values = {"ml": 0.0, "se": 1.0, "mean": 0.0, "sd": 1.0, "low": -2.0, "high": 2.0, "ess": 500.0}
    row = Parameter(1, "mean", "x", **(values | change))
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 1, 40), rng.normal(9, 1, 40)])[:, None]
    fit = bg.BayesianMixture(
        2, num_chains=2, num_draws=150, max_draws=150, n_init=4, random_state=0
    )
    return Summary(fit.fit(rows).both_, (row,))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"mean": 0.4}, "ML and Bayes agree: nothing differs by 1 SE (most: mean x of component 1"),
        (
            {"mean": 1.4, "sd": 2.0},
            "differ most in mean x of component 1: +1.4 SE, which is within",
        ),
        (
            {"mean": 2.4, "map": 2.2},
            "The posterior's mode moved with its mean: so the prior speaks",
        ),
        (
            {"mean": -2.4, "map": 0.1},
            "The posterior's mode stayed near ML: the posterior is skewed",
        ),
        ({"mean": 2.4}, "The prior, or a skewed likelihood, moves the posterior mean"),
    ],
)
def test_a_disagreement_is_told_with_its_reason(change: dict[str, float], sentence: str) -> None:
    text = " ".join(disagreeing(**change).remarks())
    assert sentence in text
    assert ("by more than either's uncertainty" in text) == (abs(change["mean"]) > 2)
