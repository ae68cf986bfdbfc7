"""What is done to several leads at once: asked first, done to those that were meant, told on each, harmless twice."""

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from leads import bulk
from leads.admin import inbox_actions
from leads.models import Lead
from leads.ports import ports
from tests.leads.test_admin import LEADS, page_of
from tests.leads.test_inbox import a_lead, rows, words
from tests.staff import make_offer, person, signed_in

pytestmark = pytest.mark.django_db


def ask(client: Client, action: str, leads: list[Lead], query: str = "view=all", **more: Any) -> str:
    """Choose these leads in the list, and what to do; the address of the question."""
    data = {"action": action, "_selected_action": [str(lead.pk) for lead in leads], "index": "0"}
    return client.post(f"{LEADS}?{query}", data | more)["Location"]


def text_at(client: Client, url: str) -> str:
    response = client.get(url, follow=True)
    assert response.status_code == 200
    return words(unescape(response.content.decode()))


def answer(client: Client, question: str, **data: Any) -> str:
    """Say yes to a question; what the page that follows says."""
    response = client.post(question, data, follow=True)
    assert response.status_code == 200
    return words(unescape(response.content.decode()))


def press(client: Client, action: str, leads: list[Lead], query: str = "view=all", **data: Any) -> str:
    """Choose these leads, and what to do, and say yes."""
    return answer(client, ask(client, action, leads, query), **data)


def timeline(lead: Lead) -> list[str]:
    log = LogEntry.objects.filter(object_id=str(lead.pk)).select_related("user")
    return [f"{entry.user}: {entry.change_message}" for entry in log]


# Action, what else is sent, query of the list; the question, the effect, the result, what the lead is then, its timeline.
ACTIONS: dict[str, tuple[dict[str, str], str, str, str, str, dict[str, Any], str]] = {
    "assign": (
        {"owner": "bob"},
        "view=all",
        "Assign 1 lead?",
        "Their owner changes",
        "1 lead is assigned.",
        {"owner__username": "bob", "assigned_because": "Given by charlie"},
        "charlie: Owner: nobody → bob",
    ),
    "set_state": (
        {"status": "closed", "reason": "bought"},
        "view=all",
        "Set the state of 1 lead?",
        "What is written in the CRM does not change.",
        "1 lead has a new state.",
        {"status": "closed", "closed_reason": "bought"},
        "charlie: Status: New → Closed (bought)",
    ),
    "mark_as_test": (
        {},
        "view=all",
        "Mark 1 lead as a test?",
        "is taken back and stays out of the CRM",
        "1 lead is a test now.",
        {"is_test": True},
        "charlie: Marked as a test.",
    ),
    "archive": (
        {},
        "view=all",
        "Archive 1 lead?",
        "Nothing is deleted",
        "1 lead is archived.",
        {"archived_at__isnull": False},
        "charlie: Archived.",
    ),
    "mark_as_real": (
        {},
        "kind=test",
        "Mark 1 lead as no test?",
        "as if they had just come",
        "1 lead is no test any more.",
        {"is_test": False, "routed_at": None},
        "charlie: Marked as no test.",
    ),
    "bring_back": (
        {},
        "archived=only",
        "Bring 1 lead back?",
        "in the list again",
        "1 lead is back.",
        {"archived_at": None},
        "charlie: Brought back from the archive.",
    ),
}


def before(action: str) -> dict[str, Any]:
    """How a lead is on which that action has an effect."""
    now = timezone.now()
    return {"mark_as_real": {"is_test": True}, "bring_back": {"archived_at": now}}.get(action, {})


def said_to(action: str) -> dict[str, str]:
    data = ACTIONS[action][0]
    return data | ({"owner": str(person(data["owner"]).pk)} if "owner" in data else {})


@pytest.mark.parametrize("action", ACTIONS)
def test_each_asks_with_number_and_effect_then_does_it_once_and_tells(action: str) -> None:
    lead = a_lead(make_offer(), **before(action), routed_at=timezone.now())
    _data, query, question, effect, result, then, told = ACTIONS[action]
    client = signed_in("charlie")

    url = ask(client, action, [lead], query)
    asked = text_at(client, url)
    for words_ in (question, effect, "Jane Doe, Fabrikam (US), pressed Contact me"):
        assert words_ in asked
    assert not timeline(lead), "to ask changes nothing"

    assert result in answer(client, url, **said_to(action))
    assert Lead.objects.filter(pk=lead.pk, **then).exists()
    assert timeline(lead) == [told]
    assert told in words(client.get(page_of(lead)).content.decode())

    assert "Nothing to do" in answer(client, url, **said_to(action))
    assert timeline(lead) == [told], "who goes back and presses again does nothing"


@pytest.mark.parametrize("action", ACTIONS)
def test_each_is_for_those_who_may(action: str) -> None:
    lead = a_lead(make_offer(), **before(action))
    url = ask(signed_in("charlie"), action, [lead], ACTIONS[action][1])
    lacking = "assign_lead" if action == "assign" else "change_lead"
    for codename in {"view_lead", "change_lead", "assign_lead"} - {lacking}:
        person("frank").user_permissions.add(Permission.objects.get(codename=codename))
    for name in ("dave", "frank"):
        client = signed_in(name)
        assert client.get(url).status_code == 403
        assert client.post(url, said_to(action)).status_code == 403
        html = client.get(f"{LEADS}?view=all").content.decode()
        assert f'value="{action}"' not in html
    assert not timeline(lead)


def test_who_sees_no_leads_does_nothing_to_them() -> None:
    lead = a_lead(make_offer())
    url = ask(signed_in("charlie"), "archive", [lead])
    person("frank").user_permissions.add(Permission.objects.get(codename="assign_lead"))
    assert signed_in("frank").post(url.replace("archive", "assign"), {"owner": ""}).status_code == 403


def test_there_is_nothing_to_do_of_which_nobody_has_heard() -> None:
    assert signed_in("alice").get(f"{LEADS}bulk/delete/?chosen=all").status_code == 404


def test_leads_that_are_worked_on_in_the_crm_are_left_out_with_the_reason() -> None:
    here, there = a_lead(make_offer()), a_lead(make_offer("there", worked_in="crm"), "Kim")
    client = signed_in("charlie")
    for action in ("assign", "set_state"):
        asked = text_at(client, ask(client, action, [here, there]))
        assert "1 lead" in asked
        assert "Left out: 1, worked on in the CRM, not here." in asked
        assert "Kim" not in asked
    said = press(client, "assign", [here, there], owner=str(person("bob").pk))
    assert "1 lead is assigned. 1 was left alone." in said
    assert not timeline(there)
    assert "Nothing to do: worked on in the CRM" in text_at(client, ask(client, "assign", [there]))


def test_what_is_done_already_is_left_out_of_the_question() -> None:
    offer, client = make_offer(), signed_in("charlie")
    fresh, put_away = a_lead(offer), a_lead(offer, "Kim", archived_at=timezone.now())
    asked = text_at(client, ask(client, "archive", [fresh, put_away], "archived=all"))
    assert "Archive 1 lead?" in asked
    assert "Left out: 1, archived already." in asked


def test_who_goes_back_to_the_question_is_told_that_it_is_done() -> None:
    client, lead = signed_in("charlie"), a_lead(make_offer())
    url = ask(client, "archive", [lead])
    answer(client, url)
    assert "Nothing to do" in text_at(client, url)


def test_who_gives_a_lead_to_nobody_takes_the_reason_away_too() -> None:
    lead = a_lead(make_offer(), owner=person("bob"), assigned_because="Rule “EMEA”")
    press(signed_in("charlie"), "assign", [lead], owner="")
    lead.refresh_from_db()
    assert (lead.owner, lead.assigned_because) == (None, "")
    assert timeline(lead) == ["charlie: Owner: bob → nobody"]


def test_to_close_leads_one_says_why() -> None:
    lead = a_lead(make_offer())
    text = press(signed_in("charlie"), "set_state", [lead], status="closed", reason="")
    assert "Say why they are closed." in text
    assert not timeline(lead)
    press(signed_in("charlie"), "set_state", [lead], status="working", reason="kept from a box")
    lead.refresh_from_db()
    assert (lead.status, lead.closed_reason) == ("working", "")


def test_an_owner_is_a_colleague_who_is_there() -> None:
    lead, bob = a_lead(make_offer()), person("bob")
    bob.is_active = False
    bob.save()
    text = press(signed_in("charlie"), "assign", [lead], owner=str(bob.pk))
    assert "Select a valid choice" in text
    assert not timeline(lead)


# All that match


def ask_all(client: Client, action: str, lead: Lead, query: str) -> str:
    return ask(client, action, [lead], query, select_across="1")


def test_all_that_match_are_those_that_had_come_when_it_was_asked() -> None:
    offer, client = make_offer(), signed_in("charlie")
    leads = [a_lead(offer, f"Number {number}", tidy_country="DE") for number in range(3)]
    a_lead(offer, "Other", tidy_country="FR")
    url = ask_all(client, "archive", leads[0], "country=DE")
    assert "Archive 3 leads?" in text_at(client, url)
    late = a_lead(offer, "Late", at=timezone.now() + timedelta(seconds=1), tidy_country="DE")
    assert "3 leads are archived." in answer(client, url)
    assert not timeline(late)
    assert Lead.objects.filter(archived_at=None).count() == 2


def test_so_many_are_done_at_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_actions, "MOST", 2)
    monkeypatch.setattr(bulk, "SLICE", 1)
    offer, now = make_offer(), timezone.now()
    leads = [a_lead(offer, f"Number {number}", at=now - timedelta(hours=number)) for number in range(5)]
    client = signed_in("charlie")
    url = ask_all(client, "archive", leads[0], "view=all")
    asked = text_at(client, url)
    assert "Archive 2 leads?" in asked
    assert "More than 2 match. The newest 2 are done now; then do the same again for the rest." in asked
    assert "2 leads are archived. More match: do the same again for the next 2." in answer(client, url)
    assert set(Lead.objects.exclude(archived_at=None)) == set(leads[:2]), "the newest"
    answer(client, url)
    assert "1 lead is archived." in answer(client, url)


def test_all_that_match_need_no_ids_in_the_address() -> None:
    offer, client = make_offer(), signed_in("charlie")
    leads = [a_lead(offer, f"Number {number}") for number in range(3)]
    assert ask(client, "archive", leads).count("-7") >= 3
    assert str(leads[0].pk) not in ask_all(client, "archive", leads[0], "view=all")


@pytest.mark.parametrize("until", ["", "soon", "2026-13-45T00:00", "2026-11-27T10:00"])
def test_a_moment_that_is_none_is_now(until: str) -> None:
    a_lead(make_offer(), at=timezone.now() - timedelta(seconds=5))
    url = f"{LEADS}bulk/archive/?view=all&chosen=all&until={until}"
    assert "1 lead is archived." in answer(signed_in("charlie"), url)


@pytest.mark.parametrize("chosen", ["", "x", "x,y", "019a0000-0000-7000-8000-000000000000", ","])
def test_what_is_no_id_of_a_lead_does_nothing(chosen: str) -> None:
    lead, client = a_lead(make_offer()), signed_in("charlie")
    assert "Nothing to do" in answer(client, f"{LEADS}bulk/archive/?view=all&chosen={chosen}")
    data = {"action": "archive", "_selected_action": [chosen], "index": "0"}
    assert "Nothing to do" in words(client.post(f"{LEADS}?view=all", data, follow=True).content.decode())
    assert not timeline(lead)


def test_a_test_that_is_none_wakes_whoever_sends(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    rings: list[str] = []
    monkeypatch.setattr(ports, "bell", [lambda: rings.append("rung")])
    lead = a_lead(make_offer(), is_test=True, routed_at=timezone.now())
    with django_capture_on_commit_callbacks(execute=True):
        press(signed_in("charlie"), "mark_as_real", [lead], "kind=test")
    assert rings


def test_after_an_action_one_is_back_in_the_same_list() -> None:
    offer = make_offer()
    lead = a_lead(offer, tidy_country="DE")
    a_lead(offer, "Kim", tidy_country="DE")
    client = signed_in("charlie")
    press(client, "archive", [lead], "country=DE")
    assert len(rows(client, "country=DE")) == 1
