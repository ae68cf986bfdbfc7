"""CRM connections on screen: made from what a connector declares, their health in words, their secrets kept."""

import re
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm_sync import connectors
from crm_sync.connectors.base import Connector
from crm_sync.models import Delivery, DemoRecord, Destination, DestinationState, Route
from crm_sync.spec import Setting, Spec
from leads import ports
from leads.models import Lead
from tests.crm_sync import sending
from tests.crm_sync.screens import Demo, html_of, press, text_of, url_of, words
from tests.staff import make_offer, signed_in

pytestmark = pytest.mark.django_db

LIST = "/admin/crm_sync/destination/"
ADD = f"{LIST}add/"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ADDRESS = "https://crm.example.com/leads"


@pytest.fixture(autouse=True)
def rings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    rung: list[str] = []
    monkeypatch.setattr(ports.ports, "bell", [lambda: rung.append("ring")])
    return rung


TENANT = str(UUID(int=7))


def hook(**values: Any) -> Destination:
    destination = Destination(name="Hook", connector="webhook")
    destination.store_settings({"url": ADDRESS, "secret": SECRET} | values)
    destination.save()
    return destination


def save(who: str, destination: Destination | None = None, kind: str = "webhook", **inputs: str) -> Any:
    """Fill in the form of a connection as a user and press Save."""
    url = url_of(destination) if destination else f"{ADD}?connector={kind}"
    limits = {"max_in_flight": "10", "keep_tries_days": "90"}
    data = {"name": "Hook", "setting_url": ADDRESS, "setting_secret": ""} | limits | inputs
    return signed_in(who).post(url, data)


def errors_of(response: Any) -> dict[str, list[str]]:
    assert response.status_code == 200, "the form was taken"
    return dict(response.context["adminform"].form.errors)


def in_state(destination: Destination, state: str, **values: Any) -> DestinationState:
    DestinationState.objects.filter(pk=destination.pk).update(state=state, **values)
    return sending.state_of(destination)


# The form


def test_every_kind_of_crm_is_offered_first() -> None:
    text = text_of(signed_in("erin"), ADD)
    for connector in connectors.all():
        assert connector.spec.label in text


def test_the_form_asks_what_the_connector_declares() -> None:
    text = text_of(signed_in("erin"), ADD, connector="webhook")
    for setting in connectors.get("webhook").spec.settings:
        assert setting.label in text
        assert setting.help in text


@pytest.fixture
def every_kind(monkeypatch: pytest.MonkeyPatch) -> Spec:
    """A connector with a setting of each kind."""

    class Full(Connector):
        spec = Spec(
            slug="full",
            label="Full",
            settings=(
                Setting("tenant", "Tenant"),
                Setting("password", "Password", kind="secret"),
                Setting("region", "Region", kind="choice", choices=(("eu", "Europe"), ("us", "America"))),
                Setting("strict", "Strict", kind="flag", required=False, default="true"),
                Setting("home", "Home page", kind="url", required=False, default="https://crm.example.com"),
            ),
            fields=(),
        )

        def requests(self, record: Any, *, key: str) -> Any:
            return []

        def examine(self) -> Any:
            return ()

    monkeypatch.setattr(connectors, "REGISTRY", {**connectors.REGISTRY, "full": Full})
    return Full.spec


def test_settings_of_every_kind_are_stored_as_the_connector_takes_them(every_kind: Spec) -> None:
    data = {"setting_tenant": "contoso", "setting_password": "hush", "setting_region": "eu"}
    assert save("erin", kind="full", **data).status_code == 302
    stored = Destination.objects.get()
    assert stored.settings["tenant"] == "contoso"
    assert stored.settings["region"] == "eu"
    assert stored.settings["strict"] == "false", "an unticked box says no, whatever the default"
    assert stored.secrets == {"password": "hush"}
    assert 'value="contoso"' in html_of(signed_in("erin"), url_of(stored))


def test_a_setting_that_is_missing_or_no_choice_is_marked(every_kind: Spec) -> None:
    errors = errors_of(save("erin", kind="full", setting_region="mars"))
    assert set(errors) == {"setting_tenant", "setting_password", "setting_region"}


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("nonsense", "must start with https://"),
        ("https://u:p@crm.example.com/", "user name or password"),
        ("http://crm.example.com/", "ALLOW_PRIVATE_DESTINATIONS"),
        ("https://127.0.0.1/x", "ALLOW_PRIVATE_DESTINATIONS"),
        ("https://[::1]/x", "ALLOW_PRIVATE_DESTINATIONS"),
        ("https://localhost/x", "ALLOW_PRIVATE_DESTINATIONS"),
        ("https://169.254.169.254/latest", "ALLOW_PRIVATE_DESTINATIONS"),
    ],
)
def test_a_refused_address_is_marked_with_what_would_allow_it(address: str, sentence: str) -> None:
    assert sentence in errors_of(save("erin", setting_url=address))["setting_url"][0]
    assert not Destination.objects.exists()


def test_private_addresses_are_taken_where_the_operator_allows_them(settings: Any) -> None:
    settings.ALLOW_PRIVATE_DESTINATIONS = True
    assert save("erin", setting_url="http://127.0.0.1:9/x").status_code == 302


def test_the_sites_own_address_is_taken(settings: Any) -> None:
    settings.PUBLIC_URL = "http://127.0.0.1:8000"
    assert save("erin", setting_url="http://127.0.0.1:8000/x").status_code == 302
    assert "setting_url" in errors_of(save("erin", name="Other", setting_url="http://127.0.0.1:8001/x"))


def test_what_only_the_connector_can_tell_is_marked_too() -> None:
    assert "whsec_" in errors_of(save("erin", setting_secret="nonsense"))["setting_secret"][0]


def test_a_name_is_taken_once() -> None:
    hook()
    assert "name" in errors_of(save("erin"))


# Secrets


def test_no_page_shows_a_secret_again() -> None:
    destination = hook()
    for name in ("alice", "erin", "bob", "dave"):
        for url in (LIST, url_of(destination), "/admin/"):
            assert SECRET not in html_of(signed_in(name), url)
            assert SECRET.removeprefix("whsec_") not in html_of(signed_in(name), url)


def test_a_refused_form_does_not_send_the_secret_back() -> None:
    assert SECRET not in save("erin", setting_url="nonsense", setting_secret=SECRET).content.decode()


def test_an_empty_box_keeps_the_secret() -> None:
    destination = hook()
    assert "leave empty to keep" in text_of(signed_in("erin"), url_of(destination))
    save("erin", destination, setting_url=f"{ADDRESS}/eu")
    destination.refresh_from_db()
    assert destination.all_settings() == {"url": f"{ADDRESS}/eu", "secret": SECRET}


@pytest.mark.parametrize(
    "url", ["https://evil.example.com/leads", "https://crm.example.com:8443/leads", "https://crm.example.co/"]
)
def test_a_secret_goes_to_no_other_server_than_it_was_entered_for(url: str) -> None:
    destination = hook()
    asked = errors_of(save("bob", destination, setting_url=url))
    assert asked == {"setting_secret": ["The address is that of another server now: enter this again."]}
    destination.refresh_from_db()
    assert destination.settings["url"] == ADDRESS
    assert save("bob", destination, setting_url=url, setting_secret=SECRET).status_code == 302
    save("bob", destination, clear_secret="on")
    destination.refresh_from_db()
    assert (destination.settings["url"], destination.secrets) == (ADDRESS, {})


def test_nor_to_another_place_of_sign_in_than_the_usual_one() -> None:
    stored = {"url": "https://contoso.crm.dynamics.com", "tenant_id": TENANT, "client_id": TENANT}
    destination = Destination(name="Dynamics", connector="dynamics365")
    destination.store_settings(stored | {"client_secret": SECRET})
    destination.save()
    boxes = {"name": "Dynamics"} | {f"setting_{name}": value for name, value in stored.items()}
    asked = errors_of(
        save("bob", destination, **boxes, setting_authority="https://login.microsoftonline.example.com")
    )
    assert set(asked) == {"setting_client_secret"}
    usual = save("bob", destination, **boxes, setting_authority="https://login.microsoftonline.com")
    assert usual.status_code == 302


def test_an_address_that_is_a_credential_itself_asks_for_no_other() -> None:
    account = {
        "connection_string": "AccountName=contoso;AccountKey=Y29udG9zby1hY2NvdW50LWtleQ==",
        "table": "Leads",
    }
    destination = Destination(name="Table", connector="azure_table")
    destination.store_settings(account | {"partition_format": "iso"})
    destination.save()
    address = "https://contoso.table.core.windows.net/Leads?si=writers&tn=Leads&sig=abc"
    boxes = {"name": "Table", "setting_table": "Leads", "setting_partition_format": "iso"}
    assert save("bob", destination, **boxes, setting_sas_url=address).status_code == 302
    destination.refresh_from_db()
    assert destination.secrets == {"connection_string": account["connection_string"], "sas_url": address}


def test_an_optional_secret_can_be_removed_and_another_one_set() -> None:
    destination = hook()
    save("erin", destination, clear_secret="on")
    destination.refresh_from_db()
    assert destination.secrets == {}
    assert "Remove: Signing secret" not in text_of(signed_in("erin"), url_of(destination))
    save("erin", destination, setting_secret=SECRET)
    destination.refresh_from_db()
    assert destination.secrets == {"secret": SECRET}


# Health


@pytest.mark.parametrize(
    ("state", "values", "sentences"),
    [
        ("working", {}, ("Not tested yet", "Last test None with these settings")),
        ("working", {"last_success_at": timezone.now()}, ("Working",)),
        ("working", {"checked_at": timezone.now()}, ("Working",)),
        (
            "working",
            {"checked_at": timezone.now(), "reason": "Wrong key."},
            ("Test failed at", "Wrong key.", "Leads are sent all the same."),
        ),
        ("working", {"failures": 2}, ("the last 2 tries failed",)),
        ("slowed", {"reason": "Too many requests"}, ("Slowed down since", "Too many requests.", "Next try")),
        ("stopped", {"reason": "Wrong key."}, ("Stopped since", "Wrong key.", "checked again by itself")),
        ("paused", {"reason": "Moving house"}, ("Paused since", "Moving house.", "Resume")),
    ],
)
def test_its_state_is_told_in_words(state: str, values: dict[str, Any], sentences: tuple[str, ...]) -> None:
    destination = hook()
    in_state(destination, state, until=timezone.now() + timedelta(minutes=9), **values)
    text = text_of(signed_in("erin"), url_of(destination))
    for sentence in sentences:
        assert sentence in text


def test_other_settings_are_not_tested_yet_whatever_arrived_with_the_former_ones() -> None:
    destination = hook()
    in_state(destination, "working", checked_at=timezone.now(), last_success_at=timezone.now(), failures=2)
    save("bob", destination, setting_url=f"{ADDRESS}/eu")
    text = text_of(signed_in("bob"), url_of(destination))
    assert "Not tested yet" in text
    assert "Last success None with these settings" in text
    assert "None with these settings" in text_of(signed_in("bob"), "/admin/")


@pytest.mark.parametrize("page", ["list", "its own", "Home", "the offer", "the route"])
def test_wherever_a_connection_is_shown_it_works_only_once_something_has_shown_so(page: str) -> None:
    route = sending.make_route(make_offer(), hook())
    where = {
        "list": LIST,
        "its own": url_of(route.destination),
        "Home": "/admin/",
        "the offer": f"/admin/leads/offer/{route.offer_id}/change/",
        "the route": url_of(route),
    }[page]

    def shown() -> str:
        return text_of(signed_in("bob"), where)

    assert "ot tested yet" in shown()
    in_state(route.destination, "working", checked_at=timezone.now(), reason="Wrong key.")
    assert "est failed" in shown()
    assert "ot tested yet" not in shown()
    in_state(route.destination, "working", reason="")
    assert "est failed" not in shown()


def test_a_test_that_failed_is_told_until_one_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    crm = sending.install(monkeypatch)
    destination = sending.make_destination()
    crm.healthy = False
    test = url_of(destination, "test")
    assert "Test failed at" in press(signed_in("erin"), test)
    assert "Test failed at" in text_of(signed_in("erin"), LIST)
    crm.healthy = True
    press(signed_in("erin"), test)
    assert "Working." in text_of(signed_in("erin"), LIST)


def test_what_was_tested_with_other_settings_counts_no_longer() -> None:
    destination = hook()
    in_state(destination, "working", checked_at=timezone.now(), reason="Wrong key.", findings=["Wrong key."])
    save("erin", destination, name="Other name")
    assert "Test failed at" in text_of(signed_in("erin"), url_of(destination))
    save("erin", destination, setting_url="https://other.example.com/", setting_secret=SECRET)
    text = text_of(signed_in("erin"), url_of(destination))
    assert "Not tested yet" in text
    assert "Wrong key." not in text


def test_the_list_counts_what_waits_and_what_is_held() -> None:
    demo = Demo()
    demo.owe()
    demo.owe(state="held", held_reason="approval")
    text = text_of(signed_in("dave"), LIST)
    assert "1 waiting, 1 held" in text
    assert "None with these settings" in text


def test_an_empty_list_says_that_leads_wait() -> None:
    assert "No CRM connected yet" in text_of(signed_in("erin"), LIST)


def test_the_demo_is_labelled_as_what_it_is() -> None:
    text = text_of(signed_in("erin"), url_of(Demo().destination))
    assert "Nothing leaves this server" in text
    assert "demo" in text


def test_it_says_which_offers_send_there() -> None:
    demo = Demo()
    html = html_of(signed_in("dave"), url_of(demo.destination))
    assert f'href="{url_of(demo.route)}"' in html
    assert "Live v1" in html


# Limits and credentials


def test_a_new_connection_starts_with_the_limits_of_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    crm = sending.install(monkeypatch)
    crm.spec = replace(crm.spec, max_in_flight=3, max_per_second=7, max_per_day=5000)
    monkeypatch.setattr(connectors.REGISTRY["scripted"], "spec", crm.spec)
    html = html_of(signed_in("erin"), ADD, connector="scripted")
    for name, value in {
        "max_in_flight": 3,
        "max_per_second": 7,
        "max_per_day": 5000,
        "keep_tries_days": 90,
    }.items():
        assert re.search(rf'name="{name}" value="{value}"', html)


def test_limits_are_saved_and_none_of_them_is_nothing() -> None:
    destination = hook()
    limits = {"max_in_flight": "4", "max_per_second": "", "max_per_day": "900", "keep_tries_days": "0"}
    assert save("erin", destination, **limits).status_code == 302
    destination.refresh_from_db()
    assert (destination.max_per_second, destination.max_per_day, destination.keep_tries_days) == (
        None,
        900,
        0,
    )
    assert "max_per_day" in errors_of(save("erin", destination, max_per_day="0"))


def test_pushes_of_this_day_stand_beside_the_limit() -> None:
    destination = hook()
    assert "Pushes today" not in text_of(signed_in("dave"), url_of(destination))
    Destination.objects.update(max_per_day=900)
    today = timezone.now().astimezone(UTC).date()
    in_state(destination, "working", day=today, pushed_today=120)
    assert "120 of 900 a day" in text_of(signed_in("dave"), url_of(destination))
    in_state(destination, "working", day=today - timedelta(days=1))
    assert "0 of 900 a day" in text_of(signed_in("dave"), url_of(destination))


@pytest.mark.parametrize(
    ("days", "words"),
    [(9, "in 9 days"), (1, "in 1 day,"), (0, "today"), (-3, "3 days ago"), (400, "as somebody typed below.")],
)
def test_the_end_of_the_credentials_is_told_in_days(days: int, words: str) -> None:
    destination, day = hook(), timezone.localdate() + timedelta(days=days)
    assert save("erin", destination, credentials_expire_on=f"{day:%Y-%m-%d}").status_code == 302
    text = text_of(signed_in("bob"), url_of(destination))
    assert words in text
    assert f"{day:%Y-%m-%d}" in text
    assert ("Renew them" in text) == (0 <= days <= 30)


def test_what_the_crm_tells_of_its_credentials_counts_and_is_not_typed() -> None:
    destination = hook()
    Destination.objects.update(credentials_expire_on=timezone.localdate())
    in_state(destination, "working", credentials_expire_on=timezone.localdate() + timedelta(days=99))
    html = html_of(signed_in("erin"), url_of(destination))
    assert "in 99 days, as the CRM says" in words(html)
    assert 'name="credentials_expire_on"' not in html
    save("erin", destination)
    destination.refresh_from_db()
    assert destination.credentials_expire_on == timezone.localdate()


def test_a_connection_without_credentials_is_not_asked_when_they_end() -> None:
    assert 'name="credentials_expire_on"' not in html_of(signed_in("erin"), url_of(Demo().destination))


# The queue, and what stands still


def test_the_queue_says_how_many_wait_since_when_and_when_the_next_try_is() -> None:
    demo = Demo()
    demo.owe(created_at=timezone.now() - timedelta(hours=3), due_at=timezone.now() + timedelta(minutes=5))
    demo.owe(created_at=timezone.now() - timedelta(hours=1), due_at=timezone.now() + timedelta(minutes=9))
    demo.owe(
        state="leased", lease_token=demo.lead().pk, lease_expires_at=timezone.now() + timedelta(minutes=1)
    )
    text = text_of(signed_in("dave"), url_of(demo.destination))
    assert "Waiting 2 leads , the oldest from 3 h ago" in text
    assert "On its way 1" in text
    assert "Next try At " in text
    in_state(demo.destination, "paused")
    assert "Once somebody presses Resume" in text_of(signed_in("dave"), url_of(demo.destination))


def test_what_stands_still_is_told_by_reason_with_the_words_of_the_crm() -> None:
    demo = Demo()
    demo.switch("down")
    demo.owe()
    demo.drain()
    demo.owe(state="rejected", reason="Taken by 4711", reason_group="Taken by …")
    html = html_of(signed_in("bob"), url_of(demo.destination))
    text = words(html)
    assert (
        "Waiting for another try 1 The CRM failed (HTTP 503): down: The demo CRM is switched to down." in text
    )
    assert "Refused 1 Taken by 4711" in text
    assert text.count("Retry all like this") == 2
    assert "Retry all like this" not in text_of(signed_in("dave"), url_of(demo.destination))


def test_more_connections_ask_no_more_questions() -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            html_of(signed_in("dave"), LIST)
        return len(asked)

    Demo().owe()
    queries()  # what is asked once a process
    few = queries()
    for _ in range(5):
        sending.make_destination("webhook")
    assert queries() == few


# One sample


def send_sample(who: str, destination: Destination, key: str = "") -> str:
    return press(signed_in(who), url_of(destination, "sample"), key=key or str(uuid4()))


def test_a_sample_is_shown_before_it_is_sent() -> None:
    destination = Demo().destination
    assert url_of(destination, "sample") in html_of(signed_in("bob"), url_of(destination))
    text = text_of(signed_in("bob"), url_of(destination, "sample"))
    assert "Send one sample to Demo CRM?" in text
    assert "The record sample" in text
    assert "Sam" in text
    assert "sam.sample@example.com" in text
    assert not DemoRecord.objects.exists()


def test_a_sample_arrives_once_and_is_no_lead() -> None:
    destination, key = Demo().destination, str(uuid4())
    text = send_sample("bob", destination, key)
    assert "The sample arrived in Demo CRM" in text
    assert "Open the record" in text
    assert "PUT http://demo-crm.internal/api/leads/" in text
    assert "201" in text
    assert DemoRecord.objects.get().record["email"] == "sam.sample@example.com"
    assert not Lead.objects.exists()
    assert not Delivery.objects.exists()
    send_sample("bob", destination, key)
    assert DemoRecord.objects.count() == 1, "a second click or a reload makes no second record"


@pytest.mark.parametrize(
    ("mode", "sentences"),
    [
        ("refusing_field", ("did not arrive", "refuses the field job_title", "no field job_title")),
        ("wrong_credentials", ("did not arrive", "Mend the settings", "does not accept the credentials")),
        ("throttled", ("did not arrive", "slow down")),
        ("answer_lost", ("may have arrived", "Look for Sam Sample")),
    ],
)
def test_a_sample_that_does_not_arrive_says_why_and_what_to_do(mode: str, sentences: tuple[str, ...]) -> None:
    demo = Demo()
    demo.switch(mode)
    text = send_sample("bob", demo.destination)
    for sentence in sentences:
        assert sentence in text
    assert sending.state_of(demo.destination).state == "working", "a sample says nothing of the leads"


def test_a_sample_says_that_it_counts_and_waits_for_the_next_day_once_the_limit_is_reached() -> None:
    destination = Demo().destination
    Destination.objects.update(max_per_day=1)
    url = url_of(destination, "sample")
    assert "counts towards the limit of 1 push a day; 0 went today." in text_of(signed_in("bob"), url)
    assert "The sample arrived" in send_sample("bob", destination)
    assert "Pushes today 1 of 1 a day" in text_of(signed_in("bob"), url_of(destination))
    text = send_sample("bob", destination)
    assert "Nothing was sent: the limit a day is reached." in text
    assert "The limit of 1 push a day is reached, and a sample counts as one. One can go from" in text
    assert "Send one sample to Demo CRM" not in text
    assert DemoRecord.objects.count() == 1


def test_a_paused_connection_says_that_no_sample_goes_there_either() -> None:
    destination = Demo().destination
    in_state(destination, "paused", reason="The CRM moves")
    text = send_sample("bob", destination)
    assert "Nothing was sent: somebody paused the connection." in text
    assert "No sample can go to Demo CRM now" in text
    assert "The CRM moves. While it is paused no sample goes either. Press Resume first." in text
    assert "Sam" in text, "the record is shown all the same"
    assert not DemoRecord.objects.exists()


def test_a_crm_that_asked_to_slow_down_gets_no_sample_before_its_time() -> None:
    destination = Demo().destination
    in_state(destination, "slowed", until=timezone.now() + timedelta(hours=3), failures=1)
    assert "Demo CRM asked to slow down: a sample can go at" in send_sample("bob", destination)
    assert not DemoRecord.objects.exists()


def test_a_stopped_connection_gets_the_sample_and_says_what_comes_next() -> None:
    destination = Demo().destination
    in_state(destination, "stopped", reason="The key is wrong")
    assert "once it arrives, press Test connection" in text_of(
        signed_in("bob"), url_of(destination, "sample")
    )
    assert "The sample arrived" in send_sample("bob", destination)


def test_a_connector_that_raises_is_told_as_our_error(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    crm = sending.install(monkeypatch)
    crm.always = RuntimeError("oops")
    destination = sending.make_destination("scripted")
    assert "An error of this software" in send_sample("bob", destination)
    assert "oops" in caplog.text


@pytest.mark.parametrize("who", ["charlie", "dave", "frank"])
def test_a_sample_needs_its_permission(who: str) -> None:
    destination = Demo().destination
    assert signed_in(who).get(url_of(destination, "sample")).status_code == 403
    assert signed_in(who).post(url_of(destination, "sample"), {"key": str(uuid4())}).status_code == 403
    assert not DemoRecord.objects.exists()


def test_a_sample_without_a_key_or_of_an_unknown_kind_is_not_sent() -> None:
    destination = Demo().destination
    assert signed_in("bob").post(url_of(destination, "sample"), {"key": "x"}).status_code == 404
    old = Destination.objects.create(name="Old", connector="gone")
    assert "no connector of that kind" in send_sample("bob", old)


# Buttons


def test_a_test_shows_its_findings_in_sentences() -> None:
    demo = Demo()
    text = press(signed_in("bob"), url_of(demo.destination, "test"))
    assert "is ready and takes leads" in text
    demo.switch("wrong_credentials")
    assert "does not accept the credentials" in press(signed_in("bob"), url_of(demo.destination, "test"))


def test_pause_and_resume(rings: list[str]) -> None:
    demo = Demo()
    sent = demo.owe()
    text = press(signed_in("erin"), url_of(demo.destination, "pause"), reason="Moving house")
    assert re.search(r"Paused by erin since [\d:]+\. Moving house\.", text)
    assert demo.drain() == 0
    assert "sends again" in press(signed_in("erin"), url_of(demo.destination, "resume"))
    assert rings
    assert demo.drain() == 1
    sent.refresh_from_db()
    assert sent.state == "delivered"


def test_a_slowed_connection_can_be_told_to_send_now() -> None:
    demo = Demo()
    in_state(demo.destination, "slowed", until=timezone.now() + timedelta(hours=1))
    assert "Send again now" in text_of(signed_in("erin"), url_of(demo.destination))
    press(signed_in("erin"), url_of(demo.destination, "resume"))
    assert sending.state_of(demo.destination).state == "working"


@pytest.mark.parametrize("button", ["test", "pause", "resume"])
def test_buttons_need_their_permission_and_a_post(button: str) -> None:
    destination = Demo().destination
    url = url_of(destination, button)
    assert signed_in("dave").post(url).status_code == 403
    assert signed_in("erin").get(url).status_code == 405
    assert sending.state_of(destination).state == "working"
    assert sending.state_of(destination).checked_at is None


def test_readers_see_neither_buttons_nor_inputs() -> None:
    destination = hook()
    html = html_of(signed_in("dave"), url_of(destination))
    assert ADDRESS in html
    for absent in ("Test connection", "Pause</button>", 'name="setting_url"', 'name="_save"'):
        assert absent not in html


def test_a_partner_manager_connects_and_changes_a_crm_and_reads_no_secret() -> None:
    assert save("bob", setting_secret=SECRET).status_code == 302
    destination = Destination.objects.get()
    assert destination.secrets == {"secret": SECRET}
    assert save("bob", destination, name="Ours").status_code == 302
    destination.refresh_from_db()
    assert (destination.name, destination.secrets) == ("Ours", {"secret": SECRET})
    assert SECRET not in html_of(signed_in("bob"), url_of(destination))


@pytest.mark.parametrize("button", ["pause", "resume", "delete"])
def test_a_partner_manager_neither_pauses_nor_deletes_one(button: str) -> None:
    destination = hook()
    assert signed_in("bob").post(url_of(destination, button), {"post": "yes"}).status_code == 403
    assert sending.state_of(destination).state == "working"


@pytest.mark.parametrize("name", ["charlie", "dave", "frank"])
def test_who_may_not_change_it_cannot(name: str) -> None:
    destination = hook()
    assert save(name, destination, name="Mine").status_code == 403
    assert save(name, name="Mine").status_code == 403
    assert not Destination.objects.filter(name="Mine").exists()


def test_sales_see_no_connections() -> None:
    assert signed_in("charlie").get(LIST).status_code == 403
    assert signed_in("charlie").get(url_of(hook())).status_code == 403


# Deleting


def test_one_that_sent_something_stays_and_says_why() -> None:
    demo = Demo()
    demo.owe()
    client = signed_in("erin")
    assert "goes with the demo" in text_of(client, url_of(demo.destination))
    assert client.post(url_of(demo.destination, "delete"), {"post": "yes"}).status_code == 403
    assert Destination.objects.exists()


def test_one_that_sent_nothing_goes_with_its_routes() -> None:
    destination = hook()
    sending.make_route(sending.make_offer(title="Contoso Vault"), destination)
    client = signed_in("erin")
    assert "Contoso Vault" in text_of(client, url_of(destination, "delete"))
    client.post(url_of(destination, "delete"), {"post": "yes"})
    assert not Destination.objects.exists()
    assert not Route.objects.exists()


# What may go wrong


def test_one_of_an_unknown_kind_can_be_looked_at() -> None:
    destination = Destination.objects.create(name="Old", connector="gone")
    client = signed_in("erin")
    assert "gone (not part of this version)" in text_of(client, LIST)
    assert "no connector" in text_of(client, url_of(destination))
    assert "no connector" in press(client, url_of(destination, "test"))


def test_hostile_words_of_a_crm_are_harmless() -> None:
    destination = hook()
    evil = "<script>alert(1)</script>"
    in_state(destination, "stopped", reason=evil, findings=[evil])
    Destination.objects.filter(pk=destination.pk).update(name=evil)
    for url in (LIST, url_of(destination), "/admin/"):
        assert evil not in html_of(signed_in("erin"), url)


def test_a_test_without_findings_still_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    destination = sending.make_destination("scripted")
    sending.install(monkeypatch)
    assert "Nothing was found wrong" in press(signed_in("erin"), url_of(destination, "test"))
