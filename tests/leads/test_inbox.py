"""The inbox: what a row says, which leads it opens on, filters in words, and views that are kept under a name."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from leads import customers
from leads.admin import inbox_rows, saved_views
from leads.models import Lead, Offer, SavedView
from tests.leads.test_admin import LEADS
from tests.staff import body, lead_of, make_offer, make_searchable, person, post, signed_in

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)


def words(html: str) -> str:
    """What a reader sees: no tags, one space between words."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).replace("\xa0", " ").split())


def html_of(client: Client, query: str = "") -> str:
    response = client.get(f"{LEADS}?{query}" if query else LEADS, follow=True)
    assert response.status_code == 200, query
    return response.content.decode()


def rows(client: Client, query: str = "") -> list[str]:
    """The leads in the list, in words."""
    found = re.search(r'<table id="result_list">.*</table>', html_of(client, query), re.DOTALL)
    return [words(row) for row in re.findall(r"<tr>(.*?)</tr>", found[0], re.DOTALL)[1:]] if found else []


def tabs(client: Client, query: str = "") -> list[str]:
    found = re.search(r'<nav class="tabs".*?</nav>', html_of(client, query), re.DOTALL)
    assert found
    return [words(link) for link in re.findall(r"<a (?!class).*?</a>", found[0], re.DOTALL)]


def current(client: Client, query: str = "") -> str:
    found = re.search(r'<nav class="tabs".*?</nav>', html_of(client, query), re.DOTALL)
    assert found
    marked = re.search(r'aria-current="page">(.*?)</a>', found[0])
    return marked[1] if marked else ""


def a_lead(offer: Offer, name: str = "Jane", at: datetime | None = None, **values: Any) -> Lead:
    """A lead of somebody of that first name, with what the worker and colleagues have set since."""
    details = {"FirstName": name, "Email": f"{name.casefold()}@fabrikam.example"}
    said = {key: values.pop(key) for key in list(values) if key[0].isupper()}
    lead = lead_of(post(offer, body(details | said.pop("UserDetails", {}), **said), at=at))
    Lead.objects.filter(pk=lead.pk).update(**values)
    lead.refresh_from_db()
    return lead


# What a row says


def test_a_row_is_a_sentence_with_the_action_emphasised_then_their_own_words() -> None:
    a_lead(make_offer(), at=timezone.now() - timedelta(minutes=12))
    html = html_of(signed_in("charlie"))
    assert "pressed <em>Contact me</em> for" in html
    (row,) = rows(signed_in("charlie"))
    assert row.startswith(
        "Jane Doe, Fabrikam (US), pressed Contact me for Contoso Backup on AppSource , 12 min ago “Call me.”"
    )


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("INS", "<em>acquired</em> Contoso"),
        ("StartTestDrive", "<em>began a test drive of</em> Contoso"),
        ("Renew", "sent a lead for Contoso"),
    ],
)
def test_where_the_sentence_does_not_name_the_action_what_they_did_is_emphasised(
    action: str, said: str
) -> None:
    a_lead(make_offer(), ActionCode=action)
    assert said in html_of(signed_in("charlie"))


def test_a_sentence_is_punctuated_whether_or_not_there_is_a_company() -> None:
    offer = make_offer()
    assert a_lead(offer).sentence.startswith("Jane Doe, Fabrikam (US), pressed Contact me")
    alone = a_lead(offer, "Kim", UserDetails={"Company": ""})
    assert alone.sentence.startswith("Kim Doe (US) pressed Contact me")


def test_campaign_parameters_are_a_badge_and_no_words_of_the_customer() -> None:
    a_lead(make_offer(), Description="utm_source=mail&utm_campaign=spring24")
    (row,) = rows(signed_in("charlie"))
    assert "campaign: spring24" in row
    assert "utm_source" not in row
    assert "“" not in row


def test_long_and_hostile_words_are_clipped_and_harmless() -> None:
    a_lead(make_offer(), Description="<script>alert(1)</script> " + "word " * 5_000)
    html = html_of(signed_in("charlie"))
    assert "&lt;script&gt;alert(1)&lt;/script&gt; word" in html
    assert html.count("word ") < 40
    assert "…”" in html


@pytest.mark.parametrize(
    ("said", "badge"),
    [
        ({"UserDetails": {"Email": "kim@contoso.edu"}}, ".edu"),
        ({"UserDetails": {"Email": ""}}, "No e-mail"),
        ({"ActionCode": "DNC"}, "do not contact"),
        ({"is_sample": True}, "sample"),
    ],
)
def test_what_is_special_about_a_lead_is_a_badge_in_its_row(said: dict[str, Any], badge: str) -> None:
    a_lead(make_offer(), **said)
    (row,) = rows(signed_in("charlie"), "view=all")
    assert badge in row


def test_who_came_before_is_said_to_come_again() -> None:
    offer, other, now = make_offer(), make_offer("analytics"), timezone.now()
    leads = [
        a_lead(each, at=now - timedelta(hours=hours)) for each, hours in ((offer, 3), (other, 2), (offer, 1))
    ]
    for lead in leads:
        lead.tidy_email = lead.email
    customers.group(leads, now)
    Lead.objects.bulk_update(leads, ["customer", "grouped_by"])
    third, second, first = rows(signed_in("charlie"))
    assert "3rd event from this customer" in third
    assert "2nd event from this customer" in second
    assert "event from this customer" not in first
    assert len(rows(signed_in("charlie"), "repeat=customer")) == 2


def test_a_customer_with_thousands_of_leads_does_not_hold_up_the_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offer, now = make_offer(), timezone.now()
    leads = [a_lead(offer, at=now - timedelta(minutes=20 * number)) for number in range(3)]
    for lead in leads:
        lead.tidy_email = lead.email
    customers.group(leads, now)
    Lead.objects.bulk_update(leads, ["customer", "grouped_by"])
    monkeypatch.setattr(inbox_rows, "MOST_COUNTED", 2)
    assert "event from this customer" not in html_of(signed_in("charlie"))


# Our work


@pytest.mark.parametrize(
    ("values", "said", "late"),
    [
        ({}, "Not answered", False),
        ({"answer_due_at": NOW + timedelta(minutes=119)}, "Not answered, due in 1 h", False),
        ({"answer_due_at": NOW + timedelta(hours=2)}, "Not answered, due in 2 h", False),
        ({"answer_due_at": NOW + timedelta(seconds=61)}, "Not answered, due in 2 min", False),
        ({"answer_due_at": NOW + timedelta(days=3)}, "Not answered, due in 3 days", False),
        ({"answer_due_at": NOW}, "Not answered, late since 2026-11-27 09:00", True),
        ({"answer_due_at": NOW, "status": "working"}, "Not answered, late since 2026-11-27 09:00", True),
        ({"answer_due_at": NOW, "answered_at": NOW}, "Answered", False),
        ({"answer_due_at": NOW, "status": "closed"}, None, False),
        ({"answer_due_at": NOW, "action": "DNC"}, None, False),
    ],
)
def test_the_clock_says_by_when_a_lead_is_answered(
    values: dict[str, Any], said: str | None, late: bool
) -> None:
    clock = inbox_rows.answer_clock(Lead(**{"action": "PLT"} | values), NOW)
    assert (clock and clock.said.replace("\xa0", " ")) == said
    assert bool(clock and clock.late) is late


def test_a_row_says_state_owner_and_follow_up() -> None:
    today = timezone.localdate()
    a_lead(make_offer(), owner=person("bob"), status="working", follow_up_on=today)
    (row,) = rows(signed_in("charlie"), "view=all")
    assert f"Working bob Not answered Follow-up due since {today}" in row
    a_lead(make_offer("other"), "Kim", follow_up_on=today + timedelta(days=1))
    row = rows(signed_in("charlie"), "view=all")[0]
    assert f"New Nobody's Not answered Follow up on {today + timedelta(days=1)}" in row


def test_where_all_is_worked_on_in_the_crm_there_is_no_sign_of_work_at_all() -> None:
    a_lead(make_offer(worked_in="crm"))
    client = signed_in("charlie")
    assert tabs(client) == ["All"]
    assert len(rows(client)) == 1
    html = html_of(client)
    for sign in ("Our work", "filter-owner", "filter-answer", "filter-status__exact"):
        assert sign not in html


# What it opens on


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({}, True),
        ({"owner": "charlie"}, True),
        ({"owner": "bob"}, False),
        ({"status": "working"}, False),
        ({"status": "working", "owner": "charlie"}, False),
        ({"status": "working", "follow_up_on": timedelta(days=0)}, True),
        ({"status": "closed", "owner": "charlie", "follow_up_on": timedelta(days=-3)}, True),
        ({"status": "closed", "owner": "charlie", "follow_up_on": timedelta(days=3)}, False),
        ({"owner": "bob", "follow_up_on": timedelta(days=0)}, False),
        ({"is_test": True}, False),
        ({"is_sample": True}, False),
        ({"action": "DNC"}, False),
        ({"action": "DNC", "owner": "charlie", "follow_up_on": timedelta(days=0)}, False),
        ({"archived_at": NOW}, False),
    ],
)
def test_needs_me_is_new_and_mine_or_nobodys_or_due(values: dict[str, Any], shown: bool) -> None:
    if "owner" in values:
        values = values | {"owner": person(values["owner"])}
    if "follow_up_on" in values:
        values = values | {"follow_up_on": timezone.localdate() + values["follow_up_on"]}
    a_lead(make_offer(), **values)
    assert bool(rows(signed_in("charlie"))) is shown


def test_the_inbox_opens_on_what_needs_whoever_opens_it() -> None:
    offer = make_offer()
    a_lead(offer)
    a_lead(offer, "Kim", owner=person("bob"))
    client = signed_in("charlie")
    assert tabs(client) == ["Needs me", "Mine", "Unanswered", "All"]
    assert current(client) == "Needs me"
    assert len(rows(client)) == 1
    assert len(rows(client, "view=all")) == 2
    assert len(rows(signed_in("bob"), "owner=me")) == 1
    assert current(signed_in("bob"), "owner=me") == "Mine"


def test_a_demo_is_for_trying_out_and_waits_for_nobody() -> None:
    a_lead(make_offer("demo", is_demo=True))
    client = signed_in("charlie")
    assert current(client) == "All", "there is nothing else to look at yet"
    assert len(rows(client)) == 1
    make_offer()
    assert current(client) == "Needs me"
    for query in ("view=needs_me", "answer=open"):
        assert rows(client, query) == []


def test_who_works_on_no_lead_sees_them_all() -> None:
    a_lead(make_offer(), owner=person("bob"), status="closed")
    assert current(signed_in("dave")) == "All"
    assert len(rows(signed_in("dave"))) == 1


def test_where_nothing_waits_it_says_so_and_leads_to_all() -> None:
    a_lead(make_offer(), status="closed")
    text = html_of(signed_in("charlie"))
    assert "Nothing waits for you." in text
    assert '<a href="?view=all">See all leads</a>' in text


def test_the_second_page_of_the_first_view_is_of_that_view() -> None:
    offer = make_offer()
    for number in range(51):
        a_lead(offer, f"Number {number}")
    a_lead(offer, "Other", owner=person("bob"))
    html = html_of(signed_in("charlie"))
    link = re.search(r'href="\?([^"]*)" rel="next"', html)
    assert link
    assert "view=needs_me" in link[1]


# Filters


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("country=DE", {"Ina"}),
        ("country=none", {"Mo"}),
        ("country=XX", {"Ina", "Mo", "Sam"}),
        ("owner=me", {"Sam"}),
        ("owner=nobody", {"Ina", "Mo"}),
        ("answer=open", {"Ina", "Mo"}),
        ("answer=late", {"Mo"}),
        ("answer=given", {"Sam"}),
        ("follow_up=due", {"Mo"}),
        ("follow_up=coming", {"Ina"}),
        ("archived=only", {"Old"}),
        ("archived=all", {"Ina", "Mo", "Sam", "Old"}),
        ("kind=test", {"Tess"}),
        ("kind=all", {"Ina", "Mo", "Sam", "Tess"}),
        ("kind=counted", {"Ina", "Mo", "Sam"}),
        ("from=2026-11-20&to=2026-11-20", {"Ina"}),
        ("from=2026-11-20", {"Ina", "Mo", "Sam"}),
        ("to=2026-11-19", set()),
        ("to=9999-12-31", {"Ina", "Mo", "Sam"}),
        ("repeat=request", set()),
        ("status__exact=closed", {"Sam"}),
        ("sending=none", {"Ina", "Mo", "Sam"}),
        ("offer__id__exact=0", {"Ina", "Mo", "Sam"}),
        ("view=nonsense", {"Ina", "Mo", "Sam"}),
    ],
)
def test_filters_find_what_they_say(query: str, found: set[str]) -> None:
    offer, charlie = make_offer(), person("charlie")
    today, noon = timezone.localdate(), datetime(2026, 11, 20, 12, tzinfo=UTC)
    a_lead(offer, "Ina", at=noon, tidy_country="DE", follow_up_on=today + timedelta(days=1))
    a_lead(offer, "Mo", answer_due_at=timezone.now() - timedelta(hours=1), follow_up_on=today)
    a_lead(offer, "Sam", tidy_country="US", owner=charlie, answered_at=noon, status="closed")
    a_lead(offer, "Old", tidy_country="US", archived_at=noon)
    a_lead(offer, "Tess", is_test=True)
    assert {row.split()[0] for row in rows(signed_in("charlie"), query)} == found


def test_an_owner_who_has_left_can_still_be_asked_for() -> None:
    bob = person("bob")
    a_lead(make_offer(), owner=bob)
    bob.is_active = False
    bob.save()
    client = signed_in("charlie")
    assert "bob (has left)" in html_of(client)
    assert len(rows(client, f"owner={bob.pk}")) == 1


def test_filters_in_force_stand_above_the_list_each_with_a_way_to_take_it_away() -> None:
    offer = make_offer()
    a_lead(offer)
    query = f"country=US&from=2026-01-01&offer__id__exact={offer.pk}&q=jane"
    html = html_of(signed_in("charlie"), query)
    chips = re.search(r'<ul class="chips".*?</ul>', html, re.DOTALL)
    assert chips
    said = words(chips[0])
    for chip in ("Search: “jane”", "Offer: Contoso Backup", "Country: United States", "From 2026-01-01"):
        assert chip in said
    without_country = f"?from=2026-01-01&amp;offer__id__exact={offer.pk}&amp;q=jane"
    assert f'href="{without_country}"' in chips[0]


def test_without_its_last_filter_a_list_shows_all_and_not_ones_own_work() -> None:
    a_lead(make_offer())
    html = html_of(signed_in("charlie"), "country=US")
    assert re.search(r'<a href="\?view=all">Country: United States', html)


def test_a_form_of_filters_leaves_a_clean_address() -> None:
    response = signed_in("charlie").get(f"{LEADS}?country=DE&owner=&status__exact=&from=&q=")
    assert (response.status_code, response["Location"]) == (302, f"{LEADS}?country=DE")
    response = signed_in("charlie").get(f"{LEADS}?country=&owner=")
    assert response["Location"] == f"{LEADS}?view=all"


@pytest.mark.parametrize(
    ("form", "list_"),
    [
        ("view=needs_me&country=DE&owner=", "country=DE&view=needs_me"),
        ("view=needs_me&archived=only&owner=", "archived=only"),
        ("view=needs_me&country=DE&kind=test&owner=", "country=DE&kind=test"),
        ("view=needs_me&owner=", "view=needs_me"),
    ],
)
def test_filters_narrow_a_view_unless_they_ask_for_what_it_leaves_out(form: str, list_: str) -> None:
    assert signed_in("charlie").get(f"{LEADS}?{form}")["Location"] == f"{LEADS}?{list_}"


def test_what_is_no_date_is_told_and_left_out() -> None:
    a_lead(make_offer())
    text = html_of(signed_in("charlie"), "from=yesterday")
    assert "“yesterday” after From is no date; write it as 2026-11-27." in text
    assert len(rows(signed_in("charlie"), "from=yesterday")) == 1


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Pacific/Kiritimati"])
@pytest.mark.parametrize("name", ["from", "to"])
@pytest.mark.parametrize(
    "value",
    [
        "0001-01-01",
        "9999-12-31",
        "0001-01-01T00:00:00%2B00:00",
        "9999-12-31T23:59:59%2B00:00",
        "0001-01-01T00:00:00%2B14:00",
        "9999-12-31T23:59:59-12:00",
    ],
)
def test_a_bound_at_the_edge_of_the_calendar_breaks_no_list(
    zone: str, name: str, value: str, settings: Any
) -> None:
    settings.TIME_ZONE = zone
    a_lead(make_offer())
    client = signed_in("charlie")
    assert len(rows(client, f"{name}={value}")) == 1
    assert "is no date" in html_of(client, f"{name}={value}")


@pytest.mark.parametrize(
    "value", ["{year}-01-01", "{year}-12-31T23:59:59-12:00", "{year}-01-01T00:00:00%2B14:00"]
)
@pytest.mark.parametrize(("name", "year"), [("from", "0002"), ("to", "9998")])
@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Pacific/Kiritimati"])
def test_a_bound_within_it_holds(zone: str, name: str, year: str, value: str, settings: Any) -> None:
    settings.TIME_ZONE = zone
    a_lead(make_offer())
    text = html_of(signed_in("charlie"), f"{name}={value.format(year=year)}")
    assert "is no date" not in text
    assert "Jane" in text


def filter_form(html: str) -> list[tuple[str, str]]:
    """What a browser sends for the form of filters, as it stands."""
    form = re.search(r'<form method="get" aria-label="Filters">.*?</form>', html, re.DOTALL)
    assert form
    found = []
    for tag in re.findall(r"<select.*?</select>|<input[^>]*>", form[0], re.DOTALL):
        name = re.search(r'name="([^"]*)"', tag)
        value = re.search(
            r'value="([^"]*)"' if tag.startswith("<input") else r'value="([^"]*)" selected', tag
        )
        assert name
        found.append((name[1], unescape(value[1]) if value else ""))
    return found


def test_applying_the_form_keeps_the_moments_of_a_link_until_a_day_is_chosen() -> None:
    offer = make_offer()
    for name, hour in (("Early", 11), ("Noon", 12), ("Late", 23)):
        a_lead(offer, name, at=datetime(2026, 11, 20, hour, tzinfo=UTC))
    a_lead(offer, "Next", at=datetime(2026, 11, 21, tzinfo=UTC))
    client = signed_in("charlie")
    query = urlencode({"from": "2026-11-20T12:00:00+00:00", "to": "2026-11-21T00:00:00+00:00"})
    form = filter_form(html_of(client, query))
    assert ("from", "") in form, "a day would say something else"
    assert {row.split()[0] for row in rows(client, urlencode(form))} == {"Noon", "Late"}
    chosen = [("to", "2026-11-21") if field == ("to", "") else field for field in form]
    assert {row.split()[0] for row in rows(client, urlencode(chosen))} == {"Noon", "Late", "Next"}
    response = client.get(f"{LEADS}?{urlencode(chosen)}")
    assert response["Location"].endswith("?from=2026-11-20T12%3A00%3A00%2B00%3A00&to=2026-11-21")


def test_days_in_the_wrong_order_are_told_at_their_fields() -> None:
    a_lead(make_offer(), at=NOW)
    client, said = signed_in("charlie"), "From is after To: nothing lies between them."
    html = html_of(client, "from=2026-11-28&to=2026-11-27")
    assert html.count(said) == 1
    assert html.count('aria-describedby="filter-wrong"') == 2
    assert '<details class="filters" open>' in html, "the fields are in sight"
    for query in ("from=2026-11-27&to=2026-11-27", "from=2026-11-28", "view=all"):
        html = html_of(client, query)
        assert said not in html
        assert '<details class="filters">' in html


def test_a_search_looks_among_all_leads_whatever_view_it_was_begun_in() -> None:
    a_lead(make_offer(), status="closed")
    html = html_of(signed_in("charlie"), "view=needs_me&country=US")
    form = re.search(r'<form id="changelist-search".*?</form>', html, re.DOTALL)
    assert form
    assert 'name="country" value="US"' in form[0]
    assert 'name="view"' not in form[0]


def test_a_search_without_a_hit_offers_tests_and_the_archive() -> None:
    a_lead(make_offer(), archived_at=timezone.now())
    make_searchable()
    text = html_of(signed_in("charlie"), "q=jane")
    assert "Nothing matches." in text
    link = re.search(r'href="\?([^"]*)">Look among all leads', text)
    assert link
    assert len(rows(signed_in("charlie"), unescape(link[1]))) == 1


def test_choices_of_filters_are_not_read_from_leads() -> None:
    a_lead(make_offer())
    client = signed_in("charlie")
    with CaptureQueriesContext(connection) as queries:
        client.get(LEADS)
    assert not [query for query in queries if "DISTINCT" in query["sql"]]


def test_more_rows_ask_no_more_questions() -> None:
    offer, client = make_offer(), signed_in("charlie")
    SavedView.objects.create(name="Germany", query="country=DE")

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get(LEADS)
        return len(queries)

    a_lead(offer, owner=person("charlie"))
    cost()
    few = cost()
    for number in range(10):
        a_lead(offer, f"Number {number}", owner=person("charlie"))
    assert cost() == few


# Views under a name


def save(client: Client, **data: Any) -> Any:
    return client.post(reverse("admin:leads_lead_save_view"), data, follow=True)


def test_one_tab_is_the_current_one(offer: Offer) -> None:
    SavedView.objects.create(name="Germany", query="view=needs_me&country=DE")
    client = signed_in("charlie")

    def current(query: str) -> list[str]:
        tabs = client.get(f"/admin/leads/lead/?{query}").context["cl"].tabs
        return [tab.name for tab in tabs if tab.current]

    assert current("view=needs_me") == ["Needs me"]
    assert current("view=needs_me&country=FR") == ["Needs me"], "which somebody narrows"
    assert current("view=needs_me&country=DE") == ["Germany"]


def test_a_row_says_that_the_lead_names_another_offer(offer: Offer) -> None:
    post(offer, body(LeadSource="SPZA-PLT|contoso.analytics"))
    assert "Other offer" in signed_in("charlie").get("/admin/leads/lead/?view=all").content.decode()


def view_url(view: SavedView) -> str:
    return reverse("admin:leads_lead_view", args=[view.pk])


def test_whoever_may_see_leads_keeps_views_of_their_own() -> None:
    a_lead(make_offer())
    client = signed_in("dave")
    response = save(client, name="Germany", query="p=3&country=DE&o=1&status__exact=")
    assert "“Germany” is a view of yours now." in response.content.decode()
    view = SavedView.objects.get()
    assert (view.query, view.owner) == ("country=DE", person("dave"))
    assert current(client, "country=DE&p=1") == "Germany"
    assert "Germany" not in tabs(signed_in("charlie"))


def test_a_view_for_everybody_is_made_by_those_who_may_share() -> None:
    make_offer()
    assert save(signed_in("charlie"), name="Germany", query="country=DE", shared="on").status_code == 403
    assert "For everybody" not in html_of(signed_in("charlie"), "country=DE")
    assert not SavedView.objects.exists()
    save(signed_in("bob"), name="Germany", query="country=DE", shared="on")
    assert SavedView.objects.get().owner is None
    assert "Germany" in tabs(signed_in("charlie"))


def test_who_may_not_see_shared_views_sees_none_and_who_sees_no_leads_saves_none() -> None:
    make_offer()
    SavedView.objects.create(name="Germany", query="country=DE")
    assert save(signed_in("frank"), name="x", query="country=DE").status_code == 403
    person("frank").user_permissions.add(Permission.objects.get(codename="view_lead"))
    assert "Germany" not in tabs(signed_in("frank"))


def test_ones_own_view_is_renamed_and_deleted_by_oneself_and_by_nobody_else() -> None:
    make_offer()
    view = SavedView.objects.create(name="Germany", query="country=DE", owner=person("charlie"))
    for stranger in ("bob", "alice"):
        assert signed_in(stranger).get(view_url(view)).status_code == 404
        assert signed_in(stranger).post(view_url(view), {"delete": "yes"}).status_code == 404
    client = signed_in("charlie")
    assert "Rename or delete" in html_of(client, "country=DE")
    client.post(view_url(view), {"name": "Deutschland"})
    view.refresh_from_db()
    assert view.name == "Deutschland"
    client.post(view_url(view), {"delete": "yes"})
    assert not SavedView.objects.exists()


def test_everybodys_view_is_changed_by_those_with_the_permission() -> None:
    make_offer()
    view = SavedView.objects.create(name="Germany", query="country=DE")
    for reader in ("charlie", "dave"):
        assert "Rename or delete" not in html_of(signed_in(reader), "country=DE")
        assert signed_in(reader).get(view_url(view)).status_code == 403
        assert signed_in(reader).post(view_url(view), {"delete": "yes"}).status_code == 403
        assert signed_in(reader).post(view_url(view), {"name": "x"}).status_code == 403
    signed_in("bob").post(view_url(view), {"name": "DACH"})
    view.refresh_from_db()
    assert view.name == "DACH"


@pytest.mark.parametrize(
    ("permission", "data"), [("change_savedview", {"delete": "yes"}), ("delete_savedview", {"name": "x"})]
)
def test_renaming_and_deleting_everybodys_view_are_two_permissions(
    permission: str, data: dict[str, str]
) -> None:
    view = SavedView.objects.create(name="Germany", query="country=DE")
    for codename in ("view_lead", "view_savedview", permission):
        person("frank").user_permissions.add(Permission.objects.get(codename=codename))
    client = signed_in("frank")
    assert client.get(view_url(view)).status_code == 200
    assert client.post(view_url(view), data).status_code == 403
    assert SavedView.objects.get().name == "Germany"


def test_a_name_stands_for_one_view_and_there_is_an_end_of_views(monkeypatch: pytest.MonkeyPatch) -> None:
    make_offer()
    client = signed_in("charlie")
    assert "Give the view a name." in save(client, name=" ", query="country=DE").content.decode()
    save(client, name="Germany", query="country=DE")
    assert "There is a view “germany” already" in unescape(
        save(client, name="germany", query="country=FR").content.decode()
    )
    monkeypatch.setattr(saved_views, "MOST", 1)
    assert "There are 1 views already" in save(client, name="France", query="country=FR").content.decode()
    assert SavedView.objects.count() == 1
    assert client.get(reverse("admin:leads_lead_save_view")).status_code == 405


def test_a_hostile_view_leads_nowhere_but_into_the_list() -> None:
    make_offer()
    client = signed_in("charlie")
    save(client, name="<script>alert(1)</script>", query='"><img src=x onerror=1>=1&javascript:alert(1)=2')
    html = html_of(client, "view=all")
    assert "&lt;script&gt;alert(1)" in html
    for live in ("<script>alert", "<img src=x", 'href="javascript'):
        assert live not in html
