"""Blocks of coordinates do what one dense matrix would do, and their size says which they are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesgmm.bayes import metric
from bayesgmm.bayes.metric import DENSE, Blocks, Place
from bayesgmm.bayes.structure import Latent, Structure

PARTITIONS = {
    "dense": [[[0, 1, 2, 3, 4, 5]]],
    "dense in another order": [[[3, 1, 5, 0, 4, 2]]],
    "diagonal": [[[0], [1], [2], [3], [4], [5]]],
    "by component": [[[0, 2], [1, 3]], [[4, 5]]],
    "interleaved": [[[5, 0], [2, 4]], [[3], [1]]],
}


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=PARTITIONS)
def blocks(request):
    return Blocks(6, *map(np.array, PARTITIONS[request.param]))


def place_of(blocks, seed=0):
    """Somewhere, with factors that are not diagonal."""
    rng = np.random.default_rng(seed)
    factors = []
    for part in blocks.sets:
        noise = rng.normal(size=(*part.shape, part.shape[1]))
        factors.append(np.tril(noise, -1) + np.exp(noise) * np.eye(part.shape[1]))
    return Place(rng.normal(size=blocks.size), tuple(factors))


def dense(blocks, place):
    """The whole factor F, such that z = loc + F u."""
    whole = np.zeros((blocks.size, blocks.size))
    for part, factors in zip(blocks.sets, place.factors, strict=True):
        for own, factor in zip(part, factors, strict=True):
            whole[np.ix_(own, own)] = factor
    return whole


def traced(place):
    return jax.tree.map(jnp.asarray, place)


def test_forward_is_the_dense_product(blocks):
    place, u = place_of(blocks), np.random.default_rng(1).normal(size=6)
    found = blocks.forward(traced(place), jnp.asarray(u))
    np.testing.assert_allclose(found, place.loc + dense(blocks, place) @ u, rtol=1e-13)


@pytest.mark.parametrize("shape", [(), (1,), (7,), (2, 3)])
def test_backward_is_the_inverse_of_forward(blocks, shape):
    place = place_of(blocks)
    u = np.random.default_rng(1).normal(size=(*shape, 6))
    z = place.loc + u @ dense(blocks, place).T
    np.testing.assert_allclose(blocks.backward(place, z), u, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(blocks.backward(traced(place), z), u, rtol=1e-10, atol=1e-12)


def test_a_gradient_is_pulled_back_as_the_chain_rule_says(blocks):
    place, gradient = place_of(blocks), np.random.default_rng(1).normal(size=6)
    pulled = blocks.pulled(place, gradient)
    np.testing.assert_allclose(pulled, dense(blocks, place).T @ gradient, rtol=1e-12)
    point = jnp.zeros(6)
    by_jax = jax.vjp(lambda u: blocks.forward(traced(place), u), point)[1](jnp.asarray(gradient))
    np.testing.assert_allclose(pulled, by_jax[0], rtol=1e-12)


def test_many_points_are_spread_as_each_alone(blocks):
    place, u = place_of(blocks), np.random.default_rng(1).normal(size=(5, 6))
    found = blocks.spread(place, u)
    np.testing.assert_allclose(found, place.loc + u @ dense(blocks, place).T, rtol=1e-12)
    np.testing.assert_allclose(blocks.backward(place, found), u, rtol=1e-10, atol=1e-12)


def test_spreading_and_going_back_leave_what_they_are_given_alone(blocks):
    place, u = place_of(blocks), np.random.default_rng(1).normal(size=(5, 6))
    before = place.loc.copy(), u.copy()
    blocks.backward(place, blocks.spread(place, u))
    np.testing.assert_array_equal(place.loc, before[0])
    np.testing.assert_array_equal(u, before[1])


def test_half_the_log_determinant_of_the_covariance_is_that_of_the_factor(blocks):
    place = place_of(blocks)
    whole = dense(blocks, place)
    expected = np.linalg.slogdet(whole @ whole.T)[1] / 2
    assert blocks.half_log_det(place) == pytest.approx(expected, rel=1e-12)
    assert blocks.half_log_det(traced(place)) == pytest.approx(expected, rel=1e-12)


def test_unit_factors_move_nothing(blocks):
    place = Place(np.zeros(6), blocks.units())
    u = np.random.default_rng(1).normal(size=6)
    np.testing.assert_array_equal(dense(blocks, place), np.eye(6))
    np.testing.assert_array_equal(blocks.forward(traced(place), jnp.asarray(u)), u)
    assert blocks.half_log_det(place) == 0.0


def test_blocks_are_equal_by_their_indices():
    parts = {name: Blocks(6, *map(np.array, sets)) for name, sets in PARTITIONS.items()}
    again = {name: Blocks(6, *map(np.array, sets)) for name, sets in PARTITIONS.items()}
    assert parts == again
    assert {hash(part) for part in parts.values()} == {hash(part) for part in again.values()}
    assert len(set(parts.values())) == len(PARTITIONS)
    assert parts["dense"] != "dense"


def test_a_set_without_blocks_is_none():
    empty = np.empty((3, 0), dtype=int)
    assert Blocks(2, np.array([[0, 1]]), empty) == Blocks(2, np.array([[0, 1]]))
    assert Blocks(2, np.array([[0, 1]]), empty).is_dense


# --- which serves --------------------------------------------------------------------------------


def structure_of(k, own=(), shared=(), axis=0):
    """A structure whose latents have so many parameters: of each component, and of none."""
    latents = [
        Latent(f"own{i}", (k, size) if axis == 0 else (size, k), axis) for i, size in enumerate(own)
    ]
    latents += [Latent(f"shared{i}", (size,)) for i, size in enumerate(shared)]
    return Structure(k, tuple(latents[::-1]), "X", (("weights", -1),), (), gaussian=True)


@settings(deadline=None)
@given(
    k=st.integers(1, 5),
    own=st.lists(st.integers(1, 60), max_size=3),
    shared=st.lists(st.integers(1, 60), min_size=1, max_size=3),
    axis=st.sampled_from([0, 1]),
)
def test_every_coordinate_is_in_one_block(k, own, shared, axis):
    structure = structure_of(k, own, shared, axis)
    parts = [part.ravel() for part in Blocks.of(structure).sets]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(structure.size))


def test_few_coordinates_are_whitened_together():
    blocks = Blocks.of(structure_of(3, [90], [30]))
    assert blocks.size == DENSE
    assert blocks.is_dense


def test_more_are_whitened_component_by_component_and_the_rest_together():
    structure = structure_of(3, [90], [31])
    blocks = Blocks.of(structure)
    assert [part.shape for part in blocks.sets] == [(3, 90), (1, 31)]
    np.testing.assert_array_equal(blocks.sets[0], structure.own_coordinates)
    assert not blocks.is_dense


def test_components_alone_have_no_rest():
    assert [part.shape for part in Blocks.of(structure_of(4, [80, 7])).sets] == [(4, 87)]


@pytest.mark.parametrize(
    ("own", "shared"), [([11], [400]), ([600], [9]), ([], [400])], ids=["rest", "own", "no own"]
)
def test_where_a_block_would_be_too_large_each_coordinate_is_alone(own, shared, monkeypatch):
    monkeypatch.setattr(metric, "BLOCK", 399)
    blocks = Blocks.of(structure_of(3, own, shared))
    assert [part.shape for part in blocks.sets] == [(blocks.size, 1)]
