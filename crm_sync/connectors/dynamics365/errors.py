"""How Dataverse and Microsoft Entra refuse, as the error table and as `Said`. Pure."""

import re
from dataclasses import replace

from crm_sync.connectors.answers import (
    ErrorRow,
    Said,
    already_there,
    duplicate,
    fault,
    later,
    rejected,
    throttled,
    uncertain,
)
from leads.texts import gettext_noop

_ENTRA = "https://learn.microsoft.com/entra/identity-platform/reference-error-codes, 2026-11"
_CODES = "https://learn.microsoft.com/power-apps/developer/data-platform/reference/web-service-error-codes, 2026-11"
_UPSERT = (
    "https://learn.microsoft.com/power-apps/developer/data-platform/webapi/"
    "perform-conditional-operations-using-web-api, 2026-11"
)
_DETECTION = (
    "https://learn.microsoft.com/power-apps/developer/data-platform/webapi/"
    "manage-duplicate-detection-create-update, 2026-11"
)
_LIMITS = "https://learn.microsoft.com/power-apps/developer/data-platform/api-limits, 2026-11"
_CLIENT = (
    "https://learn.microsoft.com/troubleshoot/power-platform/dataverse/dataverse-web-api-and-sdk/"
    "web-api-client-errors, 2026-11"
)
DUPLICATE_RULE = "0x80040333"
UNIQUE = "0x80060892"
NO_PRIVILEGE = frozenset({"0x80040220", "0x80048306"})
NOT_THERE = frozenset({"0x80040217", "0x80060891"})

ERRORS = (
    ErrorRow(
        None,
        r"^AADSTS7000215\b",
        fault,
        _ENTRA,
        gettext_noop(
            "The client secret is wrong: enter its Value, not its Secret ID, from Certificates & secrets of the app"
        ),
    ),
    ErrorRow(
        None,
        r"^AADSTS7000222\b",
        fault,
        _ENTRA,
        gettext_noop(
            "The client secret has expired: make a new one under Certificates & secrets of the app, and enter it here"
        ),
    ),
    ErrorRow(
        None,
        r"^AADSTS700016\b",
        fault,
        _ENTRA,
        gettext_noop(
            "The directory has no app with this Application (client) ID: check it and the Directory (tenant) ID"
        ),
    ),
    ErrorRow(
        None,
        r"^AADSTS90002\b",
        fault,
        _ENTRA,
        gettext_noop("There is no directory with this Directory (tenant) ID: check it"),
    ),
    ErrorRow(
        None,
        r"^AADSTS500011\b",
        fault,
        _ENTRA,
        gettext_noop(
            "The directory knows no Dynamics 365 environment at this address: check the environment address"
        ),
    ),
    ErrorRow(
        None,
        r"^AADSTS53003\b",
        fault,
        _ENTRA,
        gettext_noop(
            "A Conditional Access policy blocks the sign-in: ask your Microsoft 365 administrator to allow this app"
        ),
    ),
    ErrorRow(
        None,
        "^temporarily_unavailable ",
        later,
        _ENTRA,
        gettext_noop("The sign-in of Microsoft is not available"),
    ),
    *(
        ErrorRow(
            status,
            r"^(AADSTS\d|(invalid|unauthorized)_client|invalid_)",
            fault,
            _ENTRA,
            gettext_noop(
                "Microsoft refuses the sign-in: check the app registration and the settings of this connection"
            ),
        )
        for status in (400, 401)
    ),
    ErrorRow(
        None,
        f"^{DUPLICATE_RULE} ",
        duplicate,
        _DETECTION,
        gettext_noop("A duplicate detection rule of Dynamics 365 says that this person is there already"),
    ),
    ErrorRow(
        412,
        "^ A record with matching key values already exists",
        already_there,
        _UPSERT,
        gettext_noop("An earlier try wrote it"),
    ),
    ErrorRow(None, "^0x80040237 ", already_there, _CODES, gettext_noop("An earlier try wrote it")),
    # Of an alternate key, which may be another lead's: the connector then asks whose it is.
    ErrorRow(
        412,
        f"^{UNIQUE} ",
        already_there,
        _CODES,
        gettext_noop("An earlier try wrote it; another lead's value is a duplicate"),
    ),
    ErrorRow(412, "", later, _UPSERT, gettext_noop("The record changed in Dynamics 365 at the same moment")),
    ErrorRow(429, "^0x80072322 ", throttled, _LIMITS, gettext_noop("Dynamics 365 has had too many requests")),
    ErrorRow(429, "^0x80072321 ", throttled, _LIMITS, gettext_noop("Dynamics 365 was kept busy too long")),
    ErrorRow(
        429,
        "^0x80072326 ",
        throttled,
        _LIMITS,
        gettext_noop("Dynamics 365 has had too many requests at once"),
    ),
    ErrorRow(
        400,
        "^0x80048d19 ",
        rejected,
        _CLIENT,
        gettext_noop("Dynamics 365 cannot read a field as it was sent"),
    ),
    ErrorRow(
        400,
        "^0x80044331 ",
        rejected,
        _CODES,
        gettext_noop("A text is too long for its column in Dynamics 365"),
    ),
    ErrorRow(400, "^0x8004431a ", rejected, _CODES, gettext_noop("A choice does not exist in Dynamics 365")),
    ErrorRow(400, "^0x80060888 ", rejected, _CODES, gettext_noop("Dynamics 365 cannot read the request")),
    ErrorRow(400, "^0x80040203 ", rejected, _CODES, gettext_noop("Dynamics 365 refuses a value")),
    *(
        ErrorRow(
            404,
            f"^{code} ",
            fault,
            _CODES,
            gettext_noop("What a lead points to, such as its owner or its campaign, is not in Dynamics 365"),
        )
        for code in sorted(NOT_THERE)
    ),
    ErrorRow(
        404,
        "^0x8006088[8a] ",
        fault,
        _CLIENT,
        gettext_noop("This environment has no leads: Dynamics 365 Sales is not installed in it"),
    ),
    ErrorRow(
        401,
        "",
        fault,
        _CODES,
        gettext_noop("Dynamics 365 does not accept the sign-in: check the environment address"),
    ),
    *(
        ErrorRow(
            403,
            f"^{code} ",
            fault,
            _CODES,
            gettext_noop(
                "The security role of the application user lacks a privilege: it needs Create and Read on Lead, Assign "
                "where an owner is set, and Append where a campaign is"
            ),
        )
        for code in sorted(NO_PRIVILEGE)
    ),
    ErrorRow(
        403,
        "^0x80072560 ",
        fault,
        _CODES,
        gettext_noop(
            "The app is no user of this environment: add it in the Power Platform admin center, under the "
            "environment's Settings, Users + permissions, Application users, with a security role"
        ),
    ),
    ErrorRow(
        403,
        "^0x80040225 ",
        fault,
        _CODES,
        gettext_noop("The application user is disabled in Dynamics 365: activate it under Application users"),
    ),
    ErrorRow(
        None,
        "^0x800402(65|24) ",
        rejected,
        _CODES,
        gettext_noop("A plug-in or workflow in Dynamics 365 stopped this lead"),
    ),
    ErrorRow(500, "^0x80040216 ", uncertain, _CODES, gettext_noop("Dynamics 365 failed unexpectedly")),
    ErrorRow(500, "^0x8004415[01] ", uncertain, _CODES, gettext_noop("The database of Dynamics 365 failed")),
)


_FIELD = re.compile(
    r"(?:[Ii]nvalid|The) property '(\w+)'|property named '(\w+)'|length of the '(\w+)' attribute|"
    r"The value .{0,100} of '(\w+)' on record of type"
)
_NAVIGATION = re.compile(r"undeclared property '(\w+)'")
_TRACE = re.compile(r"\s*Trace ID:")  # what follows are ids and times, of which every answer has its own
_MISSING = re.compile(r"\s*(?:Entity )?'?(\w+)'? With Ids? ?=", re.IGNORECASE)


def read(said: Said) -> Said:
    """With Microsoft Entra's own code, or with the column that Dataverse's words name."""
    if said.words.startswith("AADSTS"):
        code, _, words = said.words.partition(":")
        return replace(said, code=code, words=_TRACE.split(words.strip(), maxsplit=1)[0])
    # A navigation property has capitals that its column has not.
    if found := _FIELD.search(said.words):
        return replace(said, field=next(filter(None, found.groups())))
    if found := _NAVIGATION.search(said.words):
        return replace(said, field=found[1].lower())
    return said


def missing_table(said: Said) -> str:
    """The table of which a record is not there, where that is what Dataverse says: "systemuser"."""
    found = _MISSING.match(said.words) if said.code in NOT_THERE else None
    return found[1].lower() if found else ""
