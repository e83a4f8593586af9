"""The data sets agree with what is published and with what the registry says of them."""

import subprocess
import sys

import numpy as np
import pytest

from bayesgmm.data import InputError, dataset_names, describe, load_dataset


@pytest.mark.parametrize("name", dataset_names())
def test_the_registry_agrees_with_the_data(name):
    about, frame = describe(name), load_dataset(name)
    measured = frame.drop(columns=about.row_weights or [])
    assert (about.name, about.n_rows, about.n_columns) == (name, *measured.shape)
    assert set(about.units) <= set(measured.columns)
    assert all(np.isfinite(frame.to_numpy(dtype=float)).ravel())


@pytest.mark.parametrize("name", dataset_names())
def test_attrs_say_what_the_data_are(name):
    about, attrs = describe(name), load_dataset(name).attrs
    assert {key: attrs[key] for key in ("name", "title", "source", "notes", "units")} == {
        "name": about.name,
        "title": about.title,
        "source": about.source,
        "notes": about.notes,
        "units": about.units,
    }
    assert attrs.get("row_weights") == about.row_weights
    assert all((about.title, about.source, about.notes))


@pytest.mark.parametrize("name", dataset_names())
def test_loading_twice_gives_equal_and_separate_data(name):
    first, second = load_dataset(name), load_dataset(name)
    before = second.to_numpy(copy=True)
    first.iloc[:, :] = 0
    first.attrs["units"]["new"] = "cm"
    np.testing.assert_array_equal(second.to_numpy(), before)
    assert "new" not in second.attrs["units"]
    assert "new" not in describe(name).units


@pytest.mark.parametrize("name", ["iris", "wine"])
def test_classes_name_each_row(name):
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    bunch = getattr(sklearn_datasets, f"load_{name}")()
    assert load_dataset(name).attrs["classes"] == list(bunch.target_names[bunch.target])


@pytest.mark.parametrize("name", ["faithful", "galaxies", "pearson_crabs"])
def test_data_without_known_classes_claim_none(name):
    assert "classes" not in load_dataset(name).attrs


def test_column_names_can_be_typed():
    names = [column for name in dataset_names() for column in load_dataset(name).columns]
    assert not any(set(" ()") & set(column) for column in names)


def test_crabs_agree_with_pearson():
    """Pearson (1894): 1000 crabs in 29 classes, the mean at class 16.799."""
    crabs = load_dataset("pearson_crabs")
    assert crabs["class"].tolist() == list(range(1, 30))
    assert crabs["count"].sum() == 1000
    assert np.average(crabs["class"], weights=crabs["count"]) == pytest.approx(16.799, abs=1e-12)


def test_crabs_say_that_they_are_binned():
    notes = describe("pearson_crabs").notes
    assert all(part in notes for part in ("Binned", "29 classes", "0.004", "row weights", "1/12"))


def test_galaxies_are_as_published_and_say_where_copies_differ():
    """Roeder (1990): the 78th velocity is 26.96; R's MASS prints 26.69."""
    velocities = load_dataset("galaxies")["velocity"]
    assert velocities.is_monotonic_increasing
    assert velocities.iloc[77] == 26.96
    assert all(part in describe("galaxies").notes for part in ("78th", "26.96", "26.69"))


@pytest.mark.parametrize("function", [describe, load_dataset])
def test_an_unknown_name_is_refused_with_the_nearest(function):
    message = "no data set is called 'galaxy'; did you mean 'galaxies'\\? Data sets are 'faithful'"
    with pytest.raises(InputError, match=message):
        function("galaxy")


def test_an_unknown_name_like_none_is_refused_with_the_list():
    with pytest.raises(InputError, match=r"called 'xyz'\. Data sets are 'faithful', 'galaxies'"):
        describe("xyz")


def test_importing_the_door_loads_no_heavy_library():
    heavy = {"arviz", "jax", "matplotlib", "numpyro", "pandas", "polars", "pyarrow", "scipy"}
    program = "import sys, bayesgmm.data as data; data.describe('iris'); print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not (heavy | {"sklearn"}) & set(run.stdout.split())
