"""The menu and what stands on every page: our words only, and for each person what they may see."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from crm_sync import demo_data
from leads.models import Customer
from leads.ports import Notice, ports
from tests.staff import GROUPS, lead_of, make_offer, person, post, signed_in

pytestmark = pytest.mark.django_db


def menu(text: str) -> list[str]:
    found = re.search(r'<nav class="menu".*?</nav>', text, re.DOTALL)
    return re.findall(r"<a [^>]*>([^<]+)</a>", found[0]) if found else []


def shown(client: Client, url: str = "/admin/") -> str:
    return client.get(url, follow=True).content.decode()


@pytest.mark.parametrize(
    ("name", "there", "not_there"),
    [
        (
            "alice",
            {
                "Home",
                "Leads",
                "Customers",
                "Quarantine",
                "First steps",
                "Offers",
                "Users",
                "Groups",
                "Settings",
            },
            set(),
        ),
        ("erin", {"Leads", "Customers", "Quarantine", "Offers", "Users", "Groups", "Settings"}, set()),
        (
            "bob",
            {"Leads", "Customers", "Quarantine", "First steps", "Offers"},
            {"Users", "Groups", "Settings"},
        ),
        (
            "charlie",
            {"Leads", "Customers", "Quarantine", "Offers"},
            {"First steps", "Users", "Groups", "Settings"},
        ),
        ("dave", {"Leads", "Customers", "Quarantine", "Offers"}, {"Users", "Groups", "Settings"}),
        ("frank", {"Home"}, {"Leads", "Customers", "Quarantine", "Offers", "Users", "Groups", "Settings"}),
    ],
)
def test_everybody_sees_the_pages_they_may_open(name: str, there: set[str], not_there: set[str]) -> None:
    client = signed_in(name)
    entries = menu(shown(client))
    assert there <= set(entries)
    assert not not_there & set(entries)
    assert len(entries) == len(set(entries))


@pytest.mark.parametrize("name", ["alice", *GROUPS])
def test_every_entry_of_the_menu_opens(name: str) -> None:
    client = signed_in(name)
    text = shown(client)
    for url in re.findall(r'href="([^"]+)"', re.search(r'<nav class="menu".*?</nav>', text, re.DOTALL)[0]):  # type: ignore[index]
        assert client.get(url).status_code == 200, f"{name}: {url}"


def pages(client: Client) -> list[str]:
    """Every page of the site that needs no more than an object of its kind."""
    offer = make_offer()
    lead, broken = lead_of(post(offer)), post(offer, b"{")
    colleague = person("bob")
    return [
        "/admin/",
        "/admin/doctor/",
        "/admin/settings/",
        "/admin/password_change/",
        "/admin/leads/",
        "/admin/leads/lead/",
        reverse("admin:leads_lead_change", args=[lead.pk]),
        reverse("admin:leads_lead_history", args=[lead.pk]),
        "/admin/leads/customer/",
        reverse("admin:leads_customer_change", args=[Customer.objects.create(name="Jane Doe").pk]),
        "/admin/leads/submission/",
        reverse("admin:leads_submission_change", args=[broken.pk]),
        "/admin/leads/offer/",
        "/admin/leads/offer/add/",
        reverse("admin:leads_offer_change", args=[offer.pk]),
        reverse("admin:leads_offer_history", args=[offer.pk]),
        reverse("admin:leads_offer_delete", args=[make_offer("other").pk]),
        "/admin/auth/",
        "/admin/auth/user/",
        "/admin/auth/user/add/",
        reverse("admin:auth_user_change", args=[colleague.pk]),
        reverse("admin:auth_user_delete", args=[colleague.pk]),
        reverse("admin:auth_user_password_change", args=[colleague.pk]),
        "/admin/auth/group/",
        "/admin/auth/group/add/",
        "/admin/auth/group/1/change/",
    ]


def test_no_page_names_an_app_or_the_tool_it_is_made_with() -> None:
    client = signed_in("alice")
    labels = {str(config.verbose_name) for config in apps.get_app_configs()} - OUR_WORDS
    for url in pages(client):
        text = re.sub(r"<[^>]+>", " ", shown(client, url))
        for word in ("Django", "crm_sync", "leads |", "auth |", "site administration", *labels):
            assert word not in text, f"{url} says {word}"


OUR_WORDS = {"Leads", "Sessions", "Messages", "Site"}


def test_no_page_has_a_script_or_a_style_in_it() -> None:
    client = signed_in("alice")
    for url in pages(client):
        text = shown(client, url)
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text), url
        assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", text), url


def test_a_title_says_which_page_it_is() -> None:
    client = signed_in("alice")
    for url in pages(client):
        title = re.search(r"<title>(.*?)</title>", shown(client, url), re.DOTALL)
        assert title
        words = title[1].strip()
        assert words.endswith("| Marketplace leads")
        assert len(words) > len("| Marketplace leads"), url


def test_the_sign_in_page_is_ours() -> None:
    text = shown(Client())
    assert "<title>Log in | Marketplace leads</title>" in text
    assert "Django" not in text
    assert not menu(text)


def test_signing_out_says_so() -> None:
    text = signed_in("bob").post("/admin/logout/").content.decode()
    assert "You are logged out" in text
    assert "quality time" not in text


def test_an_app_has_no_page() -> None:
    for label in ("leads", "auth", "crm_sync"):
        assert signed_in("alice").get(f"/admin/{label}/").headers["Location"] == "/admin/"


# What stands everywhere


@pytest.fixture
def alarm(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], list[int]]:
    """Report one alarm; returns the list that grows with each time it is asked for."""

    def make(everywhere: bool) -> list[int]:
        asked: list[int] = []

        def source(request: Any) -> list[Notice]:
            asked.append(1)
            return [Notice("error", "No worker is alive.", "/admin/settings/", "See", everywhere=everywhere)]

        monkeypatch.setattr(ports, "notices", [source])
        return asked

    return make


def test_an_alarm_stands_on_every_page_and_is_asked_for_once(alarm: Callable[[bool], list[int]]) -> None:
    asked = alarm(True)
    client = signed_in("dave")
    for url in ("/admin/", "/admin/leads/lead/", "/admin/leads/offer/"):
        asked.clear()
        text = shown(client, url)
        assert text.count("No worker is alive.") == 1
        assert 'role="alert"' in text
        assert asked == [1]


def test_a_notice_that_is_no_alarm_stands_on_home_only(alarm: Callable[[bool], list[int]]) -> None:
    alarm(False)
    client = signed_in("dave")
    assert "No worker is alive." in shown(client)
    assert "No worker is alive." not in shown(client, "/admin/leads/lead/")


def test_strangers_learn_nothing_from_the_sign_in_page(alarm: Callable[[bool], list[int]]) -> None:
    asked = alarm(True)
    assert "No worker" not in shown(Client())
    assert asked == []


def test_the_version_stands_at_the_foot(settings: Any) -> None:
    assert f"Marketplace leads {settings.VERSION}" in shown(signed_in("dave"))


# Pages for when something is not as it should be


def test_403_says_in_words_who_can_help() -> None:
    response = signed_in("frank").get("/admin/leads/lead/")
    text = response.content.decode()
    assert response.status_code == 403
    assert "You may not do this" in text
    assert "frank" in text
    assert "An administrator can give it to you" in text


def test_404_says_what_happened() -> None:
    response = signed_in("frank").get("/admin/nothing/")
    assert response.status_code == 404
    assert "There is nothing here" in response.content.decode()


def test_500_says_that_leads_still_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(request: Any) -> list[Notice]:
        raise RuntimeError("as planned")

    client = signed_in("dave")
    client.raise_request_exception = False
    monkeypatch.setattr(ports, "notices", [broken])
    response = client.get("/admin/")
    assert response.status_code == 500
    assert "Leads are still taken in" in response.content.decode()
    assert "as planned" not in response.content.decode()


def test_a_form_that_is_too_old_is_refused_in_words() -> None:
    client = Client(enforce_csrf_checks=True)
    response = client.post("/admin/login/", {"username": "x", "password": "y"})
    assert response.status_code == 403
    assert "This form is too old" in response.content.decode()


# Users and groups


def new_user(client: Client, **more: Any) -> Any:
    data = {"username": "grace", "password1": PASSWORD, "password2": PASSWORD, **more}
    return client.post("/admin/auth/user/add/", data)


PASSWORD = "correct horse battery staple"


def test_a_new_user_may_sign_in() -> None:
    new_user(signed_in("erin"))
    assert Client().login(username="grace", password=PASSWORD)
    assert person("grace").is_staff


def test_a_colleague_is_let_in_on_one_page() -> None:
    sales = Group.objects.get(name="Sales")
    text = shown(signed_in("erin"), "/admin/auth/user/add/")
    assert "Sales: work on leads" in text
    more = {"first_name": "Grace", "email": "grace@contoso.example", "groups": [sales.pk]}
    assert new_user(signed_in("erin"), **more).url == "/admin/auth/user/"
    grace = person("grace")
    assert (grace.first_name, grace.email, *grace.groups.all()) == ("Grace", "grace@contoso.example", sales)
    row = shown(signed_in("erin"), "/admin/auth/user/?q=grace")
    assert "Grace" in row
    assert "Sales" in row


def test_every_group_that_we_make_says_what_it_is_for() -> None:
    text = shown(signed_in("erin"), "/admin/auth/user/add/")
    for name in Group.objects.values_list("name", flat=True):
        assert f"{name}: " in text


def test_who_cannot_sign_in_is_told_who_can_help() -> None:
    response = Client().post("/admin/login/", {"username": "grace", "password": "wrong"})
    assert "An administrator can set a new password for you." in response.content.decode()


def test_who_is_shut_out_may_not_sign_in() -> None:
    new_user(signed_in("erin"))
    url = reverse("admin:auth_user_change", args=[person("grace").pk])
    assert signed_in("erin").post(url, {"username": "grace"}).status_code == 302
    assert not Client().login(username="grace", password=PASSWORD)
    assert "No" in shown(signed_in("erin"), "/admin/auth/user/?is_active__exact=0")


def test_who_may_not_sign_in_is_let_in_by_that_tick_and_by_no_other_edit() -> None:
    """Whichever of Django's two ticks shut them out."""
    grace = person("grace")
    url = reverse("admin:auth_user_change", args=[grace.pk])
    User.objects.filter(pk=grace.pk).update(is_staff=False)
    assert not signed_in("erin").get(url).context["adminform"].form["is_active"].value()
    assert signed_in("erin").post(url, {"username": "grace", "first_name": "Grace"}).status_code == 302
    grace.refresh_from_db()
    assert (grace.first_name, grace.is_active and grace.is_staff) == ("Grace", False)
    assert signed_in("erin").post(url, {"username": "grace", "is_active": "on"}).status_code == 302
    grace.refresh_from_db()
    assert grace.is_active
    assert grace.is_staff


def test_only_a_superuser_hands_out_single_permissions() -> None:
    url = reverse("admin:auth_user_change", args=[person("bob").pk])
    assert 'name="user_permissions"' not in shown(signed_in("erin"), url)
    assert 'name="user_permissions"' in shown(signed_in("alice"), url)


def test_a_new_password_is_set_for_a_colleague_and_cannot_be_left_empty() -> None:
    new_user(signed_in("erin"))
    url = reverse("admin:auth_user_password_change", args=[person("grace").pk])
    other = "staple battery horse correct"
    assert "This field is required" in signed_in("erin").post(url, {}).content.decode()
    assert signed_in("erin").post(url, {"password1": other, "password2": other}).status_code == 302
    assert Client().login(username="grace", password=other)


@pytest.mark.parametrize("name", ["bob", "charlie", "dave", "frank"])
def test_only_administrators_see_users(name: str) -> None:
    client = signed_in(name)
    assert client.get("/admin/auth/user/").status_code == 403
    assert new_user(client).status_code == 403


def test_an_administrator_becomes_no_superuser() -> None:
    erin = person("erin")
    client = signed_in("erin")
    url = reverse("admin:auth_user_change", args=[erin.pk])
    data = {
        "username": "erin",
        "is_active": "on",
        "is_staff": "on",
        "is_superuser": "on",
        "user_permissions": ["1"],
        "groups": [group.pk for group in erin.groups.all()],
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00:00",
    }
    assert client.post(url, data).status_code == 302
    erin.refresh_from_db()
    assert not erin.is_superuser
    assert not erin.user_permissions.exists()


def test_an_administrator_cannot_take_over_a_superuser() -> None:
    alice = person("alice")
    client = signed_in("erin")
    assert (
        client.post(reverse("admin:auth_user_change", args=[alice.pk]), {"username": "x"}).status_code == 403
    )
    url = reverse("admin:auth_user_password_change", args=[alice.pk])
    assert client.post(url, {"password1": PASSWORD, "password2": PASSWORD}).status_code == 403


def test_permissions_are_named_without_apps() -> None:
    text = shown(signed_in("alice"), "/admin/auth/group/1/change/")
    assert "Lead: Can view lead" in text
    assert "Log entry" not in text


def test_so_they_are_where_they_can_only_be_read() -> None:
    text = shown(signed_in("erin"), "/admin/auth/group/1/change/")
    assert "<li>Lead: Can view lead</li>" in text
    assert "leads |" not in text
    dave = person("dave")
    dave.user_permissions.add(Permission.objects.get(codename="assign_lead"))
    text = shown(signed_in("erin"), f"/admin/auth/user/{dave.pk}/change/")
    assert "<li>Lead: Can give a lead to a colleague</li>" in text
    assert 'name="user_permissions"' not in text


def test_what_a_group_allows_stands_there_once() -> None:
    said = "Lead: Can view lead"
    assert shown(signed_in("erin"), "/admin/auth/group/1/change/").count(said) == 1, "to be read"
    text = shown(signed_in("alice"), "/admin/auth/group/1/change/")
    assert text.count(said) == 1
    assert f"<li>{said}</li>" not in text, "to be ticked"


@pytest.mark.parametrize("page", ["user", "group"])
def test_naming_permissions_asks_for_no_app_one_by_one(page: str) -> None:
    client = signed_in("alice")
    pk = person("bob").pk if page == "user" else 1
    with CaptureQueriesContext(connection) as asked:
        assert "Lead: Can view lead" in shown(client, f"/admin/auth/{page}/{pk}/change/")
    one_by_one = [query for query in asked if 'WHERE "django_content_type"."id" =' in query["sql"]]
    assert len(one_by_one) <= 1


def test_the_groups_are_there() -> None:
    text = shown(signed_in("alice"), "/admin/auth/group/")
    for name in ("Sales", "Partner manager", "Administrator", "Auditor"):
        assert name in text


def test_the_demo_crm_leaves_the_menu_with_the_demo() -> None:
    client = signed_in("alice")
    assert "Demo CRM" not in menu(shown(client))
    demo_data.seed(timezone.now())
    assert "Demo CRM" in menu(shown(client))
    demo_data.remove()
    assert "Demo CRM" not in menu(shown(client))
