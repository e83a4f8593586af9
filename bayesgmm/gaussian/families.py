"""Covariance families: each a projection of the scatter matrices, and a parameter count.

The M-step sees only expected counts and scatter matrices, so a family needs no E-step of its own.
Names are those of Celeux and Govaert (1995) as used by mclust, Sigma_k = v_k D_k A_k D_k' in three
letters: volume v, shape A and orientation D, each equal (E) for all components, varying (V) or the
identity (I). scikit-learn's names are aliases, and so are E and V, mclust's names for one column.
"""

from dataclasses import dataclass, replace

from jaxtyping import Float

from bayesgmm.data.errors import unknown
from bayesgmm.gaussian import coordinates
from bayesgmm.gaussian.arrays import Array
from bayesgmm.gaussian.projections import (
    Project,
    common_axes,
    diagonal,
    equal_volume,
    own,
    own_axes,
    pooled,
    proportional,
    spherical,
)

SHORT_COLUMNS = 8


@dataclass(frozen=True)
class Family:
    """A covariance family.

    Attributes:
        name: mclust's name, such as "VVV".
        meaning: one line for people.
        project: from counts (..., k), scatter (..., k, d, d) and the current Cholesky factors
            (..., k, d, d) to covariances (..., k, d, d).
        sklearn: scikit-learn's name, such as "full", if it has the family.
        equal_weights: whether the components also share their weight.
    """

    name: str
    meaning: str
    project: Project
    sklearn: str = ""
    equal_weights: bool = False

    def __reduce__(self) -> tuple[object, ...]:
        return family, (self.name, self.equal_weights)

    @property
    def durable_name(self) -> str:
        """What it is in any process."""
        return f"{self.name}{' with equal weights' if self.equal_weights else ''}"

    @property
    def alias(self) -> str:
        """scikit-learn's name, or mclust's where it has none."""
        return self.sklearn or self.name

    @property
    def volume(self) -> str:
        return self.name[0]

    @property
    def shape(self) -> str:
        return self.name[1]

    @property
    def orientation(self) -> str:
        return self.name[2]

    @property
    def shares_covariance(self) -> bool:
        """Whether all components have the same covariance matrix."""
        return "V" not in self.name

    @property
    def follows_columns(self) -> bool:
        """Whether rescaling single columns keeps a member of the family in it."""
        return self.shape != "I" and self.orientation in ("I", self.shape)

    def n_covariance(self, k: int, d: int) -> int:
        """Number of covariance parameters for k components in d dimensions."""
        return coordinates.n_covariance(self.name, k, d)

    def n_parameters(self, k: int, d: int) -> int:
        """Free parameters of the whole mixture: weights, means and covariances."""
        weights = 0 if self.equal_weights else k - 1
        return weights + k * d + self.n_covariance(k, d)

    def free(self, k: int, d: int) -> bool:
        """Whether every mixture is a member."""
        return not self.equal_weights and self.n_covariance(k, d) == k * d * (d + 1) // 2

    def min_rows(self, d: int) -> int:
        """Effective rows that one component needs for what it does not share.

        One for its mean; a second for a variance of its own; d for axes of its own, of which the
        last follows from the others; d + 1 where fewer would lie in a plane across some axis and
        leave no variance along it.
        """
        if d > 1 and self.shape == "V" and self.orientation != "I":
            return d + 1
        axes = d if self.orientation == "V" else 1
        variance = 2 if self.volume == "V" or (d > 1 and self.shape == "V") else 1
        return max(axes, variance)

    def min_total_rows(self, k: int, d: int) -> int:
        """Rows that k components need together.

        Rows are assigned such that what is shared becomes small; so several components need, beyond
        their own rows, twice as many as keep the shared part regular.
        """
        if k == 1:
            return 2 if self.orientation == "I" else d + 1
        if self.shape == "V" or self.name == "VII":
            return k * self.min_rows(d)
        return k * self.min_rows(d) + 2 * (d if self.orientation == "E" else 1)

    def around(
        self, scale_tril: Float[Array, "k d d"], steps: Float[Array, " q"]
    ) -> Float[Array, "k d d"]:
        """Cholesky factors of the member `steps` away from a member, `n_covariance` coordinates."""
        return coordinates.around(self.name, scale_tril, steps)


def family(name: str, equal_weights: bool = False) -> Family:
    """The family of that name or alias.

    Raises:
        InputError: no such family; the nearest name is suggested.
    """
    labels = {label: member for member in FAMILIES for label in (member.name, member.alias)}
    names = labels | {"E": labels["EEE"], "V": labels["VVV"]}
    found = names.get(name) or (names.get(name.upper()) if isinstance(name, str) else None)
    if found is None:
        raise unknown("covariance_type", name, names)
    return replace(found, equal_weights=True) if equal_weights else found


def is_short(member: Family, d: int) -> bool:
    """Whether fits of the family in d columns keep diagonals alone and no matrices."""
    return member.orientation == "I" and d >= SHORT_COLUMNS


def family_label(name: str, d: int) -> str:
    """The family's name; for one column E or V, as there is no shape or direction."""
    return name if d > 1 else ("E" if name.startswith("E") else "V")


def families_for(d: int) -> tuple[Family, ...]:
    """The families that differ in d dimensions: one column has neither shape nor direction."""
    return FAMILIES if d > 1 else (family("E"), family("V"))


FAMILIES = (
    Family("EII", "no correlations, one variance for everything", spherical(pooled)),
    Family("VII", "no correlations, one variance for each component", spherical(own), "spherical"),
    Family("EEI", "no correlations, the same variances in every component", diagonal(pooled)),
    Family(
        "VEI", "no correlations, one shape, every component its own volume", diagonal(proportional)
    ),
    Family(
        "EVI", "no correlations, one volume, every component its own shape", diagonal(equal_volume)
    ),
    Family("VVI", "no correlations, every component its own variances", diagonal(own), "diag"),
    Family("EEE", "one covariance matrix shared by all components", pooled, "tied"),
    Family("VEE", "one shape and orientation, every component its own volume", proportional),
    Family(
        "EVE",
        "one volume and orientation, every component its own shape",
        common_axes(equal_volume),
    ),
    Family("VVE", "one orientation, every component its own volume and shape", common_axes(own)),
    Family("EEV", "one volume and shape, every component its own orientation", own_axes(pooled)),
    Family(
        "VEV", "one shape, every component its own volume and orientation", own_axes(proportional)
    ),
    Family("EVV", "one volume, every component its own shape and orientation", equal_volume),
    Family("VVV", "every component its own covariance matrix", own, "full"),
)
