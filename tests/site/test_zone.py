"""Times on screen are in the time zone of the reader's browser; mails and everybody else keep TIME_ZONE."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from crm_sync import mails
from leads.wording import exactly, midnight, when
from leadsite.middleware import ZONE_COOKIE, zone_of_reader
from tests.staff import make_offer, post, signed_in

pytestmark = pytest.mark.django_db

AT = datetime(2026, 3, 1, 22, 30, 5, tzinfo=UTC)


def reader(zone: str) -> Client:
    client = signed_in("dave")
    client.cookies[ZONE_COOKIE] = zone
    return client


def page(client: Client, url: str = "/admin/leads/lead/") -> str:
    return " ".join(client.get(url).content.decode().split())


def a_lead() -> str:
    """Its page."""
    lead = post(make_offer(), at=AT).leads.get()
    return f"/admin/leads/lead/{lead.pk}/change/"


@pytest.mark.parametrize(
    ("zone", "time"),
    [
        ("Europe/Berlin", "2026-03-01 23:30"),
        ("Asia/Kolkata", "2026-03-02 04:00"),
        ("America/Sao_Paulo", "2026-03-01 19:30"),
    ],
)
def test_a_reader_sees_times_in_the_browsers_zone_and_which_that_is(zone: str, time: str) -> None:
    text = page(reader(zone), a_lead())
    assert time in text
    assert f"Times are in {zone}." in text


@pytest.mark.parametrize("cookie", ["", "Mars/Olympus", "../../etc/passwd", "Europe/Berlin\x00", "x" * 4000])
def test_a_zone_that_does_not_exist_is_not_believed(cookie: str, settings: Any) -> None:
    text = page(reader(cookie), a_lead())
    assert "2026-03-01 22:30" in text
    assert "Times are in UTC." in text


def test_the_next_reader_has_a_zone_of_his_own() -> None:
    page(reader("Asia/Kolkata"), "/admin/")
    assert timezone.get_current_timezone_name() == "UTC"
    assert "Times are in UTC." in page(signed_in("dave"), "/admin/")


def test_a_page_that_breaks_leaves_no_zone_behind(rf: Any) -> None:
    def broken(request: Any) -> Any:
        assert timezone.get_current_timezone_name() == "Asia/Kolkata"
        raise RuntimeError

    request = rf.get("/admin/")
    request.COOKIES[ZONE_COOKIE] = "Asia/Kolkata"
    with pytest.raises(RuntimeError):
        zone_of_reader(broken)(request)
    assert timezone.get_current_timezone_name() == "UTC"


def test_who_points_at_a_time_learns_its_zone() -> None:
    with timezone.override(ZoneInfo("Europe/Berlin")):
        assert 'title="2026-03-01 23:30:05 CET"' in when(AT)
    with timezone.override(ZoneInfo("America/Sao_Paulo")):  # it calls itself -03
        assert exactly(AT) == "2026-03-01 19:30:05 America/Sao_Paulo"


def test_today_begins_when_it_begins_for_the_reader() -> None:
    with timezone.override(ZoneInfo("Asia/Kolkata")):
        assert midnight().utcoffset() == ZoneInfo("Asia/Kolkata").utcoffset(AT.replace(tzinfo=None))


def test_mails_keep_the_zone_of_the_site(settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    timezone.get_default_timezone.cache_clear()
    try:
        with timezone.override(ZoneInfo("Asia/Kolkata")):
            assert mails.clock(AT, AT) == "23:30 CET"
    finally:
        settings.TIME_ZONE = "UTC"
        timezone.get_default_timezone.cache_clear()


def test_strangers_are_not_told_the_zone_of_this_machine() -> None:
    assert "Times are in" not in Client().get("/admin/login/").content.decode()
