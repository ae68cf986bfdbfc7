"""The CRM inside this app: speaks HTTP like a real one, in this process, and fails on demand."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx2
from django.db import connection, transaction
from django.db.models import F

from crm_sync.models import DemoRecord, DemoSwitch

SLOW = 5.0  # seconds
THROTTLE = 20  # seconds


class Transport(httpx2.BaseTransport):
    """Answers the demo connector's requests from the database. Nothing leaves the machine.

    Threads that push have no database connection; the one that this opens there is closed with the answer.
    """

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self.sleep = sleep

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises httpx2.ReadError where the answer is to be lost, as a dropped connection would."""
        request.read()
        borrowed = connection.connection is None
        try:
            return self._answer(request)
        finally:
            if borrowed:
                connection.close()

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        switch = DemoSwitch.current()
        mode = switch.mode
        if mode == DemoSwitch.Mode.SLOW:
            self.sleep(SLOW)
        if refusal := _refusal(switch, request):
            return refusal
        if request.method != "PUT":
            return _answer(200, {"status": "ok"})
        response = _write(request.url.path.rsplit("/", 1)[-1], json.loads(request.content))
        if mode == DemoSwitch.Mode.ANSWER_LOST:
            raise httpx2.ReadError(
                "The demo CRM wrote the record and dropped the connection.", request=request
            )
        return response


def _refusal(switch: DemoSwitch, request: httpx2.Request) -> httpx2.Response | None:
    match switch.mode:
        case DemoSwitch.Mode.THROTTLED:
            return _answer(429, _error("throttled", "Too many requests."), {"Retry-After": str(THROTTLE)})
        case DemoSwitch.Mode.DOWN:
            return _answer(503, _error("down", "The demo CRM is switched to down."))
        case DemoSwitch.Mode.WRONG_CREDENTIALS:
            return _answer(401, _error("unauthorized", "The demo CRM refuses these credentials."))
        case DemoSwitch.Mode.REFUSING_FIELD if request.method == "PUT" and switch.field in json.loads(
            request.content
        ):
            words = f"The demo CRM has no field {switch.field}."
            return _answer(422, _error("unknown_field", words, switch.field))
    return None


@transaction.atomic
def _write(key: str, record: dict[str, Any]) -> httpx2.Response:
    _, created = DemoRecord.objects.get_or_create(key=key, defaults={"record": record})
    if created:
        return _answer(201, {"id": key})
    DemoRecord.objects.filter(key=key).update(times_received=F("times_received") + 1)
    return _answer(200, {"id": key, "existed": True})


def _error(code: str, message: str, field: str = "") -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "field": field}}


def _answer(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> httpx2.Response:
    return httpx2.Response(status, json=body, headers=headers)
