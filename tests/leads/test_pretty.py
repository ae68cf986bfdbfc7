"""A body with a line for each value: nothing but the space between its parts changes."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads.pretty import indented

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
).filter(lambda value: isinstance(value, dict | list))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('{"a":1,"b":{"c":[]}}', ["{", '  "a": 1,', '  "b": {', '    "c": []', "  }", "}"]),
        ('{"a":1.10,"a":2}', ["{", '  "a": 1.10,', '  "a": 2', "}"]),
        ('{"a": "x, {y}: \\"z\\""}', ["{", '  "a": "x, {y}: \\"z\\""', "}"]),
        ('{"Title":"x"\n "Text":"y"}', ["{", '  "Title": "x"', '  "Text": "y"', "}"]),
        ("[]", ["[]"]),
        ("]{", [""]),
        ("FirstName=Jane&LastName=Doe", [""]),
        ("", [""]),
    ],
)
def test_each_value_has_its_line(text: str, lines: list[str]) -> None:
    assert indented(text).split("\n") == lines


@given(value=JSON, compact=st.booleans())
def test_what_is_said_stays_the_same(value: Any, compact: bool) -> None:
    text = json.dumps(value, separators=(",", ":") if compact else None)
    assert json.loads(indented(text)) == value
    assert indented(indented(text)) == indented(text)


@given(st.text(alphabet='{}[]",:\\ \na1'))
def test_whatever_is_broken_loses_no_character(text: str) -> None:
    def told(said: str) -> str:
        return re.sub(r"\s", "", said)

    assert indented(text) == "" or told(indented(text)) == told(text)


def test_a_body_of_nothing_but_brackets_does_not_explode() -> None:
    assert len(indented("[" * 20_000)) < 1_000_000
