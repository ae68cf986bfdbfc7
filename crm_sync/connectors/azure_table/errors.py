"""How Azure refuses: the error table, and how an answer is read. Pure."""

import re

from crm_sync.connectors.answers import (
    ErrorRow,
    already_there,
    fault,
    later,
    rejected,
    throttled,
    uncertain,
)
from crm_sync.connectors.shapes import part
from crm_sync.http import Response, Unreadable
from leads.texts import gettext_noop

_OWN = "https://learn.microsoft.com/rest/api/storageservices/table-service-error-codes, 2026-11"
_COMMON = "https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes, 2026-11"

ERRORS = (
    ErrorRow(409, "^EntityAlreadyExists", already_there, _OWN),
    ErrorRow(409, "^TableBeingDeleted", later, _OWN, gettext_noop("The table is being deleted")),
    ErrorRow(
        404,
        "^(TableNotFound|ResourceNotFound)",
        fault,
        _OWN,
        gettext_noop(
            "There is no such table: create it in the Azure portal (storage account > Data storage > Tables > + Table) "
            "or correct its name here"
        ),
    ),
    ErrorRow(
        403,
        "The SAS ended on",
        fault,
        _COMMON,
        gettext_noop("The SAS has expired: make a new one and enter its URL"),
    ),
    ErrorRow(
        None,
        "^(AuthenticationFailed|InvalidAuthenticationInfo|NoAuthenticationInformation)|failed to authenticate",
        fault,
        _COMMON,
        gettext_noop(
            "Azure does not accept the key or the SAS: it was renewed or not copied whole, or the clock here is wrong"
        ),
    ),
    ErrorRow(
        403,
        "^(Authorization(Permission|ResourceType|Service)Mismatch|InsufficientAccountPermissions)",
        fault,
        _COMMON,
        gettext_noop(
            "The SAS may not add rows: it needs the permission Add and, if made for the whole account, the service "
            "Table and the resource type Object"
        ),
    ),
    ErrorRow(
        403,
        "^(AuthorizationFailure|Authorization(SourceIP|Protocol)Mismatch)",
        fault,
        _COMMON,
        gettext_noop(
            "The network rules of the storage account or of the SAS keep this server out (Azure portal: storage "
            "account > Security + networking > Networking)"
        ),
    ),
    ErrorRow(
        403,
        "^KeyBasedAuthenticationNotPermitted",
        fault,
        _COMMON,
        gettext_noop(
            "The storage account allows no keys, and so no SAS either (Azure portal: storage account > Settings > "
            "Configuration > Allow storage account key access)"
        ),
    ),
    ErrorRow(400, "^InvalidResourceName", fault, _COMMON, gettext_noop("This cannot be the name of a table")),
    ErrorRow(
        400,
        "^(InvalidInput|OutOfRangeInput|InvalidValueType|EntityTooLarge|TooManyProperties|Property)",
        rejected,
        _OWN,
        gettext_noop("Azure refuses this row"),
    ),
    ErrorRow(503, "^ServerBusy", throttled, _COMMON, gettext_noop("The storage account is over its limit")),
    ErrorRow(500, "^OperationTimedOut", uncertain, _COMMON, gettext_noop("Azure took too long")),
)

_XML = re.compile(r"<(?:\w+:)?(code|message)\b[^>]*+>([^<]*+)", re.IGNORECASE)
_WORDS_MOST = 10_000


def read(response: Response) -> tuple[str, str]:
    """Azure's error code, and its words or whatever else was answered; the number of the request left out."""
    text = response.text[:_WORDS_MOST]
    try:
        error = response.json_object().get("odata.error")
    except Unreadable:
        found = {name.lower(): value.strip() for name, value in _XML.findall(text)}
        code, words = found.get("code"), found.get("message")
    else:
        code, words = part(error, "code"), part(error, "message", "value") or part(error, "message")
    code = code or response.headers.get("x-ms-error-code", "")
    return str(code), str(words or text).partition("\nRequestId:")[0]
