"""The chart: bars by day, a colour for each of the largest offers and one for the others."""

from collections import Counter
from datetime import date, timedelta

from leadsite.chart import HEIGHT, MOST, stacked

DAY = date(2026, 11, 27)


def test_the_largest_come_first_and_the_others_share_a_colour() -> None:
    counts = {DAY: Counter({number: number for number in range(1, 9)})}
    chart = stacked(counts, {number: f"Offer {number}" for number in range(1, 9)}, "Other offers")
    assert [(one.label, one.total) for one in chart.series] == [
        *((f"Offer {number}", number) for number in (8, 7, 6, 5, 4)),
        ("Other offers", 1 + 2 + 3),
    ]
    assert len(chart.series) == MOST + 1
    assert list(chart.days[0].counts) == [8, 7, 6, 5, 4, 6]
    assert chart.total == chart.days[0].total == sum(range(1, 9))


def test_one_offer_too_many_keeps_its_name() -> None:
    counts = {DAY: Counter(dict.fromkeys(range(MOST + 1), 1))}
    chart = stacked(counts, {number: str(number) for number in range(MOST + 1)}, "Other offers")
    assert [one.label for one in chart.series] == list("012345")


def test_bars_are_stacked_from_the_ground_and_the_highest_fills_the_drawing() -> None:
    counts = {
        DAY - timedelta(days=1): Counter({1: 1}),
        DAY: Counter({1: 3, 2: 1}),
    }
    chart = stacked(counts, {1: "One", 2: "Two"}, "Others")
    first, second = chart.days
    assert (chart.highest, chart.width) == (4, 40)
    assert [(piece.y, piece.height) for piece in first.pieces] == [(75, 25)]
    assert [(piece.y, piece.height) for piece in second.pieces] == [(25, 75), (0, 25)]
    assert all(
        piece.y >= 0 and piece.y + piece.height <= HEIGHT for day in chart.days for piece in day.pieces
    )


def test_leads_of_an_offer_without_a_label_are_left_out() -> None:
    chart = stacked({DAY: Counter({1: 2, 9: 5})}, {1: "One"}, "Others")
    assert [(one.label, one.total) for one in chart.series] == [("One", 2)]


def test_no_leads_make_no_bars() -> None:
    chart = stacked({DAY: Counter()}, {1: "One"}, "Others")
    assert (chart.total, chart.highest, chart.series, chart.days[0].pieces) == (0, 0, [], [])
