import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads.countries import country_code, country_name


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("US", "US"),
        (" usa ", "US"),
        ("U.S.A.", "US"),
        ("united states of america", "US"),
        ("UK", "GB"),
        ("England", "GB"),
        ("DEU", "DE"),
        ("Deutschland", "DE"),
        ("The Netherlands", "NL"),
        ("Korea", "KR"),
        ("Russia", "RU"),
        ("Viet Nam", "VN"),
        ("Cote d'Ivoire", "CI"),
        ("CÔTE D\u2019IVOIRE", "CI"),
        ("Trinidad and Tobago", "TT"),
        ("Saint Lucia", "LC"),
        ("Kosovo", "XK"),
        ("日本", "JP"),
    ],
)
def test_a_country_is_recognised_however_it_is_written(text, code):
    assert country_code(text) == code


@pytest.mark.parametrize(
    "text", ["", " ", "ZZ", "EU", "Europe", "MI", "SUN", "YUG", "Nowhere", "US" * 100_000]
)
def test_what_is_no_country_or_no_single_one_has_no_code(text):
    assert country_code(text) == ""


@pytest.mark.parametrize(
    ("code", "name"), [("US", "United States"), ("de", "Germany"), ("ZZ", ""), ("USA", ""), ("", "")]
)
def test_a_code_has_an_english_name(code, name):
    assert country_name(code) == name


def test_every_code_is_recognised_as_itself_and_by_its_name():
    letters = [chr(c) for c in range(ord("A"), ord("Z") + 1)]
    codes = [a + b for a in letters for b in letters if country_name(a + b)]
    assert len(codes) == 250  # the 249 of ISO 3166, and Kosovo
    assert (
        codes
        == [country_code(code) for code in codes]
        == [country_code(country_name(code)) for code in codes]
    )


@settings(max_examples=100, deadline=None, database=None)
@given(st.text())
def test_any_text_has_a_code_or_none(text):
    assert len(country_code(text)) in (0, 2)
