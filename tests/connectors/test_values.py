"""A record in the types and lengths of the CRM's fields."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_sync.connectors.values import Unfit, UnfitField, cut, fitted, length, typed
from crm_sync.spec import LengthUnit, TargetField

FLAG, NUMBER, DATE = (TargetField(kind, kind.title(), kind) for kind in ("flag", "number", "date"))
CHOICE = TargetField("choice", "Rating", "choice", choices=(("1", "Hot"), ("2", "Cold")))
units = st.sampled_from(["characters", "utf-16"])


@pytest.mark.parametrize(
    ("field", "value", "becomes"),
    [
        *((FLAG, word, True) for word in ("true", "TRUE", " yes ", "1", "on")),
        *((FLAG, word, False) for word in ("false", "No", "0", "off")),
        *((NUMBER, "42", 42), (NUMBER, " -7 ", -7), (NUMBER, "3.50", 3.5)),
        *((DATE, "2026-11-22", "2026-11-22"), (DATE, "2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z")),
        *((CHOICE, "1", "1"), (CHOICE, "hot", "1"), (CHOICE, "Warm", "Warm")),
        *((FLAG, True, True), (NUMBER, 5, 5), (TargetField("a", "A", "email"), "no address", "no address")),
    ],
)
def test_a_value_takes_the_type_of_its_field(field: TargetField, value: object, becomes: object) -> None:
    assert typed(value, field) == becomes
    assert type(typed(value, field)) is type(becomes)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        (FLAG, "maybe", "“Flag” takes true or false, and gets “maybe”."),
        (NUMBER, "١٢", "takes a number"),
        (NUMBER, "1e999999999", "takes a number"),
        (NUMBER, "9" * 400, "takes a number"),
        (DATE, "yesterday", "takes a date such as 2026-11-22"),
        (FLAG, "x" * 500, f"“{'x' * 39}…”"),
    ],
)
def test_a_value_that_its_field_cannot_hold_is_refused_in_a_sentence(
    field: TargetField, value: str, words: str
) -> None:
    with pytest.raises(Unfit) as refused:
        typed(value, field)
    assert words in str(refused.value)


def test_a_text_is_cut_in_the_unit_that_the_crm_counts() -> None:
    assert cut("abcdef", 6, "characters") == "abcdef"
    assert cut("abcdef", 5, "characters") == "abcd…"
    assert cut("😀😀😀", 3, "characters") == "😀😀😀"
    assert cut("😀😀😀", 6, "utf-16") == "😀😀😀"
    assert cut("😀😀😀", 5, "utf-16") == "😀😀…"
    assert cut("😀😀😀", 4, "utf-16") == "😀…"


@given(st.text(), st.integers(1, 40), units)
def test_what_is_cut_fits_and_is_a_beginning(text: str, most: int, unit: LengthUnit) -> None:
    shorter = cut(text, most, unit)
    assert length(shorter, unit) <= most
    assert shorter == text or text.startswith(shorter[:-1])


def test_a_record_is_fitted_and_says_what_was_cut() -> None:
    fields = {field.name: field for field in (FLAG, TargetField("title", "Job title", max_length=10))}
    values, note = fitted(
        {"title": "Chief Everything Officer", "flag": "yes", "else": "x"}, fields, "characters"
    )
    assert values == {"title": "Chief Eve…", "flag": True, "else": "x"}
    assert note.startswith("“Job title” was cut from 24 to 10 characters")


def test_an_address_is_never_cut() -> None:
    fields = {"mail": TargetField("mail", "E-mail", "email", max_length=10)}
    record = {"mail": "somebody@contoso.example"}
    assert fitted(record, fields, "characters") == (record, "")


def test_a_record_names_the_field_that_cannot_hold_its_value() -> None:
    with pytest.raises(UnfitField) as refused:
        fitted({"flag": "maybe"}, {"flag": FLAG}, "characters")
    assert refused.value.field == "flag"
