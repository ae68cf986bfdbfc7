"""The tables and columns of the Dataverse fake, as an entity data model and as Dataverse's own metadata.

Columns, lengths, levels and choices after Microsoft's table reference for Lead (2026-11).
"""

from typing import Any, NamedTuple

from odatapy.edm import csdl

NAMESPACE = "Microsoft.Dynamics.CRM"


class Column(NamedTuple):
    """A column of the table of leads."""

    name: str
    label: str
    kind: str = "String"
    max_length: int = 0
    level: str = "None"
    choices: tuple[tuple[int, str], ...] = ()
    format: str = ""
    creates: bool = True
    of: str | None = None


_SOURCES = "Advertisement,Employee Referral,External Referral,Partner,Public Relations,Seminar,Trade Show,Web,Word of Mouth,Other"

COLUMNS = (
    Column("leadid", "Lead", "Uniqueidentifier", level="SystemRequired"),
    Column("subject", "Topic", max_length=300, level="ApplicationRequired"),
    Column("firstname", "First Name", max_length=50, level="Recommended"),
    Column("lastname", "Last Name", max_length=50, level="ApplicationRequired"),
    Column("fullname", "Name", max_length=160, creates=False),
    Column("companyname", "Company Name", max_length=100, level="Recommended"),
    Column("emailaddress1", "Email", max_length=100, format="Email"),
    Column("telephone1", "Business Phone", max_length=50, format="Phone"),
    Column("mobilephone", "Mobile Phone", max_length=20, format="Phone"),
    Column("jobtitle", "Job Title", max_length=100),
    Column("address1_country", "Country/Region", max_length=80),
    Column("websiteurl", "Website", max_length=200, format="Url"),
    Column("description", "Description", "Memo", max_length=2000),
    Column(
        "leadsourcecode",
        "Lead Source",
        "Picklist",
        choices=tuple(enumerate(_SOURCES.split(","), 1)),
    ),
    Column(
        "leadqualitycode",
        "Rating",
        "Picklist",
        choices=((1, "Hot"), (2, "Warm"), (3, "Cold")),
        format="Global",
    ),
    Column("statecode", "Status", "State", choices=((0, "Open"), (1, "Qualified")), creates=False),
    Column("statuscode", "Status Reason", "Status", choices=((1, "New"), (2, "Contacted"))),
    Column("donotemail", "Do not allow Emails", "Boolean", choices=((1, "Do Not Allow"), (0, "Allow"))),
    Column("donotphone", "Do not allow Phone Calls", "Boolean", choices=((1, "Do Not Allow"), (0, "Allow"))),
    Column(
        "donotbulkemail", "Do not allow Bulk Emails", "Boolean", choices=((1, "Do Not Allow"), (0, "Allow"))
    ),
    Column("numberofemployees", "No. of Employees", "Integer"),
    Column("budgetamount", "Budget Amount", "Money"),
    Column("estimatedclosedate", "Est. Close Date", "DateTime", format="DateOnly"),
    Column("new_trialends", "Trial ends", "DateTime", format="UserLocal"),
    Column("createdon", "Created On", "DateTime", format="UserLocal", creates=False),
    Column("ownerid", "Owner", "Owner", level="SystemRequired"),
    Column("owneridname", "", "String", max_length=100, of="ownerid"),
    Column("campaignid", "Source Campaign", "Lookup"),
    Column("new_partnerid", "Partner", "Lookup"),
    Column("createdby", "Created By", "Lookup", creates=False),
)
BY_NAME = {column.name: column for column in COLUMNS}

# Column, table it points to, navigation property: the last is spelled by whoever made the column.
RELATIONSHIPS = (
    ("ownerid", "owner", "ownerid"),
    ("campaignid", "campaign", "campaignid"),
    ("new_partnerid", "account", "new_PartnerId"),
    ("createdby", "systemuser", "createdby"),
)

# Table, entity set, primary id, primary name.
TABLES = (
    ("lead", "leads", "leadid", "fullname"),
    ("systemuser", "systemusers", "systemuserid", "fullname"),
    ("team", "teams", "teamid", "name"),
    ("campaign", "campaigns", "campaignid", "name"),
    ("account", "accounts", "accountid", "name"),
    ("duplicaterule", "duplicaterules", "duplicateruleid", "name"),
)
TABLE_OF = {entity_set: table for table, entity_set, *_ in TABLES}

_EDM = {
    "Uniqueidentifier": "Edm.Guid",
    "Picklist": "Edm.Int32",
    "State": "Edm.Int32",
    "Status": "Edm.Int32",
    "Integer": "Edm.Int32",
    "Money": "Edm.Decimal",
    "Boolean": "Edm.Boolean",
}


class Model(csdl.CsdlAbstractEdmProvider):
    """The model that the OData server parses addresses, filters and bodies by."""

    def get_schemas(self) -> list[csdl.CsdlSchema]:
        return [
            csdl.CsdlSchema(
                namespace=NAMESPACE,
                entity_types=[_lead(), *_others(), *_metadata()],
                complex_types=_complex(),
                functions=[
                    csdl.CsdlFunction(name="WhoAmI", return_type=_returns("WhoAmIResponse")),
                    csdl.CsdlFunction(
                        name="RetrieveUserSetOfPrivilegesByNames",
                        bound=True,
                        parameters=[
                            csdl.CsdlParameter(name="entity", type=f"{NAMESPACE}.systemuser"),
                            csdl.CsdlParameter(name="PrivilegeNames", type="Edm.String", collection=True),
                        ],
                        return_type=_returns("RetrieveUserSetOfPrivilegesByNamesResponse"),
                    ),
                ],
                entity_container=csdl.CsdlEntityContainer(
                    name="System",
                    entity_sets=[
                        *(
                            csdl.CsdlEntitySet(name=entity_set, type=f"{NAMESPACE}.{table}")
                            for table, entity_set, *_ in TABLES
                        ),
                        csdl.CsdlEntitySet(name="EntityDefinitions", type=f"{NAMESPACE}.EntityMetadata"),
                    ],
                    function_imports=[csdl.CsdlFunctionImport(name="WhoAmI", function=f"{NAMESPACE}.WhoAmI")],
                ),
            )
        ]


def _returns(name: str) -> csdl.CsdlReturnType:
    return csdl.CsdlReturnType(type=f"{NAMESPACE}.{name}")


def _property(name: str, kind: str = "Edm.String", **options: Any) -> csdl.CsdlProperty:
    return csdl.CsdlProperty(name=name, type=kind if "." in kind else f"{NAMESPACE}.{kind}", **options)


def _navigation(name: str, kind: str, **options: Any) -> csdl.CsdlNavigationProperty:
    return csdl.CsdlNavigationProperty(name=name, type=f"{NAMESPACE}.{kind}", **options)


def _entity(name: str, key: str, *properties: csdl.CsdlProperty, **options: Any) -> csdl.CsdlEntityType:
    return csdl.CsdlEntityType(
        name=name, key=[csdl.CsdlPropertyRef(name=key)], properties=list(properties), **options
    )


def _lead() -> csdl.CsdlEntityType:
    properties = [_property("createdon", "Edm.DateTimeOffset")]
    properties += [
        _property(column.name, _edm_type(column))
        for column in COLUMNS
        if column.kind not in ("Owner", "Lookup") and column.name != "createdon"
    ]
    navigation = [
        _navigation(name, "systemuser" if table == "owner" else table) for _, table, name in RELATIONSHIPS
    ]
    return _entity("lead", "leadid", *properties, navigation_properties=navigation)


def _edm_type(column: Column) -> str:
    if column.kind == "DateTime":
        return "Edm.Date" if column.format == "DateOnly" else "Edm.DateTimeOffset"
    return _EDM.get(column.kind, "Edm.String")


def _others() -> list[csdl.CsdlEntityType]:
    more = {
        "systemuser": [_property("isdisabled", "Edm.Boolean"), _property("accessmode", "Edm.Int32")],
        "team": [_property("teamtype", "Edm.Int32")],
        "campaign": [_property("statecode", "Edm.Int32")],
        "duplicaterule": [_property("baseentityname"), _property("statuscode", "Edm.Int32")],
    }
    return [
        _entity(table, key, _property(key, "Edm.Guid"), _property(name), *more.get(table, ()))
        for table, _, key, name in TABLES
        if table != "lead"
    ]


def _metadata() -> list[csdl.CsdlEntityType]:
    """Dataverse's description of itself is an OData service too, with derived types for the kinds of column."""
    string = ("LogicalName", "AttributeType", "AttributeOf")
    attribute = _entity(
        "AttributeMetadata",
        "LogicalName",
        *map(_property, string),
        _property("DisplayName", "Label"),
        _property("RequiredLevel", "ManagedProperty"),
        _property("IsValidForCreate", "Edm.Boolean"),
    )
    options = _entity(
        "OptionSetMetadata",
        "Name",
        _property("Name"),
        _property("Options", "OptionMetadata", collection=True),
    )
    flags = _entity(
        "BooleanOptionSetMetadata",
        "Name",
        _property("Name"),
        _property("TrueOption", "OptionMetadata"),
        _property("FalseOption", "OptionMetadata"),
    )
    relationship = _entity(
        "OneToManyRelationshipMetadata",
        "SchemaName",
        _property("SchemaName"),
        _property("ReferencingAttribute"),
        _property("ReferencedEntity"),
        _property("ReferencingEntityNavigationPropertyName"),
    )
    table = _entity(
        "EntityMetadata",
        "LogicalName",
        *map(_property, ("LogicalName", "EntitySetName", "PrimaryIdAttribute", "PrimaryNameAttribute")),
        navigation_properties=[
            _navigation("Attributes", "AttributeMetadata", collection=True, contains_target=True),
            _navigation(
                "ManyToOneRelationships",
                "OneToManyRelationshipMetadata",
                collection=True,
                contains_target=True,
            ),
        ],
    )
    return [
        attribute,
        options,
        flags,
        relationship,
        table,
        _kind("String", _property("MaxLength", "Edm.Int32"), _property("FormatName", "ManagedProperty")),
        _kind("Memo", _property("MaxLength", "Edm.Int32")),
        _kind("DateTime", _property("DateTimeBehavior", "ManagedProperty")),
        _kind("Picklist", options=("OptionSet", "GlobalOptionSet")),
        _kind("Status", options=("OptionSet", "GlobalOptionSet")),
        _kind("State", options=("OptionSet", "GlobalOptionSet")),
        _kind("Boolean", options=("OptionSet",), sets="BooleanOptionSetMetadata"),
    ]


def _kind(
    name: str, *properties: csdl.CsdlProperty, options: tuple[str, ...] = (), sets: str = "OptionSetMetadata"
) -> csdl.CsdlEntityType:
    return csdl.CsdlEntityType(
        name=f"{name}AttributeMetadata",
        base_type=f"{NAMESPACE}.AttributeMetadata",
        properties=list(properties),
        navigation_properties=[_navigation(option, sets, contains_target=True) for option in options],
    )


def _complex() -> list[csdl.CsdlComplexType]:
    def complex_type(name: str, *properties: csdl.CsdlProperty) -> csdl.CsdlComplexType:
        return csdl.CsdlComplexType(name=name, properties=list(properties))

    return [
        complex_type("LocalizedLabel", _property("Label"), _property("LanguageCode", "Edm.Int32")),
        complex_type(
            "Label",
            _property("UserLocalizedLabel", "LocalizedLabel"),
            _property("LocalizedLabels", "LocalizedLabel", collection=True),
        ),
        complex_type("ManagedProperty", _property("Value"), _property("CanBeChanged", "Edm.Boolean")),
        complex_type("OptionMetadata", _property("Value", "Edm.Int32"), _property("Label", "Label")),
        complex_type("WhoAmIResponse", _property("UserId", "Edm.Guid")),
        complex_type(
            "RolePrivilege",
            _property("Depth"),
            _property("PrivilegeName"),
        ),
        complex_type(
            "RetrieveUserSetOfPrivilegesByNamesResponse",
            _property("RolePrivileges", "RolePrivilege", collection=True),
        ),
    ]


# --- What Dataverse says of itself ----------------------------------------------------------------


def described(columns: tuple[Column, ...] = COLUMNS) -> list[dict[str, Any]]:
    """The bodies from which the server makes its descriptions: one of each table."""
    return [
        {
            "LogicalName": table,
            "EntitySetName": entity_set,
            "PrimaryIdAttribute": key,
            "PrimaryNameAttribute": name,
            **({"Attributes": [_attribute(each) for each in columns]} if table == "lead" else {}),
            **({"ManyToOneRelationships": _relationships()} if table == "lead" else {}),
        }
        for table, entity_set, key, name in TABLES
    ]


def _label(text: str) -> dict[str, Any]:
    own = {"Label": text, "LanguageCode": 1033}
    if not text:
        return {"UserLocalizedLabel": None, "LocalizedLabels": []}
    return {"UserLocalizedLabel": own, "LocalizedLabels": [own]}


def _attribute(column: Column) -> dict[str, Any]:
    specific: dict[str, Any] = {}
    match column.kind:
        case "String":
            specific = {"MaxLength": column.max_length, "FormatName": {"Value": column.format or "Text"}}
        case "Memo":
            specific = {"MaxLength": column.max_length}
        case "DateTime":
            specific = {"DateTimeBehavior": {"Value": column.format}}
        case "Picklist" | "Status" | "State":
            options = [{"Value": value, "Label": _label(text)} for value, text in column.choices]
            holder = "GlobalOptionSet" if column.format == "Global" else "OptionSet"
            specific = {holder: {"Name": f"lead_{column.name}", "Options": options}}
        case "Boolean":
            yes, no = ({"Value": value, "Label": _label(text)} for value, text in column.choices)
            specific = {"OptionSet": {"Name": f"lead_{column.name}", "TrueOption": yes, "FalseOption": no}}
    kind = f"{column.kind}AttributeMetadata" if specific else "AttributeMetadata"
    return {
        "@odata.type": f"#{NAMESPACE}.{kind}",
        "LogicalName": column.name,
        "AttributeType": column.kind,
        "AttributeOf": column.of,
        "DisplayName": _label(column.label),
        "RequiredLevel": {"Value": column.level, "CanBeChanged": True},
        "IsValidForCreate": column.creates,
        **specific,
    }


def _relationships() -> list[dict[str, Any]]:
    return [
        {
            "SchemaName": f"{table}_lead_{column}",
            "ReferencingAttribute": column,
            "ReferencedEntity": table,
            "ReferencingEntityNavigationPropertyName": navigation,
        }
        for column, table, navigation in RELATIONSHIPS
    ]
