"""The package as users get it: light to import, whole in a wheel."""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

import bayesgmm as bg

ROOT = Path(__file__).parent.parent


def test_importing_loads_nothing_heavy() -> None:
    heavy = ("jax", "numpyro", "arviz", "pandas", "matplotlib", "sklearn", "scipy", "xarray")
    code = f"import sys, bayesgmm; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_changes_no_setting_of_jax() -> None:
    code = (
        "import jax; before = dict(jax.config.values)\n"
        "import bayesgmm as bg; [getattr(bg, name) for name in bg.__all__]\n"
        "print(before == dict(jax.config.values))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_every_public_name_is_there_and_documented() -> None:
    for name in bg.__all__:
        assert getattr(bg, name).__doc__
    assert set(bg.__all__) <= set(dir(bg))
    with pytest.raises(AttributeError, match="nosuch"):
        bg.nosuch


def test_wheel_works_in_an_empty_environment(tmp_path: Path) -> None:
    """Its own code and data; only the libraries that it depends on are lent to it."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT]
    subprocess.run(list(map(str, build)), capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    home = tmp_path / "env"
    venv.create(home, with_pip=True)
    python = str(home / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", str(wheel)]
    subprocess.run(install, capture_output=True, check=True)
    (site,) = home.glob("lib/python*/site-packages")
    (site / "lent.pth").write_text(sysconfig.get_path("purelib"))
    code = f"""
import bayesgmm as bg, pathlib
print(pathlib.Path(bg.__file__).is_relative_to({str(home)!r}))
print(bg.load_model('gaussian').path.startswith({str(home)!r}))
fit = bg.BayesianMixture(2, num_draws=200, random_state=0).fit('galaxies')
bg.compare('galaxies', 1, num_draws=200, random_state=0).report('out.html')
print(fit.predict_proba(fit.both_.problem.X).shape)
"""
    used = subprocess.run(
        [python, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert used.returncode == 0, used.stderr
    assert used.stdout.split("\n")[:3] == ["True", "True", "(82, 2)"]
    command = subprocess.run(
        [str(home / "bin" / "bayesgmm"), "models"], capture_output=True, text=True, check=True
    )
    assert "gaussian_tied" in command.stdout
