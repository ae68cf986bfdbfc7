"""What the connector to Odoo declares: settings, limits, and the fields of a new database."""

from crm_sync.connectors import suggestions
from crm_sync.connectors.suggestions import field
from crm_sync.spec import DUPLICATES, Setting, Spec, TargetField
from leads.texts import gettext_noop

_REFERRED = suggestions.text(
    "{{ lead_source | truncate: 1000 }}",
    "{% unless country_code %}{% if country %} (country: {{ country | truncate: 100 }}){% endif %}{% endunless %}",
)
# A table, not the text as sent: whatever the mapping makes becomes a source in Odoo.
_SOURCE = suggestions.table(
    "source",
    {
        "AzureMarketplace": "Azure Marketplace",
        "AzurePortal": "Azure portal",
        "TestDrive": "Test Drive",
        **dict.fromkeys(("SPZA", "AppSource", "AppSource (SPZA)"), "AppSource"),
    },
    fallback="Microsoft marketplace",
)
_DO_NOT_CONTACT = {**suggestions.DNC, "value": "Do not contact"}  # Odoo has a tag for it, not a flag

SPEC = Spec(
    slug="odoo",
    label="Odoo",
    settings=(
        Setting(
            "url",
            gettext_noop("Address"),
            "url",
            gettext_noop("Where you sign in, up to /odoo or /web: https://contoso.odoo.com."),
        ),
        Setting(
            "database",
            gettext_noop("Database"),
            help=gettext_noop(
                "On odoo.com the part before .odoo.com. Elsewhere it is chosen on the sign-in page; or ask "
                "whoever hosts Odoo."
            ),
        ),
        Setting(
            "username",
            gettext_noop("User name"),
            help=gettext_noop(
                "What the user of this connection signs in with. Only Odoo before 19 asks for it."
            ),
            required=False,
        ),
        Setting(
            "api_key",
            gettext_noop("API key"),
            "secret",
            gettext_noop(
                "Signed in as that user: picture at the top right > My Preferences > Security > Add API Key. It ends "
                "on the date that is chosen there, three months ahead at most for ordinary users: note it."
            ),
        ),
        DUPLICATES,
    ),
    fields=(
        TargetField("name", gettext_noop("Opportunity"), required=True, suggested=suggestions.TITLE),
        field("contact_name", gettext_noop("Contact Name"), "full_name"),
        field("partner_name", gettext_noop("Company Name"), "company"),
        field("email_from", gettext_noop("Email"), "email", "email"),
        field("phone", gettext_noop("Phone"), "phone", "phone"),
        field("function", gettext_noop("Job Position"), "title"),
        field("country_id", gettext_noop("Country"), "country_code", "reference"),
        field("description", gettext_noop("Notes"), "description"),
        TargetField("source_id", gettext_noop("Source"), "reference", suggested=_SOURCE),
        TargetField("referred", gettext_noop("Referred By"), suggested=_REFERRED),
        TargetField("tag_ids", gettext_noop("Tags"), "reference", suggested=_DO_NOT_CONTACT),
        TargetField(
            "type",
            gettext_noop("Type"),
            "choice",
            choices=(("lead", "Lead"), ("opportunity", "Opportunity")),
        ),
        field("user_id", gettext_noop("Salesperson"), type="reference"),
        field("team_id", gettext_noop("Sales Team"), type="reference"),
        field("medium_id", gettext_noop("Medium"), type="reference"),
        field("campaign_id", gettext_noop("Campaign"), type="reference"),
        field("website", gettext_noop("Website"), type="url"),
    ),
    idempotent_by=gettext_noop(
        "Each lead has an external id, __leadsite__.lead_<key>, under which Odoo creates it once; marked "
        "noupdate, it is not written again."
    ),
    batch_size=100,
    one_per_email=True,
    max_in_flight=4,
    describes=True,
    any_field=True,
)
