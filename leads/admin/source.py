"""The text of a received request on screen: as much of it as a person can look at, with the mistake marked, or what
was changed in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from django.utils.translation import gettext as _

from leads.models import Submission
from leads.quarantine import text_of

MOST_TEXT = 64 * 1024  # characters of a body on screen
MOST_LINES = 300
LONGEST_LINE = 1_000  # characters
LINES_BEFORE = 8  # above the first marked line, where a text is too long to be shown whole
LINES_AROUND = 2  # a change
MOST_COMPARED = 100  # lines: comparing them takes up to the cube of that


@dataclass(frozen=True, slots=True)
class Line:
    """A numbered line of a body; `mark` is the character where something is wrong, "" on other lines."""

    number: int
    before: str
    mark: str = ""
    after: str = ""


def shown_body(submission: Submission) -> tuple[str, str]:
    """The body's text for the screen, and a note where it is not all there."""
    text = text_of(submission)
    if len(text) <= MOST_TEXT:
        return text, ""
    note = _("Only the first %(number)s of %(all)s characters are shown.")
    return text[:MOST_TEXT], note % {"number": f"{MOST_TEXT:,}", "all": f"{len(text):,}"}


def numbered(text: str, problems: Sequence[dict[str, Any]]) -> tuple[list[Line], str]:
    """The lines of a text round what is wrong with it, and a note where it is not all there."""
    places = {problem["line"]: problem["column"] for problem in reversed(problems) if problem.get("line")}
    lines = text.split("\n")
    if not lines[-1] and len(lines) not in places and len(lines) > 1:
        lines.pop()  # what follows the last line break is no line
    first = 0
    if places and (len(lines) > MOST_LINES or len(text) > MOST_TEXT):
        first = max(0, min(places) - 1 - LINES_BEFORE)
    found = list(_within_budget(lines, first, places))
    clipped = first > 0 or first + len(found) < len(lines) or any(len(line) > LONGEST_LINE for line in lines)
    note = _("Only a part of the %(number)s characters is shown.") % {"number": f"{len(text):,}"}
    return found, note if clipped else ""


def _within_budget(lines: list[str], first: int, places: dict[int, int]) -> Iterator[Line]:
    budget = MOST_TEXT
    for index in range(first, min(len(lines), first + MOST_LINES)):
        line = _line(index + 1, lines[index].rstrip("\r"), places.get(index + 1))
        yield line
        budget -= len(line.before) + len(line.after)
        if budget <= 0:
            return


def _line(number: int, text: str, column: int | None) -> Line:
    if column is None:
        return Line(number, clipped(text))
    place = min(column - 1, len(text))
    start = max(0, place - LONGEST_LINE // 2)
    end = place + LONGEST_LINE // 2
    return Line(
        number,
        ("…" if start else "") + text[start:place],
        # Something is missing at the end of a line: a space stands there to be marked.
        text[place : place + 1] or " ",
        text[place + 1 : end] + ("…" if end < len(text) else ""),
    )


@dataclass(frozen=True, slots=True)
class Change:
    """A line of two texts compared; `mark` is what is gone or new in it, and `gap` says that lines are left out."""

    kind: Literal["same", "gone", "new"]
    number: int
    before: str
    mark: str = ""
    after: str = ""
    gap: bool = False


def compared(old: str, new: str) -> tuple[list[Change], str]:
    """The lines round what differs between two texts, and a note where not all of it is there."""
    was, now = _lines_of(old), _lines_of(new)
    same = _common(was, now)
    rest_was, rest_now = was[same:], now[same:]
    alike = _common(rest_was[::-1], rest_now[::-1])
    middle_was, middle_now = rest_was[: len(rest_was) - alike], rest_now[: len(rest_now) - alike]
    if not middle_was and not middle_now:
        return [], ""
    found = list(_changes(middle_was, middle_now, same))
    first = max(0, same - LINES_AROUND)
    above = [Change("same", first + i + 1, clipped(line)) for i, line in enumerate(was[first:same])]
    after = same + len(middle_now)
    below = [
        Change("same", after + i + 1, clipped(line))
        for i, line in enumerate(now[after : after + LINES_AROUND])
    ]
    note = _("Only the first %(number)s lines of the changes are shown.") % {"number": MOST_LINES}
    return [*above, *found[:MOST_LINES], *below], note if len(found) > MOST_LINES else ""


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many items two sequences have in common at their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


def _lines_of(text: str) -> list[str]:
    return [line.rstrip("\r") for line in text.split("\n")]


def _changes(was: list[str], now: list[str], offset: int) -> Iterator[Change]:
    blocks: list[tuple[str, int, int, int, int]] = [("replace", 0, len(was), 0, len(now))]
    if max(len(was), len(now)) <= MOST_COMPARED:
        blocks = list(SequenceMatcher(None, was, now, autojunk=False).get_opcodes())
    for kind, was_from, was_to, now_from, now_to in blocks:
        old, new = was[was_from:was_to], now[now_from:now_to]
        if kind == "equal":
            yield from _unchanged(new, offset + now_from + 1)
            continue
        pairs = list(zip(old, new, strict=True)) if len(old) == len(new) else []
        for index, line in enumerate(old):
            yield _changed("gone", offset + was_from + index + 1, line, pairs[index][1] if pairs else "")
        for index, line in enumerate(new):
            yield _changed("new", offset + now_from + index + 1, line, pairs[index][0] if pairs else "")


def _unchanged(lines: list[str], number: int) -> Iterator[Change]:
    """Lines between two changes: those next to either, and that some are left out."""
    hidden = range(LINES_AROUND, len(lines) - LINES_AROUND) if len(lines) > 2 * LINES_AROUND + 1 else range(0)
    for index, line in enumerate(lines):
        if index not in hidden:
            yield Change("same", number + index, clipped(line), gap=index == hidden.stop and bool(hidden))


def _changed(kind: Literal["gone", "new"], number: int, line: str, other: str) -> Change:
    """A line that is gone or new, with what the other one in its place has not marked in it."""
    start = _common(line, other)
    end = _common(line[start:][::-1], other[start:][::-1])
    before, mark, after = line[:start], line[start : len(line) - end], line[len(line) - end :]
    most = LONGEST_LINE // 2
    return Change(
        kind,
        number,
        before if len(before) <= most else f"…{before[-most:]}",
        clipped(mark),
        after if len(after) <= most else f"{after[:most]}…",
    )


def clipped(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…"
