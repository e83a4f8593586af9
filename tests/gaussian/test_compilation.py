"""The compilation cache: set once, unless the user has set one or does not want it."""

import jax
import pytest

from bayesgmm.gaussian.compilation import VARIABLE, remember_compilations


@pytest.fixture(autouse=True)
def _as_before():
    """The settings as a user has them who has set nothing, and afterwards as they were."""
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    jax.config.update(names[0], None)
    remember_compilations.cache_clear()
    yield
    remember_compilations.cache_clear()
    for name, value in before.items():
        jax.config.update(name, value)


def test_a_folder_is_set_where_the_user_has_set_none(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    remember_compilations()
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "cache")
    assert (tmp_path / "cache").is_dir()


def test_the_folder_is_among_the_users_caches_by_default(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    remember_compilations()
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "bayesgmm" / "jax")


def test_a_folder_that_the_user_has_set_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "ours"))
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "theirs"))
    remember_compilations()
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "theirs")
    assert not (tmp_path / "ours").exists()


@pytest.mark.parametrize("word", ["off", "OFF", "0", "no", "false"])
def test_the_environment_turns_it_off(word, monkeypatch):
    monkeypatch.setenv(VARIABLE, word)
    remember_compilations()
    assert jax.config.jax_compilation_cache_dir is None


def test_a_folder_that_cannot_be_made_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file" / "cache"))
    remember_compilations()
    assert jax.config.jax_compilation_cache_dir is None


def test_a_later_choice_of_the_user_stays(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "ours"))
    remember_compilations()
    jax.config.update("jax_compilation_cache_dir", None)
    remember_compilations()
    assert jax.config.jax_compilation_cache_dir is None
