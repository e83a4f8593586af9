"""What a checkpoint holds is what was put into it, and nothing else is taken for one."""

import os
from functools import cache

import jax
import numpy as np
import pytest

from bayesgmm.bayes import checkpoint, nuts
from bayesgmm.bayes.chains import Chains, beginning
from bayesgmm.bayes.checkpoint import FORMAT, Record
from bayesgmm.bayes.keys import new_key
from bayesgmm.bayes.metric import Place
from bayesgmm.data.errors import InputError
from tests.bayes.cases import clear_rows, known_covariance, known_posterior, mode_at, prepared

IDENTITY = {"data": "0a1b", "k": 2, "kernel": [100, 0.8], "program": "gaussian"}
P = 3


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def state(rng):
    potential, step = rng.normal(), rng.uniform(0.1, 1)
    return beginning(new_key(rng), rng.normal(size=P), potential, rng.normal(size=P), step)


def chains(rng, stage=2, sampling=True):
    places = {
        group: Place(rng.normal(size=P), (rng.normal(size=(1, 2, 2)), rng.normal(size=(1, 1, 1))))
        for group in (0, 12)
    }
    states = [state(rng) for _ in range(3)]
    return Chains(states, [0, 12, 0], places, stage, 0.8, sampling, again=True)


def steps(rng, n):
    """What a chain tells of so many steps."""
    return {
        "z": rng.normal(size=(n, P)),
        "potential": rng.normal(size=n),
        "n_steps": rng.integers(1, 9, size=n),
        "diverging": rng.uniform(size=n) < 0.5,
    }


def filled(path, seed=0, close=True):
    """A record of chains that have gone unlike numbers of steps."""
    rng = np.random.default_rng(seed)
    record = Record(path, IDENTITY)
    record.enter(chains(rng))
    for c, n in ((0, 4), (1, 2), (0, 3), (2, 5)):
        record.add(c, state(rng), steps(rng, n))
    if close:
        record.close()
    return record


def leaves(tree):
    """All arrays, keys as the numbers they hold."""
    return [
        np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)
        for leaf in jax.tree.leaves(tree)
    ]


def _is_key(leaf):
    return isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def assert_same(one, other):
    """Bit for bit, and of one type."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(leaves(one), leaves(other), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def refusal(path, identity=IDENTITY):
    """The one line with which a file is refused."""
    with pytest.raises(InputError) as caught:
        Record(path, identity)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


# --- what is saved is what is read ---------------------------------------------------------------


def test_what_is_read_is_what_was_saved(tmp_path):
    saved = filled(tmp_path / "run.npz")
    read = Record(tmp_path / "run.npz", IDENTITY)
    assert_same(tuple(read.chains), tuple(saved.chains))
    assert_same(read.states([]), saved.states([]))
    assert_same(tuple(read.draws()), tuple(saved.draws()))
    assert read.steps() == saved.steps() == [7, 2, 5]
    assert read.n_steps() == 14
    assert read.is_sampling


def test_draws_are_the_steps_that_all_chains_have_gone(tmp_path):
    rng = np.random.default_rng(0)
    record = Record()
    record.enter(chains(rng))
    parts = [[steps(rng, n) for n in sizes] for sizes in ([4, 3], [1, 1, 1], [5])]
    for c, told in enumerate(parts):
        for part in told:
            record.add(c, state(rng), part)
    draws = record.draws()
    assert draws.z.shape == (3, 3, P)
    np.testing.assert_array_equal(draws.z[0], parts[0][0]["z"][:3])
    np.testing.assert_array_equal(draws.z[1], np.concatenate([part["z"] for part in parts[1]]))
    np.testing.assert_array_equal(draws.log_posterior[2], -parts[2][0]["potential"][:3])
    assert set(draws.stats) == {"n_steps", "diverging"}


def test_a_stage_without_steps_has_no_draws(tmp_path):
    record = Record(tmp_path / "run.npz", IDENTITY)
    record.enter(chains(np.random.default_rng(0)))
    for each in (record, Record(tmp_path / "run.npz", IDENTITY)):
        assert each.draws().z.shape == (3, 0, P)
        assert each.steps() == [0, 0, 0]


def test_a_stage_that_is_resumed_is_not_begun_again(tmp_path):
    saved = filled(tmp_path / "run.npz")
    read = Record(tmp_path / "run.npz", IDENTITY)
    read.enter(saved.chains)
    assert read.steps() == [7, 2, 5]
    read.enter(saved.chains._replace(stage=3))
    assert read.steps() == [0, 0, 0]
    assert_same(read.states([]), saved.chains.states)


def test_memory_alone_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    filled(None)
    assert list(tmp_path.iterdir()) == []


def test_before_the_first_stage_there_is_neither_a_file_nor_a_state(tmp_path):
    record = Record(tmp_path / "run.npz", IDENTITY)
    record.close()
    assert not (tmp_path / "run.npz").exists()
    fallback = [state(np.random.default_rng(0))]
    assert record.states(fallback) is fallback
    assert not record.is_sampling


def test_steps_are_written_when_it_is_due_and_at_the_end(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    filled(path, close=False)
    assert Record(path, IDENTITY).steps() == [0, 0, 0]  # what `enter` has written
    monkeypatch.setattr(checkpoint, "SAVE_SECONDS", -1.0)
    monkeypatch.setattr(checkpoint, "SHARE_OF_TIME", np.inf)
    path.unlink()
    filled(path, close=False)
    assert Record(path, IDENTITY).steps() == [7, 2, 5]


# --- what is not ours ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"k": 3}, ["k is 2 there and 3 here"]),
        ({"program": "sparse"}, ["program is gaussian there and sparse here"]),
        ({"seed": 1}, ["seed is None there and 1 here"]),
        ({"data": "f" * 100}, ["data is 0a1b there", "fff... here"]),
    ],
)
def test_the_file_of_another_run_is_refused_and_kept(tmp_path, change, parts):
    path = tmp_path / "run.npz"
    filled(path)
    before = path.read_bytes()
    message = refusal(path, IDENTITY | change)
    assert [
        part for part in ["another run", "name another file", *parts] if part not in message
    ] == []
    assert path.read_bytes() == before


def test_an_identity_is_the_same_after_it_was_written(tmp_path):
    """JSON has lists for tuples."""
    rng = np.random.default_rng(0)
    for _ in range(2):
        record = Record(tmp_path / "run.npz", {"kernel": (None, 4, (0.8, 0.9))})
        record.enter(chains(rng))


def damaged(path, kind):
    """A file that is no checkpoint, or no longer one."""
    arrays = {}
    if kind in ("cut", "changed", "without states", "older"):
        filled(path)
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
    content = path.read_bytes() if arrays else b""
    middle = len(content) // 2
    if kind == "cut":
        path.write_bytes(content[:middle])
    elif kind == "changed":
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif kind == "older":
        np.savez(path, **(arrays | {"format": np.array("bayesgmm checkpoint 0")}))
    elif kind == "without states":
        np.savez(path, format=np.array(FORMAT), identity=arrays["identity"])
    elif kind == "without anything":
        np.savez(path, format=np.array(FORMAT))
    elif kind == "arrays":
        np.savez(path, a=np.ones(3))
    elif kind == "array":
        with path.open("wb") as file:
            np.save(file, np.ones(3))
    elif kind == "objects":
        np.savez(path, format=np.array([None, {}], dtype=object))
    elif kind == "text":
        path.write_text("no checkpoint\n")
    else:
        path.write_bytes(b"")


@pytest.mark.parametrize(
    "kind",
    [
        "cut",
        "changed",
        "older",
        "without states",
        "without anything",
        "arrays",
        "array",
        "objects",
        "text",
        "empty",
    ],
)
def test_a_file_that_is_no_checkpoint_or_damaged_is_refused_and_kept(tmp_path, kind):
    path = tmp_path / "run.npz"
    damaged(path, kind)
    before = path.read_bytes()
    message = refusal(path)
    assert [part for part in ("damaged", "remove it", "name another") if part not in message] == []
    assert path.read_bytes() == before


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_wherever_it_is_cut_a_file_is_refused(tmp_path, share):
    path = tmp_path / "run.npz"
    filled(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "damaged" in refusal(path)


def test_whatever_bit_is_turned_the_file_is_refused_or_says_the_same(tmp_path):
    path = tmp_path / "run.npz"
    saved = filled(path)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    begin_of_index = content.rindex(b"PK\x01\x02")
    places = np.r_[rng.integers(len(content), size=150), np.arange(begin_of_index, len(content))]
    unheard = []
    for place in places:
        bit = 1 << int(rng.integers(8))
        path.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
        try:
            assert_same(tuple(Record(path, IDENTITY).draws()), tuple(saved.draws()))
        except InputError:
            pass
        except Exception as error:
            unheard.append(f"bit {bit} of byte {place}: {error!r}")
    assert unheard == []


@pytest.mark.parametrize("place", ["folder", "no/such/run.npz"])
def test_a_place_that_cannot_be_written_is_refused_before_the_run(tmp_path, place):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="folder"):
        Record(tmp_path / place, IDENTITY)


# --- interruption --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["replace", "chmod"])
def test_a_write_that_is_cut_off_keeps_the_earlier_file(tmp_path, monkeypatch, name):
    path = tmp_path / "run.npz"
    record = filled(path)
    before, expected = path.read_bytes(), record.draws()

    def fail(*_, **__):
        raise OSError("disk full")

    rng = np.random.default_rng(1)
    record.add(1, state(rng), steps(rng, 9))
    with monkeypatch.context() as patch:
        patch.setattr(os, name, fail)
        with pytest.raises(OSError, match="disk full"):
            record.close()
    assert path.read_bytes() == before
    assert_same(tuple(Record(path, IDENTITY).draws()), tuple(expected))
    record.close()
    assert Record(path, IDENTITY).steps() == [7, 11, 5]


def test_a_write_that_fails_leaves_nothing_beside_the_file(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    record = filled(path)

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        record.close()
    assert list(tmp_path.iterdir()) == [path]


X = clear_rows(20)


@cache
def problem():
    return prepared(X, known_covariance, 1)


def sampled(record, most=None):
    """Warmed-up chains and their draws; interrupted after so many calls, if at all."""
    mean, covariance = known_posterior(X)
    there = mode_at(mean, np.linalg.cholesky(covariance))
    begun = record.chains or nuts.begin(*problem(), [there], 2, np.random.default_rng(3))
    called = []

    def progress(what, done, of, note):
        called.append(what)
        if len(called) == most:
            raise KeyboardInterrupt

    try:
        ready = nuts.warm_up(*problem(), begun, progress=progress, record=record)
        return nuts.advance(*problem(), ready, 200, progress=progress, record=record)
    finally:
        record.close()


@pytest.mark.parametrize("most", [1, 2, 7, 11])
def test_a_run_that_is_resumed_ends_in_the_bits_of_one_that_was_not(tmp_path, most):
    whole = sampled(Record())
    path = tmp_path / "run.npz"
    with pytest.raises(KeyboardInterrupt):
        sampled(Record(path), most)
    resumed = Record(path)
    assert resumed.chains is not None
    again = sampled(resumed)
    assert_same(tuple(again[1]), tuple(whole[1]))
    assert_same(again[0].states, whole[0].states)
