"""Choices of a Bayesian fit."""

from dataclasses import dataclass

from bayesgmm.bayes import adaptation
from bayesgmm.bayes.diagnose import Thresholds
from bayesgmm.data.choices import GUIDES, INFERENCES
from bayesgmm.data.errors import InputError, unknown

EARLY_LOOK, IMPATIENT_DEPTH = 250, 7
LEAST_DRAWS = 100


@dataclass(frozen=True)
class Settings:
    """Choices of a Bayesian fit; `BayesianMixture` documents them."""

    inference: str = "nuts"
    num_chains: int = 4
    num_warmup: int | None = None
    num_draws: int = 1000
    max_draws: int | None = None
    guide: str = "full_rank"
    thresholds: Thresholds = Thresholds()
    look_early: bool = False

    def __post_init__(self) -> None:
        if self.inference not in INFERENCES:
            raise unknown("inference", self.inference, INFERENCES)
        if self.guide not in GUIDES:
            raise unknown("guide", self.guide, GUIDES)
        for name, least in (("num_chains", 2), ("num_draws", LEAST_DRAWS)):
            if getattr(self, name) < least:
                raise InputError(
                    f"{name}={getattr(self, name)} must be at least {least}; fewer cannot be "
                    "diagnosed."
                )
        if self.num_warmup is not None and self.num_warmup < 50:
            raise InputError(f"num_warmup={self.num_warmup} must be at least 50.")
        if self.max_draws is not None and self.max_draws < self.num_draws:
            raise InputError(
                f"max_draws={self.max_draws} must be at least num_draws={self.num_draws}."
            )

    @property
    def kernel(self) -> adaptation.Settings:
        depth = IMPATIENT_DEPTH if self.look_early else adaptation.Settings().max_tree_depth
        return adaptation.Settings(num_warmup=self.num_warmup, max_tree_depth=depth)

    @property
    def looks(self) -> list[int]:
        """After how many draws the diagnostics are looked at; the last is the budget.

        With `look_early` the first look comes soon, so that a fit that cannot converge within the
        budget costs little.
        """
        most = self.max_draws or 4 * self.num_draws
        looks = sorted({*range(self.num_draws, most + 1, self.num_draws), most})
        early = self.look_early and self.num_draws > EARLY_LOOK
        return [EARLY_LOOK, *looks] if early else looks
