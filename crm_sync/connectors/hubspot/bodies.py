"""HubSpot's JSON of contacts, notes and lead records, as it is written and as it is read. Pure."""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from crm_sync.connectors.answers import Said
from crm_sync.connectors.hubspot.errors import read
from crm_sync.connectors.hubspot.fields import KEY, OPT_OUT, TEXT_LIMIT, TITLE
from crm_sync.connectors.shapes import objects, part
from crm_sync.http import Unreadable
from leads.texts import gettext as _

Values: TypeAlias = Mapping[str, Any]


def properties(values: Values, key: str = "") -> dict[str, str]:
    """What of a record goes into the contact, as the texts that HubSpot takes."""
    texts = {name: _text(value) for name, value in values.items() if name not in (TITLE, OPT_OUT, KEY)}
    return {**texts, KEY: key} if key else texts


def _text(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def new_contact(values: Values, key: str) -> dict[str, Any]:
    """A contact that is not there yet."""
    return {"properties": properties(values, key), "associations": []}


def lead_record(contact: str, values: Values, key: str) -> dict[str, Any]:
    """A lead record of a contact."""
    return {"properties": {TITLE: _title(values), KEY: key}, "associations": [_tie(contact, 578)]}


def note(
    contact: str, values: Values, lines: Sequence[tuple[str, str]], key: str, now: datetime
) -> dict[str, Any]:
    """A note on a contact. `lines`: labels and texts."""
    body = _note_body(_title(values), lines, key)
    at = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    own = {"hs_timestamp": at, "hs_note_body": body}
    return {"properties": own, "associations": [_tie(contact, 202)]}


def _tie(contact: str, kind: int) -> dict[str, Any]:
    """The association with a contact. `kind`: 202 of a note, 578 of a lead record."""
    types = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": kind}]
    return {"to": {"id": contact}, "types": types}


def _title(values: Values) -> str:
    return str(values.get(TITLE) or "Marketplace lead")


def _note_body(title: str, lines: Sequence[tuple[str, str]], key: str) -> str:
    """Labels and texts as the HTML of a note, within its limit. It ends in the key, by which it is found again."""
    body = "<br>".join(
        (
            f"<strong>{html.escape(title)}</strong>",
            *(f"{html.escape(label)}: {html.escape(words)}" for label, words in lines),
        )
    ).replace("\n", "<br>")
    end = f"<br>Lead {key}"
    if len(body) + len(end) > TEXT_LIMIT:
        # No entity and no tag is cut in two.
        body = re.sub(r"(&[^;]*|<[^>]*)\Z", "", body[: TEXT_LIMIT - len(end) - 1]) + "…"
    return body + end


def identifier(record: Mapping[str, Any]) -> str:
    """The id of a record. Raises Unreadable where it has none."""
    value = str(record.get("id") or "")
    if not re.fullmatch(r"[\w-]{1,100}", value):
        raise Unreadable(_("HubSpot's answer names no record."), sent=True)
    return value


@dataclass(frozen=True, slots=True)
class Portal:
    """The account. `domain`: of its pages; `offset`: seconds by which its clock is ahead of UTC."""

    id: str
    domain: str
    offset: float


def portal(told: Mapping[str, Any]) -> Portal:
    """The account as it describes itself. Raises Unreadable where this is no description of one."""
    number, domain = str(told.get("portalId") or ""), str(told.get("uiDomain") or "app.hubspot.com")
    if not number.isdecimal() or not re.fullmatch(r"[a-z0-9.-]+", domain):
        raise Unreadable(_("HubSpot's answer names no account."), sent=True)
    offset = told.get("utcOffsetMilliseconds")
    return Portal(number, domain, offset / 1000 if isinstance(offset, int) else 0.0)


def batch(body: Mapping[str, Any], key: str) -> tuple[dict[str, str], dict[str, Said]]:
    """Of a batch, the ids of new records and the refusals, both by our keys. `key`: the property that holds them."""
    made = {
        str(each.get("objectWriteTraceId") or part(each, "properties", key)): identifier(each)
        for each in objects(body.get("results"))
    }
    return made, {trace: read(error) for error in objects(body.get("errors")) for trace in _traces(error)}


def _traces(error: Mapping[str, Any]) -> list[str]:
    named = part(error, "context", "objectWriteTraceId") or part(error, "context", "id") or []
    return [str(each) for each in named] if isinstance(named, list) else [str(named)]
