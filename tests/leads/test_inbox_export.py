"""Leads that leave in a file: exactly those of the list, harmless to a spreadsheet, and never without a trace."""

import csv
import random
from datetime import UTC, date, datetime, timedelta
from io import BytesIO, StringIO
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from django.utils.translation import override
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape

from leads import export, sheet
from leads.admin import exports
from leads.models import Export
from tests import pseudo
from tests.leads.test_admin import LEADS
from tests.leads.test_inbox import a_lead, html_of, words
from tests.staff import make_offer, person, signed_in

pytestmark = pytest.mark.django_db
EXPORTS = "/admin/leads/export/"


def taken(client: Client, query: str = "view=all", kind: str = "csv") -> bytes:
    response = client.post(f"{LEADS}export/?{query}", {"format": kind})
    assert response.status_code == 200, response
    assert response["Content-Disposition"].startswith('attachment; filename="leads-')
    return b"".join(response)


def as_csv(client: Client, query: str = "view=all") -> list[dict[str, str]]:
    text = taken(client, query).decode("utf-8-sig")
    return list(csv.DictReader(StringIO(text, newline="")))


def as_excel(client: Client, query: str = "view=all") -> list[dict[str, Any]]:
    """By heading: the cells of each row."""
    book = openpyxl.load_workbook(BytesIO(taken(client, query, "xlsx")))
    headings, *rows = book.active.iter_rows()
    return [dict(zip([cell.value for cell in headings], row, strict=True)) for row in rows]


def test_a_file_holds_the_leads_of_the_list_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "SLICE", 2)
    offer, now = make_offer(), timezone.now()
    for number in range(5):
        a_lead(offer, f"Number {number}", at=now - timedelta(minutes=number), tidy_country="DE")
    a_lead(offer, "Other", tidy_country="FR")
    client = signed_in("bob")
    assert "Export these 5 leads" in words(html_of(client, "country=DE"))
    names = [f"Number {number}" for number in range(5)]
    assert [row["First name"] for row in as_csv(client, "country=DE")] == names
    assert [row["First name"].value for row in as_excel(client, "country=DE")] == names


def test_leads_of_one_moment_are_in_the_file_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "SLICE", 2)
    offer, now = make_offer(), timezone.now()
    for number in range(7):
        a_lead(offer, f"Number {number}", at=now)
    assert len({row["Lead"] for row in as_csv(signed_in("bob"))}) == 7


def test_a_row_has_what_was_sent_beside_what_was_made_of_it() -> None:
    lead = a_lead(
        make_offer(),
        UserDetails={"Country": "USA", "Phone": "(425) 555-0134"},
        Description="utm_campaign=spring24",
        Notes="after five",
        tidy_country="US",
        tidy_phone="+14255550134",
        owner=person("charlie"),
        status="working",
    )
    (row,) = as_csv(signed_in("bob"))
    expected = {
        "First name": "Jane",
        "Country": "United States",
        "Country code": "US",
        "Country as sent": "USA",
        "Phone": "'+14255550134",
        "Phone as sent": "(425) 555-0134",
        "Offer": "Contoso Backup",
        "Offer ID": "contoso.backup",
        "Action": "Contact me",
        "Action code": "PLT",
        "Source": "AppSource",
        "LeadSource": "SPZA-PLT|contoso.backup",
        "Campaign": '{"utm_campaign": "spring24"}',
        "Unknown fields": '{"Notes": "after five"}',
        "State": "Working",
        "Owner": "charlie",
        "Lead": str(lead.pk),
        "CRM": "",
    }
    assert {name: row[name] for name in expected} == expected


def test_times_are_those_of_the_reader() -> None:
    timezone.activate(ZoneInfo("Europe/Berlin"))
    try:
        a_lead(make_offer(), at=datetime(2026, 7, 1, 22, 30, 5, tzinfo=UTC))
        client = signed_in("bob")
        assert as_csv(client)[0]["Received"] == "2026-07-02 00:30:05"
        assert as_excel(client)[0]["Received"].value == datetime(2026, 7, 2, 0, 30, 5)  # noqa: DTZ001
    finally:
        timezone.deactivate()


def test_what_strangers_wrote_is_run_by_no_spreadsheet() -> None:
    formula = '=HYPERLINK("http://evil.example")'
    details = {"FirstName": formula, "LastName": "@SUM(1)", "Company": "-2+3", "Title": "http://evil.example"}
    a_lead(make_offer(), UserDetails=details, Description="\x01\x0b\ufffe bell\r\nline")
    client = signed_in("bob")
    (row,) = as_csv(client)
    assert row["First name"] == f"'{formula}"
    assert row["Last name"] == "'@SUM(1)"
    (cells,) = as_excel(client)
    assert (cells["First name"].value, cells["First name"].data_type) == (formula, "s")
    assert (cells["Company"].value, cells["Company"].data_type) == ("-2+3", "s")
    assert cells["Job title"].hyperlink is None
    assert cells["Description"].value == "\ufffd\ufffd\ufffd bell\nline"


def made(rows: Any) -> BytesIO:
    return BytesIO(b"".join(sheet.workbook(rows, "Leads")))


@settings(deadline=None, max_examples=50)
@given(st.text(alphabet=st.characters(), max_size=50))
def test_any_text_is_a_text_in_the_cell_and_comes_out_as_it_went_in(text: str) -> None:
    cell = openpyxl.load_workbook(made([["heading"], [text]])).active.cell(2, 1)
    assert unescape(cell.value or "") == sheet.plain(text)
    assert cell.data_type in ("s", "n")  # an empty cell has no text


@pytest.mark.parametrize(
    "text", ["x" * 100_000, "🦊" * 40_000, "é" * 40_000, "_x0041_", "=1+1", " 7 ", "\ud800"]
)
def test_a_cell_holds_as_much_as_excel_takes_and_nothing_that_it_cannot(text: str) -> None:
    shown = sheet.plain(text)
    assert len(shown.encode("utf-16-le")) // 2 <= 32_767
    file = made([["heading"], [shown]])
    assert unescape(openpyxl.load_workbook(file).active.cell(2, 1).value) == shown


def test_a_workbook_goes_out_while_its_rows_are_still_made() -> None:
    taken_so_far: list[int] = []

    def endless() -> Any:
        for number in range(1_000_000):
            taken_so_far.append(number)
            yield [f"{random.getrandbits(4000):x}", number]

    assert len(next(iter(sheet.workbook(endless(), "Leads")))) > 1000
    assert len(taken_so_far) < 1_000, "no more rows than one piece needs"


def test_a_workbook_keeps_headings_numbers_dates_and_many_columns_in_place() -> None:
    row = ["x", 7, date(2026, 11, 27), datetime(2026, 11, 27, 9, 30, 5), "", *range(60)]  # noqa: DTZ001
    book = openpyxl.load_workbook(made([["Heading", "<&>"], row]))
    cells = book.active
    assert (book.sheetnames, cells.freeze_panes, cells["A1"].font.bold) == (["Leads"], "A2", True)
    assert cells["B1"].value == "<&>"
    assert [cell.value for cell in cells[2]][:5] == ["x", 7, datetime(2026, 11, 27), row[3], None]  # noqa: DTZ001
    assert cells["BM2"].value == 59
    assert cells["C2"].number_format == "yyyy-mm-dd"


def test_columns_are_as_wide_as_what_stands_in_them_within_reason() -> None:
    rows = [
        ["Phone", "Received", "Description", "Company", ""],
        ["+14255550134", datetime(2026, 11, 27, 9), f"one\n{'two ' * 99}", "日本電気株式会社", ""],  # noqa: DTZ001
    ]
    columns = openpyxl.load_workbook(made(rows)).active.column_dimensions
    assert [round(columns[letter].width) for letter in "ABCDE"] == [15, 22, sheet.WIDEST + 3, 19, 3]


def test_columns_are_as_wide_as_the_first_rows_need() -> None:
    assert sheet.widths([["a"], ["abc"], [""]]) == [3 + 2]
    assert sheet.widths([]) == []


def test_what_does_not_fit_in_a_workbook_is_said_in_its_last_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "MOST_XML", 200)
    cells = openpyxl.load_workbook(made([["heading"], *([f"row {number}"] for number in range(99))])).active
    assert cells.max_row < 10
    assert cells.cell(cells.max_row, 1).value == sheet.NOT_ALL


def test_each_export_is_written_down_with_who_when_which_and_how_many() -> None:
    offer = make_offer()
    a_lead(offer, tidy_country="DE")
    a_lead(offer, "Kim", tidy_country="DE")
    before = timezone.now()
    taken(signed_in("bob"), "country=DE&p=2")
    row = Export.objects.get()
    assert (row.created_by, row.format, row.leads) == (person("bob"), "csv", 2)
    assert (row.query, row.said) == ("country=DE", "Country: Germany")
    assert row.created_at >= before
    text = words(signed_in("dave").get(EXPORTS).content.decode())
    assert "bob 2 Country: Germany CSV" in text


def test_it_is_written_down_before_the_first_byte_leaves() -> None:
    a_lead(make_offer())
    response = signed_in("bob").post(f"{LEADS}export/?view=all", {"format": "csv"})
    assert Export.objects.count() == 1
    response.close()


def test_to_look_at_the_page_takes_nothing() -> None:
    a_lead(make_offer())
    text = words(signed_in("bob").get(f"{LEADS}export/?view=all").content.decode())
    assert "Export this 1 lead" in text
    assert "The file holds personal data" in text
    assert not Export.objects.exists()


def test_leads_leave_with_those_who_may_and_with_nobody_else() -> None:
    a_lead(make_offer())
    for name in ("charlie", "dave", "frank"):
        client = signed_in(name)
        assert client.get(f"{LEADS}export/?view=all").status_code == 403
        assert client.post(f"{LEADS}export/?view=all", {"format": "csv"}).status_code == 403
    assert "Export this lead" not in html_of(signed_in("charlie"), "view=all")
    person("frank").user_permissions.add(Permission.objects.get(codename="export_lead"))
    assert signed_in("frank").post(f"{LEADS}export/?view=all", {"format": "csv"}).status_code == 403
    assert not Export.objects.exists()


def test_exports_are_read_by_those_who_may_and_changed_by_nobody() -> None:
    row = Export.objects.create(created_by=person("bob"), format="csv", leads=3, said="All", query="view=all")
    for name in ("charlie", "frank"):
        assert signed_in(name).get(EXPORTS).status_code == 403
    for name in ("alice", "bob", "dave", "erin"):
        client = signed_in(name)
        assert client.get(EXPORTS).status_code == 200
        assert client.get(f"{EXPORTS}add/").status_code == 403
        assert client.get(f"{EXPORTS}{row.pk}/change/").status_code == 302
        assert client.post(f"{EXPORTS}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Export.objects.get().leads == 3


def test_an_empty_list_of_exports_says_what_would_be_there() -> None:
    assert "Nobody has exported leads yet." in signed_in("dave").get(EXPORTS).content.decode()


def test_there_is_nothing_to_export_where_no_lead_is() -> None:
    a_lead(make_offer())
    text = signed_in("bob").get(f"{LEADS}export/?country=DE", follow=True).content.decode()
    assert "Nothing to export: no lead is in that list." in text
    assert not Export.objects.exists()


def test_what_is_too_much_for_excel_goes_as_csv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "MOST_IN_EXCEL", 1)
    offer, client = make_offer(), signed_in("bob")
    for name in ("Jane", "Kim"):
        a_lead(offer, name)
    assert "at most 1 leads here" in words(client.get(f"{LEADS}export/?view=all").content.decode())
    refused = client.post(f"{LEADS}export/?view=all", {"format": "xlsx"})
    assert "These are too many for an Excel file" in refused.content.decode()
    assert not Export.objects.exists()
    assert len(as_csv(client)) == 2


def test_an_unknown_format_is_none() -> None:
    a_lead(make_offer())
    assert signed_in("bob").post(f"{LEADS}export/?view=all", {"format": "exe"}).status_code == 200
    assert not Export.objects.exists()


def test_more_leads_cost_no_more_questions_a_slice(django_assert_max_num_queries: Any) -> None:
    offer, client = make_offer(), signed_in("bob")
    for number in range(30):
        a_lead(offer, f"Number {number}")
    with django_assert_max_num_queries(30):
        assert len(as_csv(client)) == 30


def test_a_file_is_in_the_language_of_who_takes_it_whichever_thread_makes_it(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    pseudo.speak(monkeypatch, settings)
    offer = make_offer()
    a_lead(offer, "Jane", action="PLT", tidy_country="DE")
    client = signed_in("bob")
    response = client.post(
        f"{LEADS}export/?view=all", {"format": "csv"}, headers={"accept-language": pseudo.LANGUAGE}
    )
    with override("en"):  # as whoever asked this thread before
        text = b"".join(response).decode("utf-8-sig")
    (row,) = csv.DictReader(StringIO(text, newline=""))
    assert (row["«Country»"], row["«Country code»"]) == ("Deutschland", "DE")
    assert (row["«Action»"], row["«Action code»"]) == ("«Contact me»", "PLT")
    assert row["«State»"] == "«New»"
