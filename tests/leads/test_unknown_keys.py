"""Fields that nobody knows: counted once a lead, told on Home and on the page of the offer, mapped or ignored."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from leads.models import Lead, Offer, Submission, UnknownKey
from leads.ports import ports
from leads.unknown_keys import LONGEST_NAME, MOST_NAMES, count
from tests.staff import body, lead_of, make_offer, person, post, signed_in

pytestmark = pytest.mark.django_db

HOME = "/admin/"
SENT = "Microsoft sent a field we do not know for Contoso Backup: Notes (4 leads)."


@pytest.fixture(autouse=True)
def _nothing_else_plugged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "map_links", [])
    monkeypatch.setattr(ports, "mapped_values", [])


def arrive(offer: Offer, **extra: Any) -> Lead:
    return lead_of(post(offer, body(**extra)))


def rows(offer: Offer) -> dict[str, int]:
    return dict(offer.unknown_keys.values_list("name", "leads"))


def page_of(offer: Offer) -> str:
    return reverse("admin:leads_offer_change", args=[offer.pk])


def text_of(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return response.content.decode()


def press(name: str, button: str, key: UnknownKey) -> Any:
    return signed_in(name).post(reverse(f"admin:leads_unknownkey_{button}", args=[key.pk]))


def four_leads_with_notes(offer: Offer) -> UnknownKey:
    count([arrive(offer, Notes=f"after {hour}") for hour in range(4)], timezone.now())
    return offer.unknown_keys.get()


# Counting


def test_each_field_is_counted_once_a_lead_with_the_first_and_the_last_time() -> None:
    offer, now = make_offer(), timezone.now()
    first = [arrive(offer, Notes="a", UserDetails={"Fax": "1"}), arrive(offer, Notes="b")]
    count(first, now)
    count([arrive(offer, Notes="c")], now + timedelta(hours=1))
    assert rows(offer) == {"Notes": 3, "UserDetails.Fax": 1}
    notes = offer.unknown_keys.get(name="Notes")
    assert (notes.first_seen_at, notes.last_seen_at) == (now, now + timedelta(hours=1))
    assert notes.ignored_at is None


def test_each_offer_has_its_own() -> None:
    one, other = make_offer(), make_offer("other")
    count([arrive(one, Notes="a"), arrive(other, Notes="b"), arrive(other, Fax="1")], timezone.now())
    assert (rows(one), rows(other)) == ({"Notes": 1}, {"Notes": 1, "Fax": 1})


def test_tests_and_samples_do_not_count() -> None:
    offer = make_offer()
    sample = lead_of(post(offer, body(Notes="x"), origin=Submission.Origin.SAMPLE))
    count([arrive(offer, Notes="x", Description="MSFT_TEST_1"), sample], timezone.now())
    assert rows(offer) == {}


def test_what_staff_said_to_a_field_stays_when_it_comes_again() -> None:
    key = four_leads_with_notes(make_offer())
    press("bob", "ignore", key)
    count([arrive(key.offer, Notes="again")], timezone.now())
    key.refresh_from_db()
    assert (key.leads, key.ignored_by) == (5, person("bob"))


def test_leads_without_unknown_fields_cost_nothing_and_many_cost_what_one_does() -> None:
    offer = make_offer()
    plain = [arrive(offer, LeadSource=f"SPZA-PLT|contoso.backup{n}") for n in range(3)]
    with CaptureQueriesContext(connection) as queries:
        count(plain, timezone.now())
        count([], timezone.now())
    assert len(queries) == 0
    many = [arrive(offer, Notes=str(n), **{f"Field{n}": n}) for n in range(20)]
    with CaptureQueriesContext(connection) as queries:
        count(many, timezone.now())
    assert len(queries) == 2
    assert len(rows(offer)) == 21


def test_a_stranger_cannot_fill_the_table() -> None:
    offer = make_offer()
    count([arrive(offer, Notes="known")], timezone.now())
    count([arrive(offer, **{f"junk{n}": 1 for n in range(5_000)}, Notes="b")], timezone.now())
    count([arrive(offer, **{f"more{n}": 1 for n in range(5_000)}, Notes="c")], timezone.now())
    assert len(rows(offer)) == MOST_NAMES
    assert rows(offer)["Notes"] == 3, "those that are known go on being counted"
    assert "100 fields are listed" in text_of(signed_in("bob"), page_of(offer))


def test_names_of_any_length_and_kind_are_taken() -> None:
    offer = make_offer()
    long = "x" * 5_000
    names = {long: 1, f"{long}y": 2, "": 3, "nul\0": 4, "\ud800": 5, "100%": 6, "'; --": 7, "日本": 8}
    count([arrive(offer, **names)], timezone.now())
    assert set(rows(offer)) == {"x" * LONGEST_NAME, "", "nul\ufffd", "\ufffd", "100%", "'; --", "日本"}
    assert set(rows(offer).values()) == {1}
    assert "日本" in text_of(signed_in("bob"), page_of(offer))


@pytest.mark.usefixtures("own_database")
def test_workers_that_count_at_the_same_time_lose_nothing() -> None:
    offer = make_offer()
    leads = [arrive(offer, Notes=str(n), Fax="1") for n in range(4)]
    problems: list[BaseException] = []

    def work(lead: Lead) -> None:
        try:
            for _ in range(5):
                count([lead], timezone.now())
        except BaseException as error:
            problems.append(error)
        finally:
            connections["default"].close()

    threads = [threading.Thread(target=work, args=[lead]) for lead in leads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert rows(offer) == {"Notes": 20, "Fax": 20}


# On Home


def test_home_tells_of_a_new_field_to_those_who_can_map_or_ignore_it() -> None:
    offer = make_offer()
    four_leads_with_notes(offer)
    for name in ("alice", "bob", "erin"):
        text = text_of(signed_in(name), HOME)
        assert SENT in text
        assert f'href="{page_of(offer)}#unknown-fields"' in text
    for name in ("charlie", "dave", "frank"):
        assert "we do not know" not in text_of(signed_in(name), HOME)


def test_home_names_the_first_few_of_many_fields() -> None:
    offer = make_offer()
    count([arrive(offer, A=1, B=2, C=3, D=4)], timezone.now())
    told = "4 fields we do not know for Contoso Backup: A (1 lead), B (1 lead), C (1 lead) and 1 more."
    assert told in text_of(signed_in("bob"), HOME)


def test_other_pages_are_not_asked() -> None:
    four_leads_with_notes(make_offer())
    client = signed_in("bob")
    client.get("/admin/leads/lead/")
    with CaptureQueriesContext(connection) as queries:
        client.get("/admin/leads/lead/")
    assert not [query for query in queries if "leads_unknownkey" in query["sql"]]


def test_a_name_is_a_strangers_text() -> None:
    offer = make_offer()
    count([arrive(offer, **{"<script>alert(1)</script>": "<b>x</b>"})], timezone.now())
    for url in (HOME, page_of(offer)):
        text = text_of(signed_in("bob"), url)
        assert "<script>alert" not in text
        assert "&lt;script&gt;" in text
        assert "<b>x" not in text


# On the page of the offer


def test_the_offer_shows_each_field_with_its_count_an_example_and_what_to_do() -> None:
    offer = make_offer()
    four_leads_with_notes(offer)
    text = text_of(signed_in("bob"), page_of(offer))
    for words in ("Fields we do not know", "Notes", "4 leads, first seen", "just now", "after 3", "Ignore"):
        assert words in text


def test_an_offer_without_unknown_fields_says_nothing_of_them() -> None:
    assert "Fields we do not know" not in text_of(signed_in("bob"), page_of(make_offer()))


def test_an_example_is_clipped_and_only_for_those_who_may_see_leads() -> None:
    offer = make_offer()
    count([arrive(offer, Notes="y" * 9_000, List=[1, "z"])], timezone.now())
    text = text_of(signed_in("bob"), page_of(offer))
    assert "yyy…" in text
    assert "y" * 300 not in text
    assert "[1, &quot;z&quot;]" in text
    frank = person("frank")
    frank.user_permissions.set(_permissions("view_offer"))
    assert "yyy" not in text_of(signed_in("frank"), page_of(offer))


def _permissions(*codenames: str) -> Any:
    from django.contrib.auth.models import Permission

    return Permission.objects.filter(codename__in=codenames)


def test_an_ignored_field_is_no_news_and_can_be_news_again() -> None:
    offer = make_offer()
    key = four_leads_with_notes(offer)
    client = signed_in("bob")
    response = press("bob", "ignore", key)
    assert response.url == f"{page_of(offer)}#unknown-fields"
    assert "we do not know for" not in text_of(client, HOME)
    text = text_of(client, page_of(offer))
    assert "Ignored (1)" in text
    assert "by bob" in text
    press("bob", "restore", key)
    assert SENT in text_of(client, HOME)
    key.refresh_from_db()
    assert (key.ignored_at, key.ignored_by) == (None, None)
    logged = LogEntry.objects.order_by("pk").values_list("change_message", flat=True)
    assert [*logged] == ["Ignored the field Notes.", "No longer ignores the field Notes."]


@pytest.mark.parametrize("name", ["charlie", "dave", "frank"])
@pytest.mark.parametrize("button", ["ignore", "restore"])
def test_who_may_not_change_offers_does_not_decide(name: str, button: str) -> None:
    offer = make_offer()
    key = four_leads_with_notes(offer)
    assert press(name, button, key).status_code == 403
    key.refresh_from_db()
    assert key.ignored_at is None
    if name != "frank":
        text = text_of(signed_in(name), page_of(offer))
        assert "Notes" in text
        assert ">Ignore<" not in text


def test_ignoring_takes_a_post_with_a_token() -> None:
    key = four_leads_with_notes(make_offer())
    url = reverse("admin:leads_unknownkey_ignore", args=[key.pk])
    assert signed_in("bob").get(url).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(person("bob"))
    assert strict.post(url).status_code == 403
    key.refresh_from_db()
    assert key.ignored_at is None
    assert signed_in("bob").post(url.replace(str(key.pk), "999999")).status_code == 404


def test_unknown_fields_have_no_page_of_their_own() -> None:
    assert signed_in("alice").get("/admin/leads/unknownkey/").status_code == 404


# With something to map to


@pytest.fixture
def a_crm(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """A place to map fields to; what is put into the set is mapped."""
    mapped: set[str] = set()

    def links(request: Any, offer: Offer, value: str) -> Any:
        if request.user.username == "bob" and value not in mapped:
            yield "Map it", f"/there/?map={value}"

    monkeypatch.setattr(ports, "map_links", [links])
    monkeypatch.setattr(ports, "mapped_values", [lambda offers: {offer.pk: mapped for offer in offers}])
    return mapped


def test_the_offer_and_the_lead_lead_to_the_place_where_a_field_is_mapped(a_crm: set[str]) -> None:
    offer = make_offer()
    key = four_leads_with_notes(offer)
    lead = Lead.objects.first()
    assert lead is not None
    lead_page = reverse("admin:leads_lead_change", args=[lead.pk])
    for url in (page_of(offer), lead_page):
        assert 'href="/there/?map=extra.Notes"' in text_of(signed_in("bob"), url)
        assert "/there/" not in text_of(signed_in("charlie"), url)
    a_crm.add("extra.Notes")
    assert "we do not know for" not in text_of(signed_in("bob"), HOME), "what is mapped is no news"
    for url in (page_of(offer), lead_page):
        text = text_of(signed_in("bob"), url)
        assert "apped" in text
        assert "/there/" not in text
    press("bob", "ignore", key)
    assert "Ignored (" not in text_of(signed_in("bob"), page_of(offer))


def test_a_name_that_was_cut_is_not_mapped(a_crm: set[str]) -> None:
    offer = make_offer()
    count([arrive(offer, **{"x" * 201: 1})], timezone.now())
    assert "/there/" not in text_of(signed_in("bob"), page_of(offer))
