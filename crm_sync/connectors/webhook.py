"""Signed webhook to any HTTPS address, after Standard Webhooks.

Specification: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md (as of 2026-08-17).
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from standardwebhooks import Webhook

from crm_sync.connectors.answers import ErrorRow, throttled
from crm_sync.connectors.base import Connector, Record, Request, Stopped
from crm_sync.http import Response
from crm_sync.outcomes import Delivered
from crm_sync.spec import Setting, Spec
from leads.texts import gettext as _
from leads.texts import gettext_noop

_SPECIFICATION = (
    "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, 2026-08-17"
)


class WebhookConnector(Connector):
    """Posts `{"type": "lead", "timestamp", "data"}`; any 2xx answer means delivered."""

    spec = Spec(
        slug="webhook",
        label=gettext_noop("Webhook"),
        settings=(
            Setting(
                "url",
                gettext_noop("Address"),
                kind="url",
                help=gettext_noop("Where each lead is posted to, https://..."),
            ),
            Setting(
                "secret",
                gettext_noop("Signing secret"),
                kind="secret",
                help=gettext_noop(
                    "whsec_ and 24 to 64 bytes in base64, the same as at the receiver. Empty: not signed."
                ),
                required=False,
            ),
        ),
        fields=(),
        idempotent_by=gettext_noop(
            "The webhook-id header is the same on every try; the receiver ignores one it knows."
        ),
        any_field=True,
        every_value=True,
    )
    errors = tuple(
        ErrorRow(status, "", throttled, _SPECIFICATION, gettext_noop("The receiver asks to slow down"))
        for status in (502, 504)
    )

    @classmethod
    def clean(cls, settings: Mapping[str, str]) -> dict[str, str]:
        """The form of the secret; a wrong one would sign with a key that the receiver cannot have."""
        secret = settings.get("secret", "")
        if not secret or _key_bytes(secret) in range(24, 65):
            return {}
        return {"secret": _("The signing secret must be whsec_ followed by 24 to 64 bytes in base64.")}

    def requests(self, record: Record, *, key: str) -> Sequence[Request]:
        """One POST, signed at this moment where there is a secret."""
        now = self.now()
        body = json.dumps(
            {"type": "lead", "timestamp": _event_time(record, now), "data": dict(record)},
            ensure_ascii=False,
            separators=(",", ":"),
        )
        headers = {
            "content-type": "application/json",
            "webhook-id": _message_id(key),
            "webhook-timestamp": str(int(now.timestamp())),
        }
        if secret := self.settings["secret"]:
            headers["webhook-signature"] = Webhook(secret).sign(_message_id(key), now, body)
        return [Request("POST", self.settings["url"], headers, body)]

    def delivered(self, response: Response, *, key: str) -> Delivered:
        """The receiver names no id of its own; ours is the one it can be asked about."""
        return Delivered(remote_id=_message_id(key))

    def examine(self) -> Sequence[str]:
        """Reach the address without sending a lead.

        HEAD is rarely served, so even a refusal shows that somebody is there; not so a redirect, which a push
        would not follow, nor 410, by which a receiver asks never to be sent to again.
        """
        response = self.http.request("HEAD", self.settings["url"])
        if 300 <= (status := response.status) < 400 or status == 410:
            raise Stopped(self.judge(response, write=False))
        host = urlsplit(self.settings["url"]).hostname
        return (
            _("{host} can be reached: it answered HEAD with {status}. No lead was sent.").format(
                host=host, status=status
            ),
            _("Leads are signed.")
            if self.settings["secret"]
            else _("Leads are not signed: there is no secret."),
        )


def _message_id(key: str) -> str:
    return "msg_" + key.replace("-", "")


def _event_time(record: Record, now: datetime) -> str:
    """RFC 3339 time of the event: when the lead came in, the same on every try; else the time of this try."""
    received = record.get("received_at")
    try:
        event = datetime.fromisoformat(received) if isinstance(received, str) else now
    except ValueError:
        event = now
    if event.tzinfo is None:
        event = now
    return event.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _key_bytes(secret: str) -> int:
    """Length of the secret's key; 0 where it is not of the form at all."""
    prefix, _, encoded = secret.partition("_")
    try:
        # As the receivers' libraries do it, missing padding is made up for.
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return 0
    return len(key) if prefix == "whsec" else 0
