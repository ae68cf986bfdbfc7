"""The pages on working on leads in a real browser: whole at both widths, open to everybody, and done by keyboard.

The tests share one site and are chapters: each begins where the one before it ended.
"""

import pytest
from playwright.sync_api import expect

from tests.e2e.browser import Desk, for_everybody
from tests.e2e.conftest import Site, StartSite
from tests.e2e.mapping import add_offer, lead_comes, send_to

pytestmark = [pytest.mark.e2e, pytest.mark.looks]


@pytest.fixture(scope="module")
def site(start_sites: StartSite) -> Site:
    return start_sites()


@pytest.fixture(scope="module")
def url(desk: Desk) -> str:
    return add_offer(desk, "Contoso Backup", "backup")


def look(desk: Desk, name: str) -> None:
    """Nothing is wrong with the page, whoever looks at it, by day and by night."""
    for_everybody(desk.page, desk.complaints, f"work-{name}")


def test_a_rule_is_made_tried_and_put_into_order(desk: Desk, url: str) -> None:
    desk.open("Assignment rules")
    desk.reads("No rules yet")
    look(desk, "rules-empty")
    desk.press("Add the first rule")
    look(desk, "rule-new")
    desk.page.get_by_role("textbox", name="Name").fill("Germany contact me")
    desk.page.get_by_label("Contact me", exact=True).check()
    desk.page.get_by_label("Germany", exact=True).check()
    desk.page.get_by_label("admin", exact=True).check()
    desk.press("Save")
    desk.reads("Contact me; Germany")
    look(desk, "rules")
    lead_comes(url, "Jana", Country="Germany", Company="Fabrikam")
    lead_comes(url, "Ben", Country="US", Company="Tailspin")
    desk.go("Leads", "Jana Silva")
    desk.reads_soon("Why did I get this?")
    desk.go("Assignment rules", "Who would get the last leads?")
    desk.reads("Rule “Germany contact me”: Germany, Contact me; all of these go to admin", "No rule takes it")
    look(desk, "try")


def test_templates_and_hours_are_whole(desk: Desk, url: str) -> None:
    desk.open("Answer templates")
    look(desk, "templates-empty")
    desk.press("Use the suggested texts")
    desk.reads("Contact me", "Test drive")
    look(desk, "templates")
    desk.press("Contact me")
    desk.reads("As saved, for")
    look(desk, "template")
    desk.page.get_by_label("Text").fill("Hello {{ frist_name }}")
    desk.press("Save")
    desk.reads("“frist_name” is no value of a lead.")
    desk.open("Working hours")
    desk.reads("answer within 8 working hours")
    look(desk, "hours")
    desk.page.get_by_label("Sunday").check()
    desk.page.get_by_label("Time zone").select_option("Europe/Berlin")
    desk.press("Save")
    desk.reads("Sunday, 09:00 to 17:00, Europe/Berlin")


def test_a_lead_is_put_off_and_closed_without_a_mouse(desk: Desk, url: str) -> None:
    desk.go("Leads", "Ben Silva")
    for summary in ("Close it…", "Remind me on…"):
        folded = desk.main.get_by_text(summary)
        folded.focus()
        desk.page.keyboard.press("Enter")
    look(desk, "lead")
    desk.main.get_by_role("button", name="Next working day").focus()
    with desk.page.expect_event("load"):
        desk.page.keyboard.press("Enter")
    desk.reads("Reminder on")
    desk.main.get_by_text("Close it…").click()
    desk.page.get_by_label("Another reason").fill("Asked for something else")
    with desk.page.expect_event("load"):
        desk.page.keyboard.press("Enter")
    desk.reads("Closed without an answer.", "Status: New → Closed: Asked for something else")


def test_an_answer_is_written_and_opens_the_mail_program(desk: Desk, url: str) -> None:
    desk.go("Leads", "Jana Silva", "Answer by e-mail")
    expect(desk.page.get_by_label("Subject")).to_have_value("Your request about Contoso Backup")
    look(desk, "answer")
    desk.page.get_by_label("Subject").fill("Contoso Backup for Fabrikam")
    desk.press("Open in your mail program")
    link = desk.main.get_by_role("link", name="Open in your mail program")
    assert (link.get_attribute("href") or "").startswith(
        "mailto:jana@fabrikam.example?subject=Contoso%20Backup%20for%20Fabrikam&body=Hello%20Jana%2C%0D%0A"
    )
    look(desk, "written")
    desk.press("I did not send it")
    desk.reads("Not answered.", "The e-mail was not sent after all")


def test_where_the_crm_is_the_place_nothing_of_it_is_left(desk: Desk, url: str, site: Site) -> None:
    send_to(desk, "Contoso Backup", "Demo CRM")
    desk.press("Publish…")
    desk.reads("Where do people work on the leads of Contoso Backup?")
    look(desk, "publish")
    desk.page.get_by_role("radio", name="In the CRM").check()
    desk.press("Publish")
    expect(desk.page.get_by_text("Published: v1 is live.")).to_be_visible()
    desk.open("Leads")
    views = desk.page.get_by_role("navigation", name="Views").get_by_role("link")
    expect(views).to_have_text(["All"])  # who works in the CRM needs nothing of it here
    look(desk, "leads-in-the-crm")
    desk.press("Jana Silva")
    desk.reads("This offer's leads are worked on in the CRM.")
    for words in ("Owner", "Answer by e-mail", "Qualify", "Add a note", "Not answered"):
        expect(desk.main).not_to_contain_text(words)
    look(desk, "lead-in-the-crm")
    menu = desk.page.get_by_role("navigation", name="Menu")
    expect(menu.get_by_role("link", name="Leads")).to_be_attached()
    expect(menu.get_by_role("link", name="Assignment rules")).not_to_be_attached()
    desk.page.goto(f"{site.base_url}/admin/leads/assignmentrule/")
    desk.reads("nothing here has an effect")
    look(desk, "rules-without-effect")
