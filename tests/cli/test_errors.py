"""Bad input is one line that suggests the nearest name, and status 2."""

from pathlib import Path

import pytest

from bayesgmm import cli
from bayesgmm.cli.values import as_typed
from tests.cli.process import run


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("fit faithful -k 2 --inference vi --guide meanfield", "did you mean 'mean_field'"),
        ("fit galaxies -k 1 --inference laplace --draws 200 --reloo", "approximate too"),
        ("fit faithful -k 2 --inference laplac", "did you mean 'laplace'"),
        ("fit faithful -k 2 --inference laplace --checkpoint run.npz", "nothing to resume"),
        ("fit faithful -k 2 --checkpoint /nosuch/run.npz", "/nosuch"),
        ("fit faithful -k 2 --checkpoint /", "folder"),
        ("fit faithful -k 2 --prior weights=-1", "out of its range"),
        ("fit faithful -k 2 --model conjugate --prior nu=1", "out of its range"),
        ("fit nosuch.csv -k 2", "nosuch.csv"),
        ("fit faithfull -k 2", "did you mean 'faithful'"),
        ("fit faithful", "-k"),
        ("fit faithful -k two", "-k"),
        ("fit faithful -k 0", "-k 0"),
        ("fit faithful -k 273", "272"),
        ("fit faithful -k 2 --model gausian", "did you mean 'gaussian'"),
        ("fit faithful -k 2 --model nosuch.py", "nosuch.py"),
        ("fit faithful -k 2 --save /nosuch/fit.nc", "/nosuch"),
        ("compare faithful --report /nosuch/out.html", "/nosuch"),
        ("compare faithful --json /", "folder"),
        ("compare faithful -k 3:x", "-k '3:x'"),
        ("compare faithful -k 3:1", "empty"),
        ("compare faithful -k 1:999999999999", "more than 1,000 numbers"),
        ("compare faithful --criterion bix", "did you mean 'bic'"),
        ("compare faithful -k 1:3 --models gaussian sparse", "-k '1:3'"),
        ("compare faithful -k 2,3,4 --models gaussian sparse", "3 numbers for 2 models"),
        ("compare faithful -k 2 --models gaussian sparse --calibrate 9", "--calibrate"),
        ("compare faithful -k 2 --models gaussian sparse --criterion aic", "compared by LOO"),
        ("compare faithful -k 2 --models gaussian gausian", "did you mean 'gaussian'"),
        ("fit faithful -k 2 --prior colour=1", "colour"),
        ("fit faithful -k 2 --prior weights", "weights=2"),
        ("fit faithful -k 2 --columns eruption", "did you mean 'eruptions'"),
        ("fit faithful -k 2 --inference nutz", "did you mean 'nuts'"),
        ("fit faithful -k 2 --draws 5", "--draws 5"),
        ("fit faithful -k 2 --seed -1", "--seed -1"),
        ("select faithful --families fulll", "did you mean 'full'"),
        ("show nosuch.nc", "nosuch.nc"),
        ("models gausian", "did you mean 'gaussian'"),
        ("conquer faithful", "command 'conquer' is not known"),
        ("comapre faithful", "did you mean 'compare'"),
        ("completion basch", "did you mean 'bash'"),
        ("fit faithful -k 2 --modle gaussian", "did you mean '--model'"),
        ("fit faithful --draw=200", "did you mean '--draws'"),
        ("fit faithful --k 2", "did you mean '-k'"),
        ("fit faithful --modle x", "no option of bayesgmm fit; did"),
        ("--verson", "did you mean '--version'"),
        ("fit faithful -k 2 3", "'3' is one word too many"),
        ("fit faithful -k 2 --prior weigths=2", "did you mean 'weights'"),
        ("fit faithful -k 2 --weights wating", "did you mean 'waiting'"),
        ("fit faithful -k 2 --columns waiting,eruption", "did you mean 'eruptions'"),
        ("fit faithful -k 2 --chains 1", "--chains 1"),
        ("fit faithful -k 2 --starts 0", "--starts 0"),
        ("fit faithful -k 2 --model gaussian --model nosuch.py", "--model 'nosuch.py'"),
        ("select faithful --criterion BIC", "did you mean 'bic'"),
        ("select faithful --families full,tid", "did you mean 'tied'"),
        ("select galaxies -k 1 --families E --lrt --resamples 0", "--resamples 0"),
        ("show fit", "fit"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    arguments: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: object
) -> None:
    monkeypatch.chdir(tmp_path)
    status = cli.main(arguments.split())
    out, err = capsys.readouterr()  # type: ignore[attr-defined]
    assert status == 2
    assert out == ""
    assert err.count("\n") == 1
    assert told in err
    assert list(tmp_path.iterdir()) == []


def test_bad_input_has_no_traceback_in_a_process() -> None:
    done = run("fit", "faithful", "-k", 0)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("content", ["", "a,b\n", "a,b\n1,2\n3\n", "a\nx\ny\n", "a\n1\nnan\n"])
def test_bad_files_are_refused(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content)
    assert cli.main(["fit", str(path), "-k", "1"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("n_components=0 must be", "-k 0 must be"),
        ("model='a' has no meaning", "--model 'a' has no meaning"),
        ("sample_weight holds weights", "--weights holds weights"),
        ("the path is no checkpoint of this model", "the path is no checkpoint of this model"),
    ],
)
def test_errors_name_what_was_typed(message: str, told: str) -> None:
    assert as_typed(message) == told


@pytest.mark.parametrize(("option", "told"), [("--save", "folder"), ("--columns", "names ''")])
def test_an_empty_name_is_not_passed_over(
    option: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["fit", "faithful", "-k", "2", option, ""]) == 2
    assert told in capsys.readouterr().err
