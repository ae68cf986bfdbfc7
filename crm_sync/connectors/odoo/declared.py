"""What the connector to Odoo declares: settings, limits, and the fields of a new database."""

from crm_sync.connectors import suggestions
from crm_sync.connectors.suggestions import field
from crm_sync.spec import DUPLICATES, Setting, Spec, TargetField

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
        Setting("url", "Address", "url", "Where you sign in, up to /odoo or /web: https://contoso.odoo.com."),
        Setting(
            "database",
            "Database",
            help="On odoo.com the part before .odoo.com. Elsewhere it is chosen on the sign-in page; or ask "
            "whoever hosts Odoo.",
        ),
        Setting(
            "username",
            "User name",
            help="What the user of this connection signs in with. Only Odoo before 19 asks for it.",
            required=False,
        ),
        Setting(
            "api_key",
            "API key",
            "secret",
            "Signed in as that user: picture at the top right > My Preferences > Security > Add API Key. It ends "
            "on the date that is chosen there, three months ahead at most for ordinary users: note it.",
        ),
        DUPLICATES,
    ),
    fields=(
        TargetField("name", "Opportunity", required=True, suggested=suggestions.TITLE),
        field("contact_name", "Contact Name", "full_name"),
        field("partner_name", "Company Name", "company"),
        field("email_from", "Email", "email", "email"),
        field("phone", "Phone", "phone", "phone"),
        field("function", "Job Position", "title"),
        field("country_id", "Country", "country_code", "reference"),
        field("description", "Notes", "description"),
        TargetField("source_id", "Source", "reference", suggested=_SOURCE),
        TargetField("referred", "Referred By", suggested=_REFERRED),
        TargetField("tag_ids", "Tags", "reference", suggested=_DO_NOT_CONTACT),
        TargetField("type", "Type", "choice", choices=(("lead", "Lead"), ("opportunity", "Opportunity"))),
        field("user_id", "Salesperson", type="reference"),
        field("team_id", "Sales Team", type="reference"),
        field("medium_id", "Medium", type="reference"),
        field("campaign_id", "Campaign", type="reference"),
        field("website", "Website", type="url"),
    ),
    idempotent_by="Each lead has an external id, __leadsite__.lead_<key>, under which Odoo creates it once; marked "
    "noupdate, it is not written again.",
    batch_size=100,
    one_per_email=True,
    max_in_flight=4,
    describes=True,
    any_field=True,
)
