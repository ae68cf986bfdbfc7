"""Forty offers at once: looked at first, then all or none; and their URLs in one table."""

import csv
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from leads.admin import many_offers
from leads.models import Endpoint, Offer
from leads.ports import Notice, ports
from tests.crm_sync.screens import html_of, may_only, press, text_of
from tests.staff import make_offer, signed_in

pytestmark = pytest.mark.django_db

MANY, URLS = "/admin/leads/offer/many/", "/admin/leads/offer/urls/"
LIST = "contoso\tbackup\tContoso Backup\ncontoso\tmail\tContoso Mail"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("offers_added", "notices"):
        monkeypatch.setattr(ports, name, [])


def slugs() -> list[str]:
    return [offer.slug for offer in Offer.objects.order_by("pk")]


def download(client: Client, query: str = "") -> list[list[str]]:
    response = client.post(URLS + query)
    assert response.headers["Content-Disposition"] == 'attachment; filename="endpoint-urls.csv"'
    return list(csv.reader(StringIO(response.content.decode("utf-8-sig"))))


# Adding


def test_looking_at_a_list_says_what_it_would_do_and_does_nothing() -> None:
    make_offer("mail")
    text = press(signed_in("bob"), MANY, listed=LIST)
    assert "1 offer will be added." in text
    assert "1 offer is there already, and stays as it is" in text
    assert slugs() == ["contoso.mail"]


@pytest.mark.parametrize(
    "listed",
    [
        "contoso\tcontoso.backup\tContoso Backup",
        "contoso, Contoso.backup, Contoso Backup",
        "\tcontoso.backup\tContoso Backup",
        "Offer ID,Publisher ID,Title\ncontoso.backup,contoso,Contoso Backup",
    ],
)
def test_an_offer_id_that_names_the_publisher_too_is_taken_apart_and_the_preview_says_so(listed: str) -> None:
    text = press(signed_in("bob"), MANY, listed=listed)
    assert "names the publisher too: the offer ID is taken to be “backup”." in text
    assert "1 offer will be added." in text
    press(signed_in("bob"), MANY, listed=listed, add="1")
    assert slugs() == ["contoso.backup"]


def test_an_offer_id_that_names_another_publisher_is_refused_not_guessed_at() -> None:
    text = press(signed_in("bob"), MANY, listed="contoso,fabrikam.backup,Contoso Backup", add="1")
    assert "names the publisher too" not in text
    assert "Letters, digits, dashes and underscores only" in text
    assert slugs() == []


def test_the_button_adds_each_with_its_url_and_shows_them_in_a_table() -> None:
    client = signed_in("bob")
    text = press(client, MANY, listed=LIST, add="1")
    assert slugs() == ["contoso.backup", "contoso.mail"]
    assert "2 offers are added." in text
    for offer in Offer.objects.all():
        assert offer.endpoints.get().url in text
        assert (offer.enabled, offer.dnc_policy, offer.schema) == (True, "hold", None)
    assert {entry.change_message for entry in LogEntry.objects.all()} == {"Added from a list."}


def test_what_is_there_already_stays_as_it_is_whatever_its_case() -> None:
    offer = make_offer("backup", enabled=False)
    text = press(signed_in("bob"), MANY, listed=LIST.replace("backup", "BACKUP"), add="1")
    assert "1 offer is added. 1 was there already and stays as it was." in text
    offer.refresh_from_db()
    assert (offer.title, offer.enabled) == ("Contoso Backup", False)
    assert offer.endpoints.count() == 1


def test_one_wrong_line_and_nothing_is_added() -> None:
    wrong = f"{LIST}\ncontoso\tno good\t{'x' * 201}"
    text = press(signed_in("bob"), MANY, listed=wrong, add="1")
    assert "Line 3, column 2: Letters, digits, dashes and underscores only" in text
    assert "Line 3, column 3: Ensure this value has at most 200 characters" in text
    assert "2 things need mending. Nothing is added until the whole list is right." in text
    assert not Offer.objects.exists()
    assert not Endpoint.objects.exists()


def test_an_error_in_the_middle_adds_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(request: Any, offers: Any) -> Any:
        raise RuntimeError

    ports.offers_added.append(fail)
    with pytest.raises(RuntimeError):
        signed_in("bob").post(MANY, {"listed": LIST, "add": "1"})
    assert not Offer.objects.exists()


def test_a_file_is_read_and_stands_in_the_box_to_be_added() -> None:
    file = SimpleUploadedFile("offers.csv", b"Titel;x\n" + "contoso;größe;T".encode("cp1252"))
    text = press(signed_in("bob"), MANY, listed="ignored", file=file)
    assert "Line 2, column 2: Letters, digits" in text
    assert "contoso;größe;T" in text
    file = SimpleUploadedFile("offers.csv", b"\xef\xbb\xbfPublisher ID;Offer ID;Title\r\ncontoso;a;A\r\n")
    assert "1 offer will be added." in press(signed_in("bob"), MANY, file=file)


def test_a_file_that_is_too_large_is_refused() -> None:
    file = SimpleUploadedFile("offers.csv", b"x" * (many_offers.MOST_BYTES + 1))
    assert "The file is too large" in press(signed_in("bob"), MANY, file=file)


def test_others_do_their_part_with_new_offers_and_say_so() -> None:
    seen: list[list[str]] = []

    def part(request: Any, offers: Any) -> Any:
        seen.append([offer.slug for offer in offers])
        return [Notice("step", "They are <b>known</b>.", "/there/", "Look")]

    ports.offers_added.append(part)
    response = signed_in("bob").post(MANY, {"listed": LIST, "add": "1"}, follow=True)
    assert 'They are &lt;b&gt;known&lt;/b&gt;. <a href="/there/">Look</a>' in response.content.decode()
    data = {"title": "T", "publisher_id": "contoso", "offer_id": "one", "dnc_policy": "hold", "schema": ""}
    signed_in("bob").post("/admin/leads/offer/add/", data)
    assert seen == [["contoso.backup", "contoso.mail"], ["contoso.one"]]


@pytest.mark.parametrize("name", ["charlie", "dave", "frank"])
def test_adding_is_for_those_who_may_add_offers(name: str) -> None:
    client = signed_in(name)
    assert client.get(MANY).status_code == 403
    assert client.post(MANY, {"listed": LIST, "add": "1"}).status_code == 403
    assert not Offer.objects.exists()


# The URLs


def test_the_table_holds_the_current_url_of_each_offer_but_the_demos() -> None:
    make_offer("demo", is_demo=True)
    offer, other = make_offer(), make_offer("mail")
    old = offer.endpoints.get()
    new = Endpoint.rotate(offer, timezone.timedelta(days=3), timezone.now(), replacing=old.pk)  # type: ignore[attr-defined]
    other.endpoints.update(revoked_at=timezone.now())
    text = text_of(signed_in("bob"), URLS)
    assert new.url in text
    assert old.url not in text
    assert "None: make one on the offer's page" in text
    assert "demo" not in text.split("Endpoint URL")[1]


def test_those_that_were_added_together_are_shown_together() -> None:
    make_offer()
    signed_in("bob").post(MANY, {"listed": LIST.replace("backup", "drive"), "add": "1"})
    added = Offer.objects.get(offer_id="mail").created_at.isoformat()
    html = html_of(signed_in("bob"), URLS, added=added)
    assert "contoso.drive" in html
    assert "contoso.backup" not in html
    for nonsense in ("x", "2026-13-45T99:00", "2026-01-01T00:00"):
        assert "contoso.backup" in html_of(signed_in("bob"), URLS, added=nonsense)


def test_the_file_is_formula_safe_and_logged() -> None:
    offer = make_offer()
    Offer.objects.filter(pk=offer.pk).update(title="=1+1\n\tx")
    assert download(signed_in("bob")) == [
        ["Publisher ID", "Offer ID", "Title", "Endpoint URL"],
        ["contoso", "backup", "'=1+1 x", offer.endpoints.get().url],
    ]
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.object_repr) == ("bob", "contoso.backup")
    assert entry.change_message == "Took away the endpoint URL of 1 offer in a file."


@pytest.mark.parametrize("name", ["charlie", "dave", "frank"])
def test_urls_are_for_those_who_may_see_them(name: str) -> None:
    offer, client = make_offer(), signed_in(name)
    for response in (client.get(URLS), client.post(URLS)):
        assert response.status_code == 403
        assert str(offer.endpoints.get().key) not in response.content.decode()
    assert not LogEntry.objects.exists()


def test_the_list_of_offers_links_both_pages_for_those_who_may() -> None:
    make_offer()
    text = text_of(signed_in("bob"), "/admin/leads/offer/")
    assert "Add many offers" in text
    assert "All URLs" in text
    text = text_of(signed_in("dave"), "/admin/leads/offer/")
    assert "Add many offers" not in text
    assert "All URLs" not in text


def test_revealing_alone_is_not_enough() -> None:
    assert may_only("frank", "leads.reveal_endpoint").get(URLS).status_code == 403


def test_an_empty_site_says_what_to_do() -> None:
    assert "There is no offer yet, so there is no URL." in text_of(signed_in("bob"), URLS)


def test_a_key_that_does_not_open_is_told(settings: Any) -> None:
    make_offer()
    settings.FIELD_ENCRYPTION_KEYS = ["x" * 43 + "="]
    assert "FIELD_ENCRYPTION_KEYS" in press(signed_in("bob"), URLS)
    assert reverse("admin:leads_offer_urls") == URLS
