"""The settings page: what runs here, without what must stay secret."""

import re
from typing import Any

import pytest

from leads.vault import MASK
from leadsite import envfile, settings_page
from tests.staff import signed_in

pytestmark = pytest.mark.django_db

URL = "/admin/settings/"


def test_each_setting_shows_its_line_in_the_file() -> None:
    text = signed_in("erin").get(URL).content.decode()
    for words in ("PORT=8000", "ALLOW_PRIVATE_DESTINATIONS=false", "DELIVERY_ENGINE=embedded", "Ctrl-C"):
        assert words in text
    assert str(envfile.path()) in text


def test_no_secret_is_on_the_page(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.EMAIL_URL = "smtp+tls://mailer:hunter2@smtp.example.com:587"
    settings.ON_SQLITE = False
    monkeypatch.setitem(settings.DATABASES["default"], "HOST", "db")
    monkeypatch.setitem(settings.DATABASES["default"], "PASSWORD", "hunter3")
    values = [line.value for _, lines in settings_page.sections() for line in lines]
    for secret in ("hunter", "mailer", settings.SECRET_KEY, *settings.FIELD_ENCRYPTION_KEYS):
        assert not any(secret in value for value in values)
    assert f"smtp+tls://{MASK}@smtp.example.com:587" in values
    assert any(value.startswith(f"postgres://{MASK}@db/") for value in values)


def test_an_address_that_microsoft_cannot_reach_is_marked(settings: Any) -> None:
    settings.PUBLIC_URL = "http://leads.local"
    assert "Microsoft cannot reach http://leads.local" in signed_in("alice").get(URL).content.decode()
    settings.PUBLIC_URL = "https://leads.contoso.example"
    assert "Microsoft cannot reach" not in signed_in("alice").get(URL).content.decode()


def test_debug_is_marked(settings: Any) -> None:
    settings.DEBUG = True
    assert any(line.warning for line in settings_page._secrets())


@pytest.mark.parametrize("name", ["bob", "charlie", "dave", "frank"])
def test_who_may_not_change_connections_does_not_see_it(name: str) -> None:
    assert signed_in(name).get(URL).status_code == 403


def test_every_variable_of_the_example_file_is_on_the_page() -> None:
    example = envfile.TEMPLATE.read_text(encoding="utf-8")
    variables = set(re.findall(r"^#? ?([A-Z][A-Z_]+)=", example, re.MULTILINE))
    assert variables == {line.name for _, lines in settings_page.sections() for line in lines}
    html = signed_in("erin").get(URL).content.decode()
    assert all(f'id="{name}"' in html for name in variables)


def test_a_text_leads_to_the_settings_and_pages_that_it_names(settings: Any) -> None:
    settings.PUBLIC_URL = "https://leads.contoso.example"
    page = "https://leads.contoso.example/admin/auth/user/"
    assert settings_page.linked(f"Correct EMAIL_URL in .env, or see {page}. <b>") == (
        'Correct <a href="/admin/settings/#EMAIL_URL">EMAIL_URL</a> in .env, '
        f'or see <a href="/admin/auth/user/">{page}</a>. &lt;b&gt;'
    )
    assert settings_page.linked("MY_EMAIL_URLS") == "MY_EMAIL_URLS"
