"""The four steps of the first hour, as they are done one after the other."""

import re
from typing import Any

import pytest
from django.test import Client, RequestFactory

from crm_sync import publishing
from crm_sync.models import Destination, Route
from leads.models import Submission
from leads.ports import ports
from leadsite import first_hour
from leadsite.reach import Reach
from tests.crm_sync.screens import html_of, text_of
from tests.crm_sync.sending import START, make_destination
from tests.staff import body, make_offer, person, post, signed_in

pytestmark = pytest.mark.django_db

PAGE, ADDRESS = "/admin/set-up/", "/admin/set-up/address/"
TEST = {"FirstName": "MSFT_TEST_636573304831318844"}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setattr(ports, "notices", [])
    settings.PUBLIC_URL = "https://leads.contoso.example"


def steps(name: str = "erin") -> list[first_hour.Step]:
    request = RequestFactory().get("/")
    request.user = person(name)
    return first_hour.steps(request)


def text_of_links(client: Client, url: str) -> list[str]:
    return re.findall(r'href="([^"]+)"', html_of(client, url))


def done() -> list[bool]:
    return [step.done for step in steps()]


def asked(monkeypatch: pytest.MonkeyPatch, answer: Reach) -> list[str]:
    urls: list[str] = []

    def check(url: str, now: Any) -> Reach:
        urls.append(url)
        return answer

    monkeypatch.setattr("leadsite.reach.check", check)
    return urls


def test_the_steps_are_done_one_after_the_other(settings: Any) -> None:
    settings.PUBLIC_URL = "http://localhost"
    make_offer("demo", is_demo=True)
    assert done() == [False, False, False, False]
    assert steps()[0].text == "Microsoft cannot reach http://localhost. You need a public HTTPS address."
    settings.PUBLIC_URL = "https://leads.contoso.example"
    assert done() == [True, False, False, False]
    offer = make_offer()
    assert done() == [True, True, False, False]
    route = Route.objects.create(offer=offer, destination=make_destination("webhook", name="HubSpot EU"))
    assert "once its field mapping is published" in steps()[2].text
    publishing.publish_rules(route, (), START)
    assert done() == [True, True, True, False]
    assert steps()[2].text == "Leads of Contoso Backup go to HubSpot EU."
    post(offer, body(TEST))
    assert done() == [True, True, True, True]
    assert "Real leads start after the offer is published." in steps()[3].text
    post(offer)
    assert done() == [True, True, True, True]


def test_the_demo_crm_can_be_tried_and_is_not_the_crm_that_was_to_be_connected() -> None:
    demo = make_destination("demo", name="Demo CRM")
    assert (steps()[2].link, steps()[2].other_url) == ("Add a CRM connection", "")
    offer = make_offer()
    step = steps()[2]
    assert step.text.startswith("Connect the CRM that leads go to.")
    assert (step.link, step.other_link) == ("Add a CRM connection", "Try it with the demo CRM first")
    assert step.other_url in text_of_links(signed_in("erin"), PAGE)
    route = Route.objects.create(offer=offer, destination=demo)
    assert (steps()[2].link, steps()[2].other_link) == ("Add a CRM connection", "Look at it and publish")
    publishing.publish_rules(route, (), START)
    assert "go to Demo CRM, which is a part of this app. Connect a CRM of your own." in steps()[2].text
    assert not steps()[2].done
    make_destination("webhook", name="HubSpot EU")
    assert steps()[2].text == "Say which CRM the leads of Contoso Backup go to."


def test_without_an_offer_the_last_step_speaks_of_no_url_to_paste() -> None:
    make_offer("demo", is_demo=True)
    assert (steps()[3].url, "The page of your offer has the URL" in steps()[3].text) == ("", True)


def test_that_nobody_is_told_by_mail_is_a_hint_of_the_first_hour(settings: Any) -> None:
    told = "Nobody is told by e-mail when something fails"
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    assert told in text_of(signed_in("erin"), PAGE)
    assert "/admin/settings/#EMAIL_URL" in text_of_links(signed_in("erin"), PAGE)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    assert told not in text_of(signed_in("erin"), PAGE)


def test_neither_a_sample_nor_the_demo_is_a_test() -> None:
    post(make_offer("demo", is_demo=True))
    post(make_offer(), origin=Submission.Origin.SAMPLE)
    assert not steps()[3].done


def test_a_step_leads_to_where_it_is_done_for_those_who_may() -> None:
    assert [step.url for step in steps("erin")][:3] == [
        PAGE,
        "/admin/leads/offer/add/",
        "/admin/crm_sync/destination/add/",
    ]
    assert [step.url for step in steps("charlie")] == ["", "", "", ""]
    offer = make_offer()
    make_destination("webhook", name="HubSpot EU")
    assert steps("bob")[2].url == f"/admin/crm_sync/route/add/?offer={offer.pk}"
    assert steps("bob")[3].url.startswith(f"/admin/leads/offer/{offer.pk}/")
    Destination.objects.all().delete()
    assert steps("bob")[2].url == "/admin/crm_sync/destination/add/"


def test_the_page_names_the_line_of_env_and_how_to_start_again(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PUBLIC_URL = "http://127.0.0.1:8000"
    monkeypatch.delenv("INVOCATION_ID", raising=False)
    monkeypatch.setenv("LEADSITE_ENV_FILE", "/opt/leads/.env")
    client = signed_in("erin")
    text = text_of(client, PAGE)
    assert "Welcome: 4 steps" in text
    assert "Microsoft cannot reach http://127.0.0.1:8000. You need a public HTTPS address." in text
    assert "/opt/leads/.env" in text
    assert "make run" in text
    assert "PUBLIC_URL=https://leads.example.com" in client.get(PAGE).content.decode()
    monkeypatch.setenv("INVOCATION_ID", "x")
    text = text_of(client, PAGE)
    assert "it runs as a service, so systemctl restart" in text
    assert "make run" not in text


def test_the_address_is_asked_by_the_open_page_and_not_by_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://leads.contoso.example"
    urls = asked(
        monkeypatch, Reach(True, f"{url} leads here over TLS; its certificate is valid for 71 days.")
    )
    client = signed_in("erin")
    html = client.get(PAGE).content.decode()
    assert f'hx-get="{ADDRESS}"' in html
    assert not urls
    text = text_of(client, PAGE, check="1")
    assert f"{url} leads here over TLS; its certificate is valid for 71 days. The proof from outside" in text
    fragment = client.get(ADDRESS, headers={"HX-Request": "true"}).content.decode()
    assert "valid for 71 days" in fragment
    assert "<html" not in fragment
    assert urls == [url, url]
    assert client.get(ADDRESS).headers["Location"] == f"{PAGE}?check=1"


def test_what_is_wrong_with_the_address_comes_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    asked(monkeypatch, Reach(False, "The <b>chain</b> is incomplete.", "Send the whole chain."))
    html = signed_in("erin").get(PAGE, {"check": "1"}).content.decode()
    assert "The &lt;b&gt;chain&lt;/b&gt; is incomplete." in html
    assert "Send the whole chain." in html
    assert "The proof from outside" not in html


@pytest.mark.parametrize("name", ["charlie", "dave", "frank"])
def test_the_page_is_for_those_who_can_take_a_step(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    urls = asked(monkeypatch, Reach(True, "Fine."))
    client: Client = signed_in(name)
    for url in (PAGE, f"{PAGE}?check=1"):
        assert client.get(url).status_code == 403
    assert client.get(ADDRESS, headers={"HX-Request": "true"}).status_code == 403
    assert not urls
    assert "First steps" not in text_of(client, "/admin/")


def test_who_may_not_see_settings_is_not_shown_where_they_stand(settings: Any) -> None:
    settings.PUBLIC_URL = "http://127.0.0.1:8000"
    text = text_of(signed_in("bob"), PAGE)
    assert "Whoever runs this server sets it" in text
    assert "systemctl" not in text
