"""What was said to a CRM, for readers who may not see of whom: no value of the lead survives, in any spelling."""

import base64
import html
import json
import time
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crm_sync.personal_data import Discretion, without_crms_words, without_values
from crm_sync.recorder import MASK, Exchange, Recorder

JANE: dict[str, object] = {
    "id": "0c7f4b52-7bd1-4f38-8f12-c1d2f1c7a0aa",
    "first_name": "Jane",
    "full_name": "Jane O'Neil",
    "email": "jane.o'neil@fabrikam.example",
    "phone": "+1 425 555 0134",
    "company": "Fabrikam & Söhne",
    "title": 'The "boss"',
    "description": "Call me\non Monday",
    "action": "INS",
    "offer_title": "Contoso Backup",
    "is_test": False,
    "extra.tags": ["golf", {"spouse": "Maximilian"}],
}
KNOWN = ("INS", "Contoso Backup")
discreet = Discretion(JANE, KNOWN)


def exchange(**parts: Any) -> dict[str, Any]:
    whole = Exchange("POST", "https://crm.example.com/leads", {}, "", 201, {}, "", 12)
    return whole.as_dict() | parts


# Texts


@pytest.mark.parametrize("name", ["first_name", "full_name", "email", "phone", "company", "title"])
@pytest.mark.parametrize(
    "spell",
    [
        str,
        str.upper,
        lambda text: quote(text, safe=""),
        quote_plus,
        html.escape,
        lambda text: json.dumps(text)[1:-1],
        lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
        lambda text: json.dumps(json.dumps(text, ensure_ascii=False)[1:-1])[1:-1],
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    ],
)
def test_a_value_is_masked_however_it_is_spelled(name: str, spell: Any) -> None:
    spelled = spell(str(JANE[name]))
    masked = discreet.text(f"A record with ({spelled}) exists.")
    assert spelled not in masked
    assert masked.startswith(f"A record with ({MASK}")


def test_the_words_of_the_crm_stay() -> None:
    said = "INSUFFICIENT_ACCESS (HTTP 403): no right to create leads for Contoso Backup"
    assert discreet.text(said) == said


def test_a_text_that_shows_a_value_on_one_line_hides_it_too() -> None:
    assert discreet.text("Not allowed: Call me on Monday!") == f"Not allowed: {MASK}!"


def test_a_value_cut_at_the_end_of_a_text_is_masked_as_far_as_it_stands() -> None:
    assert discreet.text("Duplicate of jane.o'nei") == f"Duplicate of {MASK}"
    assert discreet.text("Phone taken: +1 425 5") == f"Phone taken: {MASK}"


def test_values_inside_unknown_fields_are_masked() -> None:
    assert discreet.text("golf with Maximilian") == f"{MASK} with {MASK}"


def test_what_names_no_person_stays() -> None:
    assert discreet.text(f"Key {JANE['id']} exists") == f"Key {JANE['id']} exists"


# Requests and answers


def test_a_request_keeps_its_structure_and_its_names() -> None:
    body = {"email": "x@y.example", "tags": ["a", 7], "more": {"ok": True, "none": None, "n": -1.5e3}}
    masked = json.loads(without_values(json.dumps(body)).replace(MASK, f'"{MASK}"').replace('""', '"'))
    assert masked == {"email": MASK, "tags": [MASK, MASK], "more": {"ok": MASK, "none": None, "n": MASK}}


@pytest.mark.parametrize(
    ("body", "masked"),
    [
        ('{"email": "jane@x", "phone": "+1 42', f'{{"email": "{MASK}", "phone": "{MASK}"'),
        ('{"a": "x\\', f'{{"a": "{MASK}"'),
        ("{jane}", f"{{{MASK}}}"),
        ("first_name=Jane&email=jane%40x&empty=&Jane", f"first_name={MASK}&email={MASK}&empty=&{MASK}"),
        ("Dear Jane", MASK),
        ("<lead><name>Jane</name></lead>", MASK),
        ("", ""),
    ],
)
def test_a_request_of_any_form_is_masked(body: str, masked: str) -> None:
    assert without_values(body) == masked


def test_an_answer_that_echoes_what_the_mapping_made_of_a_value_is_masked() -> None:
    seen = discreet.exchange(
        exchange(
            request_body='{"phone": "+14255550134", "type": "lead"}',
            response_body='{"phone": "+14255550134", "leads": 1}',
            url="https://crm.example.com/leads?tel=%2B14255550134",
        )
    )
    assert "4255550134" not in json.dumps(seen)
    assert "/leads" in seen["url"], "a fixed value of the mapping is masked as a whole word only"
    assert '"leads": 1' in seen["response_body"]


def test_headers_and_errors_are_masked_and_numbers_stay() -> None:
    seen = discreet.exchange(
        exchange(response_headers={"location": "/leads/jane.o%27neil%40fabrikam.example"}, error="No Jane")
    )
    assert seen["response_headers"] == {"location": f"/leads/{MASK}"}
    assert seen["error"] == f"No {MASK}"
    assert (seen["status"], seen["duration_ms"], seen["method"]) == (201, 12, "POST")


# The law

VALUES = st.text(st.characters(codec="utf-8", exclude_characters="*\0"), min_size=3, max_size=30)
LEADS = st.lists(VALUES.filter(lambda value: len(value.strip()) >= 3), min_size=1, max_size=6)
SPELLINGS = [str, lambda text: json.dumps(text), lambda text: quote(text, safe=""), str.upper, html.escape]


@given(st.data(), LEADS)
def test_no_value_of_a_lead_survives_in_any_text(data: st.DataObject, values: list[str]) -> None:
    lead = {f"value_{number}": value for number, value in enumerate(values)}
    pieces = st.one_of(st.text(max_size=5), st.sampled_from(values))
    text = "".join(data.draw(st.lists(pieces, max_size=12)))
    spelled = data.draw(st.sampled_from(SPELLINGS))(text)
    masked = Discretion(lead).text(spelled)
    for value in values:
        assert value not in masked


@given(LEADS, st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers()))
def test_no_value_of_a_lead_survives_in_an_exchange(values: list[str], more: dict[str, int]) -> None:
    lead: dict[str, object] = {f"value_{number}": value for number, value in enumerate(values)}
    record = {f"f{number}": value for number, value in enumerate(values)} | more
    assume(not any(value.casefold() in json.dumps([*record, "content-type"]).casefold() for value in values))
    recorder = Recorder()
    sent, url = json.dumps(record).encode(), f"https://crm.example.com/?q={quote(values[0])}"
    recorder.record(
        "POST",
        url,
        {"content-type": "1"},
        sent,
        status=200,
        answer_headers={},
        answer=sent,
        error="",
        duration=1,
    )
    seen = Discretion(lead).exchange(recorder.exchanges[0].as_dict())
    for part in ("url", "request_body"):
        assert not any(value in seen[part] for value in values)
    answer = seen["response_body"]
    assert not any(json.dumps(value)[1:-1] in answer for value in values)


@pytest.mark.parametrize("unit", ["a", "ab", "aab", "a b ", '"', "\\", "\u0130", "=&"])
def test_a_hostile_lead_takes_no_time(unit: str) -> None:
    lead: dict[str, object] = {f"extra.{size}": unit * size for size in range(2, 500)}
    text = unit * (16_384 // len(unit))
    started = time.process_time()
    Discretion(lead).exchange(exchange(request_body=text, response_body=text, url=text))
    assert time.process_time() - started < 2


# Reasons of nobody knows which lead


@pytest.mark.parametrize(
    ("reason", "left"),
    [
        ("The CRM failed (HTTP 503): Jane O'Neil cannot be saved", f"The CRM failed (HTTP 503): {MASK}"),
        ("HTTP 418: Jane O'Neil", f"HTTP 418: {MASK}"),
        ("The CRM failed (HTTP 503).", "The CRM failed (HTTP 503)."),
        ("HTTP 418.", "HTTP 418."),
        ('No such owner: "Jane O\'Neil", jane@fabrikam.example.', "No such owner: …"),
        ("The limit of 50 pushes a day is reached.", "The limit of … pushes a day is reached."),
        ("", ""),
    ],
)
def test_of_a_reason_without_a_lead_only_our_own_words_are_left(reason: str, left: str) -> None:
    assert without_crms_words(reason) == left


@given(st.text(max_size=50))
def test_nothing_that_the_crm_said_after_its_status_is_left(said: str) -> None:
    assume(said.strip(" .:"))
    assert without_crms_words(f"The CRM failed (HTTP 503): {said}") == f"The CRM failed (HTTP 503): {MASK}"


def test_a_reason_as_long_as_it_may_get_is_looked_at_in_no_time() -> None:
    began = time.process_time()
    without_crms_words("(HTTP " * 100_000)
    assert time.process_time() - began < 1
