"""Memory is given back where the C library can, and nothing is missed where it cannot."""

import ctypes
import sys

import pytest

from bayesgmm.gaussian import memory
from bayesgmm.gaussian.memory import crowded, give_back


@pytest.fixture(autouse=True)
def _unknown():
    """As before the first call, and afterwards again."""
    memory._trim.cache_clear()
    yield
    memory._trim.cache_clear()


class Library:
    def __init__(self):
        self.asked = []

    def malloc_trim(self, pad):
        self.asked.append(pad)
        return 1


def test_all_that_is_free_is_given_back(monkeypatch):
    library = Library()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    give_back()
    give_back()
    assert library.asked == [0, 0]


def test_the_library_is_looked_for_once(monkeypatch):
    looked = []
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: looked.append(name) or Library())
    give_back()
    give_back()
    assert looked == [None]


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_another_system_is_left_alone(platform, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: pytest.fail("looked for a library"))
    assert give_back() is None


def test_a_c_library_without_trimming_is_done_without(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert give_back() is None


def test_a_process_that_can_open_no_library_is_done_without(monkeypatch):
    def fail(name):
        raise OSError("no such library")

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", fail)
    assert give_back() is None


def test_it_can_be_done_here():
    assert give_back() is None


@pytest.mark.parametrize(("lines", "expected"), [(30, False), (50, True)])
def test_many_mappings_are_seen(lines, expected, tmp_path, monkeypatch):
    maps, limit = tmp_path / "maps", tmp_path / "limit"
    maps.write_text("a mapping\n" * lines)
    limit.write_text("100\n")
    monkeypatch.setattr(memory, "MAPS", maps)
    monkeypatch.setattr(memory, "LIMIT", limit)
    assert crowded() == expected


def test_a_system_without_such_a_limit_is_never_crowded(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "MAPS", tmp_path / "nothing")
    assert not crowded()
