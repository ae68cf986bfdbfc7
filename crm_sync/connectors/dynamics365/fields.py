"""What Dataverse says of its table of leads, as fields of ours. Pure.

Metadata by the Web API: learn.microsoft.com/power-apps/developer/data-platform/webapi/query-metadata-web-api, 2026-11.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crm_sync.connectors.shapes import object_in, objects, part
from crm_sync.spec import FieldType, TargetField

Rows = Iterable[Mapping[str, Any]]


# --- Columns that point to other records ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Target:
    """One table that a column may point to. `navigation`: the property that binds it, spelled as Dataverse does."""

    table: str
    entity_set: str
    id_column: str
    name_column: str
    navigation: str

    @property
    def called(self) -> str:
        """The table in a sentence: "user"."""
        return "user" if self.table == "systemuser" else self.table


Lookups = Mapping[str, tuple[Target, ...]]


def related(relationships: Rows) -> dict[str, list[tuple[str, str]]]:
    """The tables that each column may point to, each with the navigation property.

    An owner is a user or a team, of which the relationship only says "owner".
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for row in relationships:
        column, table = str(row.get("ReferencingAttribute")), str(row.get("ReferencedEntity"))
        navigation = str(row.get("ReferencingEntityNavigationPropertyName") or column)
        for each in ("systemuser", "team") if table == "owner" else (table,):
            if (each, navigation) not in (known := found.setdefault(column, [])):
                known.append((each, navigation))
    return found


def lookups(pointing: Mapping[str, Sequence[tuple[str, str]]], described: Rows) -> Lookups:
    """The targets of each column, of the tables that are described."""
    known = {str(row.get("LogicalName")): row for row in described}
    return {
        column: tuple(
            Target(
                table,
                str(known[table].get("EntitySetName")),
                str(known[table].get("PrimaryIdAttribute")),
                str(known[table].get("PrimaryNameAttribute") or ""),
                navigation,
            )
            for table, navigation in targets
            if table in known
        )
        for column, targets in pointing.items()
    }


# --- Fields ---------------------------------------------------------------------------------------

_TYPES: Mapping[str, FieldType] = {
    "String": "text",
    "Memo": "text",
    "Integer": "number",
    "BigInt": "number",
    "Decimal": "number",
    "Double": "number",
    "Money": "number",
    "Boolean": "flag",
    "DateTime": "date",
    "Picklist": "choice",
    "State": "choice",
    "Status": "choice",
    "Lookup": "reference",
    "Customer": "reference",
    "Owner": "reference",
}
_FORMATS: Mapping[str, FieldType] = {"Email": "email", "Phone": "phone", "Url": "url"}
DATE_ONLY = len("2026-11-22")  # the max_length of a date without a time of day


def fields(
    columns: Rows, details: Rows, records: Mapping[str, Sequence[tuple[str, str]]]
) -> list[TargetField]:
    """The columns that a new lead may set, required ones first. `records`: what each column may be set to point to."""
    more = {str(row.get("LogicalName")): row for row in details}
    found = [
        _field(row, more.get(str(row.get("LogicalName")), {}), records)
        for row in columns
        if str(row.get("AttributeType")) in _TYPES
        and row.get("IsValidForCreate")
        and not row.get("AttributeOf")
    ]
    return sorted(found, key=lambda field: (not field.required, field.label.casefold()))


def _field(
    row: Mapping[str, Any], more: Mapping[str, Any], records: Mapping[str, Sequence[tuple[str, str]]]
) -> TargetField:
    name, kind = str(row.get("LogicalName")), _TYPES[str(row.get("AttributeType"))]
    if kind == "text":
        kind = _FORMATS.get(_value(more.get("FormatName")), "text")
    return TargetField(
        name,
        label(row.get("DisplayName")) or name,
        kind,
        # What the system itself requires, such as an owner, it fills.
        required=_value(row.get("RequiredLevel")) == "ApplicationRequired",
        max_length=DATE_ONLY if _value(more.get("DateTimeBehavior")) == "DateOnly" else _length(more),
        choices=_choices(more) or tuple(records.get(name, ())),
    )


def _length(more: Mapping[str, Any]) -> int:
    length = more.get("MaxLength")
    return length if isinstance(length, int) and length > 0 else 0


def _choices(more: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    options = object_in(more, "OptionSet") or object_in(more, "GlobalOptionSet")
    if "TrueOption" in options:
        pairs = (("true", "TrueOption"), ("false", "FalseOption"))
        return tuple((value, label(part(options, name, "Label"))) for value, name in pairs)
    listed = objects(options.get("Options"))
    return tuple((str(option.get("Value")), label(option.get("Label"))) for option in listed)


def _value(managed: Any) -> str:
    """The value of a managed property, which comes as {"Value": ...}."""
    return str(object_in(managed).get("Value", ""))


def label(text: Any) -> str:
    """A label in the language of whoever asks, else in any that it has."""
    labels = [object_in(text, "UserLocalizedLabel"), *objects(part(text, "LocalizedLabels"))]
    return next((str(each["Label"]) for each in labels if each.get("Label")), "")
