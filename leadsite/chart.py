"""Pure: leads by day and offer as stacked bars, ready for a template to draw, with the numbers for its table."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

MOST = 5  # series with a colour of their own; the others share one
STEP, BAR, HEIGHT = 20, 16, 100  # of the drawing, which is stretched to the width of the page


@dataclass(frozen=True, slots=True)
class Series:
    """One colour: the offers that it stands for, by key, what they are called and how many there are."""

    number: int
    keys: Sequence[int]
    label: str
    total: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A rectangle of a bar."""

    series: Series
    count: int
    x: int
    y: float
    width: int
    height: float


@dataclass(frozen=True, slots=True)
class Day:
    """A bar, and the row of the table under it."""

    day: date
    total: int
    counts: Sequence[int]
    pieces: Sequence[Piece]


@dataclass(frozen=True, slots=True)
class Chart:
    days: Sequence[Day]
    series: Sequence[Series]
    highest: int
    width: int
    height: int = HEIGHT

    @property
    def total(self) -> int:
        return sum(day.total for day in self.days)


def stacked(counts: Mapping[date, Counter[int]], labels: Mapping[int, str], others: str) -> Chart:
    """The chart of counts by day and offer: those with most leads first, `others` the label of the rest."""
    totals: Counter[int] = Counter()
    for day in counts.values():
        totals.update(day)
    first = sorted((key for key in totals if key in labels), key=lambda key: (-totals[key], labels[key]))
    # A colour that stands for one offer only may as well have its name.
    shown = first if len(first) <= MOST + 1 else first[:MOST]
    series = [Series(number, [key], labels[key], totals[key]) for number, key in enumerate(shown)]
    if rest := first[len(shown) :]:
        series.append(Series(len(series), rest, others, sum(totals[key] for key in rest)))
    rows = [[sum(day[key] for key in one.keys) for one in series] for day in counts.values()]
    highest = max(map(sum, rows), default=0)
    days = [
        Day(day, sum(row), row, _pieces(number, row, series, highest))
        for number, (day, row) in enumerate(zip(counts, rows, strict=True))
    ]
    return Chart(days, series, highest, STEP * len(days))


def _pieces(number: int, row: Sequence[int], series: Sequence[Series], highest: int) -> list[Piece]:
    pieces, top = [], float(HEIGHT)
    for one, count in zip(series, row, strict=True):
        if count:
            height = count * HEIGHT / highest
            top -= height
            x = number * STEP + (STEP - BAR) // 2
            pieces.append(Piece(one, count, x, round(top, 2), BAR, round(height, 2)))
    return pieces
