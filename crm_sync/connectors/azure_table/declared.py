"""What the connector to Azure tables declares: settings, and Microsoft's own columns."""

from crm_sync.connectors import suggestions
from crm_sync.spec import FieldType, Setting, Spec, TargetField
from leads.texts import gettext_noop

TABLE_NAME = "MarketplaceLeads"  # as Microsoft's own pages have it
TEXT_MOST = 32_768  # UTF-16 units of one text: 64 KiB
KEY_MOST = 512  # UTF-16 units of PartitionKey: 1 KiB


def _column(name: str, source: str, type: FieldType = "text") -> TargetField:  # noqa: A002
    return suggestions.field(name, name, source, type, max_length=TEXT_MOST)


SPEC = Spec(
    slug="azure_table",
    label=gettext_noop("Azure table"),
    settings=(
        Setting(
            "connection_string",
            gettext_noop("Connection string"),
            kind="secret",
            help=gettext_noop(
                "Azure portal: your storage account > Security + networking > Access keys > Connection string. "
                "It may do everything in the account; a SAS URL is enough, and safer."
            ),
            required=False,
        ),
        Setting(
            "sas_url",
            gettext_noop("SAS URL"),
            kind="url",
            help=gettext_noop(
                "In place of the connection string, and used where there are both. Azure Storage Explorer: "
                "right-click the table > Get Shared Access Signature > permission Add alone > URI. Or Azure portal: "
                "your storage account > Security + networking > Shared access signature: service Table, resource "
                "type Object, permission Add; then Table service SAS URL."
            ),
            required=False,
            secret=True,
        ),
        Setting(
            "table",
            gettext_noop("Table"),
            help=gettext_noop("Azure portal: your storage account > Data storage > Tables. It must exist."),
            default=TABLE_NAME,
        ),
        Setting(
            "partition_format",
            gettext_noop("Day in PartitionKey"),
            kind="choice",
            help=gettext_noop("The day (UTC) on which the lead came, in this form."),
            required=False,
            default="iso",
            choices=(
                ("iso", "2026-11-22"),
                ("microsoft", gettext_noop("11:2F22:2F2026, as Microsoft's own writer puts it")),
            ),
        ),
    ),
    fields=(
        TargetField(
            "PartitionKey",
            gettext_noop("PartitionKey (day of the lead)"),
            max_length=KEY_MOST,
            suggested=suggestions.value("received_at"),
            always=True,
        ),
        _column("LeadSource", "lead_source"),
        _column("ActionCode", "action"),
        _column("OfferDisplayName", "offer_title"),
        _column("Description", "description"),
        _column("CreatedTime", "received_at"),
        _column("FirstName", "first_name"),
        _column("LastName", "last_name"),
        _column("Email", "email", "email"),
        _column("Phone", "phone", "phone"),
        _column("Country", "country"),
        _column("Company", "company"),
        _column("Title", "title"),
        _column("OfferTitle", "offer_title"),
        _column("LeadId", "id"),
    ),
    idempotent_by=gettext_noop(
        "PartitionKey is the lead's day and RowKey the delivery's key, the same on every try. Azure "
        "refuses to insert the pair twice, and that counts as delivered."
    ),
    length_unit="utf-16",
    any_field=True,
)
