"""How HubSpot refuses: the error table, and how an answer is read. Pure."""

import json
import re
from collections.abc import Mapping
from typing import Any

from crm_sync.connectors.answers import ErrorRow, Said, duplicate, fault, rejected, throttled
from crm_sync.connectors.hubspot.fields import KEY
from crm_sync.connectors.shapes import items, objects, part
from leads.texts import gettext_noop

_ERRORS = "https://developers.hubspot.com/docs/api-reference/latest/error-handling, 2026-11"
_LIMITS = "https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines, 2026-11"
_PROPERTIES = "https://developers.hubspot.com/docs/api-reference/latest/crm/properties/guide, 2026-11"
_CONTACTS = "https://developers.hubspot.com/docs/api-reference/latest/crm/objects/contacts/guide, 2026-11"

# By the kind of record.
NO_KEY = {
    "contact": gettext_noop(
        "HubSpot has no contact property “leadsite_id” with unique values, by which a repeated push is told from a new "
        "lead. Create it there: Settings > Properties > Create property, internal name leadsite_id, single-line text, "
        "with the rule “Require unique values for this property” (one without it must be deleted first)"
    ),
    "lead": gettext_noop(
        "HubSpot has no lead property “leadsite_id” with unique values, by which a repeated push is told from a new "
        "lead. Create it there: Settings > Properties > Create property, internal name leadsite_id, single-line text, "
        "with the rule “Require unique values for this property” (one without it must be deleted first)"
    ),
}
TAKEN = ErrorRow(
    None,
    r"^(CONFLICT|OBJECT_ALREADY_EXISTS|CONFLICTING_UNIQUE_VALUE)\b|already has that value",
    duplicate,
    _CONTACTS,
    gettext_noop("HubSpot has this contact already"),
)


ERRORS = (
    TAKEN,
    ErrorRow(400, f"^PROPERTY_DOESNT_EXIST.*{KEY}", fault, _PROPERTIES, NO_KEY["contact"]),
    ErrorRow(
        400,
        "^PROPERTY_DOESNT_EXIST",
        rejected,
        _PROPERTIES,
        gettext_noop("HubSpot has no such property"),
    ),
    ErrorRow(
        400,
        "^READ_ONLY_VALUE",
        rejected,
        _PROPERTIES,
        gettext_noop("HubSpot lets nobody write this property"),
    ),
    ErrorRow(
        400,
        "^INVALID_OPTION",
        rejected,
        _PROPERTIES,
        gettext_noop("HubSpot's property has no such option"),
    ),
    ErrorRow(
        400,
        "^INVALID_EMAIL",
        rejected,
        _PROPERTIES,
        gettext_noop("HubSpot takes this for no e-mail address"),
    ),
    ErrorRow(
        401,
        "^EXPIRED_AUTHENTICATION",
        fault,
        _ERRORS,
        gettext_noop("The access token has expired: enter a new one"),
    ),
    ErrorRow(401, "", fault, _ERRORS, gettext_noop("HubSpot does not know this access token: enter it anew")),
    ErrorRow(
        403,
        "^MISSING_SCOPES",
        fault,
        _ERRORS,
        gettext_noop("The access token lacks a scope: add it in HubSpot"),
    ),
    ErrorRow(
        404,
        "^OBJECT_NOT_FOUND",
        fault,
        _ERRORS,
        gettext_noop("HubSpot knows nothing at this address"),
    ),
    ErrorRow(423, "", throttled, _ERRORS, gettext_noop("HubSpot has locked its records for the moment")),
    ErrorRow(429, "^DAILY", throttled, _LIMITS, gettext_noop("HubSpot's limit of the day is used up")),
    ErrorRow(429, "", throttled, _LIMITS, gettext_noop("HubSpot's limit of calls is reached")),
    ErrorRow(477, "", throttled, _ERRORS, gettext_noop("HubSpot is moving this account to another place")),
)

_NAMED = re.compile(r"Existing ID: (\d{1,30})|(?<!\d)(\d{1,30}) already has that value")
_SCOPES = ("requiredGranularScopes", "requiredScopes", "missingScopes")


def read(error: Mapping[str, Any]) -> Said:
    """What a refusal says: its first detail, which may stand as JSON inside the message, before its own words."""
    message = str(error.get("message") or "")
    detail = next(iter(objects(error.get("errors"))), None) or _inside(message)
    words = str(detail.get("message") or message)
    context = part(detail, "context") or part(error, "context") or {}
    scopes = [str(each) for name in _SCOPES for each in items(part(context, name))]
    named = _NAMED.search(f"{message} {words}")
    code = detail.get("code") or detail.get("error") or error.get("policyName") or error.get("category")
    field = next(iter(items(part(context, "propertyName"))), detail.get("name") or "")
    return Said(
        code=str(code or ""),
        words=f"{words} {', '.join(scopes)}".strip(),
        field=str(field),
        other=(named[1] or named[2]) if named else "",
    )


def _inside(message: str) -> dict[str, Any]:
    try:
        return next(iter(objects(json.loads(message[message.find("[{") : message.rfind("}]") + 2]))), {})
    except (ValueError, RecursionError):
        return {}
