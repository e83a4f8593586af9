"""The data sets: a registry of their sources and remarks, and a loader for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesgmm.data.errors import InputError, listed, nearest

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class DataSet:
    """What is known of a data set without loading it.

    Attributes:
        name, title: for commands and for headings.
        n_rows, n_columns: the shape of the measurements; a column of row weights is not counted.
        source: author (year), journal.
        notes: what to know before fitting.
        units: of the columns that have one.
        row_weights: the column that says how often each row counts, or None.
    """

    name: str
    title: str
    n_rows: int
    n_columns: int
    source: str
    notes: str
    units: Mapping[str, str] = field(default_factory=dict)
    row_weights: str | None = None


def dataset_names() -> tuple[str, ...]:
    """The names that `load_dataset` knows.

    >>> dataset_names()
    ('faithful', 'galaxies', 'pearson_crabs', 'iris', 'wine')
    """
    return tuple(_DATASETS)


def describe(name: str) -> DataSet:
    """The shape, the source and the remarks of a data set, without loading it.

    Raises:
        InputError: when no data set has that name, suggesting the nearest.
    """
    if name not in _DATASETS:
        raise InputError(
            f"no data set is called '{name}'{nearest(name, _DATASETS) or '.'} "
            f"Data sets are {listed(_DATASETS)}."
        )
    return _DATASETS[name]


def load_dataset(name: str) -> pd.DataFrame:
    """The data set as a DataFrame, with its title, source, units and notes in `.attrs`.

    `attrs["row_weights"]`, where present, names the column that says how often each row counts;
    every fit uses it. `attrs["classes"]`, where present, lists the known class of each row.

    >>> frame = load_dataset("faithful")
    >>> frame.shape, frame.attrs["units"]
    ((272, 2), {'eruptions': 'min', 'waiting': 'min'})

    Raises:
        InputError: when no data set has that name, suggesting the nearest.
    """
    about = describe(name)
    frame, attrs = _LOADERS.get(name, _shipped)(name)
    if about.row_weights is not None:
        attrs["row_weights"] = about.row_weights
    frame.attrs.update(
        name=about.name,
        title=about.title,
        source=about.source,
        units=dict(about.units),
        notes=about.notes,
        **attrs,
    )
    return frame


def _shipped(name: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A file of this package."""
    import pandas as pd

    return pd.read_csv(Path(__file__).with_name("files") / f"{name}.csv"), {}


def _from_sklearn(name: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """One of scikit-learn's own, with column names that can be typed, and its classes."""
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    frame = bunch.data.rename(columns=lambda label: label.removesuffix(" (cm)").replace(" ", "_"))
    return frame, {"classes": [str(bunch.target_names[code]) for code in bunch.target]}


_Loader = Callable[[str], tuple["pd.DataFrame", dict[str, Any]]]
_LOADERS: dict[str, _Loader] = {"iris": _from_sklearn, "wine": _from_sklearn}

_DATASETS = {
    each.name: each
    for each in (
        DataSet(
            name="faithful",
            title="Eruptions of Old Faithful",
            n_rows=272,
            n_columns=2,
            source="Azzalini and Bowman (1990), Applied Statistics 39, 357-365",
            notes="Duration of each eruption and the waiting time to the next, both in minutes. "
            "Consecutive eruptions depend on each other; a mixture takes them as independent.",
            units={"eruptions": "min", "waiting": "min"},
        ),
        DataSet(
            name="galaxies",
            title="Velocities of galaxies in the Corona Borealis region",
            n_rows=82,
            n_columns=1,
            source="Roeder (1990), Journal of the American Statistical Association 85, 617-624",
            notes="Velocities in 1000 km/s, in increasing order. The 78th is 26.96, as published; "
            "R's package MASS prints 26.69, so that fits of that copy differ a little.",
            units={"velocity": "1000 km/s"},
        ),
        DataSet(
            name="pearson_crabs",
            title="Forehead-to-body ratio of 1000 crabs from Naples",
            n_rows=29,
            n_columns=1,
            source="Pearson (1894), Philosophical Transactions of the Royal Society A 185, 71-110",
            notes="Binned: 29 classes of width 0.004 in the ratio. The class number is the unit, "
            "and the counts are row weights, so that 29 rows stand for 1000 crabs. A fit takes "
            "every crab to lie at the middle of its class. What that leaves out: where in its "
            "class a crab lies, so that variances come out too large by about 1/12 (Sheppard's "
            "correction), and that the likelihood of a binned crab is the probability of its "
            "class, not a density, so that log-likelihoods refer to class numbers and a component "
            "narrower than a class has no meaning.",
            units={"class": "class number"},
            row_weights="count",
        ),
        DataSet(
            name="iris",
            title="Measurements of 150 iris flowers of three species",
            n_rows=150,
            n_columns=4,
            source="Fisher (1936), Annals of Eugenics 7, 179-188; measured by Anderson (1935)",
            notes="Through scikit-learn, whose copy agrees with the paper. Rounded to 0.1 cm, so "
            'that many rows tie. The species are in attrs["classes"].',
            units={
                "sepal_length": "cm",
                "sepal_width": "cm",
                "petal_length": "cm",
                "petal_width": "cm",
            },
        ),
        DataSet(
            name="wine",
            title="Chemical analysis of 178 wines of three cultivars",
            n_rows=178,
            n_columns=13,
            source="Forina et al. (1988), PARVUS; through the UCI repository and scikit-learn",
            notes="The columns' scales differ by a factor of 1000, and 13 columns are many for "
            '178 rows: choose columns or a frugal family. The cultivars are in attrs["classes"].',
        ),
    )
}
