"""docs/connectors says of every kind of CRM what its declaration says."""

from pathlib import Path

import pytest

from crm_sync import connector_docs, connectors
from crm_sync.connectors.base import Connector

PAGES = Path(__file__).parents[2] / "docs/connectors"
SECTIONS = (
    "What it writes",
    "Set-up",
    "What happens on a retry",
    "Limits",
    "Errors, and what to do",
    "What proved it",
)
every_connector = pytest.mark.parametrize("connector", connectors.all(), ids=list(connectors.REGISTRY))


@every_connector
def test_each_kind_of_crm_has_a_page_with_all_that_staff_ask(connector: type[Connector]) -> None:
    text = (PAGES / f"{connector.spec.slug}.md").read_text("utf-8")
    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert [heading for heading in headings if heading in SECTIONS] == list(SECTIONS)
    assert connector_docs.parts(text) == {"settings", "fields", "limits", "retry", "errors"}


@every_connector
def test_what_a_page_repeats_from_the_declaration_is_up_to_date(connector: type[Connector]) -> None:
    text = (PAGES / f"{connector.spec.slug}.md").read_text("utf-8")
    assert connector_docs.page(text, connector) == text, "run: make docs"


def test_the_page_about_all_names_each() -> None:
    text = (PAGES / "README.md").read_text("utf-8")
    specs = [connector.spec for connector in connectors.all()]
    assert connector_docs.overview(text, specs) == text, "run: make docs"
    assert all(f"]({spec.slug}.md)" in text for spec in specs)


def test_no_page_is_about_a_kind_that_does_not_exist() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == {"README", *connectors.REGISTRY}
