"""The site: code of every page runs, the build does not warn, links hold, nothing is fetched."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import matplotlib.pyplot as plt
import pytest

from docs.blocks import BLOCK, codes, renewed, run_page

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(
    path
    for path in DOCS.rglob("*.md")
    if "_build" not in path.parts and "notebooks" not in path.parts
)
RUNNING = [path for path in PAGES if BLOCK.search(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", RUNNING, ids=lambda page: str(page.relative_to(DOCS)))
def test_every_block_of_a_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(page)
    plt.close("all")


def test_what_a_block_prints_and_draws_goes_below_it(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nx = 6 * 7\nprint(x)\n```\n\n```text\nold\n```\n\n"
        "```python\nx += 1\n```\n\n![drawn](x.png)\n"
    )
    drawn: list[Path] = []
    assert "print(x)\n```\n\n```text\n42\n```\n" in renewed(page, drawn.append)
    assert drawn == [tmp_path / "x.png"]


def test_an_error_in_a_block_names_its_page_and_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n```python\nx = 1\n1 / 0\n```\n")
    with pytest.raises(ZeroDivisionError) as failed:
        run_page(page)
    last = failed.traceback[-1]
    assert (Path(str(last.path)), last.lineno + 1) == (page, 5)


def test_a_command_that_fails_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\nbayesgmm show nowhere.nc\n```\n")
    with pytest.raises(RuntimeError, match="status 2"):
        run_page(page)


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    shell = "\n".join(
        code for page in PAGES for code in codes(page.read_text(encoding="utf-8"), "sh")
    )
    for target in re.findall(r"^make ([\w-]+)", shell, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_blocks_that_are_only_read_belong_to_libraries_that_are_not_here() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for code in re.findall(r"```\{code-block\} python\n(.*?)```", text, re.DOTALL):
            assert "import pymc" in code, f"{page.name}: a block that should run"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    pytest.importorskip("sphinx")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run(
        [*command, str(DOCS), str(folder / "html")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


class Page(HTMLParser):
    """What a page links to, what it loads, and the places in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.places |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if "src" in found:
            self.loads.append(found["src"])
        if tag == "link" and found.get("rel") in {"stylesheet", "icon", "preload", "modulepreload"}:
            self.loads.append(found["href"])


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    """Every page of the site."""
    return {path: Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}


def test_the_site_has_every_page(pages: dict[Path, Page], site: Path) -> None:
    built = {path.relative_to(site).with_suffix("") for path in pages}
    assert {page.relative_to(DOCS).with_suffix("") for page in PAGES} <= built


def test_every_link_inside_leads_to_a_place(pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), f"{path.name}: {link}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].places, f"{path.name}: {link}"


def test_nothing_is_loaded_from_another_host(pages: dict[Path, Page], site: Path) -> None:
    for path, page in pages.items():
        for address in page.loads:
            parts = urlsplit(address)
            assert parts.scheme in {"", "data"}, f"{path.name}: {address}"
            assert not parts.netloc, f"{path.name}: {address}"
    for sheet in site.rglob("*.css"):
        found = re.findall(r"url\(['\"]?((?:https?:)?//[^)]*)", sheet.read_text(encoding="utf-8"))
        assert not found, f"{sheet.name}: {found}"
