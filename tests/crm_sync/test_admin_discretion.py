"""What a CRM said of some lead stands on many pages: masked for those who may not see personal data in tries."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from crm_sync.models import DestinationState
from crm_sync.recorder import MASK
from leads import jobs
from tests.crm_sync.screens import Demo, a_worker_lives, may_only, text_of, url_of
from tests.staff import person, signed_in

pytestmark = pytest.mark.django_db

SAID = "Jane Q. Doe (jane@fabrikam.example) cannot be saved"
REASON = f"The CRM failed (HTTP 503): {SAID}"
HOME, CONNECTIONS, SENDINGS = "/admin/", "/admin/crm_sync/destination/", "/admin/crm_sync/delivery/"
REPLAY = f"{SENDINGS}replay/"


def sick(demo: Demo, state: str = "slowed", **values: Any) -> None:
    named = {"since": timezone.now(), "reason": REASON, "failures": 5}
    DestinationState.objects.filter(pk=demo.destination.pk).update(state=state, **named | values)


def replayed(demo: Demo) -> str:
    job = jobs.start("replay", {"about": "All", "destination": demo.destination.pk}, person("alice"))
    demo.owe(state="rejected")
    assert jobs.work("worker", stopping=lambda: False)
    return url_of(job)


PAGES: dict[str, Callable[[Demo], str]] = {
    "the connection": lambda demo: url_of(demo.destination),
    "the list of connections": lambda demo: CONNECTIONS,
    "Home": lambda demo: HOME,
    "the offer": lambda demo: url_of(demo.offer),
    "a sending that waits": lambda demo: url_of(demo.owe(reason="Something else")),
    "a lead that waits": lambda demo: url_of(demo.owe(reason="Something else").lead),
    "a replay": replayed,
}


@pytest.mark.parametrize("page", PAGES)
def test_what_a_connections_reason_quotes_is_for_those_who_may_see_persons(page: str) -> None:
    demo = Demo()
    a_worker_lives()
    url = PAGES[page](demo)
    sick(demo)
    assert SAID in text_of(signed_in("bob"), url)
    told = text_of(signed_in("dave"), url)
    assert f"The CRM failed (HTTP 503): {MASK}" in told
    for part in ("Jane Q", "cannot be saved"):
        assert part not in told


def broken(demo: Demo) -> str:
    said = f"The CRM refuses a field (HTTP 422): {SAID}"
    demo.route.mappings.update(broken=said, broken_field="job_title")
    return said


@pytest.mark.parametrize("page", ["Home", "the route", "the field mapping", "a lead that it holds"])
def test_what_a_broken_mapping_quotes_is_for_those_who_may_see_persons(page: str) -> None:
    demo = Demo()
    a_worker_lives()
    said = broken(demo)
    held = demo.owe(state="held", held_reason="mapping_broken", reason=said, field="job_title")
    url = {
        "Home": HOME,
        "the route": url_of(demo.route),
        "the field mapping": url_of(demo.route, "mapping"),
        "a lead that it holds": url_of(held),
    }[page]
    assert SAID in text_of(signed_in("bob"), url)
    told = text_of(signed_in("dave"), url)
    assert f"The CRM refuses a field (HTTP 422): {MASK}" in told
    for part in ("Jane Q", "cannot be saved"):
        assert part not in told


def test_a_page_that_masks_says_who_sees_it_all() -> None:
    demo = Demo()
    sick(demo)
    told = "Personal data is masked (****). The groups Administrator and Partner manager see it."
    assert told in text_of(signed_in("dave"), url_of(demo.destination))
    assert "masked" not in text_of(signed_in("bob"), url_of(demo.destination))
    sick(demo, "stopped", reason="The CRM failed (HTTP 503).")
    assert "masked" not in text_of(signed_in("dave"), url_of(demo.destination)), "nothing is"


def test_who_may_look_at_a_replay_and_start_none_is_led_to_no_page_that_refuses_him() -> None:
    demo = Demo()
    url = replayed(demo)
    assert "All replays" in text_of(signed_in("bob"), url)
    assert "All replays" not in text_of(signed_in("dave"), url)
    job = jobs.start("replay_dry_run", {"about": "All"}, person("alice"))
    assert jobs.work("worker", stopping=lambda: False)
    assert "Replay this range" in text_of(signed_in("bob"), url_of(job))
    assert "Replay this range" not in text_of(signed_in("dave"), url_of(job))


def test_of_the_lead_that_a_connections_reason_speaks_of_only_the_person_is_masked() -> None:
    demo = Demo()
    reason = "The CRM failed (HTTP 503): jane@fabrikam.example cannot be saved"
    waiting = demo.owe(reason=reason, tries=1)
    sick(demo, reason=reason)
    told = text_of(signed_in("dave"), url_of(waiting))
    assert f"The CRM failed (HTTP 503): {MASK} cannot be saved" in told


def test_what_a_colleague_typed_when_pausing_is_nobodys_personal_data() -> None:
    demo = Demo()
    sick(demo, "paused", reason="Ask Kim (555 0134) first: the CRM is moving")
    assert "Ask Kim (555 0134) first" in text_of(signed_in("dave"), url_of(demo.destination))


def test_the_file_of_a_replay_masks_what_the_page_of_each_sending_masks() -> None:
    demo = Demo()
    url = replayed(demo).replace("change/", "result.csv")
    demo.offer.leads.get().deliveries.update(state="rejected", reason="jane@fabrikam.example is a duplicate")
    assert "jane@fabrikam.example is a duplicate" in signed_in("bob").get(url).content.decode()
    told = signed_in("dave").get(url).content.decode()
    assert f"{MASK} is a duplicate" in told
    assert "jane@fabrikam.example is" not in told


def test_an_estimate_masks_them_too() -> None:
    demo = Demo()
    demo.owe(state="rejected", reason="jane@fabrikam.example is a duplicate")
    sick(demo)
    may = ("crm_sync.replay_delivery", "crm_sync.view_delivery", "crm_sync.view_destination")
    told = text_of(may_only("frank", *may), REPLAY, estimate="1", destination=demo.destination.pk)
    assert f"{MASK} is a duplicate" in told
    assert f"The CRM failed (HTTP 503): {MASK}" in told
    assert "Jane Q" not in told
