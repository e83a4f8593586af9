"""Numbers are written with the digits that they support."""

import pytest

from bayesgmm.comparison.words import counted, decimals, fixed, listed, number


@pytest.mark.parametrize(
    ("value", "spread", "text"),
    [
        (0.35587, 0.029, ".356"),
        (2.03639, 0.0271, "2.036"),
        (54.4785, 0.59, "54.48"),
        (-0.2711, 0.1, "-.27"),
        (1234.5, 30.0, "1234"),
        (float("nan"), 1.0, "-"),
        (1.0, 0.0, "1.000"),
    ],
)
def test_two_digits_of_the_spread_are_shown(value: float, spread: float, text: str) -> None:
    assert number(value, spread) == text


def test_decimals_follow_the_spread_by_powers_of_ten() -> None:
    for power in range(-4, 2):
        assert decimals(2.5 * 10.0**power) == min(6, max(0, 1 - power))


def test_words() -> None:
    assert fixed(float("nan"), 2) == "-"
    assert [counted(1, "row"), counted(2, "row")] == ["1 row", "2 rows"]
    assert [listed([]), listed(["a"]), listed(["a", "b", "c"])] == ["", "a", "a, b and c"]
