"""Answers of which nothing is taken to be of the right type."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crm_sync.connectors.shapes import items, object_in, objects, part

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)


def test_what_is_there_is_read() -> None:
    answer = {"error": {"details": [{"code": "X"}, "noise", {"code": "Y"}]}}
    assert [each["code"] for each in objects(part(answer, "error", "details"))] == ["X", "Y"]
    assert items(part(answer, "error", "details"))[1] == "noise"
    assert object_in(answer, "error") == answer["error"]


@given(_json)
def test_whatever_is_answered_is_read_as_what_it_should_be_or_as_nothing(answer: Any) -> None:
    assert isinstance(items(answer), list)
    assert all(isinstance(each, dict) for each in objects(answer))
    assert isinstance(object_in(answer, "a", "b"), dict)
    assert part(answer, "a", "b") is None or isinstance(answer["a"], dict)
