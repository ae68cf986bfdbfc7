"""The page of a field mapping for everybody: with scripts and without, on a phone, by keyboard, two people at once."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.browser import PHONE, SEEN, Complaints, Desk, for_everybody, tab
from tests.e2e.conftest import Site, StartSite
from tests.e2e.mapping import row, show_with

pytestmark = [pytest.mark.e2e, pytest.mark.looks]

MANY = 200
OFFER = "Contoso Backup (demo)"
TABS_AT_MOST = 150

Sit = Callable[..., AbstractContextManager[Desk]]


@pytest.fixture(scope="module")
def site(start_sites: StartSite) -> Site:
    return start_sites()


@pytest.fixture
def sit(desk: Desk, browser: Browser) -> Sit:
    """Sit down at another screen, signed in already, and open the mapping of the demo's offer; its draft goes after."""
    state = desk.page.context.storage_state()

    @contextmanager
    def sit(**options: Any) -> Iterator[Desk]:
        with tab(browser, storage_state=state, **options) as page:
            there = Desk(page, Complaints(page))
            page.goto(desk.page.url)
            there.go("Offers", OFFER, "Field mapping:")
            yield there

    return sit


@pytest.fixture(autouse=True)
def _no_draft_is_left(desk: Desk) -> Iterator[None]:
    yield
    desk.go("Offers", OFFER, "Field mapping:")
    if desk.main.get_by_role("button", name="Throw the draft away").count():
        desk.press("Throw the draft away")


def test_the_preview_follows_what_is_typed_without_a_click(sit: Sit) -> None:
    with sit() as desk:
        messages: list[str] = []
        requested: list[str] = []
        desk.page.on("console", lambda message: messages.append(message.text))
        desk.page.on("request", lambda request: requested.append(request.url))
        desk.press("Override Topic")
        desk.page.evaluate("window.stays = true")
        topic = row(desk, "Topic")
        topic.get_by_label("Text with fields").fill("Lead of {{ company }}")
        expect(topic).to_contain_text("Lead of Fabrikam")
        expect(desk.main.get_by_role("row", name="Topic")).to_contain_text("Lead of Fabrikam")
        show_with(desk.page, "Li Wei")
        expect(topic).to_contain_text("Lead of Litware")
        topic.get_by_label("Text with fields").fill("Lead of {{ compny }}")
        expect(topic).to_contain_text("compny")
        expect(topic).to_contain_text("“company”")
        assert desk.page.evaluate("window.stays")
        assert messages == []
        origin = "/".join(desk.page.url.split("/")[:3])
        assert [url for url in requested if not url.startswith(f"{origin}/")] == []


def test_who_types_and_saves_at_once_is_not_taken_for_two_people(sit: Sit) -> None:
    with sit() as desk:
        desk.press("Override Topic")
        row(desk, "Topic").get_by_label("Text with fields").fill("Quick")
        desk.press("Save draft")
        expect(desk.page.get_by_text("Saved as a draft")).to_be_visible()
        expect(row(desk, "Topic").get_by_label("Text with fields")).to_have_value("Quick")
        expect(desk.main).not_to_contain_text("while you were editing")
        assert desk.complaints.since_last_time() == []


def test_without_scripts_every_step_is_a_button(sit: Sit) -> None:
    with sit(java_script_enabled=False) as desk:
        desk.press("Override Job title")
        title = row(desk, "Job title")
        title.get_by_label("How").select_option("Fixed value")
        title.get_by_label("Fixed value").fill("Unknown")
        desk.press("Preview")
        expect(row(desk, "Job title")).to_contain_text("Unknown")
        desk.press("Remove row 1: Job title")
        expect(row(desk, "Job title")).to_contain_text("inherited")
        desk.press("Leave out Phone")
        desk.press("Save draft")
        desk.reads("Draft of v2 · live v1")
        desk.press("Publish…")
        desk.reads("“Phone” is left out", "None would fail.")
        desk.press("Back to the rows")
        desk.press("Throw the draft away")
        expect(row(desk, "Phone")).to_contain_text("inherited")


def test_on_a_phone_rows_are_cards_with_what_is_sent_below(sit: Sit) -> None:
    with sit() as desk:
        desk.page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        desk.press("Override Topic")
        topic = row(desk, "Topic")
        for label in ("CRM field", "How", "Text with fields"):
            expect(topic.locator("label", has_text=label)).to_be_visible()
        topic.get_by_label("Text with fields").fill("Lead of {{ company }}")
        expect(topic).to_contain_text("Lead of Fabrikam")
        above, below = (box_of(topic.get_by_label(name)) for name in ("CRM field", "Text with fields"))
        sends = box_of(topic.get_by_text("Lead of Fabrikam"))
        assert above["y"] < below["y"] < sends["y"]
        _, too_wide, _ = desk.page.evaluate(SEEN)
        assert too_wide == 0
        for button in ("Save draft", "Preview", "Publish…"):
            box = box_of(desk.main.get_by_role("button", name=button))
            assert (box["height"] >= 44, box["x"] + box["width"] <= PHONE[0]) == (True, True), button


def box_of(found: Locator) -> Any:
    box = found.bounding_box()
    assert box, found
    return box


def test_by_keyboard_alone_a_row_is_changed_and_published(sit: Sit) -> None:
    with sit() as desk:
        keys = desk.page.keyboard
        tab_to(desk.page, desk.main.get_by_role("button", name="Override Topic"))
        press_enter(desk.page)
        topic = row(desk, "Topic")
        expect(topic.get_by_label("CRM field")).to_be_focused()
        tab_to(desk.page, topic.get_by_label("How"))
        keys.type("Fixed")
        tab_to(desk.page, topic.get_by_label("Fixed value"))
        keys.type("By keyboard")
        expect(topic).to_contain_text("By keyboard")
        press_enter(desk.page)  # shows, and saves nothing
        expect(desk.main.get_by_text("Draft of")).to_have_count(0)
        tab_to(desk.page, desk.main.get_by_role("button", name="Publish…"))
        press_enter(desk.page)
        tab_to(desk.page, desk.page.get_by_label("What changed, and why"))
        keys.type("No mouse")
        press_enter(desk.page)
        expect(desk.page.get_by_text("is live.")).to_be_visible()
        desk.reads("No mouse")


def tab_to(page: Page, wanted: Locator) -> None:
    expect(wanted).to_have_count(1)
    for _ in range(TABS_AT_MOST):
        if wanted.evaluate("found => found === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"{wanted} was not reached with {TABS_AT_MOST} tabs")


def press_enter(page: Page) -> None:
    with page.expect_event("load"):
        page.keyboard.press("Enter")


def test_no_page_of_the_editor_keeps_anybody_out(sit: Sit) -> None:
    with sit() as desk:
        desk.press("Override Country")
        country = row(desk, "Country")
        country.get_by_label("How").select_option("Value list")
        expect(country.get_by_label("To, for")).not_to_have_count(0)
        for_everybody(desk.page, desk.complaints, "editor-value-list")
        country.get_by_text("Paste from a spreadsheet").click()
        country.get_by_label("To, for US", exact=True).fill("United States")
        country.get_by_label("To, new line").fill("Somewhere")  # of nothing: an error
        desk.press("Leave out Phone")
        for_everybody(desk.page, desk.complaints, "editor-wrong-rows")
        desk.press("Save draft")
        for_everybody(desk.page, desk.complaints, "editor-errors")


def test_the_second_of_two_people_is_told_and_overwrites_nothing_unasked(sit: Sit) -> None:
    with sit() as first, sit() as second:
        for desk, text in ((first, "The first"), (second, "The second")):
            desk.press("Override Company")
            row(desk, "Company").get_by_label("How").select_option("Fixed value")
            row(desk, "Company").get_by_label("Fixed value").fill(text)
        first.press("Save draft")
        second.press("Save draft")
        told = second.page.get_by_role("alert")
        expect(told).to_contain_text("admin saved this mapping while you were editing.")
        expect(told).to_contain_text("“Company” now is always “The second”")
        shows(second, "The second")
        first.page.reload()
        shows(first, "The first")
        second.press("Save mine in its place")
        expect(second.page.get_by_text("Saved as a draft")).to_be_visible()
        first.page.reload()
        shows(first, "The second")


def shows(desk: Desk, company: str) -> None:
    expect(row(desk, "Company").get_by_label("Fixed value")).to_have_value(company)


def test_a_mapping_of_two_hundred_rows_is_edited_like_any_other(desk: Desk, sit: Sit) -> None:
    desk.go("CRM connections", "Add CRM connection", "Webhook")
    desk.page.get_by_label("Name").fill("Warehouse")
    desk.page.get_by_label("Address").fill("https://warehouse.example/leads")
    desk.press("Save")
    desk.press("Rows that every offer inherits")
    desk.press("Import")
    rules = [{"target": f"column_{n}", "kind": "field", "source": "company"} for n in range(MANY)]
    desk.page.get_by_label("Or its text").fill(json.dumps(rules))
    desk.press("Import into the draft")
    last = row(desk, f"column_{MANY - 1}")
    last.get_by_label("How").select_option("Fixed value")
    last.get_by_label("Fixed value").fill("the last")
    desk.press("Save draft")
    expect(row(desk, f"column_{MANY - 1}").get_by_label("Fixed value")).to_have_value("the last")
    desk.press("Publish…")
    desk.reads(f"Row {MANY} added: “column_{MANY - 1}” is always “the last”")
    assert desk.complaints.since_last_time() == []
