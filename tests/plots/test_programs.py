import numpy as np

from bayesgmm.plots import programs

NAMES = ["gaussian", "student_t", "own"]


def test_one_line_per_program_with_its_weight() -> None:
    ax = programs(NAMES, [0.0, 4.0, 30.0], [np.nan, 2.0, 9.0], [0.9, 0.1, 0.0])
    told = [f"{name}\nweight {w}" for name, w in zip(NAMES, ["0.90", "0.10", "0.00"], strict=True)]
    assert [label.get_text() for label in ax.get_yticklabels()] == told
    bars = [line.get_xdata() for line in ax.lines if np.size(line.get_xdata()) == 2][1:]
    np.testing.assert_allclose(bars, [[2.0, 6.0], [21.0, 39.0]])


def test_undecided_programs_are_hollow_and_explained() -> None:
    ax = programs(
        NAMES, [0, 4, -3], [np.nan, 2, 9], [0.9, 0.1, np.nan], undecided=[False, False, True]
    )
    assert [line.get_marker() for line in ax.lines if np.size(line.get_xdata()) == 1] == [
        "D",
        "D",
        "o",
    ]
    assert ax.get_yticklabels()[2].get_text() == "own"
    legend = ax.get_legend()
    assert legend is not None
    assert legend.get_texts()[1].get_text() == "undecided"
