"""Covariance families: what each projection maximises, keeps and counts."""

import copy
import pickle
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bayesgmm.data.errors import InputError
from bayesgmm.gaussian.families import FAMILIES, Family, families_for, family
from bayesgmm.gaussian.precision import float64
from bayesgmm.ml.derivatives import jacobian

K, D = 3, 3
NAMES = [member.name for member in FAMILIES]
ITERATIVE = ["VEI", "VEE", "VEV", "EVE", "VVE"]
SKLEARN = {"VVV": "full", "EEE": "tied", "VVI": "diag", "VII": "spherical"}

# Covariance parameters as listed by Celeux and Govaert (1995), table 1, with d(d + 1) / 2 = b.
COVARIANCE_PARAMETERS: dict[str, Callable[[int, int, int], int]] = {
    "EII": lambda k, d, b: 1,
    "VII": lambda k, d, b: k,
    "EEI": lambda k, d, b: d,
    "VEI": lambda k, d, b: k + d - 1,
    "EVI": lambda k, d, b: k * d - k + 1,
    "VVI": lambda k, d, b: k * d,
    "EEE": lambda k, d, b: b,
    "VEE": lambda k, d, b: b + k - 1,
    "EVE": lambda k, d, b: b + (k - 1) * (d - 1),
    "VVE": lambda k, d, b: b + (k - 1) * d,
    "EEV": lambda k, d, b: k * b - (k - 1) * d,
    "VEV": lambda k, d, b: k * b - (k - 1) * (d - 1),
    "EVV": lambda k, d, b: k * b - (k - 1),
    "VVV": lambda k, d, b: k * b,
}


def scatter_matrices(seed: int = 0, stack: tuple[int, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Counts (..., k) and scatter matrices (..., k, d, d)."""
    rng = np.random.default_rng(seed)
    counts = rng.uniform(5, 20, size=(*stack, K))
    rows = rng.normal(size=(*stack, K, 12, D)) * rng.uniform(0.5, 3, size=(*stack, K, 1, D))
    rows = rows @ (np.eye(D) + 0.4 * rng.normal(size=(*stack, K, D, D)))
    return counts, np.swapaxes(rows, -1, -2) @ rows


@partial(jax.jit, static_argnames="member")
def _project(counts, scatter, current, member: Family):
    return member.project(counts, scatter, current)


@float64
def projected(member: Family, counts, scatter, current=None, times: int = 200) -> np.ndarray:
    """Covariances after some projections, each from the one before; few where one is enough."""
    if current is None:
        own = scatter / np.where(counts > 0, counts, 1)[..., None, None]
        current = np.linalg.cholesky(np.where(counts[..., None, None] > 0, own, np.eye(D)))
    found = np.asarray(_project(counts, scatter, current, member))
    for _ in range(times - 1 if member.name in ITERATIVE else 0):
        whole = np.where(counts[..., None, None] > 0, found, np.eye(D))
        found = np.asarray(_project(counts, scatter, np.linalg.cholesky(whole), member))
    return found


@partial(jax.jit, static_argnames="member")
def _around(scale_tril, steps, member: Family):
    return member.around(scale_tril, steps)


@float64
def factors_at(member: Family, covariances: np.ndarray, steps: np.ndarray) -> np.ndarray:
    return np.asarray(_around(np.linalg.cholesky(covariances), steps, member))


def some_member(member: Family, seed: int = 3) -> np.ndarray:
    """Covariances of a member of the family, chosen at random."""
    return projected(member, *scatter_matrices(seed))


def expected_log_likelihood(covariances, counts, scatter) -> float:
    """What an M-step maximises in the covariances, constants left out."""
    log_dets = np.linalg.slogdet(covariances)[1]
    squares = np.trace(np.linalg.solve(covariances, scatter), axis1=-2, axis2=-1)
    return float(-(counts @ log_dets + squares.sum()) / 2)


def volumes(covariances: np.ndarray) -> np.ndarray:
    return np.linalg.det(covariances) ** (1 / D)


def assert_equal_across_components(values: np.ndarray) -> None:
    np.testing.assert_allclose(values, np.broadcast_to(values[:1], values.shape), atol=1e-10)


# --- what a projection maximises ----------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_projection_maximises_the_expected_log_likelihood(name):
    member, (counts, scatter) = family(name), scatter_matrices()
    best = projected(member, counts, scatter)

    def value(steps: np.ndarray) -> float:
        factors = factors_at(member, best, steps)
        return expected_log_likelihood(factors @ factors.mT, counts, scatter)

    here = np.zeros(member.n_covariance(K, D))
    np.testing.assert_allclose(jacobian(lambda at: np.array([value(at)]), here), 0, atol=1e-7)
    rng = np.random.default_rng(1)
    for size in np.geomspace(0.01, 1, 60):
        assert value(size * rng.normal(size=here.size)) < value(here)


@pytest.mark.parametrize("name", ITERATIVE)
def test_a_projection_never_loses_to_the_member_that_it_starts_from(name):
    member = family(name)
    for seed in range(8):
        counts, scatter = scatter_matrices(seed)
        current = some_member(member, seed + 100)
        values = [expected_log_likelihood(current, counts, scatter)]
        for _ in range(6):
            current = projected(member, counts, scatter, np.linalg.cholesky(current), times=1)
            values.append(expected_log_likelihood(current, counts, scatter))
        assert (np.diff(values) >= -1e-12 * abs(values[-1])).all()
        assert values[1] > values[0]


@pytest.mark.parametrize("name", NAMES)
def test_projection_keeps_what_is_in_the_family(name):
    member, counts = family(name), scatter_matrices()[0]
    once = some_member(member)
    again = projected(member, counts, counts[:, None, None] * once, np.linalg.cholesky(once))
    np.testing.assert_allclose(again, once, rtol=1e-9, atol=1e-9)


def test_a_larger_family_fits_no_worse():
    counts, scatter = scatter_matrices()
    value = {
        name: expected_log_likelihood(projected(family(name), counts, scatter), counts, scatter)
        for name in NAMES
    }
    wider = {"E": "EV", "V": "V", "I": "IEV"}
    for small in NAMES:
        for large in NAMES:
            if all(b in wider[a] for a, b in zip(small, large, strict=True)):
                assert value[small] <= value[large] + 1e-9, (small, large)


@pytest.mark.parametrize("name", NAMES)
def test_equal_scatter_gives_equal_covariances(name):
    """Then volume, shape and orientation are the same whether shared or not."""
    _, scatter = scatter_matrices()
    same = projected(family(name), np.full(K, 9.0), np.tile(scatter[0], (K, 1, 1)))
    structure = {"II": "EII", "EI": "EEI", "VI": "EEI"}.get(name[1:], "EEE")
    expected = projected(family(structure), np.ones(1) * 9, scatter[:1])
    np.testing.assert_allclose(same, np.tile(expected, (K, 1, 1)), rtol=1e-9, atol=1e-9)


# --- what the members of a family share ---------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_members_share_volume_shape_and_orientation_as_the_name_says(name):
    covariances = some_member(family(name))
    normalised = covariances / volumes(covariances)[:, None, None]
    shapes = np.linalg.eigvalsh(normalised)
    if name[0] == "E":
        assert_equal_across_components(volumes(covariances))
    if name[1] == "I":
        np.testing.assert_allclose(shapes, 1, rtol=1e-12)
    if name[1] == "E" and name[2] != "I":
        assert_equal_across_components(shapes)
    if name[1:] in ("EI", "EE"):
        assert_equal_across_components(normalised)
    if name[2] == "I":
        np.testing.assert_array_equal(covariances, covariances * np.eye(D))
    if name[2] == "E":  # common axes are those that commute
        products = covariances[0] @ covariances[1:]
        np.testing.assert_allclose(products, products.mT, atol=1e-10 * abs(products).max())


@pytest.mark.parametrize("name", NAMES)
def test_members_differ_where_the_name_says(name):
    covariances = some_member(family(name))
    normalised = covariances / volumes(covariances)[:, None, None]
    shapes = np.linalg.eigvalsh(normalised)
    if name[0] == "V":
        assert np.ptp(volumes(covariances)) > 0.1
    if name[1] == "V":
        assert np.ptp(shapes, axis=0).max() > 0.1
    if name[2] == "V":
        products = covariances[0] @ covariances[1:]
        assert abs(products - products.mT).max() > 0.01 * abs(products).max()


# --- stacks and padding -------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_stack_of_scatter_matrices_projects_one_by_one(name):
    member, (counts, scatter) = family(name), scatter_matrices(stack=(4,))
    whole = projected(member, counts, scatter, times=2)
    for i in range(4):
        one = projected(member, counts[i], scatter[i], times=2)
        np.testing.assert_allclose(whole[i], one, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_an_absent_component_leaves_the_others_alone(name):
    member, (counts, scatter) = family(name), scatter_matrices()
    counts[2], scatter[2] = 0, 0
    whole = projected(member, counts, scatter, times=2)
    assert np.isfinite(whole).all()
    rest = projected(member, counts[:2], scatter[:2], times=2)
    np.testing.assert_allclose(whole[:2], rest, rtol=1e-12, atol=1e-12)


# --- units --------------------------------------------------------------------------------------

A = np.random.default_rng(5).normal(size=(D, D)) + 2 * np.eye(D)
COLUMNS = np.diag([0.2, 1.0, 30.0])
COMMON = 7.0 * np.eye(D)
TURN = np.linalg.qr(A)[0]
FOLLOWS_COLUMNS = ["EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVV", "VVV"]
FOLLOWS_ALL = ["EEE", "VEE", "EVV", "VVV"]
ALIGNED = ["EEI", "VEI", "EVI", "VVI"]


def gap(name: str, change: np.ndarray) -> float:
    """How far a projection of changed data is from the changed projection, relatively."""
    member, (counts, scatter) = family(name), scatter_matrices()
    changed = projected(member, counts, change @ scatter @ change.T)
    expected = change @ projected(member, counts, scatter) @ change.T
    root = np.linalg.inv(np.linalg.cholesky(expected))
    return float(abs(root @ changed @ root.mT - np.eye(D)).max())


@pytest.mark.parametrize("name", NAMES)
def test_projection_commutes_with_a_change_of_scale(name):
    assert gap(name, COMMON) < 1e-8


@pytest.mark.parametrize("name", NAMES)
def test_projection_commutes_with_rotations_unless_axes_are_columns(name):
    assert gap(name, TURN) > 0.01 if name in ALIGNED else gap(name, TURN) < 1e-8


@pytest.mark.parametrize("name", NAMES)
def test_projection_commutes_with_rescaled_columns_where_the_registry_says(name):
    follows = gap(name, COLUMNS) < 1e-8
    assert follows or gap(name, COLUMNS) > 0.01
    assert follows == family(name).follows_columns == (name in FOLLOWS_COLUMNS)


@pytest.mark.parametrize("name", NAMES)
def test_projection_commutes_with_any_linear_map_where_matrices_are_free(name):
    assert gap(name, A) < 1e-8 if name in FOLLOWS_ALL else gap(name, A) > 0.01


# --- parameters ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("d", [1, 2, 4])
def test_parameters_are_weights_means_and_the_listed_covariances(name, k, d):
    member = family(name)
    covariance = COVARIANCE_PARAMETERS[name](k, d, d * (d + 1) // 2)
    assert member.n_covariance(k, d) == covariance
    assert member.n_parameters(k, d) == k - 1 + k * d + covariance
    assert family(name, equal_weights=True).n_parameters(k, d) == k * d + covariance


@pytest.mark.parametrize("name", NAMES)
def test_every_covariance_parameter_is_a_direction_of_its_own(name):
    member = family(name)
    covariances = some_member(member)

    def moved(steps: np.ndarray) -> np.ndarray:
        factors = factors_at(member, covariances, steps)
        return (factors @ factors.mT).ravel()

    here = np.zeros(member.n_covariance(K, D))
    np.testing.assert_allclose(moved(here), covariances.ravel(), rtol=1e-12, atol=1e-12)
    slopes = np.linalg.svd(jacobian(moved, here), compute_uv=False)
    assert slopes.min() > 1e-3 * slopes.max()


@pytest.mark.parametrize("name", NAMES)
def test_a_step_away_from_a_member_is_a_member(name):
    member, counts = family(name), scatter_matrices()[0]
    steps = 0.5 * np.random.default_rng(4).normal(size=member.n_covariance(K, D))
    factors = factors_at(member, some_member(member), steps)
    np.testing.assert_array_equal(factors, np.tril(factors))
    assert (np.diagonal(factors, axis1=1, axis2=2) > 0).all()
    covariances = factors @ factors.mT
    kept = projected(member, counts, counts[:, None, None] * covariances, factors, times=1)
    np.testing.assert_allclose(kept, covariances, rtol=1e-10, atol=1e-10)


# --- names --------------------------------------------------------------------------------------


def test_the_fourteen_families_are_there():
    assert sorted(NAMES) == sorted(COVARIANCE_PARAMETERS)


@pytest.mark.parametrize(("name", "alias"), SKLEARN.items())
def test_a_family_has_mclust_and_scikit_learn_names(name, alias):
    assert family(name) is family(alias) is family(name.lower())
    assert (family(name).name, family(name).alias) == (name, alias)


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(SKLEARN)))
def test_a_family_that_scikit_learn_lacks_keeps_its_name(name):
    assert family(name).alias == name


@pytest.mark.parametrize("equal_weights", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_copies_of_a_family_are_the_family_itself(name, equal_weights):
    member = family(name, equal_weights)
    assert copy.deepcopy(member) == pickle.loads(pickle.dumps(member)) == member
    assert hash(copy.deepcopy(member)) == hash(member)


@pytest.mark.parametrize(
    ("typed", "meant"), [("ful", "full"), ("spherica", "spherical"), ("VVVV", "VVV")]
)
def test_an_unknown_family_suggests_the_nearest(typed, meant):
    with pytest.raises(InputError, match=f"did you mean '{meant}'") as caught:
        family(typed)
    assert repr(typed) in str(caught.value)
    assert all(name in str(caught.value) for name in [*NAMES, *SKLEARN.values()])


# --- one column ---------------------------------------------------------------------------------


def test_one_column_has_neither_shape_nor_direction():
    assert families_for(1) == (family("E"), family("V"))
    assert (family("E").name, family("V").name) == ("EEE", "VVV")
    assert families_for(2) == FAMILIES


@pytest.mark.parametrize("name", NAMES)
@float64
def test_in_one_column_only_the_volume_matters(name):
    counts, scatter = np.array([4.0, 10.0]), np.array([[[3.0]], [[40.0]]])
    found = np.asarray(_project(counts, scatter, jnp.ones((2, 1, 1)), family(name))).ravel()
    expected = [43 / 14, 43 / 14] if name[0] == "E" else [3 / 4, 4]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


# --- rows that a fit needs ----------------------------------------------------------------------


def test_a_component_needs_the_rows_that_its_own_part_takes():
    """A mean, a variance, axes of its own (the last follows), or a scatter of full rank."""
    full = dict.fromkeys(["VVV", "EVV", "VVE", "EVE"], 5)
    axes = dict.fromkeys(["EEV", "VEV"], 4)
    variance = dict.fromkeys(["VII", "VEI", "EVI", "VVI", "VEE"], 2)
    mean = dict.fromkeys(["EII", "EEI", "EEE"], 1)
    assert {member.name: member.min_rows(4) for member in FAMILIES} == full | axes | variance | mean
    assert {member.min_rows(1) for member in FAMILIES if member.volume == "V"} == {2}
    assert {member.min_rows(1) for member in FAMILIES if member.volume == "E"} == {1}


@pytest.mark.parametrize("name", NAMES)
def test_together_components_need_what_each_needs_and_what_they_share(name):
    member = family(name)
    for k in (2, 5):
        shared = member.min_total_rows(k, D) - k * member.min_rows(D)
        if name[1] == "V" or name == "VII":
            assert shared == 0
        else:
            assert shared == (2 * D if name[2] == "E" else 2)
    assert member.min_total_rows(1, D) == (2 if name[2] == "I" else D + 1)
