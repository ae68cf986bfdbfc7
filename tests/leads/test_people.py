"""Colleagues are called by their names, and so everywhere; by the user name where they have no other."""

import pytest
from django.template import Context, Template
from django.urls import reverse
from django.utils import timezone

from leads import work
from leads.models import Note
from leads.people import name_of
from tests.leads.test_admin import page_of
from tests.leads.test_inbox import a_lead, html_of, rows
from tests.leads.test_inbox_actions import press, text_at
from tests.leads.test_inbox_export import as_csv
from tests.staff import make_offer, person, signed_in

pytestmark = pytest.mark.django_db


def test_a_colleague_is_called_by_name_else_as_they_sign_in() -> None:
    bob = person("bob")
    assert name_of(bob) == "bob"
    bob.first_name, bob.last_name = "Bob", "Brown"
    assert name_of(bob) == "Bob Brown"
    assert (name_of(None), name_of(None, "Nobody")) == ("", "Nobody")


def test_a_template_calls_a_colleague_the_same() -> None:
    said = Template("{% load people %}{{ bob|person }}").render(Context({"bob": person("bob")}))
    assert said == "bob"


def test_list_page_file_filter_and_timeline_call_a_colleague_the_same() -> None:
    sally = person("charlie")
    sally.first_name, sally.last_name = "Sally", "Smith"
    sally.save()
    lead, client = a_lead(make_offer()), signed_in("alice")
    work.set_status(lead, "working", sally, timezone.now())
    Note.objects.create(lead=lead, author=sally, text="Rang twice")
    press(client, "assign", [lead], owner=str(sally.pk))
    page = text_at(client, page_of(lead))
    for said in (
        "Owner: Sally Smith",
        "alice: Owner: nobody → Sally Smith",
        "Sally Smith: Status: New → Working",
        "Sally Smith: Rang twice",
    ):
        assert said in page, said
    assert "Sally Smith" in rows(client, "view=all")[0]
    assert ">Sally Smith</option>" in html_of(client, "view=all"), "the filter by owner"
    assert as_csv(client)[0]["Owner"] == "Sally Smith"
    user = text_at(client, reverse("admin:auth_user_change", args=[sally.pk]))
    assert "Sally Smith owns 1 open lead." in user
    for text in (page, html_of(client, "view=all")):
        assert "charlie" not in text
