"""What Salesforce's description of Lead says of its fields, and how a record is asked for by its name."""

import re
from collections.abc import Mapping
from typing import Any, Final

from crm_sync.connectors.shapes import objects
from crm_sync.spec import FieldType, TargetField
from leads.texts import gettext as _

Described = Mapping[str, Any]

ID: Final = re.compile(r"[a-zA-Z0-9]{15}(?:[a-zA-Z0-9]{3})?")  # of any record, as Salesforce writes it

_TYPES: Mapping[str, FieldType] = {
    **dict.fromkeys(("string", "textarea", "encryptedstring", "combobox"), "text"),
    **dict.fromkeys(("picklist", "multipicklist"), "text"),
    **dict.fromkeys(("int", "long", "double", "currency", "percent"), "number"),
    "boolean": "flag",
    "date": "date",
    "datetime": "date",
    "email": "email",
    "phone": "phone",
    "url": "url",
    "reference": "reference",
}
# Of these, a lead can only point to some.
_ONLY = {
    "User": " AND IsActive = true",
    "Group": " AND Type = 'Queue'",
    "RecordType": " AND SobjectType = 'Lead'",
}


def fields_of(lead: Described) -> list[dict[str, Any]]:
    """The fields in a description of Lead."""
    return objects(lead.get("fields"))


def target(field: Described) -> TargetField:
    """A field as a mapping sees it."""
    # A picklist that is not restricted takes texts that it does not list.
    restricted = field.get("type") == "picklist" and bool(field.get("restrictedPicklist"))
    name, length = str(field.get("name")), field.get("length")
    values = [value for value in objects(field.get("picklistValues")) if value.get("active")]
    return TargetField(
        name,
        str(field.get("label") or name),
        "choice" if restricted else _TYPES.get(str(field.get("type")), "any"),
        required=not field.get("nillable") and not field.get("defaultedOnCreate"),
        max_length=length if isinstance(length, int) else 0,
        choices=tuple(
            (str(value.get("value")), str(value.get("label") or value.get("value"))) for value in values
        ),
    )


def key_problem(lead: Described, name: str) -> str:
    """What must be done in Salesforce before the field of that name can hold our key; empty where all is well."""
    where = _("in Salesforce, Setup > Object Manager > Lead > Fields & Relationships")
    field = next(
        (field for field in fields_of(lead) if str(field.get("name")).casefold() == name.casefold()), None
    )
    if field is None:
        said = _(
            "Lead has no field {name} that this user may see: {where} > New, choose Text, length 36, field name "
            "{short}, tick “Unique” and “External ID”, and make it visible to this user's profile."
        )
        return said.format(name=name, where=where, short=name.removesuffix("__c"))
    marks = {"External ID": field.get("externalId"), "Unique": field.get("unique")}
    if missing := [mark for mark, set_ in marks.items() if not set_]:
        said = _("The field {name} must be marked as {ticks}: {where} > {name} > Edit, tick {ticks}.")
        ticks = f" {_('and')} ".join(f"“{mark}”" for mark in missing)
        return said.format(name=name, where=where, ticks=ticks)
    if (length := target(field).max_length) and length < 36:
        said = _(
            "The field {name} holds {number} characters, a key has 36: {where} > {name} > Edit, set Length to 36."
        )
        return said.format(name=name, where=where, number=length)
    if not field.get("createable"):
        said = _(
            "This user may not write the field {name}: {where} > {name} > Set Field-Level Security: not Read-Only."
        )
        return said.format(name=name, where=where)
    return ""


def quoted(text: str) -> str:
    """The text as SOQL writes it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def queries_for(lead: Described, field: str, name: str) -> list[str]:
    """The queries that find what this field may point to by its name, one for each kind of record."""
    described = next((each for each in fields_of(lead) if each.get("name") == field), {})
    kinds = [str(kind) for kind in described.get("referenceTo") or ()]
    return [
        f"SELECT Id FROM {kind} WHERE Name = {quoted(name)}{_ONLY.get(kind, '')} LIMIT 2"  # noqa: S608
        for kind in kinds
        if re.fullmatch(r"\w+", kind, re.ASCII)
    ]
