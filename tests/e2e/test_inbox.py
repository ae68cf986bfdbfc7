"""The inbox for everybody: by keyboard and on a phone, with scripts and without, and nothing on it that keeps anybody out."""

import csv
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import DESK, PHONE, Complaints, Desk, for_everybody, tab
from tests.e2e.conftest import Site, StartSite

pytestmark = [pytest.mark.e2e, pytest.mark.looks]
Sit = Callable[..., AbstractContextManager[Desk]]
DEMO = {"Jane Doe", "Li Wei", "Amélie Dubois", "Noah Smith", "Mia Lind"}


@pytest.fixture(scope="module")
def site(start_sites: StartSite) -> Site:
    return start_sites()


@pytest.fixture
def sit(site: Site, desk: Desk, browser: Browser) -> Sit:
    """Sit down at another screen, signed in already, and open the inbox."""
    state = desk.page.context.storage_state()

    @contextmanager
    def sit(**options: Any) -> Iterator[Desk]:
        with tab(browser, storage_state=state, **options) as page:
            there = Desk(page, Complaints(page))
            page.goto(site.base_url)
            there.open("Leads")
            yield there
            assert there.complaints.since_last_time() == []

    return sit


def choose(desk: Desk, action: str, *names: str) -> None:
    for name in names:
        desk.main.get_by_role("checkbox", name=f"Choose {name}").check()
    desk.main.get_by_label("Action:").select_option(action)
    desk.press("Go")


def filtered(desk: Desk, **fields: str) -> None:
    desk.main.get_by_text("Filters", exact=True).click()
    for label, value in fields.items():
        desk.main.get_by_label(label, exact=True).select_option(value)
    desk.press("Apply")


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_a_filter_is_set_kept_as_a_view_and_taken_away(sit: Sit, size: tuple[int, int]) -> None:
    with sit() as desk:
        desk.page.set_viewport_size({"width": size[0], "height": size[1]})
        filtered(desk, Country="France")
        desk.reads("Amélie Dubois, Proseware (FR), began a test drive of Contoso Backup (demo)")
        expect(desk.main).not_to_contain_text("Jane Doe")
        desk.main.get_by_text("Save this view", exact=True).click()
        desk.main.get_by_label("Name", exact=True).fill("France")
        desk.press("Save")
        desk.reads("“France” is a view of yours now.")
        views = desk.main.get_by_role("navigation", name="Views")
        expect(views.get_by_role("link", name="France", exact=True)).to_have_attribute("aria-current", "page")
        desk.press("Country: France")
        desk.reads("Jane Doe")
        desk.press("France")
        desk.press("Rename or delete")
        desk.press("Delete this view")
        desk.reads("The view “France” is deleted.")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_several_leads_are_archived_and_brought_back(sit: Sit, scripts: bool) -> None:
    with sit(java_script_enabled=scripts) as desk:
        choose(desk, "Archive", "Li Wei", "Noah Smith")
        desk.reads("Archive 2 leads?", "Nothing is deleted", "Li Wei, Litware (US), acquired")
        desk.press("Archive 2 leads")
        desk.reads("2 leads are archived.")
        expect(desk.main).not_to_contain_text("Li Wei")
        desk.page.go_back()
        desk.reads("Nothing to do")
        filtered(desk, Archive="Archived only")
        choose(desk, "Bring back from the archive", "Li Wei", "Noah Smith")
        desk.press("Bring 2 leads back")
        desk.reads("2 leads are back.")


def test_all_that_match_are_given_to_a_colleague(sit: Sit) -> None:
    with sit() as desk:
        desk.main.get_by_role("checkbox", name="Select all").check()
        choose(desk, "Assign to a colleague")
        desk.reads("Assign 5 leads?")
        desk.main.get_by_label("New owner").select_option("admin")
        desk.press("Assign 5 leads")
        desk.reads("5 leads are assigned.")
        desk.press("Mine")
        for name in DEMO:
            desk.reads(name)
        desk.press("Jane Doe")
        desk.reads("admin: Owner: nobody → admin")


def test_the_list_leaves_as_a_file_and_it_is_known_who_took_it(sit: Sit, tmp_path: Path) -> None:
    with sit() as desk:
        for kind, read in (("CSV, for any other program", names_in_csv), ("Excel (.xlsx)", names_in_excel)):
            desk.open("Leads")
            desk.press("All")
            desk.press("Export these 5 leads")
            desk.main.get_by_label(kind).check()
            with desk.page.expect_download() as download:
                desk.main.get_by_role("button", name="Download").click()
            download.value.save_as(tmp_path / "leads")
            assert read(tmp_path / "leads") == DEMO
        desk.open("Exports")
        expect(desk.main.get_by_role("row", name="admin")).to_have_count(2)


def names_in_csv(path: Path) -> set[str]:
    rows = csv.DictReader(StringIO(path.read_text(encoding="utf-8-sig"), newline=""))
    return {f"{row['First name']} {row['Last name']}" for row in rows}


def names_in_excel(path: Path) -> set[str]:
    with path.open("rb") as file:
        _headings, *rows = openpyxl.load_workbook(file).active.iter_rows(values_only=True)
    return {f"{row[1]} {row[2]}" for row in rows}


def test_the_inbox_is_worked_by_keyboard_alone(sit: Sit) -> None:
    with sit() as desk:
        desk.main.get_by_role("checkbox", name="Choose Jane Doe").focus()
        desk.page.keyboard.press("Space")
        desk.main.get_by_label("Action:").focus()
        desk.page.keyboard.type("Set the")
        desk.page.keyboard.press("Tab")
        press_enter(desk.page)
        desk.reads("Set the state of 1 lead?")
        desk.main.get_by_label("New state").focus()
        desk.page.keyboard.type("Work")
        desk.page.keyboard.press("Tab")
        press_enter(desk.page)
        desk.reads("1 lead has a new state.")


def press_enter(page: Page) -> None:
    with page.expect_event("load"):
        page.keyboard.press("Enter")


def test_nothing_on_these_pages_keeps_anybody_out(sit: Sit) -> None:
    with sit() as desk:
        desk.press("All")
        desk.main.get_by_text("Filters", exact=True).click()
        for_everybody(desk.page, desk.complaints, "inbox-filters")
        desk.main.get_by_label("Country", exact=True).select_option("Germany")
        desk.press("Apply")
        desk.main.get_by_text("Save this view", exact=True).click()
        for_everybody(desk.page, desk.complaints, "inbox-saving-a-view")
