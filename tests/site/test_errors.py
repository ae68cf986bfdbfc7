"""Pages for when something is not as it should be: they stand by themselves, and say what to do."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site_settings
from django.core.exceptions import SuspiciousOperation
from django.db import OperationalError, connection
from django.http import HttpRequest
from django.test import Client, RequestFactory

from leads.ports import Notice, ports
from leadsite import errors
from tests.staff import signed_in

TEMPLATES = Path(site_settings.BASE_DIR) / "templates"
ASSETS = Path(site_settings.BASE_DIR) / "leadsite" / "assets"


def down(execute: Callable[..., Any], *arguments: Any) -> Any:
    raise OperationalError("as planned")


def whole(text: str) -> None:
    """It looks like the rest of the site, and no browser of ours would refuse a part of it."""
    assert f"Marketplace leads {site_settings.VERSION}" in " ".join(text.split())
    assert "Back to Home" in text
    assert '<link rel="stylesheet" href="/static/leadsite/site.css">' in text
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\bsrc=)", text)


def test_another_name_is_told_the_right_one(settings: Any) -> None:
    settings.PUBLIC_URL = "https://leads.contoso.example"
    response = Client().get("/admin/", headers={"Host": "leads.old.example"})
    text = response.content.decode()
    assert response.status_code == 400
    assert "This site has another address" in text
    assert '<a href="https://leads.contoso.example/admin/">' in text
    assert "leads.old.example" not in text
    whole(text)


def test_a_request_that_is_too_large_says_so() -> None:
    response = errors.bad_request(RequestFactory().get("/"), SuspiciousOperation("as planned"))
    text = response.content.decode()
    assert (response.status_code, "too large" in text) == (400, True)
    assert "as planned" not in text
    whole(text)


@pytest.mark.django_db
def test_403_names_who_can_help() -> None:
    text = signed_in("frank").get("/admin/leads/lead/").content.decode()
    assert "Your account, frank, does not have the permission" in text
    assert "An administrator can give it to you" in text
    whole(text)


@pytest.mark.django_db
def test_404_says_what_may_have_happened() -> None:
    text = signed_in("frank").get("/admin/nothing/").content.decode()
    assert "There is nothing here" in text
    whole(text)


def test_nothing_outside_the_admin_needs_no_database() -> None:
    response = Client().get("/nothing")  # pytest-django fails a test that reaches for the database
    assert response.status_code == 404
    whole(response.content.decode())


def test_a_form_that_is_too_old_tells_the_address_of_this_site(settings: Any) -> None:
    settings.PUBLIC_URL = "https://leads.contoso.example"
    response = Client(enforce_csrf_checks=True).post("/admin/login/", {"username": "x", "password": "y"})
    text = response.content.decode()
    assert (response.status_code, "This form is too old" in text) == (403, True)
    assert "https://leads.contoso.example" in text
    whole(text)


@pytest.mark.django_db
def test_500_stands_without_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(request: Any) -> list[Notice]:
        raise RuntimeError("as planned")

    client = signed_in("dave")
    client.raise_request_exception = False
    monkeypatch.setattr(ports, "notices", [broken])
    with_database = client.get("/admin/")
    with connection.execute_wrapper(down):
        without = client.get("/admin/")
        alone = errors.server_error(HttpRequest())
    for response in (with_database, without, alone):
        text = response.content.decode()
        assert (response.status_code, "Leads are still taken in" in text) == (500, True)
        assert "as planned" not in text
        whole(text)


def test_what_these_pages_load_is_there() -> None:
    """By its plain name: the list of static files may be what is wrong."""
    bare = (TEMPLATES / "leadsite" / "bare.html").read_text(encoding="utf-8")
    loaded = re.findall(r'"/static/(leadsite/[^"]+)"', bare)
    assert loaded
    assert all((ASSETS / path).is_file() for path in loaded)
