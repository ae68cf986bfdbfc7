"""What the connector of mails declares: settings, limits, and what a mail says."""

from crm_sync.connectors import suggestions
from crm_sync.connectors.suggestions import field
from crm_sync.spec import Setting, Spec, TargetField

LONGEST = 20_000  # characters of one value; the lead here has the whole of it

SPEC = Spec(
    slug="email",
    label="E-mail",
    settings=(
        Setting(
            "to",
            "To",
            help="Who gets a mail for each lead: one address, or several with commas between them. The mail "
            "server itself is EMAIL_URL, which whoever installed this has set.",
        ),
        Setting(
            "from",
            "From",
            help="The sender, as leads@contoso.com or Contoso leads <leads@contoso.com>. Empty: the sender of "
            "this installation (DEFAULT_FROM_EMAIL).",
            required=False,
        ),
        Setting(
            "include_details",
            "Include what the lead says",
            kind="flag",
            help="Off: the mail says that a lead arrived, for which offer, and links to it; no name, no address. "
            "On: it also has the fields of the mapping, and a reply goes to the lead.",
            required=False,
            default="false",
        ),
    ),
    fields=(
        TargetField(
            "subject",
            "Subject",
            required=True,
            max_length=200,
            suggested=suggestions.text(
                "{% if is_test %}Test lead{% else %}New lead{% endif %}"
                "{% if offer_title %}: {{ offer_title | truncate: 300 }}{% endif %}"
                "{% if action_label %} ({{ action_label | truncate: 100 }}){% endif %}"
            ),
        ),
        TargetField("id", "Lead id", suggested=suggestions.value("id"), always=True),
        field("event", "What happened", "action_label", max_length=200),
        field("offer", "Offer", "offer_title", max_length=500),
        TargetField(
            "notice",
            "Notice",
            max_length=500,
            suggested={
                **suggestions.DNC,
                "value": "Do not contact this person: Microsoft passed the lead on for information only.",
            },
        ),
        field("name", "Name", "full_name", max_length=500),
        field("company", "Company", "company", max_length=500),
        field("job_title", "Job title", "title", max_length=500),
        field("email", "E-mail", "email", "email"),
        field("phone", "Phone", "phone", "phone"),
        field("country", "Country", "country", max_length=200),
        field("source", "Marketplace", "source", max_length=200),
        field("received_at", "Received", "received_at", max_length=40),
        field("description", "Description", "description", max_length=LONGEST),
    ),
    max_in_flight=3,  # connections that Exchange Online takes of one mailbox
    any_field=True,
)
