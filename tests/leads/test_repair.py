"""What a broken text was probably meant to be: a table of mistakes, and laws for any text at all."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads import payload
from leads.payload import Fields, Unreadable
from leads.repair import MOST_LEADS, leads_in, suggest

PAYLOADS = Path(__file__).parent.parent / "payloads"
SOME = 24 * 1024  # characters
modestly = settings(max_examples=100, deadline=None, database=None)

ANA = '{"FirstName": "Ana"}'
NO_QUOTES_IN = "Line 1: single quotes became double quotes"

# Name of the mistake: the text, what it was meant to be, what is said.
MISTAKES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "missing comma": (
        '{\n  "OfferTitle": "Backup"\n  "Description": "Hi"\n}\n',
        '{\n  "OfferTitle": "Backup",\n  "Description": "Hi"\n}\n',
        ('Line 3: a comma was missing before "Description".',),
    ),
    "trailing comma": (
        '{"Email": "a@b.c",}',
        '{"Email": "a@b.c"}',
        ("Line 1: a comma too many was removed.",),
    ),
    "commas in a row": (
        '{"Email": "a@b.c",,"Phone": "1"}',
        '{"Email": "a@b.c","Phone": "1"}',
        ("Line 1: a comma too many was removed.",),
    ),
    "a dict of Python": (
        "{'FirstName': 'O\\'Neil', 'Title': None, 'LastName': u\"D'Arcy\", 'new': True}",
        '{"FirstName": "O\'Neil", "Title": null, "LastName": "D\'Arcy", "new": true}',
        (
            f"{NO_QUOTES_IN} (5 times).",
            "Line 1: None is spelt null in JSON.",
            "Line 1: True is spelt true in JSON.",
        ),
    ),
    "curly quotes": (
        "{“FirstName”: “Ana”, ‘Email’: „a@b.c“}",
        '{"FirstName": "Ana", "Email": "a@b.c"}',
        ("Line 1: curly quotes became straight ones (4 times).",),
    ),
    "names without quotes": (
        "{FirstName: 'Ana', phone: +1 425 555, Country: US}",
        '{"FirstName": "Ana", "phone": "+1 425 555", "Country": "US"}',
        (
            "Line 1: the name FirstName now stands in double quotes (3 times).",
            f"{NO_QUOTES_IN}.",
            "Line 1: the text +1 425 555 now stands in double quotes (2 times).",
        ),
    ),
    "comments": (
        '{"FirstName": "Ana", /* who */ "Email": "http://x" // where\n}',
        '{"FirstName": "Ana",  "Email": "http://x" \n}',
        ("Line 1: a comment was removed (2 times).",),
    ),
    "text before and after": (
        f"2026-01-02 [INFO] body={ANA} in 5 ms",
        ANA,
        (
            "Line 1: the text before the lead was removed: “2026-01-02 [INFO] body=”.",
            "Line 1: the text after the lead was removed: “in 5 ms”.",
        ),
    ),
    "cut off in a text": (
        '{"UserDetails": {"FirstName": "Ana", "Email": "a@',
        '{"UserDetails": {"FirstName": "Ana", "Email": "a@"}}',
        ("Line 1: the text ends here, in the middle, and was closed: the rest is missing.",),
    ),
    "cut off in a name": (
        '{"FirstName": "Ana",\n"Ema',
        '{"FirstName": "Ana",\n"Ema": null}',
        ("Line 2: the text ends here, in the middle, and was closed: the rest is missing.",),
    ),
    "cut off after a colon": (
        '{"FirstName": "Ana", "Email":',
        '{"FirstName": "Ana", "Email": null}',
        ("Line 1: the text ends here, in the middle, and was closed: the rest is missing.",),
    ),
    "last bracket missing": (
        '{"UserDetails": {"FirstName": "Ana"}',
        '{"UserDetails": {"FirstName": "Ana"}}',
        ("Line 1: the text ends here without its closing bracket, which was added: more may be missing.",),
    ),
    "bracket missing inside": (
        '{"FirstName": "Ana", "a": [1, 2}',
        '{"FirstName": "Ana", "a": [1, 2]}',
        ("Line 1: a closing ] was missing.",),
    ),
    "bracket too many": (
        '{"UserDetails": {"FirstName": "Ana"}}, "ActionCode": "INS"}',
        '{"UserDetails": {"FirstName": "Ana"}, "ActionCode": "INS"}',
        ("Line 1: a closing bracket too many was removed.",),
    ),
    "first bracket missing": (
        '"FirstName": "Ana", "Email": "a@b.c"}',
        '{"FirstName": "Ana", "Email": "a@b.c"}',
        ("Line 1: the opening brace was missing.",),
    ),
    "encoded twice": (
        '{"FirstName": "JÃ¼rgen", "LastName": "GroÃŸ",}',
        '{"FirstName": "Jürgen", "LastName": "Groß"}',
        (
            "Line 1: letters were garbled by a wrong encoding: “Ã¼” is “ü” again (2 places).",
            "Line 1: a comma too many was removed.",
        ),
    ),
    "a byte order mark encoded twice": (
        'ï»¿{"FirstName": "Ana"}',
        ANA,
        ("Line 1: a garbled byte order mark was removed.",),
    ),
    "JSON in a text": (
        json.dumps(ANA),
        ANA,
        ("Line 1: the lead was JSON inside a text, and was taken out of it.",),
    ),
    "JSON in a text whose quotes are gone": (
        '{\\"FirstName\\": \\"Ana\\"}',
        ANA,
        ("Line 1: the lead was JSON inside a text, and was taken out of it.",),
    ),
    "a list of leads": (
        f"[{ANA}, {ANA}]",
        f"[{ANA}, {ANA}]",
        ("Line 1: this is a list of 2 leads; each becomes a lead of its own.",),
    ),
    "a list of one": (
        f"[{ANA}]",
        f"[{ANA}]",
        ("Line 1: this is a list with one lead, which becomes a lead.",),
    ),
    "a lead a line": (
        f"{ANA}\n{ANA}",
        f"[{ANA}, {ANA}]",
        (
            "Line 1: 2 leads one after the other were put in a list.",
            "Line 1: this is a list of 2 leads; each becomes a lead of its own.",
        ),
    ),
    "wrapped": (
        f'{{"value": [{ANA},]}}',
        f"[{ANA}]",
        (
            "Line 1: a comma too many was removed.",
            "Line 1: the lead was wrapped in “value”, and was taken out of it.",
            "Line 1: this is a list with one lead, which becomes a lead.",
        ),
    ),
    "quotation marks in a text": (
        '{"Description": "He said "yes", then left", "Phone": "1"}',
        '{"Description": "He said \\"yes\\", then left", "Phone": "1"}',
        ("Line 1: a quotation mark inside a text got a backslash (2 times).",),
    ),
    "quotation mark missing": (
        '{"Country": "US,\n "Company": "X"}',
        '{"Country": "US",\n "Company": "X"}',
        ("Line 1: a quotation mark was missing at the end of the line.",),
    ),
    "backslashes": (
        '{"Description": "C:\\Users and it\\\'s"}',
        '{"Description": "C:\\\\Users and it\'s"}',
        ("Line 1: a backslash inside a text is now written twice.",),
    ),
    "colon missing": ('{"Email" "a@b.c"}', '{"Email": "a@b.c"}', ("Line 1: a colon was missing.",)),
    "value missing": (
        '{"Email": , "Phone": 1}',
        '{"Email": null, "Phone": 1}',
        ("Line 1: a value was missing; null stands for it.",),
    ),
    "spaces of a word processor": (
        '{"FirstName":\u00a0"Ana"}',
        ANA,
        ("Line 1: an unusual space was replaced.",),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_kind_of_mistake_is_mended_and_nothing_else_is_touched(mistake: str) -> None:
    text, meant, notes = MISTAKES[mistake]
    found = suggest(text)
    assert found is not None
    assert (found.text, found.notes) == (meant, notes)
    assert isinstance(leads_in(found.text), list)


@pytest.mark.parametrize(
    "text",
    ["", "  ", "hello", "{", "[]", "[1, 2]", "{}}", '"{"', "<html><style>a{color:red}</style></html>", "{]", "{:}",
     "{" * 70 + "}" * 70, "[[[", '{"a": :}'],
)  # fmt: skip
def test_where_no_lead_is_to_be_seen_nothing_is_suggested(text: str) -> None:
    assert suggest(text) is None


def test_the_faqs_own_sample_lacks_its_comma_only() -> None:
    text = (PAYLOADS / "faq_sample_broken.json").read_text(encoding="utf-8")
    found = suggest(text)
    assert found is not None
    assert found.text == text.replace('"Contoso Test"\n', '"Contoso Test",\n')
    [lead] = leads_in(found.text)
    assert (lead.action, lead.is_test) == ("INS", True)


@pytest.mark.parametrize("path", sorted(PAYLOADS.glob("*.json")), ids=lambda path: path.stem)
def test_what_can_be_read_has_no_suggestion(path: Path) -> None:
    body = path.read_bytes()
    if isinstance(payload.read(body), Fields):
        assert suggest(payload.decode(body)) is None


def test_a_wrapped_lead_is_unwrapped_only_where_the_offers_schema_misses_it() -> None:
    text = f'{{"lead": {ANA}}}'
    assert suggest(text) is None
    found = suggest(text, schema={"required": ["UserDetails"]})
    assert found is not None
    assert found.text == ANA


def test_what_has_the_keys_of_a_lead_outside_stays_whole() -> None:
    text = '{"UserDetails": {"FirstName": "Ana"}}'
    assert suggest(text, schema={"required": ["ActionCode"]}) is None


def test_a_list_is_read_as_a_whole_or_not_at_all() -> None:
    schema = {"required": ["ActionCode"]}
    found = leads_in(f'[{{"ActionCode": "INS"}}, {ANA}]', schema=schema)
    assert isinstance(found, Unreadable)
    [problem] = found.problems
    assert problem.message == "Lead 2 of the list: 'ActionCode' is a required property"
    assert problem.pointer == "/1"
    assert isinstance(leads_in(f"[{ANA}, 5]"), Unreadable)


def test_a_list_keeps_numbers_as_they_were_written() -> None:
    [one, two] = leads_in('[{"Phone": 16175550100.0}, {"Phone": 1.50}]')
    assert (one.phone, two.phone) == ("16175550100.0", "1.50")


def test_a_list_without_end_is_refused() -> None:
    found = leads_in("[" + ",".join([ANA] * (MOST_LEADS + 1)) + "]")
    assert isinstance(found, Unreadable)
    assert found.problems[0].message == "The list holds more than 1,000 leads: release it in parts."
    assert len(leads_in("[" + ",".join([ANA] * MOST_LEADS) + "]")) == MOST_LEADS


def holds(text: str) -> None:
    """The laws of a suggestion."""
    found = suggest(text)
    if found is None:
        return
    assert not isinstance(payload.read(text.encode("utf-8", "replace")), Fields)
    assert isinstance(leads_in(found.text, schema={}), list)
    assert found.notes
    # Mended once is mended: only a list, which is fine as it stands, is explained again.
    again = suggest(found.text, schema={})
    assert again is None or again.text == found.text


@modestly
@given(
    st.text(
        alphabet=st.sampled_from("{}[]:,\"'\\/*# \nabFirstNameEmail01.-tru\u201c\u2019Ã¼\x00\ufeff"),
        max_size=60,
    )
)
def test_any_text_is_mended_by_the_laws_or_left_alone(text: str) -> None:
    holds(text)


@modestly
@given(st.text(max_size=80))
def test_no_text_is_too_strange(text: str) -> None:
    holds(text)
    holds(f'{{"FirstName": "{text}", }}')
    holds(f"{{'FirstName': {text}}}")


never_garbled = st.characters(max_codepoint=127) | st.characters(
    min_codepoint=0x3000, exclude_categories=["Cs"]
)
names = st.sampled_from(["FirstName", "Email", "Description", "Notes", "UserDetails"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@modestly
@given(st.dictionaries(names, values, min_size=1, max_size=4), st.data())
def test_a_lead_with_one_character_gone_is_mended_by_the_laws(
    lead: dict[str, object], data: st.DataObject
) -> None:
    text = json.dumps(lead, ensure_ascii=False, indent=data.draw(st.sampled_from([None, 1])))
    at = data.draw(st.integers(0, len(text) - 1))
    holds(text[:at] + text[at + 1 :])
    holds(text[:at])


@modestly
@given(st.dictionaries(names, st.text(never_garbled, max_size=12), min_size=1))
def test_a_python_dict_says_the_same_as_the_json_it_was(lead: dict[str, str]) -> None:
    found = suggest(repr(lead))
    if found is not None:
        assert leads_in(found.text, schema={}) == leads_in(json.dumps(lead), schema={})


@modestly
@given(st.dictionaries(names, st.text(max_size=12), min_size=2), st.data())
def test_any_missing_comma_is_put_back(lead: dict[str, str], data: st.DataObject) -> None:
    lines = json.dumps(lead, indent=2).split("\n")
    line = data.draw(st.integers(1, len(lines) - 3))
    found = suggest("\n".join([*lines[:line], lines[line].removesuffix(","), *lines[line + 1 :]]))
    # A text where an object belongs is no field of a lead.
    said = any(value.strip() for name, value in lead.items() if name != "UserDetails")
    assert found.text == "\n".join(lines) if found else not said


@pytest.mark.parametrize(
    "part",
    ["{", "[", "[{", '"', "'", '{"a":', '{"a":"b" ', ",", '" ', '\n "a', "\\", "/*", "Ã", "[],", "}", '{"a":1}',
     '{"l":', " ", "\n", "\n\n\"a\":", "“", "a:", "a ", "{},", "{a:'"],
)  # fmt: skip
@pytest.mark.parametrize("start", ["", '{"a":', '{"FirstName":"', "[{},"])
def test_however_hostile_a_text_is_it_takes_a_moment(start: str, part: str) -> None:
    """Work that grows with the square of the length would take minutes."""
    text = (start + part * SOME)[:SOME]
    began = time.process_time()
    suggest(text)
    assert time.process_time() - began < 4  # seconds; a twentieth of that on a machine of its own


@pytest.mark.parametrize("part", ["[{", '"', "[],"])
def test_four_times_the_text_takes_four_times_as_long(part: str) -> None:
    def seconds(length: int) -> float:
        text = ('{"a":[' + part * length)[:length]
        began = time.process_time()
        suggest(text)
        return time.process_time() - began

    # The best of a few: on a busy machine even the processor's own time is longer now and then.
    few, many = (min(seconds(length) for _ in range(3)) for length in (SOME, 4 * SOME))
    assert many < 9 * few + 0.5
