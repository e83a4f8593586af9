"""Names that a user chooses from; nothing heavy is imported to know them."""

from pathlib import Path

INFERENCES = ("nuts", "vi", "laplace")
GUIDES = ("full_rank", "low_rank", "mean_field")
CRITERIA = ("bic", "aic", "aicc", "icl")
FAMILIES = (
    *("EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE"),
    *("VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV"),
)


def models_folder() -> Path:
    """Where the library's own programs lie: in the wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "models"
    return inside if inside.is_dir() else package.parent / "models"


def model_names() -> list[str]:
    """Names of the library's own programs."""
    return sorted(path.stem for path in models_folder().glob("[!_]*.py"))
