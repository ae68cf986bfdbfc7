"""The text of a received request on screen: as much of it as a person can look at, with the mistake marked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from leads import payload
from leads.models import Submission

MOST_TEXT = 64 * 1024  # characters of a body on screen
MOST_LINES = 300
LONGEST_LINE = 1_000  # characters
LINES_BEFORE = 8  # above the first marked line, where a text is too long to be shown whole


@dataclass(frozen=True, slots=True)
class Line:
    """A numbered line of a body; `mark` is the character where something is wrong, "" on other lines."""

    number: int
    before: str
    mark: str = ""
    after: str = ""


def body_text(submission: Submission) -> str:
    """The body as text, decoded as the reader of leads decodes it, so that lines and columns agree."""
    return payload.decode(bytes(submission.body))


def shown_body(submission: Submission) -> tuple[str, str]:
    """The body's text for the screen, and a note where it is not all there."""
    text = body_text(submission)
    if len(text) <= MOST_TEXT:
        return text, ""
    return text[:MOST_TEXT], f"Only the first {MOST_TEXT:,} of {len(text):,} characters are shown."


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
    return found, f"Only a part of the {len(text):,} characters is shown." if clipped else ""


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
        return Line(number, text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}…")
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
