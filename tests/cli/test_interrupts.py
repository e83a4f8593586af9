"""Ctrl-C, sent to a real process."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import bayesgmm as bg


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_an_interrupt_ends_it_with_a_line_and_no_traceback() -> None:
    """Whether it is importing, compiling or climbing; a compiler is not waited for."""
    code = (
        "import sys; from bayesgmm import cli; "
        "print('begun', flush=True); cli.main(['select', 'iris', '-k', '1:9'])"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(5)
        time.sleep(4)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told.decode().strip() == "bayesgmm: interrupted; nothing was written."


def run_interrupted(
    what: str, after: int, *arguments: object, cwd: Path
) -> subprocess.CompletedProcess[str]:
    """A command whose process gets a real SIGINT once so much of that is done."""
    code = (
        "import os, signal, sys\n"
        "from bayesgmm.cli import main\nfrom bayesgmm.cli.progress import ProgressLine\n"
        "what, after, *arguments = sys.argv[1:]\n"
        "plain, sent = ProgressLine.__call__, []\n"
        "def progress(self, present, done, total, note=''):\n"
        "    if present == what and done >= int(after) and not sent:\n"
        "        sent.append(os.kill(os.getpid(), signal.SIGINT))\n"
        "    plain(self, present, done, total, note)\n"
        "ProgressLine.__call__ = progress\n"
        "sys.exit(main(arguments))\n"
    )
    command = [sys.executable, "-c", code, what, str(after), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_an_interrupt_while_sampling_shows_what_was_drawn_until_then(tmp_path: Path) -> None:
    arguments = ("fit", "galaxies", "-k", 2, "--draws", 5000, "--json", "out.json")
    done = run_interrupted("sampling", 4 * 500, *arguments, "--save", "fit.nc", cwd=tmp_path)
    assert done.returncode == 130
    assert done.stderr == ""
    assert "INTERRUPTED" in done.stdout.splitlines()[0]
    assert "--checkpoint FILE" in " ".join(done.stdout.split())
    assert "written: out.json" in done.stdout
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["verdict"] == content["flags"][0]["name"] == "interrupted"
    loaded = bg.BayesianMixture.load(tmp_path / "fit.nc")
    assert loaded.both_.posterior.partial
    assert 100 <= loaded.both_.posterior.margin.shape[1] < 5000


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_an_interrupted_comparison_shows_the_k_that_are_done(tmp_path: Path) -> None:
    arguments = ("compare", "faithful", "-k", "2:3", "--draws", 300, "--json", "out.json")
    done = run_interrupted("k = 3: warming up", 40, *arguments, cwd=tmp_path)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    content = json.loads((tmp_path / "out.json").read_text())
    assert [row["k"] for row in content["comparison"]] == [1, 2]
    assert "Interrupted: k = 3 not fitted" in " ".join(done.stdout.split())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_an_interrupt_before_there_are_draws_writes_nothing(tmp_path: Path) -> None:
    arguments = ("fit", "galaxies", "-k", 2, "--draws", 300, "--json", "out.json")
    done = run_interrupted("warming up", 40, *arguments, cwd=tmp_path)
    assert done.returncode == 130
    assert done.stdout == ""
    assert done.stderr.strip() == "bayesgmm: interrupted; nothing was written."
    assert list(tmp_path.iterdir()) == []
