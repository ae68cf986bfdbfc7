"""What HubSpot's connector declares: settings, limits, and the properties of every contact."""

from dataclasses import replace

from crm_sync.connectors import suggestions
from crm_sync.connectors.hubspot.fields import OPT_OUT, TEXT_LIMIT, TITLE
from crm_sync.connectors.suggestions import field
from crm_sync.spec import DUPLICATES, Setting, Spec, TargetField

SCOPES = ("crm.objects.contacts.read", "crm.objects.contacts.write", "crm.schemas.contacts.read")
LEAD_SCOPES = ("crm.objects.leads.read", "crm.objects.leads.write", "crm.schemas.leads.read")

# The customer's own words come first.
_MESSAGE = suggestions.text(
    f"{{% if description %}}{suggestions.WORDS}\n\n{{% endif %}}",
    suggestions.ORIGIN,
)
# HubSpot takes no contact without any of e-mail address, first and last name.
_LAST_NAME = suggestions.text(
    "{% if first_name or last_name or email %}{{ last_name | truncate: 1000 }}{% else %}Unknown{% endif %}"
)

# Fields of the mapping that are no property of a contact.
OWN = (
    TargetField(
        TITLE,
        "Title of the note or lead record",
        max_length=255,
        suggested=suggestions.TITLE,
    ),
    TargetField(
        OPT_OUT,
        "Unsubscribe from all e-mail",
        "flag",
        suggested=suggestions.DNC,
    ),
)

SPEC = Spec(
    slug="hubspot",
    label="HubSpot",
    settings=(
        Setting(
            "url",
            "Address",
            kind="url",
            help="Of HubSpot's API. The access token decides which account it is.",
            required=False,
            default="https://api.hubapi.com",
        ),
        Setting(
            "access_token",
            "Access token",
            kind="secret",
            help="In HubSpot: Development > Keys > Service keys > Create service key, with the scopes "
            f"{', '.join(SCOPES)}; or the token of a private app. It begins with pat-.",
        ),
        Setting(
            "lead_as",
            "What a lead becomes",
            kind="choice",
            help=f"Lead records need Sales Hub Professional, the scopes {', '.join(LEAD_SCOPES)}, and a lead property "
            "leadsite_id with unique values.",
            required=False,
            default="note",
            choices=(
                ("note", "A contact; a further lead of that contact becomes a note on it"),
                ("lead", "The same, and a lead record for every lead"),
            ),
        ),
        replace(
            DUPLICATES,
            help="That is, a contact which this connection did not make; one that it made gets its further leads "
            "without a question. A repeated push of the same lead is always recognised.",
        ),
    ),
    fields=(
        field("email", "Email", "email", "email"),
        field("firstname", "First name", "first_name", max_length=TEXT_LIMIT),
        TargetField("lastname", "Last name", max_length=TEXT_LIMIT, suggested=_LAST_NAME),
        field("phone", "Phone number", "phone", "phone"),
        field("company", "Company name", "company", max_length=TEXT_LIMIT),
        field("jobtitle", "Job title", "title", max_length=TEXT_LIMIT),
        field("country", "Country/Region", "country", transform="country_name", max_length=TEXT_LIMIT),
        TargetField("message", "Message", max_length=TEXT_LIMIT, suggested=_MESSAGE),
        *OWN,
    ),
    idempotent_by="HubSpot keeps one contact an e-mail address and one a leadsite_id, the key of the lead that made "
    "it. The note of a further lead ends in its key and is looked for on the contact before it is written; a lead "
    "record has a unique leadsite_id of its own.",
    batch_size=100,
    one_per_email=True,  # simultaneous writes of one address are documented to make two contacts
    max_per_second=8,  # of the 100 calls in 10 seconds on Free and Starter
    max_per_day=250_000,
    describes=True,
    any_field=True,
)
