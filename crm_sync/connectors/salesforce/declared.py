"""What the connector to Salesforce declares: settings, limits, and the fields that every organization has."""

from crm_sync.connectors import suggestions
from crm_sync.connectors.suggestions import field
from crm_sync.spec import DUPLICATES, Setting, Spec, TargetField

SPEC = Spec(
    slug="salesforce",
    label="Salesforce",
    settings=(
        Setting("url", "My Domain address", kind="url", help=(
            "https://yourcompany.my.salesforce.com: Setup > My Domain > Current My Domain URL. "
            "A sandbox has its own."
        )),
        Setting("client_id", "Consumer key", help=(
            "Setup > External Client App Manager > your app > Settings > OAuth Settings > Consumer Key and Secret."
        )),
        Setting("client_secret", "Consumer secret", kind="secret", required=False, help=(
            "On the same page as the consumer key. Or leave it empty, and give a user name and a private key."
        )),
        Setting("username", "User name", required=False, help=(
            "Only with a private key: the user that writes the leads, from Setup > Users, column Username."
        )),
        Setting("private_key", "Private key", kind="secret", required=False, lines=True, help=(
            "PEM text of the RSA key, without a passphrase, whose certificate was uploaded to the app (Settings > "
            "OAuth Settings > JWT Bearer Flow). Where it is given, it is used in place of the secret."
        )),
        Setting("external_id_field", "Field of the key", required=False, default="Leadsite_Id__c", help=(
            "API name of a text field of Lead, length 36 or more, marked External ID and Unique: Setup > Object "
            "Manager > Lead > Fields & Relationships."
        )),
        DUPLICATES,
    ),
    fields=(
        TargetField("LastName", "Last Name", required=True, max_length=80, suggested=suggestions.LAST_NAME),
        TargetField("Company", "Company", required=True, max_length=255, suggested=suggestions.COMPANY),
        field("FirstName", "First Name", "first_name", max_length=40),
        field("Email", "Email", "email", "email", max_length=80),
        field("Phone", "Phone", "phone", "phone", max_length=40),
        field("Title", "Title", "title", max_length=128),
        field("Country", "Country", "country", transform="country_name", max_length=80),
        field("LeadSource", "Lead Source", "lead_source", max_length=255),
        TargetField("Description", "Description", max_length=32_000, suggested=suggestions.DESCRIPTION),
        TargetField("DoNotCall", "Do Not Call", "flag", suggested=suggestions.DNC),
        TargetField("HasOptedOutOfEmail", "Email Opt Out", "flag", suggested=suggestions.DNC),
    ),
    idempotent_by=(
        "The lead's key stands in a field of Lead that is an External ID and Unique: a repeated push looks it up "
        "and changes nothing, and of two at once one is refused."
    ),
    batch_size=200,
    describes=True,
    any_field=True,
)  # fmt: skip
