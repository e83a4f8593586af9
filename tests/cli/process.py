"""The command line in a process of its own."""

import subprocess
import sys
from pathlib import Path

BAYESGMM = str(Path(sys.executable).with_name("bayesgmm"))


def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Its output and status."""
    command = [BAYESGMM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
