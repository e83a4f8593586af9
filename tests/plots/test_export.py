import re
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
from matplotlib.figure import Figure

from bayesgmm import plots

Draw = Callable[[int], Figure]


def _ids(svg: str) -> list[str]:
    return re.findall(r'\bid="([^"]*)"', svg)


def test_equal_figures_give_equal_svg(draw: Draw) -> None:
    assert plots.figure_svg(draw(3)) == plots.figure_svg(draw(3))


def test_equal_figures_give_equal_png(draw: Draw) -> None:
    assert plots.figure_png(draw(2), dpi=60) == plots.figure_png(draw(2), dpi=60)


def test_svg_is_one_wellformed_element_without_date(draw: Draw) -> None:
    svg = plots.figure_svg(draw(2), title="Weights & means")
    assert svg.startswith("<svg")
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert "<title>Weights &amp; means</title>" in svg
    assert "date" not in svg.lower().split("base64")[0]


def test_ids_are_unique_prefixed_and_found(draw: Draw) -> None:
    svg = plots.figure_svg(draw(3), prefix="left")
    ids = _ids(svg)
    assert len(ids) == len(set(ids))
    assert all(name == "left" or name.startswith("left-") for name in ids)
    used = re.findall(r'href="#([^"]*)"', svg) + re.findall(r"url\(#([^)]*)\)", svg)
    assert set(used) <= set(ids)


def test_two_figures_share_no_id_by_default(figures: dict[str, Draw]) -> None:
    svgs = [plots.figure_svg(figures[name](2)) for name in ("weights", "clusters", "curves")]
    ids = [name for svg in svgs for name in _ids(svg)]
    assert len(ids) == len(set(ids))


def test_style_sheet_stays_inside_the_figure(draw: Draw) -> None:
    svg = plots.figure_svg(draw(1), prefix="here")
    sheets = re.findall(r"<style[^>]*>(.*?)</style>", svg)
    assert sheets
    assert all(sheet.startswith("#here *{") for sheet in sheets)


def test_many_points_stay_small_in_svg() -> None:
    X = np.random.default_rng(0).normal(size=(20_000, 2))
    fit = (np.zeros(len(X), dtype=int), np.zeros((1, 2)), np.eye(2)[None])
    fig = plots.figure_of(plots.clusters(X, *fit))
    assert len(plots.figure_svg(fig)) < 600_000
