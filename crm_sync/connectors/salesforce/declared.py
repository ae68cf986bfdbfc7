"""What the connector to Salesforce declares: settings, limits, and the fields that every organization has."""

from crm_sync.connectors import suggestions
from crm_sync.connectors.suggestions import field
from crm_sync.spec import DUPLICATES, Setting, Spec, TargetField
from leads.texts import gettext_noop

SPEC = Spec(
    slug="salesforce",
    label="Salesforce",
    settings=(
        Setting(
            "url",
            gettext_noop("My Domain address"),
            kind="url",
            help=gettext_noop(
                "https://yourcompany.my.salesforce.com: Setup > My Domain > Current My Domain URL. "
                "A sandbox has its own."
            ),
        ),
        Setting(
            "client_id",
            gettext_noop("Consumer key"),
            help=gettext_noop(
                "Setup > External Client App Manager > your app > Settings > OAuth Settings > Consumer Key and Secret."
            ),
        ),
        Setting(
            "client_secret",
            gettext_noop("Consumer secret"),
            kind="secret",
            required=False,
            help=gettext_noop(
                "On the same page as the consumer key. Or leave it empty, and give a user name and a private key."
            ),
        ),
        Setting(
            "username",
            gettext_noop("User name"),
            required=False,
            help=gettext_noop(
                "Only with a private key: the user that writes the leads, from Setup > Users, column Username."
            ),
        ),
        Setting(
            "private_key",
            gettext_noop("Private key"),
            kind="secret",
            required=False,
            lines=True,
            help=gettext_noop(
                "PEM text of the RSA key, without a passphrase, whose certificate was uploaded to the app (Settings > "
                "OAuth Settings > JWT Bearer Flow). Where it is given, it is used in place of the secret."
            ),
        ),
        Setting(
            "external_id_field",
            gettext_noop("Field of the key"),
            required=False,
            default="Leadsite_Id__c",
            help=gettext_noop(
                "API name of a text field of Lead, length 36 or more, marked External ID and Unique: Setup > Object "
                "Manager > Lead > Fields & Relationships."
            ),
        ),
        DUPLICATES,
    ),
    fields=(
        TargetField(
            "LastName",
            gettext_noop("Last Name"),
            required=True,
            max_length=80,
            suggested=suggestions.LAST_NAME,
        ),
        TargetField(
            "Company", gettext_noop("Company"), required=True, max_length=255, suggested=suggestions.COMPANY
        ),
        field("FirstName", gettext_noop("First Name"), "first_name", max_length=40),
        field("Email", gettext_noop("Email"), "email", "email", max_length=80),
        field("Phone", gettext_noop("Phone"), "phone", "phone", max_length=40),
        field("Title", gettext_noop("Title"), "title", max_length=128),
        field("Country", gettext_noop("Country"), "country", transform="country_name", max_length=80),
        field("LeadSource", gettext_noop("Lead Source"), "lead_source", max_length=255),
        TargetField(
            "Description", gettext_noop("Description"), max_length=32_000, suggested=suggestions.DESCRIPTION
        ),
        TargetField("DoNotCall", gettext_noop("Do Not Call"), "flag", suggested=suggestions.DNC),
        TargetField("HasOptedOutOfEmail", gettext_noop("Email Opt Out"), "flag", suggested=suggestions.DNC),
    ),
    idempotent_by=(
        gettext_noop(
            "The lead's key stands in a field of Lead that is an External ID and Unique: a repeated push looks it up "
            "and changes nothing, and of two at once one is refused."
        )
    ),
    batch_size=200,
    describes=True,
    any_field=True,
)
