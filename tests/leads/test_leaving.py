"""A colleague leaves: what was on their desk is seen, and goes to somebody else in one go."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.utils import timezone

from leads.models import Lead, Offer
from tests.staff import body, lead_of, make_offer, person, post, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def leads() -> list[Lead]:
    """Bob's: two open ones, and three that nobody has to do anything about."""
    offer, crm = make_offer(), make_offer("mail", worked_in=Offer.WorkedIn.CRM)
    made = [lead_of(post(offer, body({"FirstName": str(number)}))) for number in range(4)]
    made.append(lead_of(post(crm)))
    Lead.objects.update(owner=person("bob"), assigned_because="Rule “All”")
    Lead.objects.filter(pk=made[2].pk).update(status="closed", closed_reason="Bought")
    Lead.objects.filter(pk=made[3].pk).update(archived_at=timezone.now())
    return made


def page_of(name: str, more: str = "change") -> str:
    return f"/admin/auth/user/{person(name).pk}/{more}/"


def owners(leads: list[Lead]) -> list[str]:
    return [str(Lead.objects.get(pk=lead.pk).owner or "") for lead in leads]


def test_the_page_of_a_user_says_how_many_open_leads_they_own(leads: list[Lead]) -> None:
    text = signed_in("alice").get(page_of("bob")).content.decode()
    assert "bob owns 2 open leads." in text
    assert page_of("bob", "leads") in text
    assert text.count("Set a new password") == 1
    assert "open lead" not in signed_in("alice").get(page_of("charlie")).content.decode()


def test_open_leads_go_to_a_colleague_and_their_timelines_say_so(leads: list[Lead]) -> None:
    client, to = signed_in("alice"), person("charlie")
    said = client.post(page_of("bob", "leads"), {"to": str(to.pk)}, follow=True).content.decode()
    assert "2 leads are charlie&#x27;s now." in said
    assert owners(leads) == ["charlie", "charlie", "bob", "bob", "bob"]
    lead = Lead.objects.get(pk=leads[0].pk)
    assert lead.assigned_because == "Given by alice"
    assert (
        "alice: Owner: bob → charlie" in client.get(f"/admin/leads/lead/{lead.pk}/change/").content.decode()
    )
    again = client.post(page_of("bob", "leads"), {"to": str(to.pk)}, follow=True).content.decode()
    assert "There was no open lead left." in again


def test_they_may_go_to_nobody(leads: list[Lead]) -> None:
    signed_in("alice").post(page_of("bob", "leads"), {"to": "", "hand_over": "yes"})
    assert owners(leads)[:2] == ["", ""]


def test_who_shuts_out_a_colleague_is_led_to_their_leads(leads: list[Lead]) -> None:
    def save(name: str, **more: Any) -> str:
        user = person(name)
        joined = timezone.localtime(user.date_joined)
        data = {
            "username": name,
            "is_staff": "on",
            "date_joined_0": f"{joined:%Y-%m-%d}",
            "date_joined_1": f"{joined:%H:%M:%S}",
        }
        return signed_in("alice").post(page_of(name), {**data, **more}).url

    assert save("bob", is_active="on") == "/admin/auth/user/"
    assert save("charlie") == "/admin/auth/user/"  # who has none
    assert save("bob") == page_of("bob", "leads")
    assert "nobody looks at these leads" in signed_in("alice").get(page_of("bob", "leads")).content.decode()


@pytest.mark.parametrize("who", ["bob", "charlie", "dave", "frank"])
def test_who_may_not_change_users_hands_nothing_over(leads: list[Lead], who: str) -> None:
    assert signed_in(who).post(page_of("bob", "leads"), {"hand_over": "yes"}).status_code == 403
    assert owners(leads)[0] == "bob"


def test_handing_over_needs_the_permission_to_assign(leads: list[Lead]) -> None:
    erin = person("erin")
    assert signed_in("erin").get(page_of("bob", "leads")).status_code == 200
    erin.groups.first().permissions.remove(Permission.objects.get(codename="assign_lead"))
    assert signed_in("erin").post(page_of("bob", "leads"), {"hand_over": "yes"}).status_code == 403
    assert "open leads" not in signed_in("erin").get(page_of("bob")).content.decode()


def test_a_superusers_leads_are_no_administrators_business() -> None:
    offer = make_offer()
    lead = lead_of(post(offer))
    Lead.objects.update(owner=User.objects.get(pk=person("alice").pk))
    assert signed_in("erin").post(page_of("alice", "leads"), {"hand_over": "yes"}).status_code == 403
    assert owners([lead]) == ["alice"]
