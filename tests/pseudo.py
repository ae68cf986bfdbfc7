"""A language that marks what has been translated: «Leads». What stands on a page without the marks, no translator sees.

Values that a text is filled with stay outside the marks: «Open »3« leads». So a word that is put into a translated
sentence, and was not translated itself, is found as well.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from django.utils.translation import trans_real

LANGUAGE = "de"  # of which Django knows the formats; its texts are ours
CONTEXT = "\x04"  # between a text's context and the text, as gettext has it

# What is filled in, and what is no text: places, elements, entities.
_PLACE = re.compile(
    r"(%(?:\(\w+\))?[#0+-]*\d*(?:\.\d+)?[sdrfi%]|\{\{.*?\}\}|\{[\w.!:,]*\}"
    r"|</?(?:a|abbr|b|br|code|em|i|kbd|li|p|span|strong|time|ul)\b[^<>]*>|&\w+;)",
    re.DOTALL,
)
_WORD = re.compile(r"[A-Za-z]{2,}")
_BLOCKS = frozenset(
    (
        *(
            "address",
            "article",
            "aside",
            "blockquote",
            "body",
            "caption",
            "dd",
            "details",
            "dialog",
            "div",
            "dl",
            "dt",
        ),
        *(
            "fieldset",
            "figure",
            "footer",
            "form",
            "h1",
            "h2",
            "h3",
            "h4",
            "header",
            "html",
            "legend",
            "li",
            "main",
        ),
        *(
            "nav",
            "ol",
            "option",
            "p",
            "section",
            "select",
            "summary",
            "table",
            "tbody",
            "td",
            "tfoot",
            "th",
            "thead",
        ),
        *("title", "tr", "ul"),
    )
)
_UNREAD = frozenset(
    ("script", "style", "code", "pre", "kbd", "samp", "textarea")
)  # not for a reader, or no language
_SAID = frozenset(
    ("title", "aria-label", "placeholder", "alt", "label", "data-label", "data-done", "data-failed")
)
_BUTTONS = frozenset(("submit", "button", "reset"))


def marked(message: str) -> str:
    """A text as this language has it: each piece of it between marks."""
    text = message.rpartition(CONTEXT)[2]
    if text == "yes,no,maybe":  # which Django parts at the commas
        return ",".join(map(marked, text.split(",")))
    return "".join(
        f"«{piece}»" if number % 2 == 0 and _WORD.search(piece) else piece
        for number, piece in enumerate(_PLACE.split(text))
    )


def speak(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Offer the language to readers, beside English."""
    settings.LANGUAGES = [("en", "English"), (LANGUAGE, "Marked")]
    language = trans_real.translation(LANGUAGE)
    monkeypatch.setattr(language, "gettext", marked)
    monkeypatch.setattr(language, "ngettext", lambda one, many, number: marked(one if number == 1 else many))


def unmarked(html: str) -> list[str]:
    """What a reader sees or hears of a page and nobody can translate, in its order, each once."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    reader.end_line()
    return list(dict.fromkeys(reader.found))


def outside(text: str) -> str:
    """What of a text stands outside the marks."""
    reader = _Reader()
    reader.handle_data(text)
    return " ".join(reader.line.split())


class _Reader(HTMLParser):
    """Reads in the order of the page, because a translated sentence may hold links."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.line = ""
        self.depth = 0
        self._unread = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self.end_line()
        self._unread += tag in _UNREAD
        given = {name: value or "" for name, value in attrs}
        said = [value for name, value in given.items() if name in _SAID]
        if tag == "input" and given.get("type") in _BUTTONS:
            said.append(given.get("value", ""))
        for text in said:
            self._keep(outside(text))

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS:
            self.end_line()
        self._unread -= tag in _UNREAD

    def handle_data(self, data: str) -> None:
        if self._unread:
            return
        for piece in re.split("([«»])", data):
            if piece in ("«", "»"):
                self.depth += 1 if piece == "«" else -1
                self.line += " "
            elif self.depth == 0:
                self.line += piece

    def end_line(self) -> None:
        """No text goes beyond a paragraph: there, whatever was cut off in the middle of a text ends too."""
        self._keep(self.line)
        self.line, self.depth = "", 0

    def _keep(self, text: str) -> None:
        if _WORD.search(text):
            self.found.append(" ".join(text.split()))


def without(texts: list[str], known: re.Pattern[str]) -> Iterator[str]:
    """The texts in which a word is left once all that is known was taken out."""
    for text in texts:
        if _WORD.search(known.sub(" ", text)):
            yield text
