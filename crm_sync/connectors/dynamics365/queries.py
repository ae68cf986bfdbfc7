"""How Dataverse is asked: OData's query options, and where it describes its table of leads. Pure.

Metadata by the Web API: learn.microsoft.com/power-apps/developer/data-platform/webapi/query-metadata-web-api, 2026-11.
"""

from collections.abc import Iterable
from urllib.parse import quote


def path(resource: str, **options: str) -> str:
    """A resource with OData's query options, encoded: `path("leads", top="1")` is leads?$top=1."""
    return f"{resource}?{'&'.join(f'${name}={quote(text, safe=_SAFE)}' for name, text in options.items() if text)}"


def literal(text: str) -> str:
    """A text as a filter has it."""
    return "'" + text.replace("'", "''") + "'"


_SAFE = "$(),'=:@;"
_LEAD = "EntityDefinitions(LogicalName='lead')"


def _columns(kind: str, select: str, **options: str) -> str:
    return path(
        f"{_LEAD}/Attributes/Microsoft.Dynamics.CRM.{kind}AttributeMetadata",
        select=f"LogicalName,{select}".rstrip(","),
        **options,
    )


COLUMNS = path(
    f"{_LEAD}/Attributes",
    select="LogicalName,AttributeType,AttributeOf,DisplayName,RequiredLevel,IsValidForCreate",
    filter="IsValidForCreate eq true",
)
# What only columns of one kind have; a column is in one of the answers.
DETAILS = (
    _columns("String", "MaxLength,FormatName"),
    _columns("Memo", "MaxLength"),
    _columns("DateTime", "DateTimeBehavior"),
    _columns("Picklist", "", expand="OptionSet($select=Options),GlobalOptionSet($select=Options)"),
    _columns("Status", "", expand="OptionSet($select=Options)"),
    _columns("Boolean", "", expand="OptionSet($select=TrueOption,FalseOption)"),
)
RELATIONSHIPS = path(
    f"{_LEAD}/ManyToOneRelationships",
    select="ReferencingAttribute,ReferencedEntity,ReferencingEntityNavigationPropertyName",
)


def tables(names: Iterable[str]) -> str:
    """Where these tables are described."""
    return path(
        "EntityDefinitions",
        select="LogicalName,EntitySetName,PrimaryIdAttribute,PrimaryNameAttribute",
        filter=" or ".join(f"LogicalName eq '{name}'" for name in sorted(names)),
    )
