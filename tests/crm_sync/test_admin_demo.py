"""The demo CRM on screen: labelled as what it is, failing on demand, and gone at one button."""

import pytest
from django.urls import reverse

from crm_sync import demo_data
from crm_sync.connectors import get
from crm_sync.models import Delivery, DemoRecord, DemoSwitch, Destination
from leads import ports
from leads.models import Lead, Offer
from tests.crm_sync.screens import Demo, html_of, press, text_of, url_of
from tests.crm_sync.sending import START
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

LIST = "/admin/crm_sync/demorecord/"
EVIL = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def _no_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports.ports, "bell", [])


def switch() -> str:
    return reverse("admin:crm_sync_switch_demo")


def remove() -> str:
    return reverse("admin:crm_sync_remove_demo")


def test_it_says_what_it_is() -> None:
    text = text_of(signed_in("dave"), LIST)
    assert "A CRM inside this app, for trying things out" in text
    assert "nothing leaves this server" in text
    assert "No records yet" in text


def test_its_records_are_shown_with_their_fields() -> None:
    demo = Demo()
    sent = demo.owe()
    demo.drain()
    text = text_of(signed_in("dave"), LIST)
    assert "Contoso Backup: Jane Doe" in text
    assert "Email: jane@fabrikam.example" in text
    record = DemoRecord.objects.get()
    page = text_of(signed_in("dave"), url_of(record))
    assert "jane@fabrikam.example" in page
    assert record.key in page
    sent.refresh_from_db()
    assert "Jane Doe" in text_of(signed_in("dave"), sent.remote_url), "where the lead's page leads to"


def test_records_are_found_by_what_is_in_them() -> None:
    DemoRecord.objects.create(key="1", record={"topic": "Hello", "email": "jane@x.example"})
    assert "Hello" in text_of(signed_in("dave"), LIST, q="jane@x")
    assert "Nothing matches" in text_of(signed_in("dave"), LIST, q="nobody")


@pytest.mark.parametrize("mode", DemoSwitch.Mode.values)
def test_it_is_switched_to_every_behaviour(mode: str) -> None:
    text = press(signed_in("bob"), switch(), mode=mode, field="email")
    label = DemoSwitch.Mode(mode).label
    assert f"The demo CRM is switched to “{label}”" in text
    assert f"Now: {label}" in text
    assert DemoSwitch.current().mode == mode


def test_it_refuses_the_field_that_was_chosen() -> None:
    press(signed_in("bob"), switch(), mode="refusing_field", field="company")
    demo = Demo()
    sent = demo.owe()
    Lead.objects.update(company="Fabrikam")
    demo.drain()
    sent.refresh_from_db()
    assert sent.field == "company" or "company" in sent.reason
    for target in get("demo").spec.fields:
        assert target.label in text_of(signed_in("bob"), LIST)


def test_a_behaviour_that_there_is_not_is_refused() -> None:
    assert "Not switched" in press(signed_in("bob"), switch(), mode="nonsense", field="email")
    assert DemoSwitch.current().mode == "working"


def test_switching_needs_its_permission_and_a_post() -> None:
    assert signed_in("dave").post(switch(), {"mode": "down"}).status_code == 403
    assert signed_in("bob").get(switch()).status_code == 405
    assert 'name="mode"' not in html_of(signed_in("dave"), LIST)
    assert DemoSwitch.current().mode == "working"


def test_sales_see_the_records_and_can_change_nothing() -> None:
    client = signed_in("charlie")
    page = client.get(LIST)
    assert page.status_code == 200
    assert b"Remove all demo data" not in page.content
    assert client.get(reverse("admin:crm_sync_remove_demo")).status_code == 403


def test_records_are_read_only() -> None:
    record = DemoRecord.objects.create(key="1", record={"topic": "Hello"})
    client = signed_in("alice")
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(url_of(record), {}).status_code == 403
    assert client.post(url_of(record, "delete"), {"post": "yes"}).status_code == 403


def test_removing_the_demo_says_what_goes_and_leaves_the_rest() -> None:
    own = Demo()
    demo_data.seed(START)
    kept = own.owe()
    DemoRecord.objects.create(key="1", record={"topic": "Hello"})
    client = signed_in("erin")
    assert remove() in html_of(client, LIST)
    text = text_of(client, remove())
    for words in (
        "Demo offers, with their URLs 1",
        "Records in it 1",
        "Sendings to it 1",
        "1 lead of your own",
    ):
        assert words in text
    assert Offer.objects.filter(is_demo=True).exists(), "a look removes nothing"
    assert "The demo is removed" in press(client, remove())
    assert not Offer.objects.filter(is_demo=True).exists()
    assert not Destination.objects.filter(connector="demo").exists()
    assert not DemoRecord.objects.exists()
    assert Lead.objects.filter(pk=kept.lead_id).exists()
    assert not Delivery.objects.exists()
    assert "There is no demo data" in text_of(client, remove())


@pytest.mark.parametrize("who", ["bob", "dave", "charlie"])
def test_removing_needs_its_permission(who: str) -> None:
    demo_data.seed(START)
    assert signed_in(who).get(remove()).status_code == 403
    assert signed_in(who).post(remove()).status_code == 403
    assert Offer.objects.filter(is_demo=True).exists()


def test_hostile_records_are_harmless() -> None:
    record = DemoRecord.objects.create(key="1", record={"topic": EVIL, EVIL: [EVIL], "email": EVIL})
    for url in (LIST, url_of(record)):
        assert EVIL not in html_of(signed_in("dave"), url)
