"""A figure inside a page: as lines where they are few, as pixels where they are many."""

import base64
from typing import NamedTuple

from markupsafe import Markup
from matplotlib.axes import Axes

from bayesgmm import plots
from bayesgmm.plots.canvas import Panels

MOST_SVG = 150_000  # characters; a figure that needs more is put in as pixels
WIDE = 6.0  # inches; a wider figure has a row to itself


class Picture(NamedTuple):
    """A figure inside the page, and what is said below it."""

    image: Markup
    caption: str
    wide: bool


def picture(axes: Axes | Panels, name: str, alternative: str, caption: str) -> Picture:
    """A figure as lines where they are few, as pixels where they are many."""
    figure = plots.figure_of(axes)
    inches = figure.get_size_inches()[0]
    svg = plots.figure_svg(figure, prefix=f"figure-{name}", title=alternative)
    if len(svg) <= MOST_SVG:
        return Picture(Markup(svg), caption, inches > WIDE)
    data = base64.b64encode(plots.figure_png(figure, dpi=170)).decode()
    image = Markup('<img src="data:image/png;base64,{}" width="{}" alt="{}">')
    return Picture(image.format(data, round(96 * inches), alternative), caption, inches > WIDE)
