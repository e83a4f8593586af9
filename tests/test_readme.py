"""Every command and every line of Python in the README works as it stands."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from docs.blocks import codes, commands

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


SESSIONS = [lines for code in codes(README, "sh") if (lines := commands(code))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of one's own."""
    folder = tmp_path_factory.mktemp("readme")
    rng = np.random.default_rng(0)
    tall = rng.normal([180, 80], [6, 8], (60, 2))
    short = rng.normal([160, 55], [6, 6], (60, 2))
    table = pd.DataFrame(np.vstack([tall, short]), columns=["height", "weight"])
    table.assign(name="somebody").to_csv(folder / "my.csv", index=False)
    return folder


def test_python_runs(folder: Path) -> None:
    program = "\n".join(codes(README, "python"))
    (folder / "readme.py").write_text(program, encoding="utf-8")
    done = run([sys.executable, "-W", "error", "readme.py"], folder)
    assert done.returncode == 0, done.stderr
    assert "StudentT" not in done.stderr
    assert (folder / "faithful.html").stat().st_size > 10_000


@pytest.mark.parametrize("session", SESSIONS, ids=lambda lines: lines[0])
def test_commands_run_in_their_order(session: list[str], folder: Path) -> None:
    for command in session:
        program, *arguments = shlex.split(command)
        executable = Path(sys.executable).with_name(program)
        done = run([str(executable), *arguments], folder)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        assert done.stdout.strip(), command


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", "\n".join(codes(README, "sh")), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_figures_and_links_lead_to_files() -> None:
    paths = re.findall(r"\[.*?\]\((?!https?:)(.*?)\)", README)
    assert len(paths) > 12
    for path in paths:
        assert (ROOT / path).is_file(), path


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"MPLBACKEND": "agg"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
