"""Rules as a form and back: nothing is lost on the way, whatever a rule says."""

import pytest
from django.core.exceptions import BadRequest
from django.http import QueryDict
from django.utils.http import urlencode
from hypothesis import given
from hypothesis import strategies as st

from crm_sync import row_forms
from crm_sync.mapping import TRANSFORMS, Rule
from crm_sync.row_forms import Choices, RowForm, forms_of, raws_of
from crm_sync.spec import Spec, TargetField

SPEC = Spec(
    slug="test",
    label="Test",
    settings=(),
    fields=(
        TargetField("topic", "Topic", required=True),
        TargetField("email", "Mail"),
        TargetField("mail", "Email"),  # a label that is another field's name
        TargetField("a", "Twin"),
        TargetField("b", "Twin"),
        TargetField("rating", "Rating", "choice", choices=(("1", "Hot"), ("2", "Cold"), ("Cold", "1"))),
    ),
    any_field=True,
)
CHOICES = Choices(SPEC, row_forms.source_choices([], SPEC))


def typed(**inputs: str | list[str]) -> RowForm:
    """A row as somebody filled it in."""
    raw = {name: value if isinstance(value, list) else [value] for name, value in inputs.items()}
    return forms_of([raw], CHOICES)[0]


def rule_of(**inputs: str | list[str]) -> Rule:
    form = typed(**inputs)
    assert dict(form.errors) == {}
    assert form.rule
    return form.rule


def again(rule: Rule) -> Rule | None:
    """What is saved if nothing is touched."""
    (form,) = forms_of(raws_of([rule], CHOICES), CHOICES)
    assert dict(form.errors) == {}, form.errors
    return form.rule


# A browser takes line ends out of what it shows in one line, and sends those of a box as CR LF.
TEXT = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\u2028\u2029\x85"), max_size=12
)
FILLED = TEXT.filter(str.strip)
SOURCES = st.sampled_from(["email", "country_code", "campaign.utm source", "extra.a = b", "extra.<b>"])
TARGETS = st.sampled_from(["topic", "email", "mail", "a", "b", "something.own", "Ünknown"])
WHEN = st.dictionaries(SOURCES, st.lists(TEXT, min_size=1, max_size=3).map(tuple), max_size=2)
MORE = {"fallback": TEXT, "keep_empty": st.booleans(), "when": WHEN}
SLUGS = st.sampled_from(["", *TRANSFORMS])
RULES = st.one_of(
    st.builds(Rule, TARGETS, st.just("field"), source=SOURCES, transform=SLUGS, **MORE),
    st.builds(Rule, TARGETS, st.just("constant"), value=TEXT, when=WHEN, keep_empty=st.booleans()),
    st.builds(
        Rule,
        TARGETS,
        st.just("template"),
        template=st.sampled_from(["{{ company }}\n{{ action }}", " x "]),
        **MORE,
    ),
    st.builds(
        Rule,
        TARGETS,
        st.just("lookup"),
        source=SOURCES,
        table=st.dictionaries(FILLED, TEXT.filter(bool), min_size=1, max_size=3),
        transform=SLUGS,
        **MORE,
    ),
    st.builds(Rule, TARGETS, st.just("omit"), when=WHEN),
    st.just(Rule("*", "field", source="*")),
)


@given(RULES)
def test_a_rule_that_is_shown_and_saved_untouched_stays_what_it_was(rule: Rule) -> None:
    assert again(rule) == rule


@given(st.text(max_size=30))
def test_conditions_never_crash_whatever_is_typed(text: str) -> None:
    form = typed(target="topic", kind="omit", when=text)
    assert form.errors or form.rule


# Fields


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Topic", "topic"),
        ("topic", "topic"),
        (" tOPIC ", "topic"),
        ("Mail", "email"),
        ("email", "email"),
        ("Email", "mail"),
        ("mail", "mail"),
        ("Twin", "Twin"),
        ("a", "a"),
        ("my.own", "my.own"),
    ],
)
def test_a_field_is_named_by_its_name_or_by_a_label_that_is_its_alone(written: str, name: str) -> None:
    if written == "Email":
        # Its label in small letters is the name of another: in capitals it can only be meant.
        assert CHOICES.name(written) == name
    assert rule_of(target=written, kind="constant", value="x").target == name


@pytest.mark.parametrize("name", ["topic", "email", "mail", "a", "b", "my.own", "*"])
def test_what_is_shown_names_the_field_that_it_is_shown_for(name: str) -> None:
    assert CHOICES.name(CHOICES.shown(name)) == name


# Choices


@pytest.mark.parametrize(
    ("written", "kept"),
    [("Hot", "1"), (" hot ", "1"), ("1", "1"), ("2", "2"), ("Cold", "Cold")],
)
def test_a_choice_is_typed_by_its_label_or_as_the_crm_has_it(written: str, kept: str) -> None:
    assert rule_of(target="rating", kind="constant", value=written).value == kept
    by_list = rule_of(
        target="Rating", kind="lookup", source="action", table_key=["PLT"], table_value=[written]
    )
    assert by_list.table == {"PLT": kept}
    assert rule_of(target="rating", kind="field", source="action", fallback=written).fallback == kept


def test_a_choice_is_shown_by_its_label_where_that_is_its_alone() -> None:
    (raw,) = raws_of([Rule("rating", "constant", value="1")], CHOICES)
    assert raw["value"] == ["Hot"]
    (raw,) = raws_of([Rule("rating", "constant", value="2")], CHOICES)
    assert raw["value"] == ["2"]  # “Cold” is what the CRM calls another


def test_what_is_no_choice_is_refused() -> None:
    assert set(typed(target="rating", kind="constant", value="Warm").errors) == {"value"}


# Value lists


def test_a_value_list_takes_two_columns_of_a_spreadsheet_and_lines() -> None:
    rule = rule_of(
        target="topic",
        kind="lookup",
        source="country_code",
        table_key=["US", "", "FR"],
        table_value=["United States", "", ""],
        table_paste="DE\tGermany\r\n\r\nAT = Austria\nCH=Switzerland\nUS\tUSA",
    )
    assert rule.table == {"US": "USA", "DE": "Germany", "AT": "Austria", "CH": "Switzerland"}


@pytest.mark.parametrize(
    "inputs",
    [
        {"table_paste": "no two columns"},
        {"table_paste": "\tGermany"},
        {"table_key": ["US", "US"], "table_value": ["a", "b"]},
        {"table_key": [""], "table_value": ["b"]},
        {"table_key": ["US"], "table_value": [""]},
        {},
    ],
)
def test_a_value_list_that_cannot_be_meant_is_refused(inputs: dict[str, list[str]]) -> None:
    assert set(typed(target="topic", kind="lookup", source="country", **inputs).errors) == {"table"}


# Rows


def test_what_a_kind_does_not_use_is_cleared() -> None:
    rule = rule_of(
        target="topic", kind="constant", value="Hi", source="email", template="{{ nonsense", transform="lower"
    )
    assert rule == Rule("topic", "constant", value="Hi")


@pytest.mark.parametrize(
    ("inputs", "marked"),
    [
        ({"target": "", "kind": "constant", "value": "x"}, "target"),
        ({"target": "email", "kind": "nonsense"}, "kind"),
        ({"target": "email", "kind": "field", "source": "nonsense"}, "source"),
        ({"target": "email", "kind": "field"}, "source"),
        ({"target": "email", "kind": "field", "source": "email", "transform": "nonsense"}, "transform"),
        ({"target": "email", "kind": "template", "template": "{{ nonsense }}"}, "template"),
        ({"target": "email", "kind": "template", "template": "{% for x in y %}"}, "template"),
        ({"target": "email", "kind": "omit", "when": "nonsense = x"}, "when"),
        ({"target": "email", "kind": "omit", "when": "no sign"}, "when"),
        ({"target": "email", "kind": "omit", "when": "action ="}, "when"),
        ({"target": "email", "kind": "omit", "when": '{"action": "PLT"}'}, "when"),
        ({"target": "email", "kind": "omit", "when": '{"action": [1]}'}, "when"),
        ({"target": "email", "kind": "omit", "when": "{" * 9000}, "when"),
    ],
)
def test_a_bad_row_is_marked_where_it_is_wrong(inputs: dict[str, str], marked: str) -> None:
    assert set(typed(**inputs).errors) == {marked}


def test_a_text_that_cannot_be_read_says_where() -> None:
    form = typed(target="topic", kind="template", template="{{ company }}\n {{ nonsense }}")
    assert "(line 2, column" in form.errors["template"][0]


def test_an_empty_row_and_one_without_its_field_are_wrong_only_once_they_are_saved() -> None:
    begun = {"kind": ["field"], "source": ["email"], "new": ["1"]}
    (form,) = forms_of([begun], CHOICES, finished=False)
    assert (dict(form.errors), form.rule) == ({}, None)
    (form,) = forms_of([begun], CHOICES)
    assert set(form.errors) == {"target"}


def test_rows_stand_as_the_crm_lists_them_required_ones_first() -> None:
    rules = [
        Rule(name, "omit", when=when)
        for name, when in (
            ("*", {}),
            ("own", {}),
            ("b", {}),
            ("email", {"action": ("PLT",)}),
            ("email", {}),
            ("topic", {}),
        )
    ]
    ordered = row_forms.in_order(rules, SPEC)
    assert [rule.target for rule in ordered] == ["topic", "email", "email", "b", "own", "*"]
    assert ordered[1].when, "those of one field keep their order"


@pytest.mark.parametrize("rows", ["", "x", "-1", "1e3", "0x1", "²", "9" * 5000])
def test_a_number_of_rows_that_is_none_is_none(rows: str) -> None:
    assert row_forms.raws_in(QueryDict(urlencode({"rows": rows}))) == []


def test_more_rows_than_a_page_holds_are_refused_and_not_cut() -> None:
    data = QueryDict("rows=401")
    with pytest.raises(BadRequest):
        row_forms.raws_in(data)
