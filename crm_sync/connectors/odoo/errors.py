"""How Odoo refuses: the error table, and how an answer is read. Pure."""

import re

from crm_sync.connectors.answers import ErrorRow, Said, common, fault, later, rejected
from crm_sync.connectors.shapes import object_in, part
from crm_sync.http import Response, Unreadable
from leads.texts import gettext_noop

_JSON2 = "https://www.odoo.com/documentation/19.0/developer/reference/external_api.html, 2026-11"
_RPC = "https://www.odoo.com/documentation/18.0/developer/reference/external_api.html, 2026-11"
_LOAD = "https://github.com/odoo/odoo/blob/19.0/odoo/orm/models.py, 2026-11"


# "<code> <words>": the words may quote the lead, so that what is looked for is Odoo's own, in its place.
ERRORS = (
    ErrorRow(
        None,
        r"^\S*(Unauthorized|AccessDenied)",
        fault,
        _JSON2,
        gettext_noop(
            "Odoo does not accept the API key: it is wrong, deleted or expired, or of another user name"
        ),
    ),
    ErrorRow(
        None,
        r"\(id=\d+\) doesn't have '\w+' access",
        fault,
        _LOAD,
        gettext_noop(
            "The user of this connection may not touch the leads of others: to name a salesperson it needs “User: All "
            "Documents” for Sales"
        ),
    ),
    ErrorRow(
        None,
        r"^\S*AccessError|not allowed to (create|modify|access) ('[^']*' \(|this (kind of )?document)",
        fault,
        _JSON2,
        gettext_noop("The user of this connection lacks a permission in Odoo"),
    ),
    ErrorRow(
        None,
        r'^ No database is selected|^psycopg2.* database "[^"]*" does not exist',
        fault,
        _JSON2,
        gettext_noop("Odoo has no database of this name"),
    ),
    ErrorRow(
        None,
        r"^\S*NotFound the model '|^\S*UserError Object \S+ doesn't exist",
        fault,
        _JSON2,
        gettext_noop("This database does not have the CRM app"),
    ),
    ErrorRow(
        404,
        r"^\S*MissingError",
        fault,
        _JSON2,
        gettext_noop("Odoo misses a record that this connection relies on"),
    ),
    ErrorRow(
        None,
        r"^load (Unknown database error: ')?could not |^load deadlock detected|^\S*(psycopg2|OperationalError)",
        later,
        _LOAD,
        gettext_noop("Odoo's database could not do it now, and nothing was written"),
    ),
    ErrorRow(
        None,
        r"^\S*(ValidationError|UserError)|^builtins\.",
        rejected,
        _RPC,
        gettext_noop("Odoo refuses this lead"),
    ),
    ErrorRow(200, "^load ", rejected, _LOAD, gettext_noop("Odoo refuses this lead")),
)

_FIELD = re.compile(
    r"Invalid field (?:name )?'([^']+)'|Wrong value for [\w.]*\.(\w+):|required value for the field '.*' \((\w+)\)"
)
_NO_DATABASE = re.compile("No database is selected[^<]*")


def read(response: Response) -> Said:
    """`name` and `message` of an exception: the body of JSON-2, `error.data` of JSON-RPC."""
    try:
        body = response.json()
    except Unreadable:
        page = _NO_DATABASE.search(response.text)
        return Said(words=page[0]) if page else common(response)
    data = object_in(body, "error", "data") if isinstance(part(body, "error"), dict) else object_in(body)
    if not data.get("name"):
        return common(response)
    words = str(data.get("message"))
    field = _FIELD.search(words)
    return Said(str(data["name"]), words, next(filter(None, field.groups())) if field else "")
