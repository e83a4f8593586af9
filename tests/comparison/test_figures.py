"""The figures of a fit: what they are drawn on, and what is refused."""

from inspect import unwrap

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import bayesgmm as bg
from bayesgmm.comparison.figures import chosen
from bayesgmm.comparison.posterior_figures import _one

PANELS = ["convergence", "clusters", "uncertainty", "density", "weights", "memberships"]
PANELS += ["co_clustering", "occupied", "predictive", "loo"]


@pytest.mark.parametrize("name", PANELS)
def test_one_panel_is_drawn_on_the_axes_given(faithful_fit: bg.BayesianMixture, name: str) -> None:
    ax = Figure().add_subplot()
    assert getattr(faithful_fit, f"plot_{name}")(ax=ax) is ax
    assert ax.get_xlabel()


@pytest.mark.parametrize("name", ["clusters", "density"])
def test_more_columns_make_a_grid(name: str) -> None:
    fit = bg.GaussianMixture(2, n_init=3, random_state=0)
    X = np.random.default_rng(0).normal(size=(60, 3))
    plot = getattr(fit.fit(X), f"plot_{name}")
    fig = Figure()
    axes = plot(fig=fig)
    assert axes.shape == (3, 3)
    assert axes[0, 0].figure is fig
    pair = plot(["x3", "x1"])
    assert (pair.get_xlabel(), pair.get_ylabel()) == ("x3", "x1")
    assert isinstance(plot("x2"), Axes)
    with pytest.raises(bg.InputError, match="ax is one panel, and 3 columns"):
        plot(ax=pair)


def test_columns_are_known_and_different(faithful_fit: bg.BayesianMixture) -> None:
    with pytest.raises(bg.InputError, match="did you mean 'waiting'"):
        faithful_fit.plot_clusters("wating")
    with pytest.raises(bg.InputError, match="must be different columns"):
        faithful_fit.plot_density(["waiting", "waiting"])
    with pytest.raises(bg.InputError, match="must be different columns"):
        faithful_fit.plot_uncertainty([])


def test_components_that_are_not_normal_have_densities_of_all_columns_only() -> None:
    X = np.random.default_rng(0).normal(size=(60, 2)) * [1.0, 9.0]
    settings = {"num_chains": 2, "num_draws": 100, "max_draws": 100, "n_init": 2}
    fit = bg.BayesianMixture(1, model="student_t", random_state=0, **settings).fit(X)
    legend = fit.plot_density(["x2", "x1"]).get_legend()
    assert legend.get_texts()[0].get_text() == "Gaussian EM: 50, 80, 95 %"
    with pytest.raises(bg.InputError, match="'student_t' has components that are not normal"):
        fit.plot_density("x1")
    with pytest.raises(bg.InputError, match="bootstrap is of another likelihood"):
        fit.plot_clouds()
    assert fit.plot_relabelling()[0, 0].get_ylabel() == "location x1"
    assert fit.plot_relabelling("df")[0, 0].get_ylabel() == "df"


def test_sampled_labels_are_those_before_the_relabelling(faithful_fit: bg.BayesianMixture) -> None:
    swapped = faithful_fit.relabel(by="-weights")
    for name in ("weights", "waiting"):
        before = [fit.plot_relabelling(name)[0, 0].lines[0] for fit in (faithful_fit, swapped)]
        np.testing.assert_allclose(before[0].get_ydata(), before[1].get_ydata())
    after = [fit.plot_relabelling("weights")[1, 0].lines[0] for fit in (faithful_fit, swapped)]
    assert not np.allclose(after[0].get_ydata(), after[1].get_ydata())
    with pytest.raises(bg.InputError, match="did you mean 'weights'"):
        faithful_fit.plot_relabelling("weigths")


def test_centres_of_a_single_column_are_found_by_both_names() -> None:
    settings = {"num_chains": 2, "num_draws": 100, "max_draws": 100, "n_init": 2}
    X = np.random.default_rng(0).normal(size=(50, 1))
    fit = bg.BayesianMixture(1, random_state=0, **settings).fit(X)
    site, column = (fit.plot_relabelling(name)[0, 0].lines[0] for name in ("means", "x1"))
    np.testing.assert_array_equal(site.get_ydata(), column.get_ydata())


def test_memberships_are_those_of_the_rows_asked_for(faithful_fit: bg.BayesianMixture) -> None:
    told = faithful_fit.memberships()
    ax = faithful_fit.plot_memberships([0, 7])
    bars = [line.get_xdata() for line in ax.lines if np.size(line.get_xdata()) == 2]
    seen = told.isel(obs_id=[0, 7])
    ends = np.stack([seen["low"], seen["high"]], axis=-1).reshape(-1, 2)
    np.testing.assert_allclose(bars, ends[ends[:, 1] >= 0.005])
    unsure = [int(text.get_text()) for text in faithful_fit.plot_memberships().get_yticklabels()]
    assert unsure == told["entropy"].argsort()[::-1][:10].values.tolist()
    for rows, message in (([272], "no row 272"), ([-1], "no row -1"), ([0.5], "numbers of rows")):
        with pytest.raises(bg.InputError, match=message):
            faithful_fit.plot_memberships(rows)


def test_occupied_bars_are_the_table(faithful_fit: bg.BayesianMixture) -> None:
    heights = [bar.get_height() for bar in faithful_fit.plot_occupied().patches]
    np.testing.assert_allclose(heights, faithful_fit.occupied().to_numpy().T.ravel())


def test_one_of_several_columns_shows_no_memberships(faithful_fit: bg.BayesianMixture) -> None:
    with pytest.raises(bg.InputError, match="do not make a plane"):
        faithful_fit.plot_uncertainty("waiting")


def test_columns_are_names(faithful_fit: bg.BayesianMixture) -> None:
    with pytest.raises(bg.InputError, match="column=1 is not known"):
        unwrap(chosen)(faithful_fit.both_.problem, 1)
    with pytest.raises(bg.InputError, match="are 2 columns; choose one of them"):
        unwrap(_one)(faithful_fit.both_.problem, ["eruptions", "waiting"])
