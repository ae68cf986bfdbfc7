"""Every page that somebody can reach: by the name of its picture, its URL pattern in the admin and the way there.

A way is an entry of the menu, then the names of links and buttons, each of which leads to a page, and whatever else is
to be done on the page before the next; or, for a page that no link leads to by itself, its address.
"""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.urls import resolve

from tests.e2e.browser import Desk

Step = str | Callable[[Desk], None]


@dataclass(frozen=True)
class Page:
    pattern: str
    way: tuple[Step, ...]

    def visit(self, desk: Desk) -> None:
        """Go there; fails where the way leads to another page than it says."""
        first, *further = self.way
        if isinstance(first, str) and first.startswith("/"):
            at = urlsplit(desk.page.url)
            desk.page.goto(f"{at.scheme}://{at.netloc}{first}")
        elif isinstance(first, str):
            desk.open(first)
        for step in further:
            if isinstance(step, str):
                desk.press(step)
            else:
                step(desk)
        assert resolve(urlsplit(desk.page.url).path).url_name == self.pattern, desk.page.url


def by(pattern: str, *way: Step) -> Page:
    return Page(pattern, way)


def fill(label: str, text: str) -> Step:
    return lambda desk: desk.page.get_by_label(label).first.fill(text)


def tick(label: str) -> Step:
    return lambda desk: desk.main.get_by_label(label).first.check()


def choose(label: str, option: str) -> Step:
    return lambda desk: desk.main.get_by_label(label).first.select_option(option)


def unfold(summary: str) -> Step:
    return lambda desk: desk.main.get_by_text(summary, exact=True).first.click()


MAPPING = ("Offers", "Contoso Backup (demo)", "Demo CRM", "Edit field mapping")
NEW_OFFERS = "contoso, mail, Contoso Mail\ncontoso, archive, Contoso Archive\ncontoso, backup, Contoso Backup"
DEMANDING = '{"type": "object", "required": ["Budget"]}'
PAGES: dict[str, Page] = {
    "home": by("index", "Home"),
    "password": by("password_change", "/admin/password_change/"),
    "password-changed": by("password_change_done", "/admin/password_change/done/"),
    # The inbox
    "leads": by("leads_lead_changelist", "Leads"),
    "leads-filters": by("leads_lead_changelist", "Leads", unfold("Filters")),
    "leads-none": by("leads_lead_changelist", "Leads", fill("Search", "nobody at all"), "Search"),
    "leads-view": by("leads_lead_view", "Leads", "Mine and open", "Rename or delete"),
    "leads-bulk": by(
        "leads_lead_bulk", "Leads", "All", tick("Choose Some One"), choose("Action:", "Set the state"), "Go"
    ),
    "lead": by("leads_lead_change", "Leads", "Some One", unfold("Close it…"), unfold("Original request")),
    "lead-do-not-contact": by("leads_lead_change", "Leads", "All", "Mia Lind"),
    "lead-export": by("leads_lead_export", "Leads", "Export these"),
    "lead-answer": by("leads_lead_answer", "Leads", "Some One", "Answer by e-mail"),
    "lead-written": by(
        "leads_lead_written", "Leads", "All", "Jane Doe", "Answer by e-mail", "Open in your mail program"
    ),
    "customers": by("leads_customer_changelist", "Customers"),
    "customers-none": by("leads_customer_changelist", "Customers", fill("Search", "nobody at all"), "Search"),
    "customer": by("leads_customer_change", "Customers", "Cleo Other"),
    "customer-split": by(
        "leads_customer_split", "Customers", "Cleo Other", tick("Select: Bob Other"), "Split off"
    ),
    "quarantine": by("leads_submission_changelist", "Quarantine"),
    # The reason on top of the list, then a row.
    "request": by("leads_submission_change", "Quarantine", "Not JSON", "Not JSON"),
    "request-checked": by("leads_submission_check", "Quarantine", "Not JSON", "Not JSON", "Check"),
    "requests-discard": by(
        "leads_submission_changelist",
        "Quarantine",
        tick("Select this object"),
        choose("Action:", "Discard"),
        "Go",
    ),
    "reports": by("reports", "Reports"),
    "exports": by("leads_export_changelist", "Exports"),
    # Sending
    "sendings": by("crm_sync_delivery_changelist", "Sendings"),
    "sendings-alike": by("crm_sync_delivery_like", "Sendings", "Retry all like this"),
    "sending": by("crm_sync_delivery_change", "Sendings", "Jane Doe"),
    "sending-refused": by("crm_sync_delivery_change", "Sendings", "Cleo Other"),
    "sending-without": by("crm_sync_delivery_without", "Sendings", "Cleo Other", "Send without"),
    "sending-request": by("crm_sync_route_request", "Sendings", "Jane Doe", "Show the exact request"),
    "sending-again": by("crm_sync_delivery_again", "Sendings", "Jane Doe", "Push again"),
    "replay": by("crm_sync_delivery_replay", "Sendings", "Replay a range"),
    "replay-estimate": by("crm_sync_delivery_replay", "Sendings", "Replay a range", "Estimate"),
    "job": by(
        "leads_job_change", "Sendings", "Replay a range", "Estimate", "Dry run"
    ),  # while it runs, or once it has ended
    "jobs": by("leads_job_changelist", "/admin/leads/job/"),
    "connections": by("crm_sync_destination_changelist", "CRM connections"),
    "connection": by("crm_sync_destination_change", "CRM connections", "Demo CRM"),
    "connection-sample": by("crm_sync_destination_sample", "CRM connections", "Demo CRM", "Send one sample"),
    "connection-publish-for-all": by(
        "crm_sync_destination_publish_for_all", "CRM connections", "Demo CRM", "Publish these rows"
    ),
    "connection-kinds": by("crm_sync_destination_add", "CRM connections", "Add CRM connection"),
    "connection-new": by("crm_sync_destination_add", "CRM connections", "Add CRM connection", "Webhook"),
    # Working on leads
    "rules": by("leads_assignmentrule_changelist", "Assignment rules"),
    "rule-new": by("leads_assignmentrule_add", "Assignment rules", "Add assignment rule"),
    "rule": by("leads_assignmentrule_change", "Assignment rules", "Contact me to admin"),
    "rules-tried": by("leads_assignmentrule_try", "Assignment rules", "Who would get the last leads?"),
    "templates-none": by("leads_answertemplate_changelist", "Answer templates"),
    "templates": by("leads_answertemplate_changelist", "Answer templates", "Use the suggested texts"),
    "template": by("leads_answertemplate_change", "Answer templates", "Contact me"),
    "template-new": by("leads_answertemplate_add", "Answer templates", "Add answer template"),
    "hours": by("leads_workinghours_changelist", "Working hours"),
    # Set-up
    "first-steps": by("set-up", "First steps"),
    "offers": by("leads_offer_changelist", "Offers"),
    "offer": by("leads_offer_change", "Offers", "Contoso Backup"),
    "offer-waiting": by("leads_offer_change", "Offers", "Contoso Archive"),
    "offer-schema": by(
        "leads_offer_change",
        "Offers",
        "Contoso Backup",
        unfold("Advanced"),
        fill("JSON schema", DEMANDING),
        "Check against the last leads",
    ),
    "offer-history": by("leads_offer_history", "Offers", "Contoso Backup", "History of this offer"),
    "offer-delete": by("leads_offer_delete", "Offers", "Contoso Archive", "Delete"),
    "offer-rotate": by("leads_offer_rotate", "Offers", "Contoso Backup", "Rotate URL"),
    "offer-revoke": by("leads_offer_revoke", "Offers", "Contoso Backup", "Revoke it"),
    "offer-new": by("leads_offer_add", "Offers", "Add offer"),
    "offer-sample": by("leads_offer_sample", "Offers", "Contoso Backup", "Send a sample lead"),
    "offers-many": by("leads_offer_many", "Offers", "Add many offers"),
    "offers-many-known": by(
        "leads_offer_many",
        "Offers",
        "Add many offers",
        fill("Offers, one a line", NEW_OFFERS),
        "Look what it does",
    ),
    "offers-urls": by("leads_offer_urls", "Offers", "All URLs"),
    "routes": by("crm_sync_route_changelist", "/admin/crm_sync/route/"),
    "route": by("crm_sync_route_change", "Offers", "Contoso Backup (demo)", "Demo CRM"),
    "mapping-new": by("crm_sync_route_add", "Offers", "Contoso Backup (demo)", "Send to another CRM"),
    "mapping": by("crm_sync_route_mapping", *MAPPING),
    "mapping-override": by("crm_sync_route_mapping", *MAPPING, "Override Topic"),
    "mapping-new-row": by("crm_sync_route_mapping", *MAPPING, "Add field"),
    "mapping-publish": by("crm_sync_route_mapping_publish", *MAPPING, "Leave out Phone", "Publish"),
    "mapping-history": by("crm_sync_route_mapping_history", *MAPPING, "History"),
    "mapping-copy": by("crm_sync_route_mapping_copy", *MAPPING, "Copy from another offer"),
    "mapping-import": by("crm_sync_route_mapping_import", *MAPPING, "Import"),
    "mapping-flow": by("crm_sync_route_mapping_flow", *MAPPING, "From a Power Automate flow"),
    "mapping-inherited": by(
        "crm_sync_destination_mapping", "CRM connections", "Demo CRM", "Rows that every offer inherits"
    ),
    "users": by("auth_user_changelist", "Users"),
    "user": by("auth_user_change", "Users", "admin"),
    "user-new": by("auth_user_add", "Users", "Add user"),
    "user-password": by("auth_user_password_change", "Users", "admin", "Set a new password"),
    "user-leads": by("auth_user_leads", "Users", "admin", "Give them to somebody else"),
    "groups": by("auth_group_changelist", "Groups"),
    "group": by("auth_group_change", "Groups", "Sales"),
    "group-new": by("auth_group_add", "Groups", "Add group"),
    "health": by("doctor", "Health"),
    "settings": by("settings", "Settings"),
    # Try out
    "demo": by("crm_sync_demorecord_changelist", "Demo CRM"),
    "demo-record": by("crm_sync_demorecord_change", "Demo CRM", "Jane Doe"),
    "demo-removal": by("crm_sync_remove_demo", "Demo CRM", "Remove all demo data"),
}

_BUTTON = "a button: it answers with another page"
_FILE = "a file, or what a script asks for"
_SAME = "made by the same view and templates as a page that is walked"
# Whatever of the admin is not among them, and why.
NO_PAGES: dict[str, str] = {
    "login": "for who has not signed in: it has a test of its own",
    "logout": "for who has signed out: it has a test of its own",
    "app_list": "leads to Home",
    "leads_export_change": "leads to the list",
    "leads_workinghours_change": "leads to the only working hours there are",
    "view_on_site": "leads elsewhere; no page of ours uses it",
    **dict.fromkeys(
        (
            "autocomplete",
            "jsi18n",
            "doctor_network",
            "leads_job_result",
            "leads_lead_original",
            "leads_offer_arrival",
            "crm_sync_destination_mapping_export",
            "crm_sync_route_mapping_export",
        ),
        _FILE,
    ),
    **dict.fromkeys(
        (
            "set-up_address",
            "leads_answertemplate_suggest",
            "leads_job_cancel",
            "leads_job_go_on",
            "leads_unknownkey_ignore",
            "leads_unknownkey_restore",
            "leads_lead_save_view",
            "leads_lead_note",
            "leads_lead_answered",
            "leads_lead_take",
            "leads_lead_qualify",
            "leads_lead_close",
            "leads_lead_reopen",
            "leads_lead_follow_up",
            "leads_lead_not_sent",
            "leads_offer_calm",
            "leads_submission_discard",
            "leads_submission_release",
            "leads_submission_reread",
            "leads_submission_restore",
            "crm_sync_switch_demo",
            "crm_sync_destination_test",
            "crm_sync_destination_pause",
            "crm_sync_destination_resume",
            "crm_sync_delivery_retry",
            "crm_sync_delivery_cancel",
            "crm_sync_route_send_waiting",
            "crm_sync_route_from_now_on",
            "crm_sync_route_retry_held",
            "crm_sync_destination_mapping_refresh",
            "crm_sync_route_mapping_refresh",
            "crm_sync_destination_row",
            "crm_sync_route_row",
        ),
        _BUTTON,
    ),
    **dict.fromkeys(
        (
            "crm_sync_destination_mapping_publish",
            "crm_sync_destination_mapping_history",
            "crm_sync_destination_mapping_copy",
            "crm_sync_destination_mapping_import",
            "crm_sync_destination_mapping_flow",
        ),
        _SAME,
    ),
}
