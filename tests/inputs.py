"""The inputs of a form on a page, as a browser without scripts would send them."""

from html.parser import HTMLParser


class Inputs(HTMLParser):
    """What a browser would send of the form of that id, if nothing was touched, and the ids of the page."""

    def __init__(self, html: str, form: str = "mapping") -> None:
        super().__init__()
        self.form, self.inside = form, False
        self.data: dict[str, list[str]] = {}
        self.ids: list[str] = []
        self._textarea = self._select = ""
        self._options: list[tuple[str, bool]] = []
        self._text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "form":
            self.inside = given.get("id") == self.form
        elif self.inside:
            self._input(tag, given, dict(attrs))

    def _input(self, tag: str, given: dict[str, str], attrs: dict[str, str | None]) -> None:
        name = given.get("name", "")
        if tag == "textarea":
            self._textarea, self._text = name, ""
        elif tag == "select":
            self._select, self._options = name, []
        elif tag == "option" and self._select:
            self._options.append((given.get("value", ""), "selected" in attrs))
        elif tag == "input" and name and (given.get("type") != "checkbox" or "checked" in attrs):
            self.data.setdefault(name, []).append(
                given.get("value", "on" if given.get("type") == "checkbox" else "")
            )

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._textarea:
            self.data.setdefault(self._textarea, []).append(self._text.removeprefix("\n"))
            self._textarea = ""
        elif tag == "select" and self._select:
            chosen = [value for value, is_chosen in self._options if is_chosen] or [self._options[0][0]]
            self.data.setdefault(self._select, []).append(chosen[-1])
            self._select = ""
        elif tag == "form":
            self.inside = False
