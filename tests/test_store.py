"""Saved fits: whole or absent, checked, and the same again."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import bayesgmm as bg
from bayesgmm import store


def test_a_loaded_fit_says_and_predicts_the_same(
    faithful_fit: bg.BayesianMixture, tmp_path: Path
) -> None:
    path = faithful_fit.save(tmp_path / "fit.nc")
    loaded = bg.BayesianMixture.load(path)
    assert str(loaded.summary()) == str(faithful_fit.summary())
    X = bg.load_dataset("faithful")
    np.testing.assert_array_equal(loaded.predict_proba(X), faithful_fit.predict_proba(X))
    np.testing.assert_array_equal(loaded.score_samples(X), faithful_fit.score_samples(X))
    assert loaded.verdict_ == faithful_fit.verdict_
    assert repr(loaded.diagnostics_) == repr(faithful_fit.diagnostics_)


def test_saving_twice_gives_the_same_checksum(
    faithful_fit: bg.BayesianMixture, tmp_path: Path
) -> None:
    first = store.load(faithful_fit.save(tmp_path / "a.nc"))
    loaded = bg.BayesianMixture.load(tmp_path / "a.nc")
    second = store.load(loaded.save(tmp_path / "b.nc"))
    assert first.attrs["checksum"] == second.attrs["checksum"]


def in_memory(path: Path) -> xr.DataTree:
    """The tree in a file, as it is; the file is closed."""
    with xr.open_datatree(path, engine="h5netcdf") as opened:
        nodes = {node.path: node.to_dataset().load() for node in opened.subtree}
    tree = xr.DataTree.from_dict(nodes)
    tree.attrs = dict(opened.attrs)
    return tree


def test_a_changed_number_is_noticed(faithful_fit: bg.BayesianMixture, tmp_path: Path) -> None:
    path = faithful_fit.save(tmp_path / "fit.nc")
    tree = in_memory(path)
    tree["posterior"]["weights"].values[0, 0, 0] += 1e-9
    tree.to_netcdf(path, engine="h5netcdf")
    with pytest.raises(bg.InputError, match="damaged"):
        store.load(path)


@pytest.mark.parametrize(("step", "remedy"), [(1, "update bayesgmm"), (-1, "fit and save again")])
def test_another_format_is_refused(
    faithful_fit: bg.BayesianMixture, tmp_path: Path, step: int, remedy: str
) -> None:
    path = faithful_fit.save(tmp_path / "fit.nc")
    tree = in_memory(path)
    tree.attrs["format_version"] = store.FORMAT_VERSION + step
    tree.to_netcdf(path, engine="h5netcdf")
    with pytest.raises(bg.InputError, match=remedy):
        store.load(path)


def test_a_file_is_closed_once_it_is_loaded(
    faithful_fit: bg.BayesianMixture, tmp_path: Path
) -> None:
    """HDF5 opens no file for writing that is still open for reading."""
    path = faithful_fit.save(tmp_path / "fit.nc")
    tree = store.load(path)
    tree.to_netcdf(path, engine="h5netcdf")
    assert store.load(path).attrs["checksum"] == tree.attrs["checksum"]


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(xr.DataTree, "to_netcdf", fail)
    with pytest.raises(OSError, match="disk full"):
        store.save(xr.DataTree(), tmp_path / "fit.nc")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["nosuch.nc", "folder", "text.nc", "other.nc"])
def test_what_is_not_a_fit_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.nc").write_text("no netCDF")
    xr.DataTree(xr.Dataset({"a": 1.0})).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(bg.InputError, match=name):
        store.load(tmp_path / name)


def test_arviz_reads_the_file(faithful_fit: bg.BayesianMixture, tmp_path: Path) -> None:
    import arviz as az

    path = faithful_fit.save(tmp_path / "fit.nc")
    tree = az.from_netcdf(path)
    table = az.summary(tree, var_names=["weights"])
    assert len(table) == 2
    assert az.loo(tree).elpd == pytest.approx(faithful_fit.loo_.elpd, abs=0.3)
