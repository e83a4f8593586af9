import numpy as np
from matplotlib.axes import Axes

from bayesgmm.plots import component_colours, memberships

MEAN = np.array([[0.6, 0.4, 0.0], [0.0, 0.1, 0.9]])
LOW, HIGH = np.clip(MEAN - 0.1, 0, 1), np.where(MEAN > 0, MEAN + 0.1, 0.0)


def _bars(ax: Axes) -> list[tuple[str, list[float]]]:
    return [
        (str(line.get_color()), np.asarray(line.get_xdata()).tolist())
        for line in ax.lines
        if np.size(line.get_xdata()) == 2
    ]


def test_every_probability_has_its_interval_in_its_colour() -> None:
    blue, red, green = component_colours(3)
    rows = [(blue, 0, 0), (red, 0, 1), (red, 1, 1), (green, 1, 2)]
    expected = [(colour, [LOW[i, j], HIGH[i, j]]) for colour, i, j in rows]
    assert _bars(memberships(MEAN, LOW, HIGH)) == expected


def test_rows_carry_their_names_from_top_to_bottom() -> None:
    ax = memberships(MEAN, LOW, HIGH, rows=[17, 3])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["17", "3"]
    bottom, top = ax.get_ylim()
    assert bottom > top


def test_lines_of_neighbouring_rows_do_not_meet() -> None:
    p = np.full((3, 12), 1 / 12)
    ax = memberships(p, 0 * p, p + 0.1)
    heights = [
        np.asarray(line.get_ydata())[0] for line in ax.lines if np.size(line.get_xdata()) == 2
    ]
    assert (np.diff(heights) > 0.05).all()
    assert np.ptp(heights[:12]) < 1


def test_background_is_a_cross_and_no_component() -> None:
    ax = memberships(MEAN, LOW, HIGH, background=True)
    assert component_colours(3)[2] not in [colour for colour, _ in _bars(ax)]
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()][1] == "background"
