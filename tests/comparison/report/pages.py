"""A web page as its tests see it: tags, attributes, words, and what a browser makes of it."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

VOID = {"meta", "br", "img", "hr", "link", "input"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]


class Page(HTMLParser):
    """Tags that are never closed or closed twice, attributes, ids, and the text that is read."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.words += data
            self.texts.append((tuple(self.open), data))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def flaws(text: str) -> Iterator[str]:
    """What keeps readers out who do not see, or do not point: WCAG 2 as far as text tells it."""
    page = Page(text)
    if not [each for each in page.all("html") if each.get("lang")]:
        yield "the language is not told"
    if not re.search(r"<title>[^<]+</title>", text):
        yield "no title"
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    if levels.count(1) != 1 or levels[0] != 1:
        yield "not one first heading"
    yield from (f"h{a} to h{b}" for a, b in pairwise(levels) if b - a > 1)
    yield from ("image without text" for each in page.all("img") if not each.get("alt"))
    for opening, inside in re.findall(r"<svg ([^>]*)>(.*?)</svg>", text, re.DOTALL):
        if 'role="img"' not in opening or not re.match(r"\s*<title>[^<]+</title>", inside):
            yield "drawing without text"
    yield from _tables(text)
    for tag, each in page.tags:
        if int(each.get("tabindex", "0")) > 0:
            yield f"{tag} jumps the queue"
        if "tabindex" in each and not (each.get("role") and each.get("aria-label")):
            yield f"{tag} takes the focus and has no name"
    for each in re.findall(r"<a [^>]*>(.*?)</a>", text):
        if len(re.sub("<[^>]*>", "", each).strip()) < 3:
            yield "link without words"


def _tables(text: str) -> Iterator[str]:
    for table in re.findall(r"<table.*?</table>", text, re.DOTALL):
        if not re.match(r"<table[^>]*>\s*<caption>\s*<span>[^<]", table):
            yield "table without caption"
        for attributes, name in re.findall(r"<th\b([^>]*)>(.*?)</th>", table, re.DOTALL):
            if "scope=" not in attributes or not name.strip():
                yield f"heading without scope or words: {name!r}"


def browser() -> str | None:
    """Chromium, where it is installed."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def browse(path: Path, *options: str) -> tuple[str, str]:
    """What Chromium says, and its log, when it opens a page without a network."""
    found = browser()
    assert found
    profile = path.parent / "profile"
    command = [found, *QUIET, f"--user-data-dir={profile}", "--host-resolver-rules=MAP * ~NOTFOUND"]
    command += ["--enable-logging=stderr", "--v=0", *options, path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr
