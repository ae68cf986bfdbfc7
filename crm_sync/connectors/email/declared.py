"""What the connector of mails declares: settings, limits, and what a mail says."""

from crm_sync.connectors import suggestions
from crm_sync.connectors.suggestions import field
from crm_sync.spec import Setting, Spec, TargetField
from leads.texts import gettext_noop

LONGEST = 20_000  # characters of one value; the lead here has the whole of it

SPEC = Spec(
    slug="email",
    label=gettext_noop("E-mail"),
    settings=(
        Setting(
            "to",
            gettext_noop("To"),
            help=gettext_noop(
                "Who gets a mail for each lead: one address, or several with commas between them. The mail "
                "server itself is EMAIL_URL, which whoever installed this has set."
            ),
        ),
        Setting(
            "from",
            gettext_noop("From"),
            help=gettext_noop(
                "The sender, as leads@contoso.com or Contoso leads <leads@contoso.com>. Empty: the sender of "
                "this installation (DEFAULT_FROM_EMAIL)."
            ),
            required=False,
        ),
        Setting(
            "include_details",
            gettext_noop("Include what the lead says"),
            kind="flag",
            help=gettext_noop(
                "Off: the mail says that a lead arrived, for which offer, and links to it; no name, no address. "
                "On: it also has the fields of the mapping, and a reply goes to the lead."
            ),
            required=False,
            default="false",
        ),
    ),
    fields=(
        TargetField(
            "subject",
            gettext_noop("Subject"),
            required=True,
            max_length=200,
            suggested=suggestions.text(
                "{% if is_test %}Test lead{% else %}New lead{% endif %}"
                "{% if offer_title %}: {{ offer_title | truncate: 300 }}{% endif %}"
                "{% if action_label %} ({{ action_label | truncate: 100 }}){% endif %}"
            ),
        ),
        TargetField("id", gettext_noop("Lead id"), suggested=suggestions.value("id"), always=True),
        field("event", gettext_noop("What happened"), "action_label", max_length=200),
        field("offer", gettext_noop("Offer"), "offer_title", max_length=500),
        TargetField(
            "notice",
            gettext_noop("Notice"),
            max_length=500,
            suggested={
                **suggestions.DNC,
                "value": "Do not contact this person: Microsoft passed the lead on for information only.",
            },
        ),
        field("name", gettext_noop("Name"), "full_name", max_length=500),
        field("company", gettext_noop("Company"), "company", max_length=500),
        field("job_title", gettext_noop("Job title"), "title", max_length=500),
        field("email", gettext_noop("E-mail"), "email", "email"),
        field("phone", gettext_noop("Phone"), "phone", "phone"),
        field("country", gettext_noop("Country"), "country", max_length=200),
        field("source", gettext_noop("Marketplace"), "source", max_length=200),
        field("received_at", gettext_noop("Received"), "received_at", max_length=40),
        field("description", gettext_noop("Description"), "description", max_length=LONGEST),
    ),
    max_in_flight=3,  # connections that Exchange Online takes of one mailbox
    any_field=True,
)
