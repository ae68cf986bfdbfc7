"""Health: there at once with what this machine knows; the network is asked afterwards, and not by everybody at once."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.safestring import SafeString

from leadsite import doctor_page
from leadsite.doctor import CHECKS, Finding, Level
from leadsite.doctor_page import Found, Network, Row
from tests.crm_sync.sending import make_destination
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

URL, NETWORK = "/admin/doctor/", "/admin/doctor/network/"
NOW = timezone.now()


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """Each time that the network was asked."""
    times: list[datetime] = []

    def examine(scene: Any, chosen: Any) -> Any:
        if not chosen(mail):
            return real(scene, chosen)
        times.append(scene.now)
        return [(mail, Finding(Level.OK, "The mail server lets us in."))]

    real = doctor_page.examine
    mail = next(check for check in CHECKS if check.asks_network)
    monkeypatch.setattr(doctor_page, "examine", examine)
    monkeypatch.setattr(doctor_page, "network", Network())
    return times


def text(client: Client, url: str = URL) -> str:
    return client.get(url).content.decode()


def test_the_page_is_there_without_asking_the_network(asked: list[datetime]) -> None:
    page = text(signed_in("erin"))
    assert "No worker runs: leads are stored, and none is sent." in page
    assert "manage.py serve (web server and worker)" in page
    assert 'hx-get="/admin/doctor/network/"' in page
    assert "Ask now" in page
    assert asked == []


def test_the_worst_is_on_top() -> None:
    page = text(signed_in("erin"))
    assert page.index("No worker runs") < page.index("SECRET_KEY is long enough")


def test_the_button_asks_without_a_script(asked: list[datetime]) -> None:
    page = signed_in("erin").post(URL).content.decode()
    assert len(asked) == 1
    assert "The mail server lets us in." in page
    assert "hx-get" not in page


def test_the_script_asks_once_a_minute(asked: list[datetime]) -> None:
    client = signed_in("erin")
    for _ in range(3):
        assert client.get(NETWORK).status_code == 200
    assert len(asked) == 1
    client.post(URL)
    assert len(asked) == 2


def test_what_was_found_is_forgotten_after_a_minute(asked: list[datetime]) -> None:
    network = Network()
    for seconds in (0, 59, 61, -10):
        assert network.ask(NOW + timedelta(seconds=seconds), afresh=False)
    # A clock that was set back counts as a minute.
    assert len(asked) == 3


def test_only_one_asks_at_a_time(monkeypatch: pytest.MonkeyPatch, asked: list[datetime]) -> None:
    with doctor_page.network._busy:
        assert "Somebody is asking just now" in text(signed_in("erin"), NETWORK)
        assert "Ask again" in signed_in("erin").post(URL).content.decode()
        well = [Row("Mail", Level.OK, "OK", "Well.", SafeString(""))]
        doctor_page.network.found, doctor_page.network.at = Found("Nothing is wrong.", [], well), NOW
        assert "Well." in text(signed_in("erin"), NETWORK)
    assert asked == []


@pytest.mark.parametrize("name", ["bob", "charlie", "dave", "frank"])
def test_who_may_not_change_connections_does_not_see_it(name: str, asked: list[datetime]) -> None:
    client = signed_in(name)
    assert client.get(URL).status_code == 403
    assert client.post(URL).status_code == 403
    assert client.get(NETWORK).status_code == 403
    assert asked == []


def test_who_is_not_signed_in_is_asked_to() -> None:
    assert Client().get(NETWORK).headers["Location"].startswith("/admin/login/")


def test_a_fix_leads_to_where_it_is_done() -> None:
    destination = make_destination("webhook", name="HubSpot EU")
    page = text(signed_in("erin"))
    for url in ("/admin/settings/#SPOOL_DIR", f"/admin/crm_sync/destination/{destination.pk}/change/"):
        assert f'<a href="{url}">' in page
