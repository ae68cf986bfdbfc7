"""Field mappings as tables: rules and the values of a lead -> the record of a CRM, or what is wrong."""

import sys
import time
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_sync import templates
from crm_sync.mapping import (
    KINDS,
    LEAD_VALUES,
    TRANSFORMS,
    Applied,
    RowProblem,
    Rule,
    RuleError,
    apply,
    check,
    compose,
    is_lead_value,
    problems,
    suggested_rules,
    unmapped_required,
)
from crm_sync.spec import Spec, TargetField

CONTACT_ME = {
    "id": "0b6e6a4e-5a3c-4c39-9f3b-0f6a3c1f7f10",
    "first_name": "Jane",
    "last_name": "Doe",
    "full_name": "Jane Doe",
    "email": "jane@example.com",
    "phone": "(425) 555-0100",
    "company": "Fabrikam",
    "title": "",
    "country": "USA",
    "country_code": "US",
    "lead_source": "AppSource-PLT|Contoso Backup",
    "source": "AppSource",
    "action": "PLT",
    "action_label": "Contact me",
    "publisher_id": "contoso",
    "offer_id": "backup",
    "offer_title": "Contoso Backup",
    "description": "",
    "received_at": "2026-11-22T10:00:00Z",
    "is_test": False,
    "campaign.utm_source": "newsletter",
    "extra.Deal size": "12",
}
GET_IT_NOW = CONTACT_ME | {
    "action": "INS",
    "action_label": "Get it now",
    "country": "Deutschland",
    "country_code": "DE",
}

DESIGN = [
    {"target": "title", "kind": "template", "template": "{{ offer_title }}: {{ full_name }}"},
    {"target": "type", "kind": "constant", "value": "lead"},
    {
        "target": "country",
        "kind": "lookup",
        "source": "country_code",
        "table": {"US": "United States"},
        "fallback": "",
    },
    {"target": "phone", "kind": "field", "source": "phone", "transform": "e164", "when": {"action": ["PLT"]}},
    {"target": "company", "kind": "omit"},
]
FIELDS = (
    TargetField("Email", "E-mail", type="email", required=True, max_length=20),
    TargetField("LastName", "Last name", required=True),
    TargetField("Status", "Status", type="choice", choices=(("new", "New"), ("open", "Open"))),
    TargetField("email", "As the lead calls it", required=True),
)


def rule(target="Email", kind="field", **settings):
    return Rule(target, kind, **({"source": "email"} if kind == "field" else {}) | settings)


def record(*rules, values=CONTACT_ME):
    applied = apply(rules, values)
    assert applied.problems == ()
    return applied.record


def configured(*rules):
    return tuple(Rule.from_config(data, f"mapping[{index}]") for index, data in enumerate(rules))


# Transforms.


@pytest.mark.parametrize(
    ("slug", "text", "result"),
    [
        ("trim", "  Jane \n", "Jane"),
        ("upper", "straße", "STRASSE"),
        ("lower", "JANE@Example.com", "jane@example.com"),
        ("title", "jane van-doe", "Jane Van-Doe"),
        ("title", "JANE DOE", "Jane Doe"),
        ("title", "Jane McDonald van der Berg", "Jane McDonald van der Berg"),
        ("title", "", ""),
        ("first_word", "  Jane  Doe", "Jane"),
        ("first_word", " ", ""),
        ("digits", "+1 (425) 555-0100", "14255550100"),
        ("digits", "٤٢٥ x²", "425"),
        ("e164", "(425) 555-0100", "+14255550100"),
        ("e164", "0049 30 901820", "0049 30 901820"),
        ("e164", "+49 30 901820", "+4930901820"),
        ("e164", "call me", "call me"),
        ("e164", "12", "12"),
        ("e164", "9" * 300, "9" * 300),
        ("e164", "", ""),
        ("iso_country", "Deutschland", "DE"),
        ("iso_country", "Atlantis", "Atlantis"),
        ("country_name", "us", "United States"),
        ("country_name", "Atlantis", "Atlantis"),
        ("date", "2026-11-22T23:59:00Z", "2026-11-22"),
        ("date", "2026-11-22T23:59:00.123+02:00", "2026-11-22"),
        ("date", "next week", "next week"),
        ("date", "", ""),
    ],
)
def test_a_transform_changes_text_and_keeps_what_it_cannot_read(slug, text, result):
    assert TRANSFORMS[slug].apply(text, {"country_code": "US"}) == result


def test_a_national_number_without_a_country_is_kept():
    for values in ({}, {"country_code": ""}, {"country_code": "XX"}, {"country_code": None}):
        assert TRANSFORMS["e164"].apply("(425) 555-0100", values) == "(425) 555-0100"


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(sorted(TRANSFORMS)),
    st.text(max_size=60) | st.text("+0123456789() x", max_size=20),
    st.text(max_size=3),
)
def test_no_transform_ever_fails(slug, text, country):
    assert isinstance(TRANSFORMS[slug].apply(text, {"country_code": country}), str)


def test_every_transform_and_every_lead_value_has_a_label():
    assert all(transform.label for transform in TRANSFORMS.values())
    assert all(LEAD_VALUES.values())


def test_any_key_of_campaign_and_extra_is_a_lead_value_and_no_other_name():
    assert is_lead_value("email")
    assert is_lead_value("campaign.utm_source")
    assert is_lead_value("extra.Deal size (USD).x")
    assert not any(map(is_lead_value, ("campaign.", "extra", "*", "", "Email", "other.key")))


# Rules of every kind.


@pytest.mark.parametrize(
    ("one", "result"),
    [
        (rule(source="email"), "jane@example.com"),
        (rule(source="extra.Deal size"), "12"),
        (rule(source="is_test"), False),
        (rule(source="is_test", transform="upper"), "FALSE"),
        (rule(source="phone", transform="e164"), "+14255550100"),
        (rule(source="title", fallback="unknown"), "unknown"),
        (rule(source="email", fallback="unknown"), "jane@example.com"),
        (rule(source="title", keep_empty=True), ""),
        (rule(source="title", fallback="unknown", keep_empty=True), "unknown"),
        (rule(source="campaign.absent", fallback="none"), "none"),
        (rule(kind="constant", value=" lead "), " lead "),
        (rule(kind="constant", keep_empty=True), ""),
        (rule(kind="template", template="{{ first_name }} of {{ company }}"), "Jane of Fabrikam"),
        (rule(kind="template", template="{{ full_name }}", transform="upper"), "JANE DOE"),
        (rule(kind="template", template="{{ title }}", fallback="unknown"), "unknown"),
        (rule(kind="lookup", source="country_code", table={"US": "United States"}), "United States"),
        (rule(kind="lookup", source="country_code", table={" us ": "loosely", "US": "exactly"}), "exactly"),
        (rule(kind="lookup", source="country_code", table={" us ": "loosely"}), "loosely"),
        (rule(kind="lookup", source="country", transform="iso_country", table={"US": "1"}), "1"),
        (rule(kind="lookup", source="country", transform="digits", table={"usa": "as sent"}), "as sent"),
        (rule(kind="lookup", source="is_test", table={"true": "Test", "false": "Live"}), "Live"),
        (rule(kind="lookup", source="country_code", table={"DE": "Germany"}, fallback="Other"), "Other"),
        (rule(kind="lookup", source="country_code", table={"US": ""}, fallback="Other"), "Other"),
        (rule(kind="lookup", source="country_code", table={"DE": "x"}, keep_empty=True), ""),
    ],
)
def test_a_rule_fills_its_target(one, result):
    assert record(one) == {"Email": result}


@pytest.mark.parametrize(
    "one",
    [
        rule(source="title"),
        rule(source="campaign.absent"),
        rule(source="title", transform="upper"),
        rule(kind="constant"),
        rule(kind="template", template="{{ title }}"),
        rule(kind="lookup", source="country_code", table={"DE": "Germany"}),
        rule(kind="omit"),
        rule(kind="omit", keep_empty=True),
    ],
)
def test_an_empty_result_is_left_out(one):
    assert record(one) == {}
    assert apply([one], CONTACT_ME).used == {"Email": 0}


def test_a_value_with_parts_is_sent_as_json():
    assert record(rule(source="extra.x"), values={"extra.x": {"a": [1, True, "é"]}}) == {
        "Email": '{"a": [1, true, "é"]}'
    }


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({"action": ("PLT",)}, True),
        ({"action": ("INS", "plt")}, True),
        ({"action": ("INS",)}, False),
        ({"action": ()}, False),
        ({"is_test": ("False",)}, True),
        ({"is_test": ("true",)}, False),
        ({"country_code": ("US",), "action": ("PLT",)}, True),
        ({"country_code": ("US",), "action": ("INS",)}, False),
        ({"campaign.utm_source": ("Newsletter",)}, True),
        ({"campaign.absent": ("x",)}, False),
        ({"campaign.absent": ("",)}, True),
        ({"title": ("",)}, True),
    ],
)
def test_a_rule_holds_where_all_its_conditions_do_in_capitals_or_not(when, holds):
    assert record(rule(when=when)) == ({"Email": "jane@example.com"} if holds else {})


def test_the_first_rule_that_holds_decides_even_to_leave_the_target_out():
    fall_through = rule(kind="constant", value="any")
    assert record(rule(kind="constant", value="PLT", when={"action": ("PLT",)}), fall_through) == {
        "Email": "PLT"
    }
    assert record(rule(kind="constant", value="INS", when={"action": ("INS",)}), fall_through) == {
        "Email": "any"
    }
    assert record(rule(kind="omit"), fall_through) == {}
    assert record(rule(source="title"), fall_through) == {}


def test_a_record_keeps_the_order_in_which_the_rules_first_name_their_targets():
    rules = [
        rule("b", when={"action": ("INS",)}),
        rule("a"),
        rule("c"),
        rule("b", kind="constant", value="later"),
    ]
    assert list(record(*rules)) == ["b", "a", "c"]


def test_a_routes_rules_go_before_those_it_inherits():
    route = (rule("Status", "constant", value="hot", when={"action": ("PLT",)}),)
    inherited = (rule("Status", "constant", value="new"), rule("Email"))
    rules = compose(route, inherited)
    assert rules == route + inherited
    assert record(*rules) == {"Status": "hot", "Email": "jane@example.com"}
    assert record(*rules, values=GET_IT_NOW) == {"Status": "new", "Email": "jane@example.com"}
    assert compose() == ()


@pytest.mark.parametrize(
    ("lead", "expected"),
    [
        (
            CONTACT_ME,
            {
                "title": "Contoso Backup: Jane Doe",
                "type": "lead",
                "country": "United States",
                "phone": "+14255550100",
            },
        ),
        (GET_IT_NOW, {"title": "Contoso Backup: Jane Doe", "type": "lead"}),
    ],
)
def test_the_example_of_the_design_maps_a_lead(lead, expected):
    rules = configured(*DESIGN)
    assert check(rules, (), any_field=True) == []
    assert record(*rules, values=lead) == expected


# "*", every lead value under its own name.

EVERYTHING = Rule("*", "field", source="*")


def test_everything_is_every_value_that_is_not_empty_in_the_leads_order():
    sent = {name: value for name, value in CONTACT_ME.items() if value != ""}
    assert record(EVERYTHING) == sent
    assert list(record(EVERYTHING)) == list(sent)
    assert record(EVERYTHING)["is_test"] is False
    assert record(EVERYTHING)["campaign.utm_source"] == "newsletter"


def test_everything_gives_way_to_rules_of_its_targets_wherever_it_stands():
    others = (
        rule("email", "omit"),
        rule("phone", transform="e164", source="phone"),
        rule("company", source="title"),
    )
    for rules in ((EVERYTHING, *others), (*others, EVERYTHING)):
        sent = record(*rules)
        assert "email" not in sent
        assert "company" not in sent
        assert sent["phone"] == "+14255550100"
        assert next(iter(sent)) == "phone"
        assert sent["first_name"] == "Jane"
    assert apply((*others, EVERYTHING), CONTACT_ME).used["first_name"] == len(others)


def test_the_design_example_inherits_everything_else_from_a_webhook():
    sent = record(*compose(configured(*DESIGN), (EVERYTHING,)), values=GET_IT_NOW)
    assert list(sent)[:2] == ["title", "type"]
    assert "country" not in sent  # Germany is not in the table, and its rule has decided
    assert sent["phone"] == "(425) 555-0100"  # the rule for it holds for PLT only
    assert "company" not in sent


def test_everything_can_have_a_condition():
    conditional = Rule("*", "field", source="*", when={"action": ("INS",)})
    assert record(conditional) == {}
    assert record(conditional, values=GET_IT_NOW)["email"] == "jane@example.com"


# Failures of one row.


def test_a_template_that_fails_for_one_lead_is_a_problem_of_its_row_only():
    long = rule("Long", "template", template="{{ description }}", fallback="not used")
    applied = apply([rule(), long], CONTACT_ME | {"description": "x" * 20_000})
    assert applied.record == {"Email": "jane@example.com"}
    [problem] = applied.problems
    assert (problem.index, problem.target) == (1, "Long")
    assert "truncate" in problem.message


@pytest.mark.parametrize(
    ("hostile", "part"),
    [
        (Rule("Email", "magic"), "no kind of rule “magic”"),
        (rule(transform="magic"), "no transform “magic”"),
        (rule(kind="template", template="{% for x in y %}"), "“for” cannot be used"),
        (rule(kind="template", template="x" * 5000), "shorten it"),
    ],
)
def test_a_rule_that_never_was_checked_is_a_problem_not_an_exception(hostile, part):
    applied = apply([hostile], CONTACT_ME)
    assert applied.record == {}
    [problem] = applied.problems
    assert isinstance(problem, RowProblem)
    assert part in problem.message


TEXT = st.text(max_size=12)
NAMES = st.sampled_from([*LEAD_VALUES, "campaign.utm_source", "extra.x"])
TEMPLATES = st.sampled_from(
    ("{{ full_name }}", "{% if company %}{{ extra.x | e164 }}{% endif %}", "{{ email | date: company }}")
)
RULES = st.builds(
    Rule,
    target=st.sampled_from(["a", "b", "email", "*"]) | TEXT,
    kind=st.sampled_from(KINDS) | TEXT,
    source=NAMES | st.just("*") | TEXT,
    value=TEXT,
    template=TEMPLATES | TEXT,
    table=st.dictionaries(TEXT, TEXT, max_size=3),
    transform=st.sampled_from(["", *TRANSFORMS]) | TEXT,
    fallback=TEXT,
    when=st.dictionaries(NAMES | TEXT, st.lists(TEXT, max_size=2).map(tuple), max_size=2),
    keep_empty=st.booleans(),
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(RULES, max_size=5), st.dictionaries(NAMES | TEXT, ANYTHING, max_size=5))
def test_apply_never_raises_for_any_rules_and_any_values(rules, values):
    applied = apply(rules, values)
    assert isinstance(applied, Applied)
    assert applied.record.keys() <= applied.used.keys()
    assert all(isinstance(value, str | bool) for value in applied.record.values())
    assert all(problem.target not in applied.record for problem in applied.problems)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.builds(
            Rule,
            target=st.sampled_from("abc"),
            kind=st.sampled_from(("constant", "omit")),
            value=st.sampled_from(("", "1", "2")),
            when=st.dictionaries(
                st.sampled_from(("action", "is_test")),
                st.sampled_from((("INS",), ("plt", "true"), ("FALSE",))),
            ),
        ),
        max_size=8,
    )
)
def test_the_first_holding_rule_wins_as_in_a_naive_model(rules):
    lead = {"action": "PLT", "is_test": False}
    expected = {}
    for target in dict.fromkeys(one.target for one in rules):
        for one in rules:
            wanted = {name: [text.lower() for text in texts] for name, texts in one.when.items()}
            holds = all(str(lead[name]).lower() in texts for name, texts in wanted.items())
            if one.target == target and holds:
                if one.kind == "constant" and one.value:
                    expected[target] = one.value
                break
    assert list(apply(rules, lead).record.items()) == list(expected.items())


# Configuration.


@settings(max_examples=200, deadline=None)
@given(RULES)
def test_a_rule_survives_its_configuration(one):
    assert Rule.from_config(one.as_config()) == one


def test_a_configuration_says_only_what_is_set():
    full = {
        "target": "phone",
        "kind": "lookup",
        "source": "phone",
        "table": {"a": "b"},
        "transform": "trim",
        "fallback": "x",
        "when": {"action": ["PLT"]},
        "keep_empty": True,
    }
    assert Rule.from_config(full).as_config() == full
    assert EVERYTHING.as_config() == {"target": "*", "kind": "field", "source": "*"}
    assert rule(kind="omit").as_config() == {"target": "Email", "kind": "omit"}


def test_a_configuration_shares_nothing_with_its_rule():
    one = Rule.from_config({"target": "x", "kind": "lookup", "source": "email", "table": {"a": "b"}})
    one.as_config()["table"].clear()
    assert one.table == {"a": "b"}


@pytest.mark.parametrize(
    ("data", "path", "part"),
    [
        ("email", "mapping[2]", "A rule is an object"),
        ({"kind": "omit"}, "mapping[2].target", "has no “target”; add it"),
        ({"target": "x"}, "mapping[2].kind", "has no “kind”; add it"),
        ({"target": "x", "kind": "omit", "tranform": ""}, "mapping[2].tranform", "did you mean “transform”?"),
        ({"target": "x", "kind": "omit", 7: ""}, "mapping[2].7", "no “7”"),
        ({"target": 7, "kind": "omit"}, "mapping[2].target", "text, in quotes"),
        ({"target": "x", "kind": "constant", "value": True}, "mapping[2].value", "text, in quotes"),
        ({"target": "x", "kind": "field", "keep_empty": "yes"}, "mapping[2].keep_empty", "without quotes"),
        ({"target": "x", "kind": "lookup", "table": ["US"]}, "mapping[2].table", "object of texts"),
        ({"target": "x", "kind": "lookup", "table": {"US": 1}}, "mapping[2].table.US", "text, in quotes"),
        ({"target": "x", "kind": "omit", "when": ["PLT"]}, "mapping[2].when", "object of lists"),
        (
            {"target": "x", "kind": "omit", "when": {"action": "PLT"}},
            "mapping[2].when.action",
            "list of texts",
        ),
        (
            {"target": "x", "kind": "omit", "when": {"is_test": [True]}},
            "mapping[2].when.is_test[0]",
            "text, in",
        ),
    ],
)
def test_what_cannot_be_a_rule_is_refused_with_its_path(data, path, part):
    with pytest.raises(RuleError) as caught:
        Rule.from_config(data, "mapping[2]")
    assert caught.value.path == path
    assert part in caught.value.message
    assert str(caught.value) == f"{path}: {caught.value.message}"


def test_a_rule_without_a_file_names_the_key_alone():
    with pytest.raises(RuleError) as caught:
        Rule.from_config({"target": "x"})
    assert caught.value.path == "kind"


# Checks.


@pytest.mark.parametrize(
    ("one", "key", "part"),
    [
        (Rule("Email", "feild"), "kind", "did you mean “field”?"),
        (Rule("", "constant", value="x"), "target", "Name the field"),
        (rule("Emial"), "target", "did you mean “Email”?"),
        (rule(source=""), "source", "Name the lead value"),
        (rule(source="first_nmae"), "source", "did you mean “first_name”?"),
        (rule(source="campaign"), "source", "needs a key"),
        (rule(transform="titel"), "transform", "did you mean “title”?"),
        (rule(transform="x"), "transform", "Choose one of: trim"),
        (rule(kind="template"), "template", "Write the text"),
        (rule(kind="template", template="a\n{{ x }}"), "template", "(line 2, column 4)"),
        (
            rule(kind="template", template="x" * 2001),
            "template",
            "2,001 characters; shorten it to at most 2,000.",
        ),
        (rule(kind="lookup", source="email"), "table", "at least one row"),
        (rule(kind="lookup", table={"a": "b"}), "source", "Name the lead value"),
        (rule(kind="omit", fallback="x"), "fallback", "kind “omit” does not use “fallback”; take it out"),
        (rule(kind="omit", keep_empty=True), "keep_empty", "take it out"),
        (rule(kind="constant", value="x", transform="trim"), "transform", "take it out"),
        (rule(table={"a": "b"}), "table", "take it out"),
        (rule(when={"acton": ("PLT",)}), "when.acton", "did you mean “action”?"),
        (rule(when={"action": ()}), "when.action", "List the values"),
        (rule(fallback="x" * 21), "fallback", "“E-mail” holds 20 characters, this has 21"),
        (rule("Status", "constant", value="opne"), "value", "has no choice “opne”; did you mean “open”?"),
        (rule("Status", "lookup", source="action", table={"PLT": "hot"}), "table.PLT", "has no choice “hot”"),
        (rule("x" * 201), "target", "more than 200 characters"),
        (rule(kind="constant", value="x" * 4001), "value", "more than 4,000 characters"),
        (rule(kind="lookup", source="email", table={"x" * 4001: ""}), "table", "more than 4,000 characters"),
        (rule(when={"action": ("x" * 4001,)}), "when", "more than 4,000 characters"),
        (rule(when={"action": tuple(map(str, range(1001)))}), "when", "more than 1,000 entries"),
        (
            rule(kind="lookup", source="email", table=dict.fromkeys(map(str, range(1001)), "")),
            "table",
            "more than 1,000 entries",
        ),
        (Rule("*", "omit"), "target", "Every lead value under its own name"),
        (Rule("x", "field", source="*"), "target", "Every lead value under its own name"),
        (Rule("*", "field", source="*", transform="trim"), "target", "nothing else goes with it"),
        (EVERYTHING, "target", "takes only the fields it lists"),
    ],
)
def test_a_wrong_rule_is_told_before_it_is_saved(one, key, part):
    [problem] = problems(one, FIELDS, any_field=False)
    assert problem.path == key
    assert part in problem.message


@pytest.mark.parametrize("kind", KINDS)
def test_a_right_rule_of_every_kind_passes(kind):
    settings = {
        "field": {"source": "extra.any key", "transform": "trim", "fallback": "x", "keep_empty": True},
        "constant": {"value": "x"},
        "template": {"template": "{{ email }}", "transform": "lower", "fallback": "x"},
        "lookup": {"source": "country_code", "table": {"US": "us"}, "transform": "upper"},
        "omit": {},
    }[kind]
    assert (
        problems(Rule("Email", kind, when={"is_test": ("false",)}, **settings), FIELDS, any_field=False) == []
    )


def test_a_crm_of_many_fields_is_not_listed_in_a_sentence():
    many = [TargetField(f"Custom{number}", "") for number in range(30)]
    [problem] = problems(rule("zzz"), many, any_field=False)
    assert problem.message == "The CRM has no field “zzz”."


def test_a_crm_that_takes_any_field_takes_fields_it_does_not_list():
    assert problems(rule("Anything"), FIELDS, any_field=True) == []
    assert problems(EVERYTHING, (), any_field=True) == []


def test_a_check_of_several_rules_names_the_row_and_allows_a_target_twice():
    found = check([rule(), rule(), rule(transform="x", source="y")], FIELDS, any_field=False)
    assert [problem.path for problem in found] == ["mapping[2].source", "mapping[2].transform"]


@pytest.mark.parametrize(
    ("rules", "missing"),
    [
        ((), ["Email", "LastName", "email"]),
        ((rule("Email"), rule("LastName", when={"action": ("PLT",)})), ["email"]),
        ((rule("Email", "omit"), rule("Email"), rule("LastName")), ["Email", "email"]),
        ((rule("Email", "omit", when={"action": ("INS",)}), rule("Email"), rule("LastName")), ["email"]),
        ((EVERYTHING,), ["Email", "LastName"]),
        ((rule("email", "omit"), EVERYTHING), ["Email", "LastName", "email"]),
    ],
)
def test_required_fields_that_no_rule_ever_sets_are_named(rules, missing):
    assert [target.name for target in unmapped_required(rules, FIELDS)] == missing


# Suggestions.


def test_a_connector_suggests_the_rules_of_its_fields():
    spec = Spec(
        "crm",
        "CRM",
        (),
        (
            TargetField("Email", "E-mail", suggested={"kind": "field", "source": "email"}),
            TargetField("Owner", "Owner"),
            TargetField("Type", "Type", suggested={"kind": "constant", "value": "lead"}),
        ),
    )
    assert suggested_rules(spec) == (
        Rule("Email", "field", source="email"),
        Rule("Type", "constant", value="lead"),
    )


def test_a_connector_may_suggest_everything():
    assert suggested_rules(Spec("hook", "Hook", (), (), any_field=True, every_value=True)) == (EVERYTHING,)


def test_a_wrong_suggestion_names_the_connector_and_the_field():
    spec = Spec(
        "crm", "CRM", (), (TargetField("Email", "E-mail", suggested={"kind": "field", "sorce": "email"}),)
    )
    with pytest.raises(RuleError, match=r"crm\.Email\.sorce: .*did you mean “source”"):
        suggested_rules(spec)


# Speed.


def test_forty_rules_map_three_leads_in_well_under_ten_milliseconds():
    table = MappingProxyType({str(row): "x" for row in range(200)})
    rules = [
        *(rule(f"f{i}", source="phone", transform="e164") for i in range(10)),
        *(rule(f"t{i}", "template", template=f"{{{{ full_name | upcase }}}} {i}") for i in range(10)),
        *(rule(f"l{i}", "lookup", source="country_code", table=table) for i in range(10)),
        *(
            rule(f"c{i}", source="country", transform="country_name", when={"action": ("PLT", "INS")})
            for i in range(10)
        ),
    ]
    leads = (CONTACT_ME, GET_IT_NOW, CONTACT_ME)

    def took() -> float:
        started = time.process_time()
        for lead in leads:
            apply(rules, lead)
        return time.process_time() - started

    tracer = sys.gettrace()
    sys.settrace(None)  # coverage would be measured, not the mapping
    try:
        took()  # parses the templates, loads what the libraries load once
        assert min(took() for _ in range(5)) < 0.010
    finally:
        sys.settrace(tracer)


def test_a_template_is_parsed_once():
    one = rule(kind="template", template="parsed once: {{ email }}")
    record(one)
    before = templates._compile.cache_info().misses
    record(one)
    assert templates._compile.cache_info().misses == before
