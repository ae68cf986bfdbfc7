"""E-mail, phone and country in the one form that can be compared; what was sent is never touched."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from leads import tidy

COUNTRIES = st.sampled_from(["", "US", "USA", "DE", "GB", "IT", "AR", "MX", "BR", "IN", "RU", "nowhere"])
# What people type into a phone field, and then anything at all.
DIALLED = st.text(alphabet="0123456789+-() ./#*ext٤５", max_size=30)
ADDRESSES = st.builds(
    "{}{}@{}{}".format,
    st.sampled_from(["", " ", "mailto:", "Jane <", "MAILTO: ", "<mailto:"]),
    st.text(min_size=1, max_size=20),
    st.sampled_from(["Contoso.COM", "BÜCHER.de", "xn--bcher-kva.de", "fabrikam.example", "x", "a.test"]),
    st.sampled_from(["", " ", ">", "?subject=x", "."]),
)


@pytest.mark.parametrize(
    ("sent", "tidied"),
    [
        ("jane@contoso.com", "jane@contoso.com"),
        ("  Jane@CONTOSO.com\n", "Jane@contoso.com"),
        ("Jane Doe <jane@contoso.com>", "jane@contoso.com"),
        ('"Doe, Jane" <jane@contoso.com>', "jane@contoso.com"),
        ("mailto:jane@contoso.com", "jane@contoso.com"),
        ("<MAILTO:jane%2Bx@contoso.com?subject=Hi>", "jane+x@contoso.com"),
        ("jane@fabrikam.example", "jane@fabrikam.example"),
        ("jane@fabrikam.test", "jane@fabrikam.test"),
        ("jane@BÜCHER.de", "jane@bücher.de"),
        ("jane@xn--bcher-kva.de", "jane@bücher.de"),
        ("", ""),
        ("jane", ""),
        ("jane@contoso", ""),
        ("jane@contoso.com, joe@contoso.com", ""),
        ("jane@[127.0.0.1]", ""),
        ("jane@contoso.com\nBcc: everyone@contoso.com", ""),
        ("NotProvidedFromAzureMarketPlace", ""),
    ],
)
def test_an_address_is_freed_of_what_stands_round_it(sent: str, tidied: str) -> None:
    assert tidy.email(sent) == tidied


@pytest.mark.parametrize(
    ("sent", "country", "tidied"),
    [
        ("16175555555", "US", "+16175555555"),  # Microsoft's own sample
        ("16175555555", "USA", "+16175555555"),
        ("(425) 555-0134", "US", "+14255550134"),
        ("+1 425 555 0134", "", "+14255550134"),
        ("+1 425 555 0134", "DE", "+14255550134"),
        ("tel:+1-425-555-0134", "", "+14255550134"),
        ("425-555-0134 ext. 12", "US", "+14255550134"),
        ("0049 30 1234567", "", "+49301234567"),
        ("0049 30 1234567", "US", "+49301234567"),
        ("00 1 425 555 0134", "US", "+14255550134"),
        ("011 49 30 1234567", "US", "+49301234567"),
        ("+49 (0)30 1234567", "", "+49301234567"),
        ("030/1234567", "DE", "+49301234567"),
        ("06 1234567", "IT", "+39061234567"),
        ("١٢٣٤٥٦٧٨٩٠", "US", "+11234567890"),
        ("(425) 555-0134", "", ""),  # dialled from where?
        ("555-0134", "US", ""),  # within a town
        ("911", "US", ""),
        ("ask at the desk", "US", ""),
        ("", "US", ""),
    ],
)
def test_a_number_is_written_as_it_is_dialled_from_anywhere(sent: str, country: str, tidied: str) -> None:
    assert tidy.phone(sent, country) == tidied


@pytest.mark.parametrize(("sent", "tidied"), [("USA", "US"), ("Deutschland", "DE"), ("Atlantis", "")])
def test_a_country_is_two_letters(sent: str, tidied: str) -> None:
    assert tidy.country(sent) == tidied


def test_a_number_is_shown_in_groups() -> None:
    assert tidy.spaced("+14255550134") == "+1 425 555 0134"
    assert tidy.spaced("no number") == "no number"


@pytest.mark.parametrize("character", ["1", "a", "@", "<", "\0", "é"])
def test_megabytes_are_nobodys_address_number_or_country(character: str) -> None:
    text = character * 1_000_000
    assert (tidy.email(text), tidy.phone(text, text), tidy.country(text)) == ("", "", "")


@given(st.one_of(st.text(), ADDRESSES))
@example("\ud800@contoso.com")
@example('"a@b"@contoso.com')
@example("<<a@contoso.com>>")
def test_tidying_an_address_never_fails_and_is_done_once(sent: str) -> None:
    tidied = tidy.email(sent)
    assert tidy.email(tidied) == tidied
    assert len(tidied) <= 254
    if tidied:
        domain = tidied.rpartition("@")[2]
        assert domain == domain.lower()
        assert not re.search(r"[\s<>\x00-\x1f]", tidied)


@given(st.one_of(st.text(), DIALLED), st.one_of(COUNTRIES, st.text(max_size=5)))
@example("٠٠49301234567", "DE")
@example("0000 1 425 555 0134", "US")
def test_tidying_a_number_never_fails_is_done_once_and_gives_e164(sent: str, country: str) -> None:
    tidied = tidy.phone(sent, country)
    assert re.fullmatch(r"(\+[1-9][0-9]{1,14})?", tidied)
    assert tidy.phone(tidied, country) == tidied
    assert tidy.phone(tidied, "") == tidied


@given(st.text())
def test_tidying_a_country_never_fails_and_is_done_once(sent: str) -> None:
    tidied = tidy.country(sent)
    assert re.fullmatch(r"([A-Z]{2})?", tidied)
    assert tidy.country(tidied) == tidied
