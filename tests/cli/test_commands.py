"""The command line through its real entry point, in a real process."""

import json
import subprocess
import time
from pathlib import Path

import pytest

import bayesgmm as bg
from bayesgmm import cli
from tests.cli.process import BAYESGMM, run


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, object], Path]:
    """One comparison: what it prints, its JSON, and its folder."""
    folder = tmp_path_factory.mktemp("compare")
    arguments = ("faithful", "-k", "2:3", "--draws", 500, "--json", "out.json")
    done = run("compare", *arguments, "--report", "out.html", cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads((folder / "out.json").read_text()), folder


def test_compare_fits_80_columns(comparison: tuple[str, dict[str, object], Path]) -> None:
    lines = [line for line in comparison[0].splitlines() if not line.startswith("  next:")]
    assert max(map(len, lines)) <= 80


def test_compare_always_includes_one(comparison: tuple[str, dict[str, object], Path]) -> None:
    assert [row["k"] for row in comparison[1]["comparison"]] == [1, 2, 3]  # type: ignore[attr-defined]


def test_json_holds_the_numbers_that_are_shown(
    comparison: tuple[str, dict[str, object], Path],
) -> None:
    shown, content, _ = comparison
    for row in content["comparison"]:  # type: ignore[attr-defined]
        line = next(line for line in shown.splitlines() if line.startswith(f"{row['k']} "))
        for name in ("d_aic", "d_bic", "d_icl", "d_loo"):
            assert f"{row[name]:.1f}" in line
    for sentence in content["sentences"]:  # type: ignore[attr-defined]
        assert " ".join(sentence.split()) in " ".join(shown.split())


def test_report_is_written(comparison: tuple[str, dict[str, object], Path]) -> None:
    assert "</html>" in (comparison[2] / "out.html").read_text()


def test_same_seed_prints_the_same(tmp_path: Path) -> None:
    first, second = (run("fit", "galaxies", "-k", 2, "--draws", 200, "--seed", 3) for _ in range(2))
    assert first.returncode == 0
    assert first.stdout == second.stdout


def test_fit_saves_and_show_prints_it_again(tmp_path: Path) -> None:
    fitted = run("fit", "faithful", "-k", 2, "--draws", 200, "--save", "fit.nc", cwd=tmp_path)
    shown = run("show", "fit.nc", cwd=tmp_path)
    assert fitted.returncode == shown.returncode == 0, shown.stderr
    summary, _, _ = fitted.stdout.partition("\n\nwritten")
    assert shown.stdout.startswith(summary)
    assert "checksum" in shown.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["fit.nc"]


def test_models_prints_the_file() -> None:
    assert run("models", "gaussian_tied").stdout == bg.load_model("gaussian_tied").text
    assert all(len(line) <= 80 for line in run("models").stdout.splitlines())


def test_datasets_fit_80_columns() -> None:
    done = run("datasets")
    assert "faithful" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_select_names_the_best() -> None:
    done = run("select", "faithful", "-k", "1:3", "--starts", 12)
    assert "Best by BIC: EEE with 3" in done.stdout


def test_select_tests_k_against_the_next(tmp_path: Path) -> None:
    arguments = ("galaxies", "-k", "1:2", "--families", "tied", "--starts", 6, "--lrt")
    done = run("select", *arguments, "--resamples", 19, "--json", "out.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "likelihood ratio of k against k + 1" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    tests = json.loads((tmp_path / "out.json").read_text())["likelihood_ratios"]["tests"]
    assert [test["n_components"] for test in tests] == [1, 2]
    assert tests[0]["p_value"] == 0.05


def test_compare_is_calibrated_where_that_is_asked_for(tmp_path: Path) -> None:
    arguments = ("faithful", "-k", "1", "--draws", 500, "--calibrate", 2, "--json", "out.json")
    done = run("compare", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 data sets simulated from VVV, k = 1" in done.stdout
    assert json.loads((tmp_path / "out.json").read_text())["calibration"]["n_simulations"] == 2


def test_programs_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, report = tmp_path / "out.json", tmp_path / "out.html"
    arguments = ["compare", "galaxies", "-k", "2,3", "--inference", "laplace", "--draws", "300"]
    models = ["--models", "gaussian", "richardson_green"]
    assert cli.main([*arguments, *models, "--json", str(path), "--report", str(report)]) == 0
    text, content = capsys.readouterr().out, json.loads(path.read_text())
    assert all(len(line) <= 80 for line in text.splitlines() if str(tmp_path) not in line)
    options = "--inference laplace --draws 300 --seed 0"
    repeated = f"bayesgmm compare galaxies -k 2,3 {' '.join(models)} {options}"
    assert repeated in report.read_text(encoding="utf-8")
    assert {(row["program"], row["k"]) for row in content["comparison"]} == {
        ("gaussian", 2),
        ("richardson_green", 3),
    }
    for sentence in content["sentences"]:
        assert sentence.split()[0] in text


# --- checkpoints ---------------------------------------------------------------------------------

LONG = ("fit", "galaxies", "-k", 2, "--draws", 2000, "--seed", 2)


def json_of(path: Path) -> dict[str, object]:
    """What was written, but for the minute at which it was."""
    content = json.loads(path.read_text())
    assert content["provenance"].pop("date")
    return dict(content)


def killed(*arguments: object, cwd: Path, after_writing: int) -> None:
    """A command that is killed once it has written its checkpoint so many times."""
    command, seen = [BAYESGMM, *map(str, arguments), "--checkpoint", "run.npz"], set()
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=cwd) as process:
        while len(seen) < after_writing:
            assert process.poll() is None
            if (cwd / "run.npz").exists():
                seen.add((cwd / "run.npz").stat().st_mtime_ns)
            time.sleep(0.001)
        process.kill()
        assert process.stdout is not None
        assert process.stdout.read() == b""
    assert process.returncode != 0


def test_a_killed_run_is_resumed_to_the_same_numbers(tmp_path: Path) -> None:
    done = run(*LONG, "--json", "whole.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    killed(*LONG, cwd=tmp_path, after_writing=2)
    assert not (tmp_path / "out.json").exists()
    done = run(*LONG, "--checkpoint", "run.npz", "--json", "out.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json_of(tmp_path / "out.json") == json_of(tmp_path / "whole.json")


def test_a_checkpoint_of_another_seed_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["fit", "galaxies", "-k", "2", "--draws", "100", "--checkpoint", "run.npz"]
    assert cli.main([*arguments, "--seed", "3"]) == 0
    capsys.readouterr()
    assert cli.main([*arguments, "--seed", "4"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "--checkpoint 'run.npz' is of another run: seed is 3 there and 4 here" in err


def test_a_file_that_is_no_checkpoint_is_refused_and_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.npz"
    path.write_text("my notes")
    status = cli.main(["fit", "galaxies", "-k", "2", "--checkpoint", str(path)])
    assert status == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert path.read_text() == "my notes"


# --- other inferences ----------------------------------------------------------------------------


def test_laplace_is_shown_with_its_pareto_k_hat(tmp_path: Path) -> None:
    arguments = ("fit", "galaxies", "-k", 2, "--inference", "laplace", "--json", "out.json")
    done = run(*arguments, "--save", "fit.nc", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "out.json").read_text())
    assert f"Pareto k-hat {content['pareto_k']:.2f}" in done.stdout
    assert "R-hat" not in done.stdout
    assert content["r_hat"] is None
    assert content["verdict"] in ("approximate", "poor approximation")
    assert content["provenance"]["options"]["inference"] == "laplace"
    shown = run("show", "fit.nc", cwd=tmp_path)
    summary, _, _ = done.stdout.partition("\n\nwritten")
    assert shown.stdout.startswith(summary)


def test_a_fit_is_cross_validated_where_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.json"
    arguments = ["fit", "galaxies", "-k", "1", "--draws", "250", "--kfold", "2", "--reloo"]
    assert cli.main([*arguments, "--json", str(path)]) == 0
    folded = json.loads(path.read_text())["kfold"]
    assert f"elpd_2-fold {folded['elpd']:.1f} +- {folded['se']:.1f}" in capsys.readouterr().out
    assert len(folded["pointwise"]) == 82


@pytest.mark.parametrize("guide", ["mean_field", "low_rank"])
def test_guides_of_variational_inference_can_be_chosen(
    guide: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"{guide}.json"
    arguments = ["fit", "galaxies", "-k", "1", "--inference", "vi", "--draws", "200"]
    assert cli.main([*arguments, "--guide", guide, "--json", str(path)]) == 0
    assert "Pareto k-hat" in capsys.readouterr().out
    assert json.loads(path.read_text())["provenance"]["options"]["guide"] == guide
