"""Every text of a page can be translated: none stands bare in a template."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.admin.sites import site
from django.test import RequestFactory
from django.utils import timezone
from django.utils.translation import override, trans_real

from crm_sync import demo_data
from leadsite.site import LABELS, MENU, PAGES
from tests.staff import person

ROOT = Path(settings.BASE_DIR) / "templates"
# What is not for a reader, or the same in every language.
TRANSLATED = re.compile(
    r"{%\s*blocktranslate\b.*?{%\s*endblocktranslate\s*%}|{%\s*comment\b.*?endcomment\s*%}|{#.*?#}"
    r"|<(script|style|code)\b.*?</\1>",
    re.DOTALL,
)
SAID_IN_A_TAG = re.compile(
    r"{[%{](?!\s*translate\b)[^%}]*?(?:default:|default_if_none:|firstof [^%]*|with \w+=)(?<!_\()\"([A-Z][a-z]+[^\"]*)\""
)
SAID_OF_AN_ELEMENT = re.compile(r"\b(?:title|aria-label|placeholder|alt|data-label)=\"([^\"]*)\"")
TAG = re.compile(r"{%.*?%}|{{.*?}}", re.DOTALL)
ELEMENT = re.compile(r"<(?:\"[^\"]*\"|'[^']*'|[^>\"'])*>", re.DOTALL)
WORD = re.compile(r"(?<![&#\w])[A-Za-z]{2,}")


def bare(template: str) -> Iterator[str]:
    """What a reader sees of a template, and no translator would."""
    rest = TRANSLATED.sub("", template)
    yield from SAID_IN_A_TAG.findall(rest)
    rest = TAG.sub("", rest)
    for said in SAID_OF_AN_ELEMENT.findall(rest):
        yield from [said] if WORD.search(said) else []
    text = ELEMENT.sub("\n", re.sub(r"<!DOCTYPE[^>]*>", "", rest))
    yield from (line.strip() for line in text.splitlines() if WORD.search(line.replace("&nbsp;", "")))


def templates() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.html"))


@pytest.mark.parametrize("name", templates())
def test_every_text_of_a_template_can_be_translated(name: str) -> None:
    assert list(bare((ROOT / name).read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("<p>Leads</p>", ["Leads"]),
        ('<p>{% translate "Leads" %} {{ number }} · 12 ›</p>', []),
        ("{% blocktranslate trimmed %}All <b>leads</b>{% endblocktranslate %}", []),
        ('<a title="Open it">{{ name }}</a>', ["Open it"]),
        ('<a title="{% translate \'Open it\' %}" class="button wide">{{ name }}</a>', []),
        ('{% firstof name "Nobody at all" %}', ["Nobody at all"]),
        ('{% firstof name _("Nobody at all") %}', []),
        ('{{ notice.link|default:"Open" }}', ["Open"]),
        ('{% if state == "Nothing" %}{% endif %}', []),
        ("<code>make run</code> {# a remark #}", []),
    ],
)
def test_bare_text_is_found_and_nothing_else(template: str, found: list[str]) -> None:
    assert list(bare(template)) == found


def test_only_languages_that_are_there_are_offered() -> None:
    there = {
        path.parent.parent.name for path in Path(settings.LOCALE_PATHS[0]).glob("*/LC_MESSAGES/django.po")
    }
    assert {code for code, _ in settings.LANGUAGES} == {"en", *there}


@pytest.mark.django_db
def test_the_menu_is_in_the_language_of_who_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trans_real.translation("de"), "gettext", lambda message: f"«{message}»")
    demo_data.seed(timezone.now())  # with which the demo CRM is in the menu
    request = RequestFactory().get("/")
    request.user = person("alice")
    with override("de"):
        menu = site.get_app_list(request)
        sections = [str(section["name"]) for section in menu]
        pages = [str(page["name"]) for section in menu for page in section["models"]]
    assert sections == [f"«{title}»" for title, _ in MENU]
    ours = [*LABELS.values(), *(label for label, _, _ in PAGES.values())]
    assert {f"«{label}»" for label in ours} <= set(pages)
