"""What Salesforce's refusals mean: its error table, and how an error is read."""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from crm_sync.connectors.answers import (
    ErrorRow,
    Said,
    Verdict,
    already_there,
    duplicate,
    fault,
    later,
    rejected,
    throttled,
    uncertain,
)
from leads.texts import gettext_noop

_GUIDE = "https://developer.salesforce.com/docs/platform/api-rest/guide"
_CODES = f"{_GUIDE}/errorcodes.html, 2026-11"
_UPSERT = f"{_GUIDE}/resources-sobject-upsert-patch.html, 2026-11"
_RULES = f"{_GUIDE}/headers-duplicaterules.html, 2026-11"
_STATUSES = (
    "https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/"
    "sforce_api_calls_concepts_core_data_objects.htm, 2026-11"
)
_HELP = "https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth"
_OAUTH = f"{_HELP}_flow_errors.htm, 2026-11"
_CLIENT_CREDENTIALS = f"{_HELP}_client_credentials_flow.htm, 2026-11"

_OURS = "[our key]"  # stands before the words of a refusal that is about the field of our key
_OUR = re.escape(_OURS)


def _row(
    pattern: str,
    verdict: Verdict,
    page: str,
    meaning: str = "",
    *,
    status: int | None = None,
    delay: float | None = None,
) -> ErrorRow:
    return ErrorRow(status, pattern, verdict, page, meaning, delay)


ERRORS = (
    # Signing in
    _row(
        "^invalid_client_id ", fault, _OAUTH, gettext_noop("Salesforce knows no app with this consumer key")
    ),
    _row(
        "^invalid_client ",
        fault,
        _OAUTH,
        gettext_noop(
            "Salesforce does not accept the consumer secret: it is wrong, or has expired because a new one replaced it"
        ),
    ),
    _row(
        "^invalid_grant no client credentials user",
        fault,
        _CLIENT_CREDENTIALS,
        gettext_noop(
            "The app signs in as nobody: name a user in Setup > External Client App Manager > the app > Policies "
            "> Client Credentials Flow > Run As"
        ),
    ),
    _row(
        "^invalid_grant request not supported on this domain",
        fault,
        _CLIENT_CREDENTIALS,
        gettext_noop(
            "A consumer secret is accepted at the My Domain address only: enter https://yourcompany.my.salesforce.com"
        ),
    ),
    _row(
        "^invalid_(grant|app_access) .*(approved|authorized)",
        fault,
        _OAUTH,
        gettext_noop(
            "The app may not sign in as this user: in Setup > External Client App Manager > the app > Policies, "
            "permit admin approved users, and choose a profile or permission set of the user"
        ),
    ),
    _row(
        "^invalid_(grant|assertion) .*expired",
        fault,
        _OAUTH,
        gettext_noop(
            "The sign-in has expired: check the clock of this machine, and until when the app's certificate holds"
        ),
    ),
    _row(
        "^(invalid_|unauthorized_|unsupported_|inactive_)[a-z_]+ ",
        fault,
        _OAUTH,
        gettext_noop("Salesforce refuses to sign in"),
    ),
    _row(
        "^INVALID_SESSION_ID .*not valid for use",
        fault,
        _CODES,
        gettext_noop(
            "The app may not use the API: give it the OAuth scope “Manage user data via APIs (api)”"
        ),
    ),
    _row(
        "^INVALID_SESSION_ID",
        fault,
        _CODES,
        gettext_noop("Salesforce accepts no token of this app, not even a new one"),
    ),
    # Limits and bad moments
    _row(
        "^REQUEST_LIMIT_EXCEEDED Concurrent",
        throttled,
        _CODES,
        gettext_noop("Too many long requests run in Salesforce at once"),
        delay=30,
    ),
    _row(
        "^REQUEST_LIMIT_EXCEEDED",
        throttled,
        _CODES,
        gettext_noop("The API calls that Salesforce allows in 24 hours are used up"),
        delay=3600,
    ),
    _row(
        "^UNABLE_TO_LOCK_ROW",
        later,
        _STATUSES,
        gettext_noop("Something else is writing the same record in Salesforce"),
    ),
    _row(
        "^(SERVER_UNAVAILABLE|UNKNOWN_EXCEPTION|QUERY_TIMEOUT)",
        uncertain,
        _CODES,
        gettext_noop("Salesforce failed"),
    ),
    # Already there
    _row(f"^DUPLICATE_VALUE {_OUR}", already_there, _UPSERT),
    _row(
        "^DUPLICATE_VALUE",
        duplicate,
        _STATUSES,
        gettext_noop("Another record in Salesforce has a value that must be unique"),
    ),
    _row("^CANNOT_UPDATE_CONVERTED_LEAD", already_there, _STATUSES),
    _row(
        "^DUPLICATES_DETECTED",
        duplicate,
        _RULES,
        gettext_noop("A duplicate rule of Salesforce found this person"),
    ),
    _row(
        "",
        rejected,
        _UPSERT,
        gettext_noop(
            "Several leads in Salesforce carry the key of this one, because its field is not "
            "Unique: merge them there, and tick “Unique”"
        ),
        status=300,
    ),
    # Set-up, permissions and data
    _row(
        rf"^\w+ {_OUR}",
        fault,
        _UPSERT,
        gettext_noop(
            "The field of the key is not there, or this user may not write it: press Test, which says what to do"
        ),
    ),
    _row(
        "^INVALID_FIELD(_FOR_INSERT_UPDATE)? ",
        rejected,
        _STATUSES,
        gettext_noop("Salesforce has no such field, or this user may not write it"),
    ),
    _row(
        "^(REQUIRED_FIELD_MISSING|STRING_TOO_LONG|INVALID_EMAIL_ADDRESS|INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST|"
        "FIELD_CUSTOM_VALIDATION_EXCEPTION|FIELD_INTEGRITY_EXCEPTION|JSON_PARSER_ERROR)",
        rejected,
        _STATUSES,
        gettext_noop("Salesforce refuses a value"),
    ),
    _row(
        "^CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        rejected,
        _STATUSES,
        gettext_noop("An automation in Salesforce (a trigger or a flow) refused this lead, or failed"),
    ),
    _row(
        "^INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
        rejected,
        _STATUSES,
        gettext_noop("This user may not use the record that a field of the lead points to"),
    ),
    _row(
        "^INSUFFICIENT_ACCESS",
        fault,
        _STATUSES,
        gettext_noop("This user may not write leads: give it Read, Create and Edit on Lead"),
    ),
    _row(
        "^(NOT_FOUND|INVALID_TYPE)",
        fault,
        _CODES,
        gettext_noop(
            "Salesforce shows this user no leads at this address: give it Read, Create and Edit on Lead, or mend "
            "the address"
        ),
    ),
    _row(
        "^API_(DISABLED_FOR_ORG|CURRENTLY_DISABLED)",
        fault,
        _CODES,
        gettext_noop(
            "The API is switched off: it takes an edition with API access, and “API Enabled” for this user"
        ),
    ),
    _row(
        "^STORAGE_LIMIT_EXCEEDED",
        fault,
        _STATUSES,
        gettext_noop("The data storage of Salesforce is full: make room, or buy more"),
    ),
)

_TAKEN = re.compile(r"duplicate value found: (\S+) duplicates value on record with id: (\w*)")
_NO_COLUMN = re.compile(r"No such column '([^']+)'")


def said(error: Any, key_field: str) -> Said:
    """One error of a whole answer (`errorCode`), or of one record of a batch (`statusCode`)."""
    if not isinstance(error, dict):
        return Said(words=str(error))
    code, words = (
        str(error.get("errorCode") or error.get("statusCode") or ""),
        str(error.get("message") or ""),
    )
    field, other = _field(code, words, error.get("fields")), ""
    if code == "DUPLICATE_VALUE":
        taken = _TAKEN.search(words)
        field, other = (taken[1], taken[2]) if taken else (field, "")
    elif code == "DUPLICATES_DETECTED":
        field, other = "", _match(error)
    if field.casefold() == key_field.casefold() or (code, "external ID field" in words) == (
        "NOT_FOUND",
        True,
    ):
        return Said(code, f"{_OURS} {words}", other=other)
    return Said(code, words, field, other)


def _field(code: str, words: str, fields: Any) -> str:
    if isinstance(fields, list) and fields:
        return str(fields[0])
    column = _NO_COLUMN.search(words)
    return column[1] if column else ""


def _match(error: Mapping[str, Any]) -> str:
    """The id of the first record that a duplicate rule matched. Salesforce itself spells it "duplicateResut"."""
    found = error.get("duplicateResut") or error.get("duplicateResult")
    with suppress(AttributeError, KeyError, TypeError):
        for result in found["matchResults"]:  # type: ignore[index]
            for match in result["matchRecords"]:
                return str(match["record"]["Id"])
    return ""
