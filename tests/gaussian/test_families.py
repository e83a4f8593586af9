"""Covariance families: what each projection maximises, keeps and counts."""

import copy
import pickle
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
import pytest

from bayesgmm.data.errors import InputError
from bayesgmm.gaussian.families import FAMILIES, Family, families_for, family
from bayesgmm.gaussian.precision import float64
from bayesgmm.ml.derivatives import jacobian

K, D = 3, 3
NAMES = [member.name for member in FAMILIES]
SKLEARN = {"VVV": "full", "EEE": "tied", "VVI": "diag", "VII": "spherical"}

# Covariance parameters as listed by mclust's nMclustParams (Scrucca et al. 2016, table 3).
COVARIANCE_PARAMETERS: dict[str, Callable[[int, int], int]] = {
    "VVV": lambda k, d: k * d * (d + 1) // 2,
    "EEE": lambda k, d: d * (d + 1) // 2,
    "VVI": lambda k, d: k * d,
    "VII": lambda k, d: k,
}


def scatter_matrices(seed: int = 0, stack: tuple[int, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Counts (..., k) and scatter matrices (..., k, d, d)."""
    rng = np.random.default_rng(seed)
    counts = rng.uniform(5, 20, size=(*stack, K))
    rows = rng.normal(size=(*stack, K, 12, D)) * rng.uniform(0.5, 3, size=(*stack, K, 1, D))
    return counts, np.swapaxes(rows, -1, -2) @ rows


@float64
def projected(member: Family, counts: np.ndarray, scatter: np.ndarray) -> np.ndarray:
    return np.asarray(member.project(jnp.asarray(counts), jnp.asarray(scatter)))


@float64
def factors_at(member: Family, coordinates: np.ndarray) -> np.ndarray:
    return np.asarray(member.unpack(jnp.asarray(coordinates), K, D))


def expected_log_likelihood(
    scale_tril: np.ndarray, counts: np.ndarray, scatter: np.ndarray
) -> float:
    """What an M-step maximises in the covariances, constants left out."""
    covariances = scale_tril @ np.swapaxes(scale_tril, -1, -2)
    log_dets = np.linalg.slogdet(covariances)[1]
    squares = np.trace(np.linalg.solve(covariances, scatter), axis1=-2, axis2=-1)
    return float(-(counts @ log_dets + squares.sum()) / 2)


@pytest.mark.parametrize("name", NAMES)
def test_projection_maximises_the_expected_log_likelihood(name):
    member, (counts, scatter) = family(name), scatter_matrices()
    point = member.pack(np.linalg.cholesky(projected(member, counts, scatter)))

    def value(coordinates: np.ndarray) -> float:
        return expected_log_likelihood(factors_at(member, coordinates), counts, scatter)

    slope = jacobian(lambda at: np.array([value(at)]), point)
    np.testing.assert_allclose(slope, 0, atol=1e-7)
    rng = np.random.default_rng(1)
    for _ in range(50):
        assert value(point + 0.3 * rng.normal(size=point.size)) < value(point)


@pytest.mark.parametrize("name", NAMES)
def test_projection_keeps_what_is_in_the_family(name):
    member, (counts, scatter) = family(name), scatter_matrices()
    once = projected(member, counts, scatter)
    again = projected(member, counts, counts[:, None, None] * once)
    np.testing.assert_allclose(again, once, rtol=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_a_stack_of_scatter_matrices_projects_one_by_one(name):
    member, (counts, scatter) = family(name), scatter_matrices(stack=(4,))
    whole = projected(member, counts, scatter)
    for i in range(4):
        np.testing.assert_array_equal(whole[i], projected(member, counts[i], scatter[i]))


@pytest.mark.parametrize("name", NAMES)
def test_an_absent_component_leaves_the_others_alone(name):
    member, (counts, scatter) = family(name), scatter_matrices()
    counts[2], scatter[2] = 0, 0
    whole = projected(member, counts, scatter)
    assert np.isfinite(whole).all()
    np.testing.assert_allclose(
        whole[:2], projected(member, counts[:2], scatter[:2]), rtol=1e-14, atol=0
    )


A = np.random.default_rng(5).normal(size=(D, D)) + 2 * np.eye(D)
COLUMNS = np.diag([0.01, 1.0, 300.0])
COMMON = 7.0 * np.eye(D)
INVARIANCES = [
    ("VVV", A),
    ("VVV", COLUMNS),
    ("VVV", COMMON),
    ("EEE", A),
    ("EEE", COLUMNS),
    ("EEE", COMMON),
    ("VVI", COLUMNS),
    ("VVI", COMMON),
    ("VII", COMMON),
]


@pytest.mark.parametrize(("name", "change"), INVARIANCES)
def test_projection_commutes_with_the_changes_of_units_of_the_family(name, change):
    member, (counts, scatter) = family(name), scatter_matrices()
    changed = projected(member, counts, change @ scatter @ change.T)
    expected = change @ projected(member, counts, scatter) @ change.T
    np.testing.assert_allclose(changed, expected, rtol=1e-12, atol=1e-12 * abs(expected).max())


@pytest.mark.parametrize(("name", "change"), [("VVI", A), ("VII", A), ("VII", COLUMNS)])
def test_projection_depends_on_the_other_changes_of_units(name, change):
    member, (counts, scatter) = family(name), scatter_matrices()
    changed = projected(member, counts, change @ scatter @ change.T)
    expected = change @ projected(member, counts, scatter) @ change.T
    assert abs(changed - expected).max() > 0.01 * abs(expected).max()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("d", [1, 2, 4])
def test_parameters_are_weights_means_and_the_listed_covariances(name, k, d):
    member = family(name)
    covariance = COVARIANCE_PARAMETERS[name](k, d)
    assert member.n_covariance(k, d) == covariance
    assert member.n_parameters(k, d) == k - 1 + k * d + covariance


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("k", "d"), [(1, 1), (3, 1), (1, 3), (3, 3)])
@float64
def test_pack_has_one_coordinate_per_parameter_and_unpack_inverts_it(name, k, d):
    member = family(name)
    coordinates = np.random.default_rng(k + d).normal(size=member.n_covariance(k, d))
    factors = np.asarray(member.unpack(jnp.asarray(coordinates), k, d))
    assert factors.shape == (k, d, d)
    assert (np.diagonal(factors, axis1=1, axis2=2) > 0).all()
    np.testing.assert_array_equal(factors, np.tril(factors))
    np.testing.assert_allclose(member.pack(factors), coordinates, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(("name", "alias"), SKLEARN.items())
def test_a_family_has_mclust_and_scikit_learn_names(name, alias):
    assert family(name) is family(alias) is family(name.lower())
    assert (family(name).name, family(name).alias) == (name, alias)


@pytest.mark.parametrize("name", NAMES)
def test_copies_of_a_family_are_the_family_itself(name):
    member = family(name)
    assert copy.deepcopy(member) is pickle.loads(pickle.dumps(member)) is member


@pytest.mark.parametrize(
    ("typed", "meant"), [("ful", "full"), ("spherica", "spherical"), ("VVVV", "VVV")]
)
def test_an_unknown_family_suggests_the_nearest(typed, meant):
    with pytest.raises(InputError, match=f"did you mean '{meant}'") as caught:
        family(typed)
    assert repr(typed) in str(caught.value)
    assert all(name in str(caught.value) for name in [*SKLEARN, *SKLEARN.values()])


def test_every_family_needs_the_rows_that_its_own_covariance_takes():
    needed = {member.name: member.min_rows(4) for member in FAMILIES}
    assert needed == {"VVV": 5, "EEE": 1, "VVI": 2, "VII": 2}


def test_one_column_has_neither_shape_nor_direction():
    assert [member.name for member in families_for(1)] == ["VVV", "EEE"]
    assert families_for(2) == FAMILIES
