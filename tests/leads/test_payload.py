"""What becomes of a body: real ones from the fixtures, and any bytes at all from Hypothesis."""

import json
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads.payload import MAX_DEPTH, Fields, Unreadable, read

PAYLOADS = Path(__file__).parent.parent / "payloads"
EXPECTED = json.loads((PAYLOADS / "expected.json").read_text(encoding="utf-8"))
FORM = "application/x-www-form-urlencoded"

modestly = settings(max_examples=150, deadline=None, database=None)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
KEYS = {
    "FirstName": "first_name",
    "LastName": "last_name",
    "Email": "email",
    "Phone": "phone",
    "Country": "country",
    "Company": "company",
    "Title": "title",
}


def outcome(result):
    """A result as expected.json writes it: of the fields only what the lead says."""
    if isinstance(result, Unreadable):
        return {"unreadable": result.reason, "problems": [problem.as_dict() for problem in result.problems]}
    said = {name: value for name in Fields.__slots__ if (value := getattr(result, name))}
    return {"fields": {k: v.isoformat() if isinstance(v, datetime) else v for k, v in said.items()}}


def lead(**fields):
    result = read(json.dumps(fields).encode())
    assert isinstance(result, Fields), result
    return result


def refused(body, **options):
    result = read(body if isinstance(body, bytes) else body.encode(), **options)
    assert isinstance(result, Unreadable), result
    return result


def test_every_fixture_has_an_expectation_and_every_expectation_a_fixture():
    assert {path.name for path in PAYLOADS.iterdir()} - {"expected.json"} == set(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_real_body_becomes_what_is_expected_of_it(name):
    content_type = FORM if name.endswith(".form") else "application/json"
    assert outcome(read((PAYLOADS / name).read_bytes(), content_type=content_type)) == EXPECTED[name]


@pytest.mark.parametrize("content_type", ["", "text/plain", FORM, "application/json; charset=utf-16", "\0"])
@pytest.mark.parametrize("name", ["sample_pascal.json", "faq_sample_broken.json", "web_to_lead.form"])
def test_the_content_type_changes_nothing(name, content_type):
    assert outcome(read((PAYLOADS / name).read_bytes(), content_type=content_type)) == EXPECTED[name]


def test_both_spellings_of_microsofts_sample_are_the_same_lead():
    assert EXPECTED["sample_pascal.json"] == EXPECTED["sample_camel.json"]


# Whatever comes


@modestly
@given(st.binary() | st.text().map(str.encode), st.sampled_from(["", FORM]))
def test_any_bytes_are_a_lead_or_say_why_not(body, content_type):
    result = read(body, content_type=content_type)
    assert isinstance(result, Fields) or result.problems


@modestly
@given(values)
def test_any_json_value_is_a_lead_or_says_why_not(value):
    result = read(json.dumps(value).encode())
    assert isinstance(result, Fields) or result.problems


@modestly
@given(st.dictionaries(st.sampled_from([*KEYS, "UserDetails", "LeadSource", "Description", "Notes"]), values))
def test_any_values_under_the_known_keys_are_a_lead_that_a_database_takes_or_say_why_not(body):
    result = read(json.dumps(body).encode())
    assert "\0" not in repr(result)
    if isinstance(result, Fields):
        stored = json.dumps([result.extra, result.campaign], ensure_ascii=False, allow_nan=False)
        (stored + result.description + result.lead_source + result.phone).encode()
    else:
        assert result.problems


@st.composite
def spelt(draw, key):
    words = "".join("_" * draw(st.integers(0, 1)) + c if c.isupper() else c for c in key)
    return "".join(c.upper() if draw(st.booleans()) else c.lower() for c in words)


@modestly
@given(
    st.data(),
    st.fixed_dictionaries({name: st.text(st.characters(codec="utf-8"), max_size=12) for name in KEYS}),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]),
    st.booleans(),
)
def test_a_lead_reads_the_same_in_any_encoding_and_any_spelling_of_its_keys(data, person, encoding, escaped):
    body = {data.draw(spelt("UserDetails")): {data.draw(spelt(key)): value for key, value in person.items()}}
    result = read(json.dumps(body, ensure_ascii=escaped).encode(encoding))
    assert isinstance(result, Fields)
    for key, name in KEYS.items():
        assert getattr(result, name) == person[key].replace("\0", "\ufffd").strip()


# Text, numbers and nothing


def test_nothing_but_white_space_is_empty():
    assert refused(b" \r\n\t").reason == "empty"


def test_fewer_bytes_than_announced_are_truncated_even_if_they_are_a_lead():
    result = refused(b"{}", expected_length=3)
    assert result.reason == "truncated"
    assert result.problems[0].message == "Only 2 of the announced 3 bytes arrived."


def test_as_many_bytes_as_announced_are_a_lead():
    assert isinstance(read(b"{}", expected_length=2), Fields)


@pytest.mark.parametrize("number", ["16175555555", "0.10e5", "1.10", "9" * 5000, "-0", "NaN", "-Infinity"])
def test_a_number_in_a_text_field_keeps_every_digit(number):
    assert read(f'{{"Phone": {number}}}'.encode()).phone == number


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (False, "false"), (0, "0"), (None, ""), ("  a ", "a")]
)
def test_a_scalar_becomes_the_text_of_a_field(value, text):
    assert lead(UserDetails={"Title": value}).title == text


@pytest.mark.parametrize(
    ("number", "kept"),
    [
        ("7", 7),
        ("1.5", 1.5),
        ("9" * 19, "9" * 19),
        ("1e999", "1e999"),
        ("NaN", "NaN"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_a_number_of_an_unknown_key_stays_a_number_if_every_reader_of_json_can_hold_it(number, kept):
    assert read(f'{{"ProductId": [{number}]}}'.encode()).extra == {"ProductId": [kept]}


def test_a_line_break_inside_a_text_is_kept_though_json_forbids_it():
    assert read(b'{"Description": "Hello,\nplease call"}').description == "Hello,\nplease call"


def test_escaped_nul_and_lone_surrogates_are_replaced_in_json_within_json_too():
    inner = '{"Company": "A\\u0000", "Notes\\ud800": 1}'
    result = lead(UserDetails=inner, Description='{"ref": "\\u0000"}')
    assert (result.company, result.extra, result.campaign) == (
        "A\ufffd",
        {"UserDetails.Notes\ufffd": 1},
        {"ref": "\ufffd"},
    )


def test_bytes_that_even_windows_does_not_know_are_latin_1():
    assert read(b'{"Company": "\xe9\x81"}').company == "\xe9\x81"


# Keys


def test_the_last_of_several_values_wins_unless_it_is_empty():
    assert read(b'{"Email": "a@x", "Email": "b@x", "EMAIL": " ", "e_mail": null}').email == "b@x"


def test_unknown_keys_are_kept_with_their_place_and_nulls_are_not():
    result = lead(
        Notes={"a": [1, "x"]}, Gone=None, UserDetails={"Mobile": "7", "FirstName": "A", "Gone": None}
    )
    assert result.extra == {"Notes": {"a": [1, "x"]}, "UserDetails.Mobile": "7"}


def test_user_details_win_over_the_same_key_outside_which_is_kept():
    result = lead(Title="outside", Phone="1", UserDetails={"Title": "inside", "Phone": ""})
    assert (result.title, result.phone, result.extra) == ("inside", "1", {"Title": "outside"})


@pytest.mark.parametrize("nothing", [None, "", {}, []])
def test_user_details_may_be_absent_in_any_way(nothing):
    assert lead(UserDetails=nothing, ActionCode="INS").action == "INS"


@pytest.mark.parametrize("key", ["UserDetails", "CustomerInfo"])
def test_user_details_may_be_json_in_a_string(key):
    assert lead(**{key: '{"first_name": "Ana"}'}).first_name == "Ana"


@pytest.mark.parametrize("value", ["Ana", 5, False, ["x"], '{"broken": ', "[" * 99])
def test_user_details_that_are_no_object_are_against_the_schema(value):
    result = refused(json.dumps({"UserDetails": value}))
    assert (result.reason, result.problems[0].pointer) == ("schema", "/UserDetails")


@pytest.mark.parametrize("value", [{}, [], {"a": 1}, ["x"]])
@pytest.mark.parametrize("key", ["LeadSource", "ActionCode", "OfferTitle", "Description"])
def test_a_text_field_that_holds_more_than_text_is_against_the_schema(key, value):
    result = refused(json.dumps({key.lower(): value}))
    assert (result.reason, result.problems[0].pointer) == ("schema", f"/{key}")


# LeadSource and tests


def test_the_action_code_wins_and_the_one_in_lead_source_stays_visible():
    result = lead(ActionCode="plt", LeadSource="SPZA-INS|contoso.backup")
    assert (result.action, result.action_in_source) == ("PLT", "INS")


def test_an_offer_name_in_lead_source_stands_in_for_a_missing_offer_title():
    assert lead(LeadSource="SPZA-INS|Contoso Backup").offer_title == "Contoso Backup"
    assert lead(LeadSource="SPZA-INS|Contoso Backup", OfferTitle="Backup").offer_title == "Backup"


@pytest.mark.parametrize(
    "field", ["FirstName", "LastName", "Email", "Company", "Title", "Description", "LeadSource"]
)
def test_microsofts_mark_in_any_of_its_places_makes_a_test_lead(field):
    result = lead(**{field: "MSFT_TEST_636573304831318844"})
    assert result.is_test
    assert result.test_sent_at.isoformat() == "2018-03-22T15:48:03.131884+00:00"


def test_a_mark_without_ticks_is_a_test_lead_of_an_unknown_time():
    result = lead(FirstName="msft_test")
    assert (result.is_test, result.test_sent_at) == (True, None)


def test_a_customer_who_mentions_the_mark_is_a_customer():
    assert not lead(Description="We saw MSFT_TEST_1 in our CRM, please call").is_test


# Description


@pytest.mark.parametrize("text", ["", " ", "\n", "Campaigns:", "Campaigns: ", "campaigns:  "])
def test_a_description_that_says_nothing_is_empty(text):
    assert lead(Description=text).description == ""


def test_a_description_is_kept_as_sent():
    assert lead(Description=" Hello \n").description == " Hello \n"


@pytest.mark.parametrize(
    ("text", "campaign"),
    [
        ('{"mktcmpid":"1234","n":5,"none":null,"list":[1]}', {"mktcmpid": "1234", "n": "5", "list": "[1]"}),
        ('Campaigns: {"Utm_Source":"x"}', {"Utm_Source": "x"}),
        ("?mktcmpid=1&utm_source=a%20b&src=", {"mktcmpid": "1", "utm_source": "a b", "src": ""}),
        ("utm_source=caf%E9", {"utm_source": "café"}),
        ("ref=%00", {"ref": "\ufffd"}),
        ('{"mktcmpid":', {}),
        ("[1]", {}),
        ("We need 3=4 seats & more", {}),
        ("aGVsbG8==", {}),
    ],
)
def test_campaign_parameters_are_read_from_the_description_if_it_holds_nothing_else(text, campaign):
    result = lead(Description=text)
    assert (result.campaign, result.description) == (campaign, text)


# Forms


def test_a_declared_form_in_latin_1_is_read():
    assert read(b"company=M%FCller+AG", content_type=FORM + "; charset=iso-8859-1").company == "Müller AG"


def test_one_pair_alone_is_a_form_only_where_the_sender_says_so():
    assert refused("company=Contoso").reason == "not_json"
    assert read(b"company=Contoso", content_type=FORM).company == "Contoso"


# What is wrong with it


@pytest.mark.parametrize(
    ("body", "place", "words"),
    [
        ('{\n "a": "x"\n "b": 1}', (3, 2), 'a comma is missing before "b"'),
        ('{"a": 1,\n}', (1, 8), "a comma too many before the closing bracket"),
        ("[1, ]", (1, 3), "a comma too many before the closing bracket"),
        ('{"a": 1,, "b": 2}', (1, 9), "a comma too many"),
        ("[,1]", (1, 2), "a comma too many"),
        ('{"a": ,}', (1, 7), "a value is missing before ,"),
        ('{"a": }', (1, 7), "a value is missing before }"),
        ("{'a': 1}", (1, 2), "straight double quotes"),
        ("{\u201ca\u201d: 1}", (1, 2), "straight double quotes"),
        ("{a: 1}", (1, 2), "the name a must stand in double quotes"),
        ('{"a": None}', (1, 7), "the text None must stand in double quotes"),
        ('{"a": 1, 5: 2}', (1, 10), "a name in double quotes is missing before 5"),
        ('{"a" 1}', (1, 6), "a colon is missing before 1"),
        ('{"a": "x "y" z"}', (1, 11), "the quotation marks do not match before y"),
        ('{"a": "x', (1, 7), "never closed"),
        ('{"a": "\\q"}', (1, 8), "a backslash inside a text must be written twice"),
        ('{"a": 1', (1, 8), "the text ends here"),
        ('{"a":', (1, 6), "the text ends here"),
        ('{"a": [1}', (1, 9), "} does not fit the bracket"),
        ("{} {}", (1, 4), "more text after the end of the lead"),
        ("<lead/>", (1, 1), "HTML or XML"),
        ("hello", (1, 1), "not JSON"),
    ],
)
def test_a_mistake_in_the_json_is_named_with_its_place(body, place, words):
    result = refused(body)
    (problem,) = result.problems
    assert result.reason == "not_json"
    assert (problem.line, problem.column) == place
    assert problem.message.startswith(f"Line {place[0]}, column {place[1]}: ")
    assert words in problem.message


@pytest.mark.parametrize(
    ("body", "kind"), [("[]", "a list"), ("1", "a number"), ('"{}"', "a text"), ("null", "one word")]
)
def test_json_that_is_no_object_is_no_lead(body, kind):
    result = refused(body)
    assert (result.reason, kind in result.problems[0].message) == ("not_object", True)


def test_an_unreadable_body_keeps_its_text_fit_for_a_database():
    assert refused("{ä\0".encode()).text == "{ä\ufffd"


def test_a_body_may_be_nested_as_deep_as_the_limit_and_no_deeper():
    inside = MAX_DEPTH - 1
    assert isinstance(read(b'{"a":' + b"[" * inside + b"]" * inside + b"}"), Fields)
    assert refused(b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}").reason == "too_deep"


@pytest.mark.parametrize("body", [b"[" * 262_144, b'{"a":' * 50_000, b'["' * 131_072, b'"[{' * 87_000])
def test_a_body_full_of_brackets_is_refused_without_a_crash(body):
    assert refused(body).reason in ("too_deep", "not_json")


def test_brackets_inside_a_text_are_no_nesting():
    assert lead(Description='\\"' + "[{" * 100).description == '\\"' + "[{" * 100


def test_json_within_json_is_never_nested_deeper_either():
    text = '{"a":' * 70 + "1" + "}" * 70
    assert (lead(Description=text).description, lead(Description=text).campaign) == (text, {})


# An offer's own schema


def read_under(schema, body):
    return read(json.dumps(body).encode(), schema=schema)


def test_numbers_stay_numbers_where_an_own_schema_does_not_say_string():
    schema = {"properties": {"ProductId": {"type": "integer"}, "Seats": {"type": "string"}}}
    assert isinstance(read_under(schema, {"ProductId": 5, "Seats": 5}), Fields)
    assert read_under(schema, {"ProductId": "five"}).problems[0].pointer == "/ProductId"


def test_an_own_schema_matches_keys_in_its_own_spelling():
    person = {
        "required": ["e_mail", "FIRSTNAME"],
        "properties": {"mobile": {"type": "string", "minLength": 3}},
    }
    schema = {"required": ["productid"], "properties": {"userDetails": {"$ref": "#/definitions/who"}}}
    schema["definitions"] = {"who": person}
    body = {"UserDetails": {"Email": "a@x", "firstName": "A", "Mobile": 1234}, "ProductId": 1}
    assert isinstance(read_under(schema, body), Fields)
    result = read_under(schema, {"user_details": {"FirstName": "A", "MOBILE": "1"}})
    assert [problem.pointer for problem in result.problems] == ["", "/userDetails", "/userDetails/mobile"]


def test_an_own_schema_may_be_flat():
    schema = {"required": ["email"], "properties": {"email": {"type": "string"}}}
    assert isinstance(read_under(schema, {"UserDetails": {"Email": "a@x"}}), Fields)


def test_a_null_is_absent_for_an_own_schema_too():
    schema = {"properties": {"UserDetails": {"required": ["Email"]}}}
    assert read_under(schema, {"UserDetails": {"Email": None}}).reason == "schema"


def test_an_own_schema_may_let_anything_into_a_field():
    assert read_under({}, {"Phone": {"mobile": 1.50}}).phone == '{"mobile": 1.5}'


@modestly
@given(values.filter(lambda value: isinstance(value, dict)), values)
def test_a_schema_that_nobody_checked_cannot_make_reading_fail(schema, body):
    schema = {"properties": {"UserDetails": schema, "Phone": {"type": body}}, "required": body} | schema
    result = read_under(json.loads(json.dumps(schema)), {"Phone": 1, "UserDetails": body})
    assert isinstance(result, Fields) or result.problems
