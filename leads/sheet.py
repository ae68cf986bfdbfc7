"""Pure: rows as a file that a spreadsheet opens without running what strangers wrote in it: CSV, or Excel's own."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from io import BytesIO, StringIO
from itertools import chain, islice, zip_longest
from typing import Any
from unicodedata import east_asian_width
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile

import xlsxwriter

from leads.texts import gettext as _
from leads.texts import gettext_noop

# What makes a spreadsheet take a cell for a formula: https://owasp.org/www-community/attacks/CSV_Injection, 2026-11
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
LONGEST_CELL = 32_000  # characters; a spreadsheet takes 32,767
MOST_UNITS = 32_767  # of UTF-16, in which Excel counts
BOM = "\ufeff"  # without which Excel takes UTF-8 for something else
# What XML cannot hold, and what a screen should not get: control characters but for tab and new line, half surrogates.
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def cell(value: object) -> str:
    """A value as text; one that a spreadsheet would run gets an apostrophe in front."""
    text = str(value)[:LONGEST_CELL].replace("\x00", "\ufffd")
    return f"'{text}" if text.startswith(_FORMULA) else text


def lines(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The file, piece by piece."""
    yield BOM
    for row in rows:
        buffer = StringIO()
        csv.writer(buffer).writerow([cell(value) for value in row])
        yield buffer.getvalue()


def plain(value: object) -> str:
    """A value as the text of a cell that holds text, so that nothing in it is ever run."""
    text = _NO_TEXT.sub("\ufffd", str(value)[:LONGEST_CELL].replace("\r\n", "\n").replace("\r", "\n"))
    if len(text) * 2 > MOST_UNITS and not text.isascii():
        text = text.encode("utf-16-le")[: MOST_UNITS * 2].decode("utf-16-le", "ignore")
    return text


# --- Excel's own format ---------------------------------------------------------------------------------------

SHEET = "xl/worksheets/sheet1.xml"
PIECE = 64 * 1024  # bytes that go out at a time
MOST_XML = 1_900_000_000  # bytes of the sheet, unpacked: from 2 GiB on it would need a kind of ZIP that Excel refuses
NOT_ALL = gettext_noop("The rest is left out: it does not fit in an Excel file. Take CSV for all of it.")
LOOKED_AT = (
    100  # rows that columns are made wide enough for: what comes before the rows goes out before the others
)
WIDEST = 60  # characters of a column
_LOOKED_INTO = 1_000  # characters of a cell
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - a spreadsheet's days are of no zone
_LOOKS_ESCAPED = re.compile("_(?=x[0-9a-fA-F]{4}_)")  # what Excel would read as one character


class _Pipe:
    """A file to write to, whose contents go out while it is written."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.waiting = 0

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        self.waiting += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        data, self._pieces, self.waiting = b"".join(self._pieces), [], 0
        return data


def workbook(rows: Iterable[Sequence[object]], name: str) -> Iterator[bytes]:
    """An Excel file with one sheet, piece by piece from the first row on, however many there are: nobody waits for all
    of it, and no more than a piece of it is kept. The first row is the headings.

    Every text is written as a text: to Excel no cell is a formula or a link, and a number or a date only if it was one
    here. Times have no zone. XlsxWriter makes everything but the rows, and could not let any of it go before the end.
    """
    rows = iter(rows)
    first = list(islice(rows, LOOKED_AT))
    template = ZipFile(BytesIO(_template(name, widths(first))))
    before, _mark, after = template.read(SHEET).decode().partition("<sheetData>")
    example, _mark, after = after.partition("</sheetData>")
    heading, moment, day = re.findall(r' s="(\d+)"', example)
    styles = {datetime: moment, date: day}
    pipe: Any = _Pipe()  # which need not seek
    written = 0
    with ZipFile(pipe, "w", ZIP_DEFLATED, compresslevel=4) as package:
        for part in template.namelist():
            if part != SHEET:
                package.writestr(part, template.read(part))
        with package.open(SHEET, "w") as sheet:
            sheet.write((re.sub("<dimension[^>]*>", "", before) + "<sheetData>").encode())
            for number, row in enumerate(chain(first, rows), 1):
                if written > MOST_XML:
                    sheet.write(_row(number, [_(NOT_ALL)], {}, ""))
                    break
                written += sheet.write(_row(number, row, styles, heading if number == 1 else ""))
                if pipe.waiting > PIECE:
                    yield pipe.take()
            sheet.write(("</sheetData>" + after).encode())
    yield pipe.take()


def widths(rows: Sequence[Sequence[object]]) -> list[int]:
    """How wide each column has to be, in characters, so that these rows can be read."""
    return [min(max(map(_width, column)), WIDEST) + 2 for column in zip_longest(*rows, fillvalue="")]


def _width(value: object) -> int:
    """Of the longest line. The letters of East Asia take the room of two."""
    lines = str(value)[:_LOOKED_INTO].splitlines()
    return max((sum(1 + (east_asian_width(letter) in "WF") for letter in line) for line in lines), default=0)


def _template(name: str, widths: Sequence[int]) -> bytes:
    """A workbook with that sheet, its columns so wide, and a cell of each style."""
    file = BytesIO()
    book = xlsxwriter.Workbook(file, {"in_memory": True})
    sheet = book.add_worksheet(name)
    sheet.freeze_panes(1, 0)
    for column, width in enumerate(widths):
        sheet.set_column(column, column, width)
    for column, form in enumerate(
        ({"bold": True}, {"num_format": "yyyy-mm-dd hh:mm:ss"}, {"num_format": "yyyy-mm-dd"})
    ):
        sheet.write_number(0, column, 0, book.add_format(form))
    book.close()
    return file.getvalue()


def _row(number: int, values: Sequence[object], styles: Mapping[Any, str], style: str) -> bytes:
    cells = (_cell(f"{_letters(at)}{number}", value, styles, style) for at, value in enumerate(values))
    return f'<row r="{number}">{"".join(cells)}</row>'.encode()


def _cell(place: str, value: object, styles: Mapping[Any, str], style: str) -> str:
    if isinstance(value, date):
        time = value if isinstance(value, datetime) else datetime.combine(value, datetime.min.time())
        days = (time - _EPOCH) / timedelta(days=1)
        return f'<c r="{place}" s="{styles[type(value)]}"><v>{days!r}</v></c>'
    if isinstance(value, int):
        return f'<c r="{place}"><v>{int(value)}</v></c>'
    text = plain(value)
    if not text:
        return ""
    if "_x" in text:
        text = _LOOKS_ESCAPED.sub("_x005F_", text)
    styled = f' s="{style}"' if style else ""
    return f'<c r="{place}"{styled} t="inlineStr"><is><t xml:space="preserve">{escape(text)}</t></is></c>'


@cache
def _letters(column: int) -> str:
    """How a spreadsheet names a column: A to Z, then AA."""
    return ("" if column < 26 else _letters(column // 26 - 1)) + chr(ord("A") + column % 26)
