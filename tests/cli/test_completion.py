"""Completion, asked of a real bash."""

import shutil
import subprocess
from pathlib import Path

import pytest

from bayesgmm.cli.completion import script
from bayesgmm.data.choices import CRITERIA, FAMILIES, GUIDES, INFERENCES, model_names
from bayesgmm.data.datasets import dataset_names

COMMANDS = {"fit", "compare", "select", "show", "models", "datasets", "completion"}
FILES = {"my.csv", "my.nc"}


@pytest.fixture(scope="module")
def bash() -> str:
    found = shutil.which("bash")
    if found is None:
        pytest.skip("there is no bash")
    return found


def completed(bash: str, folder: Path, line: str) -> set[str]:
    """What bash offers for the last word of the line."""
    (folder / "script").write_text(script("bash"))
    words = line.split(" ")
    code = (
        "source ./script && rm script && complete -p bayesgmm >&2 && "
        f"COMP_WORDS=({' '.join(repr(word) for word in words)}) COMP_CWORD={len(words) - 1} && "
        "_shtab_bayesgmm 2>/dev/null; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    command = [bash, "--norc", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    assert "-F _shtab_bayesgmm bayesgmm" in done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("bayesgmm ", COMMANDS),
        ("bayesgmm comp", {"compare", "completion"}),
        ("bayesgmm fit ", {*dataset_names(), *FILES}),
        ("bayesgmm compare my", FILES),
        ("bayesgmm select fai", {"faithful"}),
        ("bayesgmm fit faithful -k 2 --model ", {*model_names(), *FILES}),
        ("bayesgmm compare faithful --models gaussian stu", {"student_t"}),
        ("bayesgmm fit faithful --inference ", set(INFERENCES)),
        ("bayesgmm fit faithful --guide ", set(GUIDES)),
        ("bayesgmm select iris --criterion ", set(CRITERIA)),
        ("bayesgmm select iris --families ", set(FAMILIES)),
        ("bayesgmm fit faithful --sa", {"--save"}),
        ("bayesgmm fit faithful --save my.", FILES),
        ("bayesgmm show my.n", {"my.nc"}),
        ("bayesgmm models gaussian_t", {"gaussian_tied"}),
        ("bayesgmm completion ", {"bash", "zsh", "tcsh"}),
    ],
)
def test_bash_offers_what_can_follow(
    bash: str, tmp_path: Path, line: str, offered: set[str]
) -> None:
    for name in FILES:
        (tmp_path / name).touch()
    assert completed(bash, tmp_path, line) == offered


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_are_told_the_same_names(shell: str) -> None:
    text = script(shell)
    for name in (*COMMANDS, *dataset_names(), *model_names(), *INFERENCES, *GUIDES, *FAMILIES):
        assert name in text
