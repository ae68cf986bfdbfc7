"""A list of offers, pasted from a spreadsheet or read from a CSV file, or what is wrong with it and where. Asks no
database."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

MOST_ROWS = 500
MOST_PROBLEMS = 50
LONGEST_SHOWN = 120  # characters of a cell, in a note
DELIMITERS = "\t;,"

COLUMNS = ("publisher_id", "offer_id", "title")
_MISSING: Mapping[str, str | Promise] = {
    "publisher_id": gettext_lazy("The publisher ID is missing."),
    "offer_id": gettext_lazy("The offer ID is missing."),
    "title": gettext_lazy("The title is missing."),
}
_NO_HEADING: Mapping[str, str | Promise] = {
    "publisher_id": gettext_lazy("No heading says “Publisher ID”."),
    "offer_id": gettext_lazy("No heading says “Offer ID”."),
    "title": gettext_lazy("No heading says “Title”."),
}
# How a heading may name a column, in plain form: without case, spaces, dashes and underscores.
_HEADINGS = {
    "publisherid": "publisher_id",
    "publisher": "publisher_id",
    "offerid": "offer_id",
    "offer": "offer_id",
    "title": "title",
    "offertitle": "title",
    "name": "title",
    "offername": "title",
    "offeralias": "title",
}
_ENCODINGS = ("utf-8-sig", "cp1252")

# Whether a value is right for a column: "" or what is wrong with it, in a sentence.
Check = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Row:
    """An offer of the list, and the line on which it stands."""

    line: int
    publisher_id: str
    offer_id: str
    title: str

    @property
    def key(self) -> tuple[str, str]:
        """What it is known by: Microsoft does not tell ids apart by case."""
        return self.publisher_id.casefold(), self.offer_id.casefold()


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a line; `column` counts from 1 and is 0 where it is the line as a whole."""

    line: int
    column: int
    message: str


@dataclass(frozen=True, slots=True)
class Note:
    """What a line is taken to mean, where it says it in another way."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class OfferList:
    """What a list says. `more`: problems beyond those that are named."""

    rows: Sequence[Row]
    problems: Sequence[Problem]
    more: int = 0
    notes: Sequence[Note] = ()


def decode(content: bytes) -> str:
    """The text of a file, as spreadsheets write them: UTF-8 or UTF-16 with a mark, else Windows' Western letters."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    for encoding in _ENCODINGS:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")


def read(text: str, check: Check) -> OfferList:
    """Read a list: publisher ID, offer ID and title a line, by tab, semicolon or comma, with or without headings."""
    lines = list(_cells(text))
    if not lines:
        return OfferList((), (Problem(1, 0, _("The list is empty.")),))
    order: Sequence[str] = COLUMNS
    if headings := _headings(lines[0][1]):
        missing = [
            Problem(lines[0][0], 0, str(_NO_HEADING[name])) for name in COLUMNS if name not in headings
        ]
        if missing:
            return OfferList((), missing)
        order, lines = headings, lines[1:]
    if len(lines) > MOST_ROWS:
        sentence = _("At most %(most)s offers at once; these are %(number)s.") % {
            "most": MOST_ROWS,
            "number": f"{len(lines):,}",
        }
        return OfferList((), (Problem(lines[MOST_ROWS][0], 0, sentence),))
    rows: list[Row] = []
    problems: list[Problem] = []
    notes: list[Note] = []
    for line, cells in lines:
        notes += _split(line, cells, order)
        found = list(_wrong(line, cells, order, check))
        problems += found
        if not found:
            values = dict(zip(order, cells, strict=False))
            rows.append(Row(line, *(values[name] for name in COLUMNS)))
    problems += _repeated(rows)
    problems.sort(key=lambda problem: (problem.line, problem.column))
    return OfferList(rows, problems[:MOST_PROBLEMS], max(0, len(problems) - MOST_PROBLEMS), notes)


def _cells(text: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line that has any, with its number."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    first = next((line for line in lines.split("\n") if line.strip()), "")
    reader = csv.reader(StringIO(lines), delimiter=_delimiter(first), skipinitialspace=True)
    while True:
        begins = reader.line_num + 1
        try:
            cells = [" ".join(cell.split()) for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error:  # one cell larger than csv takes: no offer's
            yield begins, [""]
            continue
        while cells and not cells[-1]:
            cells.pop()  # a spreadsheet's empty columns
        if cells:
            yield begins, cells


def _delimiter(line: str) -> str:
    """What parts the first line most often; a comma may stand in a title, a tab cannot."""
    counts = Counter(character for character in line if character in DELIMITERS)
    if counts["\t"]:
        return "\t"
    return ";" if counts[";"] > counts[","] else ","


def _headings(cells: Sequence[str]) -> Sequence[str]:
    """The columns by the headings in the first line; nothing where that is an offer already."""
    plain: list[str] = []
    for cell in cells:
        name = _HEADINGS.get(re.sub(r"[\s_-]", "", cell).casefold(), "")
        plain.append("" if name in plain else name)
    return plain if len([name for name in plain if name]) > 1 else ()


def _split(line: int, cells: list[str], order: Sequence[str]) -> Iterator[Note]:
    """Take the publisher out of an offer ID in place: "contoso.backup" is how LeadSource and Partner Center's lists
    name an offer, and is pasted for its ID."""
    places = order.index("publisher_id"), order.index("offer_id")
    if len(cells) <= max(places):
        return
    publisher, offer = (cells[place] for place in places)
    before, dot, after = offer.partition(".")
    if dot and after and before and publisher.casefold() in {"", before.casefold()}:
        cells[places[0]], cells[places[1]] = publisher or before, after
        said = _("“%(pasted)s” names the publisher too: the offer ID is taken to be “%(offer)s”.")
        yield Note(line, said % {"pasted": offer[:LONGEST_SHOWN], "offer": after[:LONGEST_SHOWN]})


def _wrong(line: int, cells: Sequence[str], order: Sequence[str], check: Check) -> Iterator[Problem]:
    for column, name in enumerate(order, 1):
        if not name:
            continue
        value = cells[column - 1] if column <= len(cells) else ""
        if not value:
            yield Problem(line, column, str(_MISSING[name]))
        elif sentence := check(name, value):
            yield Problem(line, column, sentence)
    if len(cells) > len(order):
        sentence = _("%(found)s columns instead of %(wanted)s. Put a title that holds a comma into quotes.")
        yield Problem(line, len(order) + 1, sentence % {"found": len(cells), "wanted": len(order)})


def _repeated(rows: Sequence[Row]) -> Iterator[Problem]:
    first: dict[tuple[str, str], int] = {}
    for row in rows:
        line = first.setdefault(row.key, row.line)
        if line != row.line:
            yield Problem(row.line, 0, _("This offer stands on line %(line)s already.") % {"line": line})
