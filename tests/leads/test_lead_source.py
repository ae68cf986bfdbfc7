import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads.lead_source import (
    ACTIONS,
    LeadSource,
    action_label,
    canonical_action,
    has_test_mark,
    marked_ticks,
    parse,
    source_label,
    ticks_to_datetime,
)

TEST = "MSFT_TEST_636573304831318844"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ("", "", "", "", "")),
        ("AzureMarketplace", ("AzureMarketplace", "", "", "", "")),
        ("SPZA-PLT|contoso.backup", ("SPZA", "PLT", "contoso", "backup", "")),
        ("AppSource (SPZA)-DNC | contoso.backup", ("AppSource (SPZA)", "DNC", "contoso", "backup", "")),
        ("AppSource (SPZA)", ("AppSource (SPZA)", "", "", "", "")),
        (
            "AzureMarketplace-INS|checkpoint.check-point-r77-10sg-byol",
            ("AzureMarketplace", "INS", "checkpoint", "check-point-r77-10sg-byol", ""),
        ),
        (
            "SPZA-INS|docusign.3701c77e-1cfa-4c56-91e6-3ed0b622145a",
            ("SPZA", "INS", "docusign", "3701c77e-1cfa-4c56-91e6-3ed0b622145a", ""),
        ),
        ("AzurePortal - create", ("AzurePortal", "Create", "", "", "")),
        ("TestDrive-STARTTESTDRIVE|a.b.c", ("TestDrive", "StartTestDrive", "a", "b.c", "")),
        ("Azure-Portal-FreeTrial|a.b", ("Azure-Portal", "FreeTrial", "a", "b", "")),
        ("Some shop - our web site", ("Some shop - our web site", "", "", "", "")),
        ("SPZA-3701c77e", ("SPZA-3701c77e", "", "", "", "")),
        ("SPZA-PLT|Contoso Backup", ("SPZA", "PLT", "", "", "Contoso Backup")),
        ("SPZA-PLT|Contoso 2.0 for Teams", ("SPZA", "PLT", "", "", "Contoso 2.0 for Teams")),
        ("SPZA-PLT|.backup", ("SPZA", "PLT", "", "", ".backup")),
        ("SPZA|a|b", ("SPZA", "", "", "", "a|b")),
        (f"{TEST}-{TEST}|Contoso Backup", (TEST, TEST, "", "", "Contoso Backup")),
    ],
)
def test_a_lead_source_is_source_action_and_offer(text, parts):
    assert parse(text) == LeadSource(*parts)


@settings(max_examples=200, deadline=None, database=None)
@given(st.text() | st.text("aINS-.| ") | st.from_regex(r"\w+-\w+\|\w+\.[\w.-]+"))
def test_any_text_is_parsed_and_joining_the_parts_gives_it_back(text):
    parts = parse(text)
    left = f"{parts.source}-{parts.action}" if parts.action else parts.source
    right = f"{parts.publisher_id}.{parts.offer_id}" if parts.offer_id else parts.offer_name
    # But for white space, the case of a known action and a bar with nothing behind it.
    whole, again = ("".join(part.split()).casefold() for part in (text, f"{left}|{right}"))
    assert again in (whole, whole + "|")


@pytest.mark.parametrize("code", ACTIONS)
def test_a_known_action_is_recognised_in_any_case_and_has_words(code):
    assert canonical_action(f" {code.upper()} ") == canonical_action(code.lower()) == code
    assert action_label(code.lower()) == ACTIONS[code].label
    assert ACTIONS[code].what.endswith(".")


def test_an_unknown_action_stands_as_sent():
    assert canonical_action(" FreeTrial ") == action_label(" FreeTrial ") == "FreeTrial"


def test_only_do_not_contact_is_held():
    assert [code for code, action in ACTIONS.items() if action.default == "hold"] == ["DNC"]


@pytest.mark.parametrize(
    ("source", "label"),
    [
        ("SPZA", "AppSource"),
        ("appsource (spza)", "AppSource"),
        ("AzureMarketplace", "Azure Marketplace"),
        ("AzurePortal", "Azure portal"),
        ("TestDrive", "Test Drive"),
        (" Somewhere new ", "Somewhere new"),
        ("", ""),
    ],
)
def test_a_source_has_words_and_an_unknown_one_stands_for_itself(source, label):
    assert source_label(source) == label


def test_ticks_are_a_time():
    assert ticks_to_datetime(636573304831318844).isoformat() == "2018-03-22T15:48:03.131884+00:00"


@pytest.mark.parametrize("ticks", [-1, 10**19, 10**40])
def test_ticks_outside_the_calendar_are_no_time(ticks):
    assert ticks_to_datetime(ticks) is None


@pytest.mark.parametrize(
    ("text", "ticks"),
    [
        (TEST, 636573304831318844),
        (f" {TEST.lower()}@test.com", 636573304831318844),
        ("MSFT_TEST", None),
        ("MSFT_TEST_n", None),
        ("MSFT_TEST_" + "9" * 20, None),
    ],
)
def test_a_field_that_begins_with_the_mark_is_a_test(text, ticks):
    assert (has_test_mark(text), marked_ticks(text)) == (True, ticks)


@pytest.mark.parametrize("text", ["", "MSFT", "MSFT_TESTER", "about MSFT_TEST_1"])
def test_anything_else_is_none(text):
    assert (has_test_mark(text), marked_ticks(text)) == (False, None)
