"""JAX's persistent compilation cache, the one setting of the user's that is touched.

On small data the compiler is what a user waits for. At the first fit, where the user has set no
cache directory, one is set, so that a later process finds what this one compiled. The environment
variable BAYESGMM_COMPILATION_CACHE names another directory, or turns it off with "off".
"""

import os
from functools import cache
from pathlib import Path

import jax

VARIABLE = "BAYESGMM_COMPILATION_CACHE"
MIN_COMPILE_SECONDS = 0.05


@cache
def remember_compilations() -> None:
    """Set the cache directory once, unless the user has set one or does not want it."""
    folder = _folder()
    if folder is None or jax.config.jax_compilation_cache_dir or not _usable(folder):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", MIN_COMPILE_SECONDS)


def programs_folder() -> Path | None:
    """Where lowered programs are kept; None where the cache is off."""
    folder = _folder()
    return folder / "lowered" if folder and jax.config.jax_compilation_cache_dir else None


def _folder() -> Path | None:
    chosen = os.environ.get(VARIABLE, "")
    if chosen.lower() in ("off", "0", "no", "false"):
        return None
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(chosen or Path(base) / "bayesgmm" / "jax").expanduser()


def _usable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
