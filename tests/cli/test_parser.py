"""Help that a new user reads, and a start that waits for nothing."""

import subprocess
import sys

import pytest

from bayesgmm.cli.parser import whole_parser
from tests.cli.process import run

COMMANDS = ("fit", "compare", "select", "show", "models", "datasets", "completion")
HEAVY = ("jax", "numpyro", "pandas", "scipy", "matplotlib", "sklearn", "arviz", "shtab")


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help_has_examples_and_fits_80_columns(command: tuple[str, ...]) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "bayesgmm " in done.stdout.split("\n\n")[-1]


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_are_understood(command: str) -> None:
    """Those of every command, and those of the whole."""
    text = run(command, "--help").stdout + run("--help").stdout
    examples = [line.strip() for line in text.splitlines() if line.startswith("  bayesgmm ")]
    assert examples
    for example in examples:
        words = example.partition("   ")[0].partition(" >")[0].split()[1:]
        assert whole_parser().parse_known_args(words)[1] == []


@pytest.mark.parametrize(
    "arguments", ["--help", "fit -h", "fit faithful --modle", "datasets", "fit fathful -k 2"]
)
def test_help_and_mistakes_need_nothing_heavy(arguments: str) -> None:
    code = (
        "import sys; from bayesgmm.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        f"sys.exit(str([name for name in {HEAVY} if name in sys.modules] or '') or 0)"
    )
    command = [sys.executable, "-c", code, *arguments.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
