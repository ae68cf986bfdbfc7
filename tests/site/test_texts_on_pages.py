"""Every page in a language that marks what was translated: what stands there without marks, no translator can reach.

What people, customers and CRMs named is written in Greek letters here, so that every Latin one is a word of ours.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from babel import Locale
from django.contrib.auth.models import Group, User
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override

from crm_sync import connectors, publishing, replay, routing
from crm_sync.models import Attempt, Delivery, DemoRecord, Destination, Route
from leads import answers, jobs, ports, silence, work
from leads.admin import inbox_actions, inbox_deeds
from leads.models import (
    AssignmentRule,
    Customer,
    Endpoint,
    Export,
    Job,
    Lead,
    Note,
    Offer,
    Refusal,
    SavedView,
    Submission,
    UnknownKey,
    new_id,
)
from tests import pseudo
from tests.staff import body, lead_of, make_searchable, person, post

pytestmark = [pytest.mark.django_db, pytest.mark.looks]

# The same in every language: names of products, Microsoft's words, who is who here, the groups that come with us.
NAMES = (
    *(connector.spec.label for connector in connectors.REGISTRY.values()),
    *(
        "Microsoft",
        "Partner Center",
        "Azure Marketplace",
        "Azure portal",
        "AppSource",
        "Test Drive",
        "SQLite",
        "Excel",
    ),
    *(
        "LeadSource",
        "ActionCode",
        "OfferTitle",
        "UserDetails",
        "StartTestDrive",
        "Create",
        "AzurePortal",
        "User-Agent",
    ),
    *(
        "alice",
        "bob",
        "charlie",
        "dave",
        "erin",
        "frank",
        "contoso",
        "backup",
        "Administrator",
        "Partner manager",
        "Sales",
        "Auditor",
    ),
)
# Texts of libraries, which they give in English alone.
LIBRARIES = (
    "is a required property",  # jsonschema
    "is not valid under any of the given schemas",
    "True",  # Django, of a tick that can only be read
    "False",
    "Whether the user will be able to authenticate using a password or not.",
    "If disabled, they may still be able to authenticate using other backends, such as Single Sign-On or LDAP.",
    "If disabled, the current password for this user will be lost.",
)
KNOWN = re.compile(
    "|".join(
        (
            r"psql -c .*|\bfsync\b|\b\d+\.\d+ \([^)]*\)",  # a command, a setting and the version of PostgreSQL
            r"https?://\S+",
            r"[\w.+-]+@\S+",
            r"[\w.+-]*(?:/[\w.+-]+)+",  # a path, a type of content, a time zone
            r"\b[\w-]+(?:\.[\w-]+)+\b",  # the id of an offer, the name of a file
            r"\b[A-Z][A-Z0-9_-]+\b",  # a code, a format, a setting
            r"\{\{.*?\}\}|\{\".*\}",  # the place of a value, JSON
            re.escape(", ".join(answers.NAMES)),
            *map(re.escape, LIBRARIES),
            *(rf"\b{re.escape(name)}\b" for name in sorted(NAMES, key=len, reverse=True)),
            *map(re.escape, sorted(Locale(pseudo.LANGUAGE).territories.values(), key=len, reverse=True)),
        )
    )
)
# What stands on pages about a CRM besides: its fields, and the values that go there, which stay English.
DATA = re.compile(
    "|".join(
        (
            KNOWN.pattern,
            *(rf"\b{field.name}\b" for field in connectors.REGISTRY["demo"].spec.fields),
            r"\b[0-9a-f]{8}-[0-9a-f-]+",
            r"Contact me|United States|\bfalse\b|Sample offer|Sam Sample|\bSam\b|\bSample\b|Example Ltd|Head of Samples",
        )
    )
)


@pytest.fixture
def _speaking(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[None]:
    monkeypatch.setattr(ports.ports, "bell", [])
    settings.PUBLIC_URL = "https://leads.contoso.example"
    pseudo.speak(monkeypatch, settings)
    with override(pseudo.LANGUAGE):
        yield


def signed_in(name: str) -> Client:
    client = Client(headers={"accept-language": pseudo.LANGUAGE})
    client.force_login(person(name))
    return client


# --- What there is -------------------------------------------------------------------------------------------


class World:
    """An offer that sends to a CRM, leads of every kind, requests that could not be read, and work on all of it."""

    def __init__(self) -> None:
        self.now = timezone.now()
        self.alice, self.bob = person("alice"), person("bob")
        self.offer = self.add_offer("backup", "Αντίγραφα", worked_in="here")
        self.silent = self.add_offer("SILENT", "Σιωπή")
        self.strict = self.add_offer("STRICT", "Αυστηρή", schema={"required": ["ActionCode"]})
        Endpoint.rotate(self.offer, timedelta(days=2), self.now, replacing=self.offer.endpoints.get().pk)
        self.destination = Destination.objects.create(name="Πελάτες", connector="demo")
        self.route = Route.objects.create(offer=self.offer, destination=self.destination)
        publishing.publish_rules(self.route, [], self.now)
        self.rule = AssignmentRule.objects.create(name="Κανόνας", countries=["US"], actions=["PLT"])
        self.rule.people.add(self.alice, self.bob)
        self.make_leads()
        self.make_quarantine()
        self.make_deliveries()
        self.do_work()

    def add_offer(self, name: str, title: str, **more: Any) -> Offer:
        offer = Offer.objects.create(publisher_id="contoso", offer_id=name, title=title, **more)
        Endpoint.make(offer)
        return offer

    def make_leads(self) -> None:
        """Of each action, one twice, a test, a sample, one that says nothing of anybody, one of another offer."""
        self.lead = lead_of(post(self.offer, said(Σημείωση="ναι"), at=self.now - timedelta(hours=30)))
        post(self.offer, said(Σημείωση="ναι"), at=self.now - timedelta(hours=30, minutes=-1))
        for number, action in enumerate(("INS", "DNC", "Create", "StartTestDrive", "Άλλο", "")):
            email = f"{number}@fabrikam.example"
            post(self.offer, said({"Email": email}, ActionCode=action, LeadSource="AzurePortal"))
        post(self.offer, said({"FirstName": "MSFT_TEST_636573304831318844"}))
        post(self.offer, said({"LastName": "Δείγμα"}), origin=Submission.Origin.SAMPLE)
        nobody = dict.fromkeys(("FirstName", "LastName", "Email", "Phone", "Company"), "")
        self.nobody = lead_of(post(self.offer, said(nobody)))
        self.other = lead_of(post(self.offer, said({"Company": "Άλλη"}, LeadSource="SPZA-INS|contoso.OTHER")))
        for days in range(20, 30):
            post(self.silent, said({"Email": f"{days}@fabrikam.example"}), at=self.now - timedelta(days=days))
        routing.route_everything(self.now)
        make_searchable()
        self.lead.refresh_from_db()

    def make_quarantine(self) -> None:
        for broken in (b"", b"[]", b'{"FirstName": "\xce\x9b",}', b"<html>", b"[" * 70 + b"]" * 70):
            post(self.offer, broken)
        self.quarantined = post(self.offer, '{"FirstName": \'Λ\', Όνομα: "Π",}'.encode())
        self.against = post(self.strict, b'{"LeadSource": "SPZA"}')
        for reason in Refusal.Reason.values:
            Refusal.objects.create(
                minute=self.now, reason=reason, endpoint=self.offer.endpoints.first(), times=3
            )

    def make_deliveries(self) -> None:
        """In every state, for every reason."""
        mine = iter(Lead.objects.filter(offer=self.silent).order_by("pk"))
        leased = {"lease_token": new_id(), "lease_expires_at": self.now + timedelta(hours=1)}
        more: dict[str, dict[str, Any]] = {"leased": leased, "waiting": {}}
        states: list[dict[str, Any]] = [
            {"state": state, **more.get(state, {"settled_at": self.now})}
            for state in Delivery.State.values
            if state != "held"
        ]
        states += [{"state": "held", "held_reason": reason} for reason in Delivery.Held.values]
        values = {"destination": self.destination, "route": self.route, "tries": 1, "reason": "Όχι"}
        self.deliveries = [
            Delivery.objects.create(lead=lead, **values, **state)
            for state, lead in zip(states, mine, strict=False)
        ]
        for delivery in self.deliveries:
            Attempt.objects.create(
                delivery=delivery,
                number=1,
                token=new_id(),
                started_at=self.now,
                finished_at=self.now,
                outcome="rejected",
            )
        DemoRecord.objects.create(key="1", record={"όνομα": "Λ"})
        self.refused = next(delivery for delivery in self.deliveries if delivery.state == "rejected")

    def do_work(self) -> None:
        template = answers.suggestion("PLT")
        assert template
        template.save()
        self.template = template
        Note.objects.create(lead=self.lead, author=self.alice, text="Σημείωση")
        work.give_to(self.lead, self.alice, self.alice, self.now)
        work.follow_up(self.lead, self.now.date() + timedelta(days=2), self.alice, self.now)
        self.view = SavedView.objects.create(name="Όψη", query="action=PLT", owner=self.alice)
        Export.objects.create(created_by=self.alice, format="csv", query="view=all", said="Όλα", leads=3)
        self.job = jobs.start(replay.REPLAY, replay.Range().as_arguments(), self.alice)
        self.failed_job = jobs.start(replay.REPLAY, replay.Range().as_arguments(), self.alice)
        Job.objects.filter(pk=self.failed_job.pk).update(state="failed", error="Όχι")
        self.customer = Customer.objects.get(leads=self.lead)


def said(user: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """The body of a lead, in Greek."""
    greek = {"FirstName": "Ιωάννα", "LastName": "Δούκα", "Company": "Ύφασμα", "Title": "Διευθύντρια"}
    return body(greek | (user or {}), **{"Description": "Καλέστε με.", "OfferTitle": "Αντίγραφα"} | more)


# --- The pages -----------------------------------------------------------------------------------------------


def admin(name: str, *arguments: Any) -> str:
    return reverse(f"admin:{name}", args=arguments)


Pages = Callable[[World], Mapping[str, str]]


def of_leads(world: World) -> dict[str, str]:
    lead, offer = world.lead.pk, world.offer.pk
    inbox = admin("leads_lead_changelist")
    about = urlencode({inbox_actions.CHOSEN: inbox_actions.ALL, inbox_actions.UNTIL: world.now.isoformat()})
    return {
        "Inbox": f"{inbox}?view=all",
        "Inbox, what needs me": inbox,
        "Inbox, filtered": f"{inbox}?action=PLT&country=US&q=Δούκα&status__exact=new&owner=me&received=7&kind=test",
        "Inbox, no lead": f"{inbox}?q=Ωωω",
        "Lead": admin("leads_lead_change", lead),
        "Lead without a name": admin("leads_lead_change", world.nobody.pk),
        "Lead of another offer": admin("leads_lead_change", world.other.pk),
        **{
            f"Lead of action {each.action or 'none'}": admin("leads_lead_change", each.pk)
            for each in Lead.objects.filter(offer=world.offer).exclude(action="PLT")
        },
        **{
            f"Lead, {delivery.held_reason or delivery.state}": admin("leads_lead_change", delivery.lead_id)
            for delivery in world.deliveries
        },
        "Test lead": admin("leads_lead_change", Lead.objects.filter(is_test=True)[0].pk),
        "Answer": admin("leads_lead_answer", lead),
        "Export leads": f"{admin('leads_lead_export')}?view=all",
        **{
            f"Leads, {action.name}": f"{admin('leads_lead_bulk', action.name)}?view=all&{about}"
            for action in inbox_deeds.ACTIONS
        },
        "Lead history": admin("leads_lead_history", lead),
        "Customers": admin("leads_customer_changelist"),
        "Customer": admin("leads_customer_change", world.customer.pk),
        "Quarantine": admin("leads_submission_changelist"),
        **{
            f"Request, {submission.reason or submission.verdict} {submission.pk}": admin(
                "leads_submission_change", submission.pk
            )
            for submission in Submission.objects.exclude(verdict="lead")
        },
        "Request that became a lead": admin("leads_submission_change", world.lead.submission_id),
        "Exports": admin("leads_export_changelist"),
        "Jobs": admin("leads_job_changelist"),
        "Job": admin("leads_job_change", world.job.pk),
        "Failed job": admin("leads_job_change", world.failed_job.pk),
        "Offers": admin("leads_offer_changelist"),
        "Offer": admin("leads_offer_change", offer),
        "Offer with a schema": admin("leads_offer_change", world.strict.pk),
        "Silent offer": admin("leads_offer_change", world.silent.pk),
        "New offer": admin("leads_offer_add"),
        "Many offers": admin("leads_offer_many"),
        "All URLs": admin("leads_offer_urls"),
        "Arrival": admin("leads_offer_arrival", offer),
        "Sample lead": admin("leads_offer_sample", offer),
        "Rotate": admin("leads_offer_rotate", offer),
        "Revoke": admin("leads_offer_revoke", offer, world.offer.endpoints.order_by("pk")[0].pk),
        "Offer history": admin("leads_offer_history", offer),
        "Assignment rules": admin("leads_assignmentrule_changelist"),
        "Assignment rule": admin("leads_assignmentrule_change", world.rule.pk),
        "New assignment rule": admin("leads_assignmentrule_add"),
        "Try assignment rules": admin("leads_assignmentrule_try"),
        "Answer templates": admin("leads_answertemplate_changelist"),
        "Answer template": admin("leads_answertemplate_change", world.template.pk),
        "New answer template": admin("leads_answertemplate_add"),
        "Delete answer template": admin("leads_answertemplate_delete", world.template.pk),
        "Working hours": admin("leads_workinghours_changelist"),
    }


def of_the_site(world: World) -> dict[str, str]:
    return {
        "Home": admin("index"),
        "First steps": admin("set-up"),
        "Reports": admin("reports"),
        "Health": admin("doctor"),
        "Settings": admin("settings"),
        "Users": admin("auth_user_changelist"),
        "User": admin("auth_user_change", world.bob.pk),
        "New user": admin("auth_user_add"),
        "Password of a user": admin("auth_user_password_change", world.bob.pk),
        "Leads of a user": admin("auth_user_leads", world.bob.pk),
        "User history": admin("auth_user_history", world.bob.pk),
        "Groups": admin("auth_group_changelist"),
        "Group": admin("auth_group_change", Group.objects.get(name="Sales").pk),
        "New group": admin("auth_group_add"),
        "Password": admin("password_change"),
        "Not found": "/admin/nothing/",
    }


def of_sending(world: World) -> dict[str, str]:
    route, destination = world.route.pk, world.destination.pk
    pages = (
        "mapping",
        "mapping_publish",
        "mapping_history",
        "mapping_copy",
        "mapping_import",
        "mapping_flow",
    )
    return {
        "Sendings": admin("crm_sync_delivery_changelist"),
        **{
            f"Sending, {delivery.held_reason or delivery.state}": admin(
                "crm_sync_delivery_change", delivery.pk
            )
            for delivery in world.deliveries
        },
        "Replay": admin("crm_sync_delivery_replay"),
        "Replay, estimated": f"{admin('crm_sync_delivery_replay')}?estimate=1",
        "Connections": admin("crm_sync_destination_changelist"),
        "Connection": admin("crm_sync_destination_change", destination),
        "New connection": admin("crm_sync_destination_add"),
        **{
            f"New connection, {slug}": f"{admin('crm_sync_destination_add')}?connector={slug}"
            for slug in connectors.REGISTRY
        },
        "Sample to a connection": admin("crm_sync_destination_sample", destination),
        "Route": admin("crm_sync_route_change", route),
        "New route": f"{admin('crm_sync_route_add')}?offer={world.silent.pk}",
        "Request": admin("crm_sync_route_request", route, world.lead.pk),
        **{f"Route, {page}": admin(f"crm_sync_route_{page}", route) for page in pages},
        **{f"Connection, {page}": admin(f"crm_sync_destination_{page}", destination) for page in pages},
        "Demo CRM": admin("crm_sync_demorecord_changelist"),
        "Demo record": admin("crm_sync_demorecord_change", DemoRecord.objects.get().pk),
        "Remove the demo": admin("crm_sync_remove_demo"),
    }


EMPTY = (
    *(
        "index",
        "set-up",
        "reports",
        "leads_lead_changelist",
        "leads_customer_changelist",
        "leads_export_changelist",
    ),
    *("leads_submission_changelist", "leads_job_changelist", "leads_offer_changelist", "leads_offer_urls"),
    *("leads_assignmentrule_changelist", "leads_assignmentrule_try", "leads_answertemplate_changelist"),
    *("crm_sync_delivery_changelist", "crm_sync_destination_changelist"),
)


def pressed(world: World) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Buttons, one after the other: what each is called, where it posts to and what."""
    lead, offer, job = world.lead.pk, world.offer.pk, world.failed_job.pk
    for name, data in {
        "answered": {},
        "take": {},
        "note": {"text": "Ναι"},
        "qualify": {},
        "follow_up": {"on": "2199-01-01"},
        "close": {},
    }.items():
        yield f"lead: {name}", admin(f"leads_lead_{name}", lead), data
    yield "lead: close", admin("leads_lead_close", lead), {"reason": "", "other": "Όχι"}
    yield "lead: qualify", admin("leads_lead_qualify", world.nobody.pk), {}
    about = urlencode({inbox_actions.CHOSEN: inbox_actions.ALL, inbox_actions.UNTIL: world.now.isoformat()})
    given = {"owner": world.bob.pk, "status": "closed", "reason": "Όχι"}
    for action in inbox_deeds.ACTIONS:
        yield f"leads: {action.name}", f"{admin('leads_lead_bulk', action.name)}?view=all&{about}", given
    yield "view: rename", admin("leads_lead_view", world.view.pk), {"name": "Νέα"}
    yield "view: save", admin("leads_lead_save_view"), {"query": "action=PLT", "name": "Άλλη"}
    yield "view: save again", admin("leads_lead_save_view"), {"query": "action=PLT", "name": ""}
    request, other = world.quarantined.pk, world.against.pk
    text = '{"FirstName": "Λ"}'
    yield "request: check", admin("leads_submission_check", request), {"text": text}
    yield "request: check, in vain", admin("leads_submission_check", request), {"text": "{"}
    yield "request: reread", admin("leads_submission_reread", request), {}
    yield "request: discard", admin("leads_submission_discard", request), {"discard": "yes"}
    yield "request: restore", admin("leads_submission_restore", request), {}
    yield "request: release", admin("leads_submission_release", request), {"text": text}
    yield "request: release again", admin("leads_submission_release", request), {"text": text}
    yield "request: release, against the schema", admin("leads_submission_release", other), {"text": text}
    yield "offer: sample", admin("leads_offer_sample", offer), {"kind": "test"}
    yield "offer: calm", admin("leads_offer_calm", world.silent.pk), {}
    yield "offer: rotate", admin("leads_offer_rotate", offer), {"days": "3", "replacing": ""}
    yield "offer: rotate", admin("leads_offer_rotate", world.silent.pk), {"days": "400", "replacing": "1"}
    yield (
        "offer: add",
        admin("leads_offer_add"),
        {"publisher_id": "contoso", "offer_id": "backup", "title": ""},
    )
    yield "offer: schema", admin("leads_offer_change", offer), {"title": "Αντίγραφα", "schema": '{"type": 1}'}
    yield "offers: add", admin("leads_offer_many"), {"listed": "contoso,one,Ένα\ncontoso,,\ncontoso,backup,x"}
    for key in UnknownKey.objects.all():
        yield "field: ignore", admin("leads_unknownkey_ignore", key.pk), {}
        yield "field: restore", admin("leads_unknownkey_restore", key.pk), {}
    yield "customer: split", admin("leads_customer_split", world.customer.pk), {"lead": [str(lead)]}
    yield (
        "customer: split",
        admin("leads_customer_split", world.customer.pk),
        {"lead": [str(lead)], "confirm": "yes"},
    )
    yield "job: go on", admin("leads_job_go_on", job), {}
    yield "job: cancel", admin("leads_job_cancel", job), {}
    yield "job: cancel again", admin("leads_job_cancel", job), {}
    yield "rule: save", admin("leads_assignmentrule_add"), {"name": "Κανόνας"}
    yield "template: suggest", admin("leads_answertemplate_suggest"), {}
    yield (
        "template: save",
        admin("leads_answertemplate_add"),
        {"name": "Ν", "subject": "{{ x }}", "body": "{{"},
    )
    yield "hours: save", admin("leads_workinghours_changelist"), {"opens": "09:00", "closes": "08:00"}
    yield "user: save", admin("auth_user_add"), {"username": "bob", "password1": "1", "password2": "2"}
    yield "user: hand over", admin("auth_user_leads", world.alice.pk), {"to": world.bob.pk}
    yield "export", admin("leads_lead_export"), {}


def bare(
    client: Client, pages: Mapping[str, str], *answers: int, known: re.Pattern[str] = KNOWN
) -> dict[str, list[str]]:
    """By page, what of it stands without marks. Fails where a page is answered otherwise."""
    found = {}
    for name, url in pages.items():
        response = client.get(url, follow=True)
        assert response.status_code in ((404,) if name == "Not found" else answers), f"{name}: {url}"
        if left := left_bare(response, known):
            found[name] = left
    return found


def left_bare(response: Any, known: re.Pattern[str] = KNOWN) -> list[str]:
    """What of a page stands without marks, and is not known."""
    return list(pseudo.without(pseudo.unmarked(response.content.decode()), known))


@pytest.mark.parametrize(
    ("html", "left"),
    [
        ("<p>Leads</p>", ["Leads"]),
        ("<p>«Leads»</p>", []),
        ("<p>«Open the »<b>«field mapping»</b>« of »leads</p>", ["leads"]),
        ('<a title="Open it">«Open»</a>', ["Open it"]),
        ('<input type="submit" value="Save"><input type="text" value="Save">', ["Save"]),
        ('<img alt="«Leads»"><select><option>New</option></select>', ["New"]),
        ("<p>«Cut off…</p><p>Leads</p>", ["Leads"]),
        ("<script>var leads</script><code>make run</code><pre>Leads</pre>12 › α", []),
    ],
)
def test_words_without_marks_are_found_and_nothing_else(html: str, left: list[str]) -> None:
    assert pseudo.unmarked(html) == left


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("Leads", "«Leads»"),
        ("%(number)s leads of <b>%(offer)s</b>", "%(number)s« leads of »<b>%(offer)s</b>"),
        ("Hello {{ first_name }}, {number:,} %d%%", "«Hello »{{ first_name }}, {number:,} %d%%"),
        ("yes,no,maybe", "«yes»,«no»,«maybe»"),
        ("a month\x04May", "«May»"),
        ("12 › 13", "12 › 13"),
    ],
)
def test_marks_stand_around_what_a_translator_writes(message: str, said: str) -> None:
    assert pseudo.marked(message) == said


@pytest.mark.usefixtures("_speaking")
@pytest.mark.parametrize(
    ("pages", "known"),
    [
        (of_leads, KNOWN),
        (of_the_site, KNOWN),
        (of_sending, DATA),
    ],
    ids=("leads", "site", "sending"),
)
def test_every_text_of_every_page_can_be_translated(pages: Pages, known: re.Pattern[str]) -> None:
    world = World()
    found = bare(signed_in("alice"), pages(world), 200, known=known)
    assert found == {}, json.dumps(found, indent=1, ensure_ascii=False)


@pytest.mark.usefixtures("_speaking")
@pytest.mark.parametrize(("who", "pages"), [("dave", of_leads), ("erin", of_the_site)], ids=("dave", "erin"))
def test_so_can_what_is_shown_to_those_who_may_only_read(who: str, pages: Pages) -> None:
    world = World()
    found = bare(signed_in(who), pages(world), 200, 403)
    assert found == {}, json.dumps(found, indent=1, ensure_ascii=False)


@pytest.mark.usefixtures("_speaking")
def test_so_can_what_is_said_where_there_is_nothing_yet() -> None:
    lists = {name: admin(name) for name in EMPTY}
    found = bare(signed_in("alice"), lists, 200)
    assert found == {}, json.dumps(found, indent=1, ensure_ascii=False)


@pytest.mark.usefixtures("_speaking")
def test_what_a_button_answers_can_be_translated() -> None:
    world, client, found = World(), signed_in("alice"), {}
    for name, url, data in pressed(world):
        response = client.post(url, data, follow=True)
        assert response.status_code in (200, 400, 409, 422), f"{name}: {response.status_code}"
        if left := left_bare(response):
            found[name] = left
    assert found == {}, json.dumps(found, indent=1, ensure_ascii=False)


@pytest.mark.usefixtures("_speaking")
def test_a_mail_about_a_silent_offer_can_be_translated() -> None:
    world = World()
    User.objects.filter(pk=world.alice.pk).update(email="alice@contoso.example")
    silence.tell(world.now)
    (sent,) = mail.outbox
    assert list(pseudo.without([pseudo.outside(sent.subject), pseudo.outside(sent.body)], KNOWN)) == []


@pytest.mark.usefixtures("_speaking")
def test_who_may_not_is_told_so_in_words_that_can_be_translated() -> None:
    refused = signed_in("frank").get(admin("leads_lead_changelist"))
    assert refused.status_code == 403
    assert left_bare(refused) == []


@pytest.mark.usefixtures("_speaking")
def test_the_page_to_sign_in_can_be_translated() -> None:
    page = Client(headers={"accept-language": pseudo.LANGUAGE}).get(admin("login"))
    assert left_bare(page) == []
