"""The endpoint that Microsoft posts to, described for the OpenAPI document.

Written by hand: the view reads bytes and answers bytes, so there is no serializer to derive this from. A test holds
every answer of a running server to it.
"""

from typing import Any

from django.conf import settings

from leads.models import Submission
from leads.payload import MAX_DEPTH

PATH = "/in/{key}"
_RETRY_AFTER = {
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
}
_ID = "0193a5f0-7c6e-7b1a-9f2e-3c5d8a41b7e6"

_PERSON = {
    "FirstName": "Some",
    "LastName": "One",
    "Email": "someone@contoso.com",
    "Phone": "16175555555",
    "Country": "USA",
    "Company": "Contoso",
    "Title": "Esquire",
}
EXAMPLE = {
    "UserDetails": _PERSON,
    "LeadSource": "AzureMarketplace-INS|contoso.backup",
    "ActionCode": "INS",
    "OfferTitle": "Contoso Backup",
    "Description": '{"utm_campaign":"spring"}',
}


def describe_endpoint(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the endpoint to a document (a hook of drf-spectacular, run after it has made one)."""
    parts = result.setdefault("components", {}).setdefault("schemas", {})
    parts.update(
        {
            "MarketplaceLead": _lead(),
            "LeadStored": _stored(),
            "LeadRepeated": _repeated(),
            "LeadKept": _kept(),
            "Problem": _problem(),
            "UnreadableLead": _unreadable(),
        }
    )
    result["paths"] = {PATH: {"post": _post()}} | result["paths"]
    return result


def _post() -> dict[str, Any]:
    return {
        "operationId": "post_lead",
        "summary": "Take a lead",
        "description": (
            "Microsoft's commercial marketplace posts each lead of an offer here. It is stored before the answer. "
            "The address is the only secret: there is no other authentication. It works with and without a slash at "
            "the end and never redirects.\n\n"
            "Any Content-Type is accepted, and UTF-8, UTF-16 or Latin-1. Keys are read without regard to case and "
            "underscores, unknown keys are kept, null means absent. Form-encoded bodies are understood too. "
            f"A body may have {settings.MAX_BODY_BYTES} bytes and {MAX_DEPTH} levels of braces and brackets."
        ),
        "tags": ["endpoint"],
        "security": [],
        "parameters": [
            {
                "name": "key",
                "in": "path",
                "required": True,
                "description": "The secret at the end of the endpoint URL of an offer.",
                "schema": {"type": "string", "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$"},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": _reference("MarketplaceLead"), "example": EXAMPLE},
                "application/x-www-form-urlencoded": {
                    "schema": {
                        "type": "object",
                        "minProperties": 1,
                        "additionalProperties": {"type": "string"},
                    },
                    "example": {"first_name": "Some", "last_name": "One", "email": "someone@contoso.com"},
                },
            },
        },
        "responses": _responses(),
    }


def _responses() -> dict[str, Any]:
    spooled = "Or, while the database is away and `SPOOL_DIR` is set: kept on disk and taken in later."
    return {
        "201": _answer(
            "A new lead is stored. `test` is Microsoft's test lead.",
            "LeadStored",
            {"status": "accepted", "id": _ID},
        ),
        "200": _answer(
            "The same body came to the same address within ten minutes. It is counted, not stored again.",
            "LeadRepeated",
            {"status": "repeated", "id": _ID},
        ),
        "202": _answer(
            f"It cannot be read and waits in quarantine; the offer says to acknowledge it all the same. {spooled}",
            "LeadKept",
            {"status": "quarantined", "submission": _ID},
        ),
        "400": _refusal(
            "It cannot be read as a lead, or breaks the offer's schema. It is stored and waits in quarantine.",
            "UnreadableLead",
            title="Not JSON",
            detail="The request is stored, and staff see it in quarantine.",
            errors=[
                {
                    "pointer": "",
                    "line": 14,
                    "column": 5,
                    "message": 'Line 14, column 5: a comma is missing before "Description".',
                }
            ],
            submission=_ID,
        ),
        "404": _refusal("No open endpoint has that key: unknown, revoked and expired keys look alike."),
        "405": _refusal(
            "Another method than POST.", headers={"Allow": {"schema": {"type": "string", "const": "POST"}}}
        ),
        "411": _refusal("The body has no length, and this server cannot tell where it ends."),
        "413": _refusal(f"The body is larger than {settings.MAX_BODY_BYTES} bytes. It is not stored."),
        "429": _refusal(
            "Too many requests: unknown keys from one address, or one key far above any real rate.",
            headers=_RETRY_AFTER,
        ),
        "503": _refusal("The database is away. Nothing is stored: send it again.", headers=_RETRY_AFTER),
    }


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(description: str, name: str, example: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": _reference(name), "example": example}}
    return {"description": description, "content": content}


def _refusal(
    description: str, name: str = "Problem", *, headers: dict[str, Any] | None = None, **example: Any
) -> dict[str, Any]:
    media: dict[str, Any] = {"schema": _reference(name)}
    if example:
        media["example"] = {"type": "about:blank", "status": 400, **example}
    found: dict[str, Any] = {"description": description, "content": {"application/problem+json": media}}
    return found | ({"headers": headers} if headers else {})


# Bodies


def _text(description: str) -> dict[str, Any]:
    return {"description": description, "type": ["string", "number", "boolean", "null"]}


def _lead() -> dict[str, Any]:
    person = {name: _text("") for name in _PERSON}
    person["Email"] = _text("May be missing: some offer types and privacy rules withhold it.")
    return {
        "description": "Microsoft's shape. Nothing is required; numbers are read as text.",
        "type": "object",
        "properties": {
            "UserDetails": {"type": ["object", "null"], "properties": person, "additionalProperties": True},
            "LeadSource": _text("Source-Action|publisher.offer, or the source alone."),
            "ActionCode": _text("INS, PLT, DNC, Create, StartTestDrive; an unknown one is kept."),
            "OfferTitle": _text("The offer's title in the marketplace."),
            "Description": _text("Free text, or the query parameters of the listing's URL as JSON."),
            # Flat bodies have the person beside the rest; UserDetails wins.
            **{name: _text(f"The same as in UserDetails: {name}.") for name in _PERSON},
        },
        "additionalProperties": True,
    }


def _object(properties: dict[str, Any], *optional: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _uuid(description: str) -> dict[str, Any]:
    return {"type": "string", "format": "uuid", "description": description}


def _stored() -> dict[str, Any]:
    return _object({"status": {"type": "string", "enum": ["accepted", "test"]}, "id": _uuid("Of the lead.")})


def _repeated() -> dict[str, Any]:
    status = {"type": "string", "enum": ["repeated"]}
    return {
        "oneOf": [
            _object({"status": status, "id": _uuid("Of the lead.")}),
            _object({"status": status, "submission": _uuid("Of the request; its lead was erased since.")}),
        ]
    }


def _kept() -> dict[str, Any]:
    status = {"type": "string", "enum": ["quarantined", "spooled"]}
    return _object({"status": status, "submission": _uuid("Of the request.")})


def _problem_properties() -> dict[str, Any]:
    return {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    }


def _problem() -> dict[str, Any]:
    return {"description": "A problem document (RFC 9457).", **_object(_problem_properties())}


def _unreadable() -> dict[str, Any]:
    place = {"type": ["integer", "null"], "minimum": 1}
    error = _object(
        {
            "pointer": {
                "type": "string",
                "description": "A JSON pointer into the lead; empty for the whole.",
            },
            "line": place,
            "column": place,
            "message": {"type": "string"},
        }
    )
    return {
        "description": "A problem document that says where and why.",
        **_object(
            {
                **_problem_properties(),
                "title": {"type": "string", "enum": list(Submission.REASONS.values())},
                "errors": {"type": "array", "minItems": 1, "items": error},
                "submission": _uuid("Of the request."),
            }
        ),
    }
