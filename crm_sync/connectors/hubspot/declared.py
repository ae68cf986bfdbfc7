"""What HubSpot's connector declares: settings, limits, and the properties of every contact."""

from dataclasses import replace

from crm_sync.connectors import suggestions
from crm_sync.connectors.hubspot.fields import OPT_OUT, TEXT_LIMIT, TITLE
from crm_sync.connectors.suggestions import field
from crm_sync.spec import DUPLICATES, Setting, Spec, TargetField
from leads.texts import gettext_noop

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
        gettext_noop("Title of the note or lead record"),
        max_length=255,
        suggested=suggestions.TITLE,
        ours=True,
    ),
    TargetField(
        OPT_OUT,
        gettext_noop("Unsubscribe from all e-mail"),
        "flag",
        suggested=suggestions.DNC,
        ours=True,
    ),
)

SPEC = Spec(
    slug="hubspot",
    label="HubSpot",
    settings=(
        Setting(
            "url",
            gettext_noop("Address"),
            kind="url",
            help=gettext_noop("Of HubSpot's API. The access token decides which account it is."),
            required=False,
            default="https://api.hubapi.com",
        ),
        Setting(
            "access_token",
            gettext_noop("Access token"),
            kind="secret",
            help=gettext_noop(
                "In HubSpot: Development > Keys > Service keys > Create service key, with the scopes "
                "crm.objects.contacts.read, crm.objects.contacts.write, crm.schemas.contacts.read; or the token of a "
                "private app. It begins with pat-."
            ),
        ),
        Setting(
            "lead_as",
            gettext_noop("What a lead becomes"),
            kind="choice",
            help=gettext_noop(
                "Lead records need Sales Hub Professional, the scopes crm.objects.leads.read, crm.objects.leads.write, "
                "crm.schemas.leads.read, and a lead property leadsite_id with unique values."
            ),
            required=False,
            default="note",
            choices=(
                ("note", gettext_noop("A contact; a further lead of that contact becomes a note on it")),
                ("lead", gettext_noop("The same, and a lead record for every lead")),
            ),
        ),
        replace(
            DUPLICATES,
            help=gettext_noop(
                "That is, a contact which this connection did not make; one that it made gets its further leads "
                "without a question. A repeated push of the same lead is always recognised."
            ),
        ),
    ),
    fields=(
        field("email", gettext_noop("Email"), "email", "email"),
        field("firstname", gettext_noop("First name"), "first_name", max_length=TEXT_LIMIT),
        TargetField("lastname", gettext_noop("Last name"), max_length=TEXT_LIMIT, suggested=_LAST_NAME),
        field("phone", gettext_noop("Phone number"), "phone", "phone"),
        field("company", gettext_noop("Company name"), "company", max_length=TEXT_LIMIT),
        field("jobtitle", gettext_noop("Job title"), "title", max_length=TEXT_LIMIT),
        field(
            "country",
            gettext_noop("Country/Region"),
            "country",
            transform="country_name",
            max_length=TEXT_LIMIT,
        ),
        TargetField("message", gettext_noop("Message"), max_length=TEXT_LIMIT, suggested=_MESSAGE),
        *OWN,
    ),
    idempotent_by=gettext_noop(
        "HubSpot keeps one contact an e-mail address and one a leadsite_id, the key of the lead that made "
        "it. The note of a further lead ends in its key and is looked for on the contact before it is written; a lead "
        "record has a unique leadsite_id of its own."
    ),
    batch_size=100,
    one_per_email=True,  # simultaneous writes of one address are documented to make two contacts
    max_per_second=8,  # of the 100 calls in 10 seconds on Free and Starter
    max_per_day=250_000,
    describes=True,
    any_field=True,
)
