"""The figures of the report that only a posterior can give, under what they are about."""

import numpy as np

from bayesgmm.bayes import allocation
from bayesgmm.bayes.checks import occupied_after
from bayesgmm.comparison import figures, posterior_figures
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.checks import predictive_check
from bayesgmm.comparison.report.groups import columns_apart
from bayesgmm.comparison.report.picture import Picture, picture
from bayesgmm.comparison.words import counted, fixed, listed, number

MOST_PAIRED = 2000  # rows; a matrix of more takes longer than the rest of the report
CERTAIN = 0.95
NAMED_ROWS = 3


def of_estimates(both: Both) -> list[Picture]:
    """Weights, the clouds of both answers, and what relabelling did where labels switched."""
    if both.n_components == 1:
        return []
    clouds = [_clouds(both)] if both.resampled and both.posterior.mixture is not None else []
    return [_weights(both), *clouds, *_relabelling(both)]


def of_rows(both: Both) -> list[Picture]:
    """Memberships of all rows, of the least certain ones, and pairs of rows."""
    pairs = [_co_clustering(both)] if len(both.problem.X) <= MOST_PAIRED else []
    return [_uncertainty(both), _memberships(both), *pairs]


def of_model(both: Both) -> list[Picture]:
    """Data that the posterior predicts, rows left out, and components that hold rows."""
    all_occupied = occupied_after(both.posterior)[-1] >= CERTAIN
    return [_predictive(both), _loo(both), *([] if all_occupied else [_occupied(both)])]


def _weights(both: Both) -> Picture:
    draws = both.posterior.cluster_weights
    parts = [
        f"component {j + 1}: maximum likelihood {number(weight, 0.01)}, posterior mean "
        f"{number(draws[..., j].mean(), 0.01)} (sd {number(draws[..., j].std(), 0.01)})"
        for j, weight in enumerate(both.ml.mixture.weights)
    ]
    caption = (
        "Weights of the components: the posterior (density, median, 95 % interval) above the "
        "maximum-likelihood estimate with 1.96 standard errors on either side."
    )
    axes = posterior_figures.weights(both)
    return picture(axes, "weights", f"Weights: {'; '.join(parts)}.", caption)


def _clouds(both: Both) -> Picture:
    assert both.resampled is not None
    column = both.problem.table.columns[0]
    return picture(
        posterior_figures.clouds(both, both.resampled),
        "clouds",
        f"Weights against the mean of {column}, bootstrap over posterior, component by component.",
        f"What is uncertain, both ways: points are posterior draws of a component's weight and of "
        f"its mean {column}, fills hold 50 % and 95 % of them; lines hold as much of "
        f"{both.resampled.n_resamples} bootstrap refits of the maximum-likelihood estimate. "
        "Densities of both are along the sides.",
    )


def _relabelling(both: Both) -> list[Picture]:
    order = both.posterior.order
    switched = (order != np.arange(order.shape[-1])).any(-1)
    if not switched.any():
        return []
    alternative = (
        f"Before relabelling components change places within chains; after it they keep them. "
        f"Labels were changed in {100 * switched.mean():.0f} % of draws."
    )
    caption = (
        "Draws of every component as they were sampled, and after their labels were put right: "
        f"in {100 * switched.mean():.0f} % of draws the sampler had numbered them in another way."
    )
    return [picture(posterior_figures.relabelling(both), "relabelling", alternative, caption)]


def _uncertainty(both: Both) -> Picture:
    sure = both.posterior.membership.max(1) >= 0.95
    weights = both.problem.row_weights
    alternative = (
        f"Membership uncertainty: {weights[~sure].sum():,.0f} of {weights.sum():,.0f} rows belong "
        "to their most probable component with a probability below 95 %."
    )
    columns = both.problem.table.columns
    if len(columns) == 1:
        caption = "Posterior probability that a row belongs to each component."
    else:
        caption = (
            "How surely each row belongs to its component. Large, strongly coloured points are "
            "uncertain; their rim has the colour of the runner-up."
        )
        caption += f" Shown are {listed(list(columns[:2]))}." * (len(columns) > 2)
    return picture(figures.uncertainty(both), "uncertainty", alternative, caption)


def _memberships(both: Both) -> Picture:
    mean = both.posterior.membership
    unsure = np.argsort(mean.max(1), kind="stable")[:NAMED_ROWS]
    told = [
        f"row {row} belongs to component {mean[row].argmax() + 1} with probability "
        f"{number(mean[row].max(), 0.01)}"
        for row in unsure.tolist()
    ]
    return picture(
        posterior_figures.memberships(both),
        "memberships",
        f"The least certain rows: {'; '.join(told)}.",
        "The rows whose component is least certain, numbered from 0: the posterior probability of "
        "each component, with its 95 % interval.",
    )


def _co_clustering(both: Both) -> Picture:
    labels = allocation.partition(both.posterior, "vi").labels
    sizes = listed([f"{size:,}" for size in np.bincount(labels)])
    return picture(
        posterior_figures.co_clustering(both),
        "co-clustering",
        f"Probabilities of belonging together; the partition has clusters of {sizes} rows.",
        "The probability that two rows belong to one component, whatever its label. Rows are in "
        f"the order of the partition that is nearest to the posterior's, of {sizes} rows, by the "
        "variation of information (Wade and Ghahramani 2018).",
    )


def _predictive(both: Both) -> Picture:
    check, table = predictive_check(both), both.problem.table
    column = table.columns[columns_apart(both.ml.mixture, 1)[0]]
    rng = np.random.default_rng(int(table.sha256[:8], 16))
    return picture(
        posterior_figures.predictive(both, rng, column),
        "predictive",
        f"{column} of the data and of data sets that the posterior predicts. {check.sentence}",
        f"Posterior predictive check of {column}: data sets of the same size, drawn from the "
        f"posterior, around the data. {check.sentence}",
    )


def _loo(both: Both) -> Picture:
    found = both.posterior.loo
    worst = int(np.argmin(found.pointwise))
    return picture(
        posterior_figures.loo(both),
        "loo",
        f"Row {worst} is predicted worst, with a log density of "
        f"{fixed(float(found.pointwise[worst]), 1)}; {counted(found.n_bad, 'row')} not reliable.",
        "The log density that the posterior without a row gives to it, row by row. Low rows are "
        "those that the model did not expect; numbers count from 0.",
    )


def _occupied(both: Both) -> Picture:
    chances = occupied_after(both.posterior)
    likeliest = int(np.argmax(chances)) + 1
    return picture(
        posterior_figures.occupied(both),
        "occupied",
        f"Components that hold rows: most probably {likeliest}, with {100 * chances.max():.0f} %.",
        f"How many of the {both.n_components} components hold rows: what the prior expected beside "
        "what the posterior says. The others are empty and follow their prior.",
    )
