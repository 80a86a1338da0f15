"""The page as a browser sees it: elements and text, by the standard library's parser."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """`elements`: start tags with their attributes; `scripts`: id (or "") of each script with its content."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[str, str]] = []
        self.words: list[str] = []
        self._inside = ""
        self._script = ""
        self.feed(html)
        self.close()

    @property
    def text(self) -> str:
        """All that is shown, white space folded."""
        return " ".join(" ".join(self.words).split())

    def script(self, name: str) -> str:
        """Content of the script of that id."""
        return dict(self.scripts)[name]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append((dict(attrs).get("id") or "", ""))

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            name, before = self.scripts[-1]
            self.scripts[-1] = (name, before + data)
        elif self._inside != "style":
            self.words.append(data)
