"""The properties of a contact, as fields of ours. Pure."""

from collections.abc import Iterator, Mapping

from crm_sync.connectors.shapes import objects, part
from crm_sync.spec import FieldType, TargetField

KEY = "leadsite_id"  # the property that holds our key
TITLE = "hs_lead_name"  # of a lead record; the first line of a note
OPT_OUT = "hs_email_optout"  # read-only as a property: the subscriptions API writes it
TEXT_LIMIT = 65_536  # characters of a text property and of a note's body

_TYPES: Mapping[str, FieldType] = {
    "string": "text",
    "number": "number",
    "bool": "flag",
    "enumeration": "choice",
    "date": "date",
    "datetime": "date",
    "phone_number": "phone",
}


def fields(told: object) -> Iterator[TargetField]:
    """The properties that can be written, as fields. HubSpot requires none of them."""
    for each in objects(told):
        name, kind = str(each.get("name") or ""), _TYPES.get(str(each.get("type")))
        read_only = part(each, "modificationMetadata", "readOnlyValue") or each.get("calculated")
        if not name or kind is None or read_only or each.get("archived") or each.get("hidden"):
            continue
        if name == "email" or each.get("fieldType") == "phonenumber":
            kind = "email" if name == "email" else "phone"
        choices = tuple(
            (str(option.get("value")), str(option.get("label") or option.get("value")))
            for option in objects(each.get("options"))
            if kind == "choice" and not option.get("hidden")
        )
        length = TEXT_LIMIT if kind == "text" else 0
        label = str(each.get("label") or name)
        yield TargetField(name, label, kind, max_length=length, choices=choices)
