"""What changed in a field mapping, in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_sync.mapping import Rule
from crm_sync.rule_diff import differences

LABELS = {"phone": "Phone", "topic": "Topic", "rating": "Rating"}
PHONE = Rule("phone", "field", source="phone")


def said(before: list[Rule], after: list[Rule]) -> list[str]:
    return [difference.words for difference in differences(before, after, LABELS)]


@pytest.mark.parametrize(
    ("was", "now", "words"),
    [
        (
            PHONE,
            Rule("phone", "field", source="phone", transform="e164"),
            "now “Phone number as +14255550100”",
        ),
        (Rule("phone", "field", source="phone", transform="e164"), PHONE, "now as it is"),
        (PHONE, Rule("phone", "field", source="title"), "now gets Job title"),
        (PHONE, Rule("phone", "constant", value="1"), "now is always “1”"),
        (PHONE, Rule("phone", "template", template="{{ phone }}"), "now gets the text “{{ phone }}”"),
        (PHONE, Rule("phone", "omit"), "now is left out"),
        (PHONE, Rule("phone", "field", source="phone", fallback="0"), "if empty, “0”"),
        (Rule("phone", "field", source="phone", fallback="0"), PHONE, "if empty, nothing stands in"),
        (
            PHONE,
            Rule("phone", "field", source="phone", when={"action": ("INS", "PLT")}),
            "only when Action code is INS or PLT",
        ),
        (Rule("phone", "field", source="phone", when={"action": ("INS",)}), PHONE, "now always"),
        (PHONE, Rule("phone", "field", source="phone", keep_empty=True), "now sent even when empty"),
        (
            Rule("phone", "lookup", source="country", table={"a": "1", "b": "2", "c": "3"}),
            Rule("phone", "lookup", source="country", table={"a": "1", "b": "9", "d": "4"}),
            "its value list: d added, b changed, c removed",
        ),
    ],
)
def test_a_changed_row_says_what_changed(was: Rule, now: Rule, words: str) -> None:
    assert said([was], [now]) == [f"row 1: “Phone” {words}"]


def test_rows_that_were_added_and_removed_are_named_with_their_number() -> None:
    topic, rating = Rule("topic", "constant", value="Lead"), Rule("rating", "constant", value="1")
    assert said([topic, rating], [topic, PHONE]) == [
        "row 2 added: “Phone” gets Phone",
        "row 2 removed: “Rating”",
    ]


def test_a_second_row_of_a_field_is_compared_with_the_second() -> None:
    first = Rule("phone", "constant", value="1", when={"action": ("PLT",)})
    assert said([PHONE], [first, PHONE]) == [
        "row 1: “Phone” now is always “1”; only when Action code is PLT",
        "row 2 added: “Phone” gets Phone",
    ]
    assert said([first, PHONE], [PHONE, first]) == ["the order of the rows of “Phone” changed"]


def test_rows_of_other_fields_may_change_places_without_a_word() -> None:
    topic = Rule("topic", "constant", value="Lead")
    assert said([topic, PHONE], [PHONE, topic]) == []


rules = st.lists(
    st.builds(
        Rule,
        target=st.sampled_from(["phone", "topic", "x"]),
        kind=st.sampled_from(["field", "constant", "omit", "lookup", "template"]),
        source=st.sampled_from(["phone", "extra.a", ""]),
        value=st.sampled_from(["", "a" * 100]),
    ),
    max_size=6,
)


@given(rules, rules)
def test_there_is_a_difference_exactly_where_a_field_is_sent_otherwise(
    before: list[Rule], after: list[Rule]
) -> None:
    def of(rules: list[Rule], target: str) -> list[Rule]:
        return [rule for rule in rules if rule.target == target]

    differ = {target for target in ("phone", "topic", "x") if of(before, target) != of(after, target)}
    assert {difference.target for difference in differences(before, after, LABELS)} == differ
