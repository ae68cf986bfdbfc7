"""Pure: rows as a CSV file that a spreadsheet opens without running what strangers wrote in it."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO

# What makes a spreadsheet take a cell for a formula: https://owasp.org/www-community/attacks/CSV_Injection, 2026-11
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
LONGEST_CELL = 32_000  # characters; a spreadsheet takes 32,767
BOM = "\ufeff"  # without which Excel takes UTF-8 for something else


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
