"""The figures of the report, each with an alternative text and a caption."""

from typing import TYPE_CHECKING

from bayesgmm import plots
from bayesgmm.comparison import figures
from bayesgmm.comparison.both import Both
from bayesgmm.comparison.report import posterior_pictures
from bayesgmm.comparison.report.picture import Picture, picture
from bayesgmm.comparison.words import counted, fixed, listed

if TYPE_CHECKING:
    from bayesgmm.comparison.compare import Comparison
    from bayesgmm.comparison.programs import ProgramComparison


@plots.outside_pyplot()
def criteria(comparison: "Comparison") -> Picture:
    """The criteria against k."""
    frame = comparison.to_frame()
    columns = {name.upper(): frame[f"d_{name}"] for name in ("aic", "bic", "icl")}
    columns["LOO"] = frame["d_loo"].where(frame["usable"])
    best = [f"{name} at k = {d.idxmin()}" for name, d in columns.items() if d.notna().any()]
    return picture(
        comparison.plot(),
        "criteria",
        f"Criteria against the number of components; lowest: {listed(best)}.",
        "Distance of every k from the best, by each criterion, on the -2 log scale; lower is "
        "better, 0 is best. Bars show one standard error of LOO; hollow points are undecided.",
    )


@plots.outside_pyplot()
def programs(comparison: "ProgramComparison") -> Picture:
    """The programs by how much worse than the best they predict."""
    names = [comparison.name_of(each) for each in comparison.fits]
    told = [
        f"{name} {fixed(row.d_loo, 1)}"
        for name, row in zip(names, comparison.rows(), strict=True)
        if row.usable
    ]
    return picture(
        comparison.plot(),
        "programs",
        f"Programs by their distance in LOO from the best: {listed(told) or 'none converged'}.",
        "How much worse than the best each program predicts rows that were left out, with one "
        "standard error of the difference, and its stacking weight; hollow points are undecided.",
    )


@plots.outside_pyplot()
def of_fit(both: Both) -> list[tuple[str, list[Picture]]]:
    """The figures of one fit, under what they are about."""
    several = both.n_components > 1
    return [
        ("Where the groups lie", [_clusters(both), *_density(both)]),
        ("How sure the estimates are", posterior_pictures.of_estimates(both)),
        *([("Which rows belong together", posterior_pictures.of_rows(both))] if several else []),
        ("Whether the model describes the data", posterior_pictures.of_model(both)),
        ("How maximum likelihood was found", [_convergence(both)] if several else []),
    ]


def _clusters(both: Both) -> Picture:
    mixture, columns = both.ml.mixture, both.problem.table.columns
    parts = [
        f"component {j + 1} ({counted(round(both.ml.counts[j]), 'row')}) around "
        + ", ".join(f"{name} {mixture.means[j, a]:.4g}" for a, name in enumerate(columns))
        for j in range(both.n_components)
    ]
    normal = both.posterior.mixture is not None
    if len(columns) == 1:
        caption = "The data, with the density of the maximum-likelihood mixture and its components"
        caption += "; the band holds 95 % of the posterior draws of the density." * normal
    else:
        caption = "Rows by their most probable component. Solid ellipses hold 95 % of a component "
        caption += "by maximum likelihood"
        caption += "; thin ones are draws from the posterior." * normal
    caption += "" if normal else ". The program's own components are not normal and are not drawn."
    return picture(figures.clusters(both), "clusters", f"Clusters: {'; '.join(parts)}.", caption)


def _density(both: Both) -> list[Picture]:
    """The density; that of a single column is shown with the clusters."""
    columns = both.problem.table.columns
    if len(columns) == 1:
        return []
    caption = (
        "The density: lines by maximum likelihood, fills of the posterior predictive distribution, "
        "which allows for what is not known of the parameters."
    )
    shown = f"Density of {listed(list(columns))}, by maximum likelihood and by Bayes."
    return [picture(figures.density(both), "density", shown, caption)]


def _convergence(both: Both) -> Picture:
    ml = both.ml
    alternative = (
        f"Convergence of EM: {ml.hits} of {counted(ml.n_starts, 'start')} reached the best "
        f"optimum, the winner after {ml.n_iter} EM maps."
    )
    caption = (
        "How EM converged: what each start still lacked to the best log-likelihood. Starts that "
        "fall to the lower edge reached the same optimum; the others ended in lesser ones."
    )
    return picture(figures.convergence(ml), "convergence", alternative, caption)
