"""What a mapping would send for real leads, and what its editor is warned of."""

from typing import Any

import pytest

from crm_sync.inspection import Caution, Cell, cautions, look
from crm_sync.mapping import Rule
from crm_sync.spec import Spec, TargetField

SPEC = Spec(
    slug="crm",
    label="CRM",
    settings=(),
    fields=(
        TargetField("topic", "Topic", required=True, max_length=20),
        TargetField("phone", "Phone", "phone", max_length=20),
        TargetField("rating", "Rating", "choice", choices=(("1", "Hot"), ("2", "Cold"))),
        TargetField("optout", "Do not call", "flag"),
        TargetField("size", "Size", "number"),
    ),
    length_unit="utf-16",
    any_field=True,
)
LEAD: dict[str, Any] = {
    "offer_title": "Backup",
    "full_name": "Jane Doe",
    "phone": "+1 617 555 0100",
    "country": "US",
}
TOPIC = Rule("topic", "template", template="{{ offer_title }}: {{ full_name }}")


def cells(*rules: Rule, **values: Any) -> dict[str, Cell]:
    return dict(look(rules, LEAD | values, SPEC).cells)


def test_a_cell_shows_what_would_be_sent() -> None:
    sight = look([TOPIC, Rule("other", "field", source="country")], LEAD, SPEC)
    assert dict(sight.cells) == {"topic": Cell("Backup: Jane Doe"), "other": Cell("US")}
    assert dict(sight.rows) == {"topic": 0, "other": 1}
    assert not sight.fails


@pytest.mark.parametrize(
    ("rule", "values", "problem", "fatal"),
    [
        (TOPIC, {"full_name": "x" * 30}, "38 characters; the CRM allows 20: it is cut.", False),
        (
            TOPIC,
            {"offer_title": "", "full_name": "😀" * 10},
            "22 characters; the CRM allows 20: it is cut.",
            False,
        ),
        (
            Rule("phone", "field", source="phone"),
            {"phone": "1" * 21},
            "21 characters; the CRM allows 20: the CRM may refuse it.",
            True,
        ),
        (Rule("rating", "field", source="country"), {}, "“US” is none of the choices of “Rating”.", True),
        (
            Rule("optout", "field", source="country"),
            {},
            "“Do not call” takes true or false, and gets “US”.",
            True,
        ),
        (
            Rule("size", "field", source="phone"),
            {"phone": "many"},
            "“Size” takes a number, and gets “many”.",
            True,
        ),
    ],
)
def test_a_cell_says_what_the_crm_would_make_of_it(
    rule: Rule, values: dict[str, Any], problem: str, fatal: bool
) -> None:
    cell = cells(rule, **values)[rule.target]
    assert (cell.problem, cell.fatal) == (problem, fatal)


@pytest.mark.parametrize("value", ["1", "hot", "Cold "])
def test_a_choice_may_be_given_by_value_or_label(value: str) -> None:
    assert cells(Rule("rating", "constant", value=value))["rating"].problem == ""


def test_an_empty_required_field_fails_the_lead() -> None:
    sight = look([Rule("topic", "field", source="offer_title")], LEAD | {"offer_title": ""}, SPEC)
    assert sight.cells["topic"] == Cell("", "The CRM requires “Topic”, and it is empty.", fatal=True)
    assert sight.fails


def test_a_row_that_cannot_be_made_fails_the_lead() -> None:
    broken = Rule("topic", "template", template="{{ nonsense }}")
    assert cells(broken)["topic"].fatal


def said(*rules: Rule, recent: int = 100, **values: Any) -> list[Caution]:
    return cautions(rules, SPEC, [LEAD | values] * recent)


def test_a_mapping_that_fits_needs_no_word() -> None:
    assert said(TOPIC, Rule("phone", "field", source="phone", transform="e164")) == []


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Rule("phone", "field", source="extra.Fax"), "None of the last 100 leads brought “extra.Fax”."),
        (
            Rule("phone", "template", template="{{ company }}"),
            "None of the last 100 leads brought “Company”.",
        ),
        (
            Rule("optout", "field", source="phone"),
            "“Do not call” takes true or false: choose a fixed value or a value list.",
        ),
        (
            Rule("rating", "lookup", source="country", table={"DE": "1"}),
            "Not in the value list: “US”. They count as empty.",
        ),
    ],
)
def test_what_would_go_wrong_is_told_before_it_does(rule: Rule, message: str) -> None:
    assert said(TOPIC, rule) == [Caution(rule.target, message, 1)]


def test_a_required_field_without_a_row_is_named() -> None:
    assert said() == [Caution("topic", "The CRM requires “Topic”, and no row fills it.")]


def test_too_few_leads_say_nothing_of_what_is_never_sent() -> None:
    assert said(TOPIC, Rule("phone", "field", source="extra.Fax"), recent=4) == []


def test_a_value_list_is_matched_as_a_push_matches_it() -> None:
    rule = Rule("rating", "lookup", source="country", table={"de": "1"}, transform="iso_country")
    assert said(TOPIC, rule, country="Germany") == []
