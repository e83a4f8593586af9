"""HTML of results: text stays text, commands are set apart, and the table is whole."""

from html.parser import HTMLParser

from bayesgmm.data.notebook import shown


class Text(HTMLParser):
    """The text of a page, and what stands in `<code>`."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.inside: list[str] = []
        self.text, self.code = "", ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.inside.pop() != tag:  # void elements have no end
            pass

    def handle_data(self, data: str) -> None:
        self.text += "" if "style" in self.inside else data
        self.code += data if "code" in self.inside else ""


def test_lines_are_text_whatever_they_hold() -> None:
    page = Text(shown(["a < b & <script>"], "<table><tr><td>1</td></tr></table>", ["c > d"]))
    assert page.text == "a < b & <script>1c > d"


def test_commands_are_set_apart() -> None:
    page = Text(shown([], "", ["Something.", "  next: fit.bootstrap()"]))
    assert page.code == "fit.bootstrap()"
    assert page.text == "Something.next: fit.bootstrap()"
