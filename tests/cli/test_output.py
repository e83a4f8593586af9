"""What was written where."""

from pathlib import Path

import pytest

from bayesgmm import cli
from bayesgmm.cli.output import say_written


def test_every_file_is_told_with_its_size_and_its_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sizes = {"my report.html": 1_234_567, "my fit.nc": 98_765, "out.json": 12}
    for name, size in sizes.items():
        Path(name).write_bytes(b"0" * size)
    kinds = ("report", "save", "json")
    say_written(dict(zip(kinds, map(Path, sizes), strict=True)) | {"checkpoint": None})
    assert capsys.readouterr().out.splitlines() == [
        "",
        "written: my report.html (1.2 MB): open it in a browser",
        "written: my fit.nc (99 kB): bayesgmm show 'my fit.nc' prints it again",
        "written: out.json (1 kB): the numbers above",
    ]


def test_nothing_is_told_where_nothing_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    say_written({"json": None})
    assert capsys.readouterr().out == ""


def test_closed_streams_are_written_to_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    assert cli.main(["datasets"]) == 0
    assert cli.main(["fit", "faithfull", "-k", "2"]) == 2
