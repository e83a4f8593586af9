"""Figures as bytes and text: PNG, and SVG that is reproducible and can share an HTML page."""

import hashlib
import html
import io
import re
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

SALT = "bayesgmm"
RASTER_DPI = 180  # of what is rasterised inside an SVG
SAVING: dict[Any, Any] = {"savefig.bbox": None, "savefig.transparent": False}


def figure_png(fig: Figure, dpi: int | float = 150) -> bytes:
    """The figure as PNG.

    Args:
        fig: any matplotlib figure.
        dpi: pixels per inch.
    """
    file = io.BytesIO()
    with rc_context(SAVING):
        fig.savefig(file, format="png", dpi=dpi, metadata={"Software": None})
    return file.getvalue()


def figure_svg(fig: Figure, *, prefix: str | None = None, title: str | None = None) -> str:
    """The figure as one `<svg>` element to be put into HTML; equal figures give equal text.

    Args:
        fig: any matplotlib figure.
        prefix: begins every id, so that figures on one page do not share any; by default taken
            from the content, which differs wherever figures differ.
        title: read by screen readers.
    """
    drawing = _numbered(_element(_drawn(fig)))
    unique = prefix or "figure-" + hashlib.sha256(drawing.encode()).hexdigest()[:10]
    return _described(_scoped(drawing, unique), unique, title)


def _drawn(fig: Figure) -> str:
    file = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with rc_context({**SAVING, "svg.hashsalt": SALT, "svg.fonttype": "path", "svg.id": None}):
        fig.savefig(file, format="svg", dpi=RASTER_DPI, metadata=nothing)
    return file.getvalue()


def _element(document: str) -> str:
    """What HTML wants of an SVG document: no prologue, no metadata."""
    element = document[document.index("<svg") :]
    element = re.sub(r"\s*<metadata>.*?</metadata>", "", element, flags=re.DOTALL).strip()
    return re.sub(r'(?<= )(?:d|x|y)="[^"]*"', _rounded, element) + "\n"


def _rounded(attribute: re.Match[str]) -> str:
    """Coordinates to a hundredth of a point, which halves the text."""
    return re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", attribute[0])


def _numbered(svg: str) -> str:
    """The element with ids counted, as matplotlib's hang on the last digit of the layout.

    Ids that nothing refers to are dropped.
    """
    names = dict.fromkeys(re.findall(r'(?:href="|url\()#([^")]+)', svg))
    number = {name: str(j) for j, name in enumerate(names)}
    svg = re.sub(r'((?:href="|url\()#)([^")]+)', lambda ref: ref[1] + number[ref[2]], svg)
    return re.sub(
        r' id="([^"]+)"', lambda id_: f' id="{number[id_[1]]}"' if id_[1] in number else "", svg
    )


def _scoped(svg: str, prefix: str) -> str:
    """The element with every id prefixed, and its style sheet kept from the rest of the page."""
    svg = re.sub(r'((?:\bid="|href="#|url\(#))', rf"\g<1>{prefix}-", svg)
    return svg.replace('<style type="text/css">*{', f'<style type="text/css">#{prefix} *{{', 1)


def _described(svg: str, prefix: str, title: str | None) -> str:
    opening = f'<svg id="{prefix}" role="img" style="max-width: 100%; height: auto"'
    svg = svg.replace("<svg", opening, 1)
    if title is None:
        return svg
    end = svg.index(">") + 1
    return f"{svg[:end]}\n <title>{html.escape(title)}</title>{svg[end:]}"
