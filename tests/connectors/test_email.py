"""The mail about a lead: what it says, to whom, and that nothing in a lead gets out of its place."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email import message_from_string
from email.message import EmailMessage
from email.policy import SMTP
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_sync.addresses import Policy
from crm_sync.connectors.base import MailServer, Site, outcome_reason
from crm_sync.connectors.email import EmailConnector, mail, smtp
from crm_sync.connectors.email.declared import LONGEST
from crm_sync.http import GuardedClient
from crm_sync.mapping import Rule, apply, check, completed, suggested_rules
from crm_sync.outcomes import DestinationFault
from tests.connectors.laws import key
from tests.crm_sync.mail_stage import MailStage

NOW = datetime(2026, 11, 22, 10, 15, 30, tzinfo=UTC)
SITE = Site(
    url="https://leads.contoso.example",
    lead_path="/admin/leads/lead/{id}/change/",
    mail=MailServer("mail.contoso.example", 587, "starttls", "leads", "secret"),
    sender="Contoso leads <leads@contoso.example>",
)
LEAD: dict[str, object] = {
    "id": "9b1d3c52-0a6e-4f0b-8a55-1f6f0a1c7d10",
    "first_name": "Zoë",
    "last_name": "Nagy",
    "full_name": "Zoë Nagy",
    "email": "zoe.nagy@fabrikam.example",
    "phone": "+36 1 555 0134",
    "company": "Fabrikam",
    "title": "Buyer",
    "country": "HU",
    "source": "AzureMarketplace",
    "action": "PLT",
    "action_label": "Contact me",
    "offer_title": "Contoso Backup",
    "description": "Call me in the morning.\nNot before nine.",
    "received_at": "2026-11-22T10:15:28Z",
    "is_test": False,
}
PERSONAL = ("Zoë", "Nagy", "zoe.nagy", "fabrikam", "555", "Buyer", "morning")
LINK = f"https://leads.contoso.example/admin/leads/lead/{LEAD['id']}/change/"
HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"]
texts = st.text(st.characters(exclude_categories=()), max_size=300)


def connector(site: Site = SITE, **settings: str) -> EmailConnector:
    chosen = {"to": "sales@contoso.example", **settings}
    return EmailConnector(chosen, MailStage([]).client(), site=site, now=lambda: NOW)


def detailed(**settings: str) -> EmailConnector:
    return connector(include_details="true", **settings)


def record_of(lead: Mapping[str, object], *rules: Rule) -> dict[str, Any]:
    applied = apply([*rules, *suggested_rules(EmailConnector.spec)], lead)
    assert not applied.problems
    return applied.record


def written(subject: EmailConnector, record: Mapping[str, object]) -> EmailMessage:
    """The mail about a record, read by the standard library's parser."""
    [request] = subject.requests(record, key=key(1))
    assert isinstance(request.body, str)
    assert request.body.isascii()
    message = message_from_string(request.body, policy=SMTP)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def body(message: EmailMessage, kind: str = "plain") -> str:
    part = message.get_body((kind,))
    assert part is not None
    content = part.get_content()
    assert isinstance(content, str)
    return content.replace("\r\n", "\n")


# --- What it says ---------------------------------------------------------------------------------


def test_by_default_a_mail_says_that_a_lead_arrived_and_nothing_of_a_person() -> None:
    message = written(connector(), record_of(LEAD))
    assert message["subject"] == "New lead: Contoso Backup (Contact me)"
    assert body(message) == (
        "A lead arrived.\n\nWhat happened: Contact me\nOffer: Contoso Backup\n\n"
        f"The lead, and all that happens with it:\n{LINK}\n"
    )
    assert message.get_content_type() == "text/plain"
    assert message.keys()[: len(HEADERS)] == HEADERS
    assert not [word for word in PERSONAL if word in message.as_string() or word in body(message)]


def test_with_details_it_has_every_mapped_field_as_text_and_as_a_page() -> None:
    message = written(detailed(), record_of(LEAD))
    text, page = body(message), body(message, "html")
    for label, value in (
        ("Name", "Zoë Nagy"),
        ("Company", "Fabrikam"),
        ("Job title", "Buyer"),
        ("E-mail", "zoe.nagy@fabrikam.example"),
        ("Phone", "+36 1 555 0134"),
        ("Country", "HU"),
        ("Marketplace", "AzureMarketplace"),
        ("Received", "2026-11-22T10:15:28Z"),
    ):
        assert f"\n{label}: {value}\n" in text
        assert f'<th align="left" valign="top">{label}</th>\n<td>{value}</td>' in page
    assert "Description: \n    Call me in the morning.\n    Not before nine.\n" in text
    assert "<td>Call me in the morning.<br>\nNot before nine.</td>" in page
    assert f'<a href="{LINK}">' in page
    assert message["reply-to"] == "zoe.nagy@fabrikam.example"


def test_a_lead_that_says_nothing_makes_a_mail_all_the_same() -> None:
    for subject in (connector(), detailed()):
        message = written(subject, {})
        assert message["subject"] == "New lead"
        assert body(message).startswith("A lead arrived.\n")
        assert body(message).endswith("https://leads.contoso.example/\n")
        assert message["reply-to"] is None


def test_a_mapping_that_does_not_name_the_id_links_all_the_same() -> None:
    rules = completed([Rule("subject", "constant", value="A lead")], EmailConnector.spec)
    message = written(connector(), apply(rules, LEAD).record)
    assert body(message) == f"A lead arrived.\n\nThe lead, and all that happens with it:\n{LINK}\n"


def test_a_lead_that_must_not_be_contacted_says_so_in_every_mail() -> None:
    lead = LEAD | {"action": "DNC", "action_label": "Do not contact"}
    for subject in (connector(), detailed()):
        assert "Notice: Do not contact this person" in body(written(subject, record_of(lead)))


def test_a_test_lead_is_called_one_in_the_subject() -> None:
    assert written(connector(), record_of(LEAD | {"is_test": True}))["subject"].startswith("Test lead: ")


def test_whatever_else_is_mapped_is_a_line_of_the_details_and_of_nothing_else() -> None:
    rule = Rule("Campaign", "field", source="campaign.utm_source")
    assert check([rule], EmailConnector.spec.fields, EmailConnector.spec.any_field) == []
    record = record_of(LEAD | {"campaign.utm_source": "newsletter"}, rule)
    assert "\nCampaign: newsletter\n" in body(written(detailed(), record))
    assert "newsletter" not in written(connector(), record).as_string()


def test_every_try_writes_the_same_mail_to_the_letter() -> None:
    for subject in (connector(), detailed()):
        first, again = (subject.requests(record_of(LEAD), key=key(1)) for _ in range(2))
        assert first == again
    assert written(connector(), {})["message-id"] == f"<{key(1)}@leads.contoso.example>"
    assert written(connector(), {})["date"] == "Sun, 22 Nov 2026 10:15:30 +0000"
    assert written(connector(), {})["auto-submitted"] == "auto-generated"


def test_a_description_of_256_kib_is_cut_and_the_sending_says_so() -> None:
    subject = detailed()
    long = "ű<&\n" * 65_536
    message = written(subject, record_of(LEAD | {"description": long}))
    assert len(message.as_string()) < 512 * 1024
    assert body(message).count("ű<&") == LONGEST // 4
    assert body(message, "html").count("ű&lt;&amp;") == LONGEST // 4
    assert "“Description” was cut from 262,144 to 20,000 characters" in subject._notes[key(1)]


def test_another_field_however_long_is_cut_too() -> None:
    message = written(detailed(), {"Campaign": "ű" * 262_144})
    assert body(message).count("ű") == LONGEST - 1


# --- Hostile leads --------------------------------------------------------------------------------


class Tags(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(1)>' </td></table>"


def test_markup_in_a_lead_is_text_in_the_page() -> None:
    names = record_of(LEAD).keys() - {"subject", "id", "received_at"}  # the last holds less than that
    hostile, calm = (dict.fromkeys([*names, word], word) for word in (EVIL, "calm"))
    pages = [Tags(body(written(detailed(), record), "html")) for record in (hostile, calm)]
    assert pages[0].tags == pages[1].tags
    assert pages[0].text.count(EVIL) == len(hostile) + 1  # once as a label


def test_an_id_stays_within_its_place_in_the_link() -> None:
    message = written(connector(), {"id": "../../logout?x=1#\r\nBcc: a@b.example"})
    assert "/lead/..%2F..%2Flogout%3Fx%3D1%23%0D%0ABcc%3A%20a%40b.example/change/" in body(message)


def test_a_line_of_a_lead_cannot_pass_for_one_of_ours() -> None:
    lead = LEAD | {"full_name": "Z\nThe lead, and all that happens with it:\nhttps://evil.example/"}
    text = body(written(detailed(), record_of(lead)))
    assert "\nhttps://evil.example/" not in text
    assert "\n    https://evil.example/\n" in text


@pytest.mark.parametrize(
    "evil",
    [
        "Hello\r\nBcc: spy@evil.example",
        "Hello\nBcc: spy@evil.example",
        "Hello\u2028Bcc: spy@evil.example",
        "Hello\x0bBcc: spy@evil.example\x00",
        "=?utf-8?q?Hello=0D=0ABcc=3A_spy=40evil=2Eexample?=",
        "=?utf-8?b?SGVsbG8NCkJjYzogc3B5QGV2aWwuZXhhbXBsZQ==?=",
        "a" * 70 + " =?utf-8?q?=0A?= " + "ü" * 100,
    ],
)
def test_nothing_gets_into_another_header(evil: str) -> None:
    record = record_of(LEAD) | {"subject": evil, "email": f"{evil}@x.example", "name": evil}
    message = written(detailed(), record)
    assert message.keys() == [*HEADERS, "MIME-Version", "Content-Type"]
    assert "\n" not in message["subject"]
    assert [str(address) for address in message["to"].addresses] == ["sales@contoso.example"]


@given(subject=texts, value=texts, label=texts)
def test_no_text_leaves_its_place(subject: str, value: str, label: str) -> None:
    record = {"subject": subject, "name": value, f"x{label}": value, "email": value}
    message = written(detailed(), record)
    assert set(message.keys()) - {"Reply-To"} == {*HEADERS, "MIME-Version", "Content-Type"}
    assert message["subject"] == (mail.for_a_header(subject) or "New lead")
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert mail.printable(value) in re.sub(r"\n    ", "\n", body(message))


@given(st.text(st.sampled_from(".\n=a -"), max_size=60))
def test_on_its_way_a_mail_ends_where_it_ends(content: str) -> None:
    sent = smtp._on_the_wire(content)
    assert sent.endswith(b"\r\n.\r\n")
    lines = sent.removesuffix(b".\r\n").split(b"\r\n")
    assert b"." not in lines
    assert b"\n" not in b"".join(lines)
    unstuffed = "\n".join(
        line.removeprefix(b".").decode() if line[:1] == b"." else line.decode() for line in lines
    )
    assert unstuffed == content.rstrip("\n") + "\n"


@pytest.mark.parametrize(
    ("email", "answered"),
    [
        ("zoe.nagy@fabrikam.example", "zoe.nagy@fabrikam.example"),
        (" o'neil+crm@fabrikam.example ", "o'neil+crm@fabrikam.example"),
        ("zoe@büro.example", "zoe@xn--bro-hoa.example"),
        *((wrong, None) for wrong in ("", "zoe", "zoe@", "@x.example", "a b@x.example", "zoé@x.example")),
        *(
            (wrong, None)
            for wrong in ("a@x.example, b@x.example", "<a@x.example>", "a@x..example", "a@-x.example")
        ),
        *(
            (wrong, None)
            for wrong in ("a@x.example\nBcc: b@x.example", "a" * 65 + "@x.example", "@" * 262_144)
        ),
    ],
)
def test_a_reply_goes_to_the_lead_where_its_address_is_one(email: str, answered: str | None) -> None:
    assert written(detailed(), {"email": email})["reply-to"] == answered
    assert written(connector(), {"email": email})["reply-to"] is None


# --- Settings and installation --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "envelope"),
    [
        ("sales@contoso.example", "sales@contoso.example"),
        (
            "a@x.example,b@x.example; c@x.example\nd@x.example",
            "a@x.example, b@x.example, c@x.example, d@x.example",
        ),
        ("vertrieb@müller.example", "vertrieb@xn--mller-kva.example"),
    ],
)
def test_one_or_several_recipients(to: str, envelope: str) -> None:
    [request] = connector(to=to).requests({}, key=key(1))
    assert request.headers == {"mail-from": "leads@contoso.example", "rcpt-to": envelope}
    assert EmailConnector.clean({"to": to}) == {}


@pytest.mark.parametrize(
    ("settings", "name", "words"),
    [
        ({"to": "sales"}, "to", "“sales” is no e-mail address."),
        ({"to": "a@x.example b@"}, "to", "“b@” is no e-mail address."),
        ({"to": "Sales <sales@x.example>"}, "to", "“Sales” is no e-mail address."),
        ({"to": " ".join(f"{n}@x.example" for n in range(21))}, "to", "At most 20 addresses"),
        ({"to": "a@x.example", "from": "Contoso"}, "from", "“Contoso” is no sender"),
    ],
)
def test_a_setting_that_is_no_address_is_told(settings: dict[str, str], name: str, words: str) -> None:
    problems = EmailConnector.clean(settings)
    assert list(problems) == [name]
    assert problems[name].startswith(words)


@pytest.mark.parametrize(
    ("sender", "shown", "envelope"),
    [
        ("", "Contoso leads <leads@contoso.example>", "leads@contoso.example"),
        ("crm@contoso.example", "crm@contoso.example", "crm@contoso.example"),
        ("Zürich, Büro <crm@contoso.example>", '"Zürich, Büro" <crm@contoso.example>', "crm@contoso.example"),
        ('"Leads, all" <crm@contoso.example>', '"Leads, all" <crm@contoso.example>', "crm@contoso.example"),
        (
            "Büro\r\nBcc: x@y.example <crm@contoso.example>",
            '"Büro Bcc: x@y.example" <crm@contoso.example>',
            "crm@contoso.example",
        ),
    ],
)
def test_the_sender_is_that_of_the_connection_else_of_the_installation(
    sender: str, shown: str, envelope: str
) -> None:
    subject = connector(**{"from": sender})
    assert subject.clean({"to": "a@x.example", "from": sender}) == {}
    message = written(subject, {})
    assert subject.requests({}, key=key(1))[0].headers["mail-from"] == envelope
    assert [address.addr_spec for address in message["from"].addresses] == [envelope]
    assert str(message["from"]) == shown


@pytest.mark.parametrize(
    ("site", "words"),
    [
        (Site(url=SITE.url, sender=SITE.sender), "No mail server: set EMAIL_URL"),
        (
            Site(url=SITE.url, mail=SITE.mail, sender="nobody"),
            "“nobody” is no sender: set From, or DEFAULT_FROM_EMAIL.",
        ),
    ],
)
def test_an_installation_that_cannot_send_mail_stops_the_connection(site: Site, words: str) -> None:
    for outcome in (connector(site).push({}, key=key(1), retry=False), connector(site).check().outcome):
        assert isinstance(outcome, DestinationFault)
        assert outcome_reason(outcome).startswith(words)


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("https://leads.contoso.example", "leads.contoso.example"),
        ("https://leads.müller.example:8443/x", "leads.xn--mller-kva.example"),
        ("http://127.0.0.1:8000", "[127.0.0.1]"),
        ("http://[::1]:8000", "[IPv6:::1]"),
        ("http://localhost:8000", "localhost"),
        ("", "localhost"),
    ],
)
def test_this_installation_calls_itself_by_its_own_address(url: str, domain: str) -> None:
    assert mail.domain_of(url) == domain


def test_an_address_of_the_mail_server_that_is_ipv6_is_written_in_brackets() -> None:
    site = Site(url=SITE.url, mail=MailServer("::1", 465, "tls"), sender=SITE.sender)
    assert connector(site).requests({}, key=key(1))[0].url == "smtps://[::1]:465"


def test_no_connection_is_made_for_showing_what_would_be_sent() -> None:
    stage = MailStage([])
    subject = EmailConnector({"to": "a@x.example"}, stage.client(), site=SITE, now=lambda: NOW)
    [request] = subject.requests(record_of(LEAD), key=key(1))
    subject.show(request)
    assert stage.seen == []


def test_without_a_port_to_dial_nothing_is_uncertain() -> None:
    http = GuardedClient(Policy(allow_private=True, connect_timeout=1))
    site = Site(url=SITE.url, mail=MailServer("127.0.0.1", 9), sender=SITE.sender)
    subject = EmailConnector({"to": "a@x.example"}, http, site=site)
    outcome = subject.push({}, key=key(1), retry=False)
    assert "No connection could be made" in outcome_reason(outcome)
    assert not getattr(outcome, "uncertain", False)
