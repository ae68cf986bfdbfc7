"""What the connector to Dynamics 365 declares: settings, limits, and the columns of a new environment."""

from crm_sync.connectors import suggestions
from crm_sync.connectors.suggestions import field
from crm_sync.spec import DUPLICATES, Setting, Spec, TargetField
from leads.texts import gettext_noop

_SOURCES = (
    *("Advertisement", "Employee Referral", "External Referral", "Partner", "Public Relations"),
    *("Seminar", "Trade Show", "Web", "Word of Mouth", "Other"),
)
_WEB = str(_SOURCES.index("Web") + 1)
_MICROSOFTS = (
    "AzureMarketplace",
    "AzurePortal",
    "TestDrive",
    "SPZA",
)  # a line of its own for each, to be changed
_DESCRIPTION = suggestions.text(
    suggestions.ORIGIN, "\n", suggestions.WORDS
)  # there is a column for the country
# "Lead table/entity reference": learn.microsoft.com/dynamics365/developer/reference/entities/lead, 2026-11.
_LEAD = (
    TargetField("subject", gettext_noop("Topic"), required=True, max_length=300, suggested=suggestions.TITLE),
    TargetField(
        "lastname", gettext_noop("Last Name"), required=True, max_length=50, suggested=suggestions.LAST_NAME
    ),
    field("firstname", gettext_noop("First Name"), "first_name", max_length=50),
    field("companyname", gettext_noop("Company Name"), "company", max_length=100),
    field("emailaddress1", gettext_noop("Email"), "email", "email", max_length=100),
    field("telephone1", gettext_noop("Business Phone"), "phone", "phone", max_length=50),
    field("mobilephone", gettext_noop("Mobile Phone"), type="phone", max_length=20),
    field("jobtitle", gettext_noop("Job Title"), "title", max_length=100),
    field("address1_country", gettext_noop("Country/Region"), "country", max_length=80),
    field("websiteurl", gettext_noop("Website"), type="url", max_length=200),
    TargetField(
        "leadsourcecode",
        gettext_noop("Lead Source"),
        "choice",
        choices=tuple((str(number), name) for number, name in enumerate(_SOURCES, 1)),
        suggested=suggestions.table("source", dict.fromkeys(_MICROSOFTS, _WEB), fallback=_WEB),
    ),
    TargetField(
        "leadqualitycode",
        gettext_noop("Rating"),
        "choice",
        choices=(("1", "Hot"), ("2", "Warm"), ("3", "Cold")),
    ),
    TargetField("description", gettext_noop("Description"), max_length=2000, suggested=_DESCRIPTION),
    TargetField("donotemail", gettext_noop("Do not allow Emails"), "flag", suggested=suggestions.DNC),
    TargetField("donotphone", gettext_noop("Do not allow Phone Calls"), "flag", suggested=suggestions.DNC),
    TargetField(
        "donotbulkemail", gettext_noop("Do not allow Bulk Emails"), "flag", suggested=suggestions.DNC
    ),
    TargetField("ownerid", gettext_noop("Owner"), "reference"),
    TargetField("campaignid", gettext_noop("Source Campaign"), "reference"),
)

SPEC = Spec(
    slug="dynamics365",
    label="Dynamics 365 Sales",
    settings=(
        Setting(
            "url",
            gettext_noop("Environment address"),
            kind="url",
            help=gettext_noop(
                "Such as https://contoso.crm4.dynamics.com: Power Platform admin center, Manage, Environments, "
                "your environment, Environment URL."
            ),
        ),
        Setting(
            "tenant_id",
            gettext_noop("Directory (tenant) ID"),
            help=gettext_noop("Microsoft Entra admin center, App registrations, your app, Overview."),
        ),
        Setting(
            "client_id",
            gettext_noop("Application (client) ID"),
            help=gettext_noop("On the same page, Overview."),
        ),
        Setting(
            "client_secret",
            gettext_noop("Client secret"),
            kind="secret",
            help=gettext_noop(
                "App registrations, your app, Certificates & secrets, New client secret: its Value, shown once; "
                "not its Secret ID."
            ),
        ),
        Setting(
            "authority",
            gettext_noop("Sign-in address"),
            kind="url",
            required=False,
            default="https://login.microsoftonline.com",
            help=gettext_noop(
                "Another one only for sovereign clouds, such as https://login.microsoftonline.us."
            ),
        ),
        DUPLICATES,
    ),
    fields=_LEAD,
    idempotent_by=gettext_noop(
        "The lead's id in Dynamics 365 is ours, and it is created only where no lead has that id yet."
    ),
    batch_size=100,
    # Of 52 at once and 6,000 in five minutes, for each user and web server: Microsoft, "Service protection API
    # limits", 2026-11.
    max_per_second=20,
    length_unit="utf-16",
    describes=True,
    any_field=True,
)
