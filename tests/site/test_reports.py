"""Reports: what came in a stretch of time, by offer, source, action, country and campaign, and the same as a file."""

import csv
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from leads.models import Lead
from leads.ports import Times, ports
from leads.wording import midnight
from leadsite import reports
from tests.staff import body, make_offer, post, signed_in

pytestmark = pytest.mark.django_db
TODAY = date(2026, 11, 27)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "times_to_crm", [])


def page(query: str = "", name: str = "charlie") -> str:
    response = signed_in(name).get(f"/admin/reports/?{query}")
    assert response.status_code == 200
    return response.content.decode()


def tables(query: str = "") -> dict[str, dict[str, int]]:
    report = signed_in("charlie").get(f"/admin/reports/?{query}").context["report"]
    return {table.slug: {row.label: row.number for row in table.rows} for table in report.tables}


# The stretch of time


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ({}, date(2026, 10, 29), TODAY),
        ({"period": "7"}, date(2026, 11, 21), TODAY),
        ({"period": "90"}, date(2026, 8, 30), TODAY),
        ({"period": "year"}, date(2026, 1, 1), TODAY),
        ({"period": "<script>"}, date(2026, 10, 29), TODAY),
        ({"from": "2025-02-01", "to": "2025-02-28"}, date(2025, 2, 1), date(2025, 2, 28)),
    ],
)
def test_an_address_names_a_stretch_of_time(query: dict[str, str], first: date, last: date) -> None:
    period, form = reports.asked_for(query, TODAY)
    assert (period.first, period.last) == (first, last)
    assert not form.errors


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ({"from": "2026-02-01", "to": "2026-01-01"}, "The first day is after the last."),
        ({"from": "yesterday", "to": "2026-01-01"}, "Enter a valid date."),
        ({"from": "2026-02-01"}, "This field is required."),
    ],
)
def test_days_that_are_none_are_said_to_be_and_the_usual_ones_shown(
    query: dict[str, str], wrong: str
) -> None:
    period, form = reports.asked_for(query, TODAY)
    assert period.name == reports.DEFAULT
    assert wrong in str(form.errors)


def test_a_day_is_whole_from_midnight_to_midnight() -> None:
    offer = make_offer()
    for number, moment in enumerate(
        ("2026-01-31T23:59:59", "2026-02-01T00:00", "2026-02-02T23:59:59", "2026-02-03")
    ):
        post(offer, body({"FirstName": str(number)}), at=datetime.fromisoformat(moment).replace(tzinfo=UTC))
    assert tables("from=2026-02-01&to=2026-02-02")["offer"] == {"Contoso Backup": 2}


# The tables


def test_each_question_has_its_table() -> None:
    backup, archive = make_offer(), make_offer("archive")
    post(backup, body(LeadSource="SPZA-PLT|x.y", Description='{"utm_campaign": "spring24"}'))
    post(backup, body(LeadSource="SPZA-ODD|x.y", ActionCode="ODD"))
    post(archive, body(LeadSource="AzureMarketplace-INS|x.y", ActionCode="INS"))
    Lead.objects.filter(offer=archive).update(tidy_country="DE")
    assert tables("period=7") == {
        "offer": {"Contoso Backup": 2, "Contoso Archive": 1},
        "source": {"AppSource": 2, "Azure Marketplace": 1},
        "action": {"Contact me": 1, "Get it now": 1, "ODD": 1},
        "country": {"Not known": 2, "Germany": 1},
        "campaign": {"spring24": 1},
    }


def test_smaller_ones_unfold_and_what_strangers_made_up_is_one_where_it_is_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reports, "MOST_ROWS", 2)
    for number, action in enumerate(("A", "B", "C", "INS", "")):
        post(make_offer(f"o{number}"), body(LeadSource=f"S{number}-X|x.y", ActionCode=action))
    report = signed_in("charlie").get("/admin/reports/").context["report"]
    found = {table.slug: ([row.label for row in table.rows], len(table.more)) for table in report.tables}
    assert found["offer"] == (["Contoso O0", "Contoso O1"], 3)
    assert found["source"] == (["Other"], 0)
    assert found["action"] == (["Unknown action", "Get it now"], 0)
    assert "and 3 more" in page()


def test_hostile_names_are_clipped_and_escaped() -> None:
    post(
        make_offer(),
        body(ActionCode="<b>" * 200, Description='{"utm_campaign": "<script>alert(1)</script>"}'),
    )
    text = page()
    assert "<b><b>" not in text
    assert "<script>alert" not in text
    assert "&lt;b&gt;&lt;b&gt;" in text


def test_of_too_many_leads_the_newest_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "MOST_LEADS", 2)
    offer = make_offer()
    for number in range(4):
        post(offer, body({"FirstName": str(number)}), at=midnight() - timedelta(hours=number))
    text = page("period=7")
    assert "There are more than 2 leads in these days." in text


def test_times_and_repeats_are_told() -> None:
    offer = make_offer()
    ports.times_to_crm.append(lambda request, since, until: Times([4.0]))
    post(offer)
    lead = post(offer, body({"FirstName": "Again"})).leads.get()
    lead.grouped_by, lead.answered_at = Lead.GroupedBy.EMAIL, lead.received_at + timedelta(minutes=30)
    lead.save()
    text = page()
    assert "<strong>1</strong> from customers who had sent a lead before (50 %)" in text
    assert ">30 min</a></td>" in text
    assert ">4 s</td>" in text


def test_days_without_leads_say_what_to_do() -> None:
    assert "No lead came in these days." in page()


def test_a_report_costs_the_same_for_many_leads_as_for_few() -> None:
    offer, client = make_offer(), signed_in("charlie")
    post(offer)
    client.get("/admin/reports/")
    with CaptureQueriesContext(connection) as few:
        client.get("/admin/reports/")
    for number in range(10):
        post(make_offer(f"o{number}"), body({"FirstName": str(number)}, ActionCode=f"A{number}"))
    with CaptureQueriesContext(connection) as many:
        client.get("/admin/reports/")
    assert len(few) == len(many)


# The file and who may see it


def test_the_file_says_the_same_and_runs_no_formula() -> None:
    lead = post(make_offer(), body(ActionCode="=1+1")).leads.get()
    lead.answered_at = lead.received_at + timedelta(minutes=30, seconds=1.5)
    lead.save()
    response = signed_in("charlie").get("/admin/reports/?period=7&format=csv")
    today = timezone.localdate()
    assert response["Content-Disposition"] == (
        f'attachment; filename="leads-{today - timedelta(days=6)}-to-{today}.csv"'
    )
    content: Any = b"".join(response)
    rows = list(csv.reader(content.decode("utf-8-sig").splitlines()))
    assert rows[0] == ["Report", "What", "Leads", "Percent", "Seconds"]
    assert ["By offer", "Contoso Backup", "1", "100", ""] in rows
    assert ["By action", "'=1+1", "1", "100", ""] in rows
    assert ["Arrival to first answer", "Half within 30 min", "1", "50", "1801.5"] in rows


def test_reports_are_for_those_who_may_see_leads() -> None:
    for name in ("alice", "bob", "charlie", "dave"):
        assert "Reports" in page(name=name)
    client = signed_in("frank")
    for query in ("", "?format=csv"):
        assert client.get(f"/admin/reports/{query}").status_code == 403
    assert "Reports" not in client.get("/admin/").content.decode()
