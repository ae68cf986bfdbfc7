"""The endpoint that Microsoft posts to. It identifies, bounds, hands over and answers; it decides nothing."""

import json
import logging
from collections.abc import Callable
from functools import cache
from typing import Any

from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.views import APIView

from leads import intake, samples, spool, tally
from leads.models import Endpoint, Refusal
from leads.proxies import client_address
from leads.rates import Buckets

logger = logging.getLogger(__name__)

RETRY_AFTER_OUTAGE = 5  # seconds
STRANGER_RATE, STRANGER_BURST = 0.5, 30  # unknown keys a second, and at once, from one address
BURST_SECONDS = (
    20  # a known key may send this many seconds' worth at once: 500 leads in one go are all stored
)


class BodyTooLargeError(Exception):
    """The body is over MAX_BODY_BYTES."""


class LengthRequiredError(Exception):
    """The body has no announced end, and this server cannot tell where it is."""


_strangers = Buckets(STRANGER_RATE, STRANGER_BURST)


@cache
def _callers(rate: int) -> Buckets:
    return Buckets(rate, rate * BURST_SECONDS)


class EndpointView(APIView):
    """`POST /in/<key>`. Order: method, size, key, rate, store."""

    http_method_names = ["post"]  # not even OPTIONS
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    parser_classes = ()
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Nothing stands before the lead: DRF would answer 406 to an Accept header that it cannot serve."""

    def post(self, request: Request, key: str) -> HttpResponse:
        try:
            received = _read(request._request)
        except BodyTooLargeError:
            _count(Refusal.Reason.TOO_LARGE, key)
            return _problem(
                413, "Body too large", f"A lead may have {settings.MAX_BODY_BYTES} bytes at most."
            )
        except LengthRequiredError:
            _count(Refusal.Reason.BAD_LENGTH, key)
            return _problem(411, "Length required", "Send the body with a Content-Length.")
        try:
            return _on_a_live_connection(lambda: _take(key, received))
        except (
            Error
        ) as error:  # whatever is wrong with the database: the sender must know that it is not stored
            # An outage tells no more in a traceback, and there may be one for every lead.
            outage = isinstance(error, (OperationalError, InterfaceError))
            logger.error("A lead could not be stored in the database: %s", error, exc_info=not outage)  # noqa: TRY400
            return _without_database(key, received)

    def http_method_not_allowed(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        _count(Refusal.Reason.NOT_POST, kwargs["key"])
        response = _problem(405, "Method not allowed", "This address takes POST only.")
        response["Allow"] = "POST"
        return response


def _read(request: HttpRequest) -> intake.Received:
    """Take the request from the wire.

    Reads wsgi.input itself: under granian a chunked POST, or an HTTP/2 one without Content-Length, reads as empty
    through request.body, and Django answers 400 to an oversize one.
    """
    meta = request.META
    limit = settings.MAX_BODY_BYTES
    announced = int(length) if (length := meta.get("CONTENT_LENGTH") or "").isdecimal() else None
    if announced is not None and announced > limit:
        raise BodyTooLargeError
    if announced is None and "HTTP_TRANSFER_ENCODING" in meta and not meta.get("wsgi.input_terminated"):
        raise LengthRequiredError
    if announced is not None:
        body = meta["wsgi.input"].read(announced)
    else:
        body = meta["wsgi.input"].read(limit + 1) if meta.get("wsgi.input_terminated") else b""
    if len(body) > limit:
        raise BodyTooLargeError
    return intake.Received(
        body=body,
        content_type=meta.get("CONTENT_TYPE", ""),
        announced=announced,
        headers=dict(request.headers),
        remote_addr=client_address(meta, settings.TRUSTED_PROXIES),
    )


def _on_a_live_connection(work: Callable[[], HttpResponse]) -> HttpResponse:
    """Run it; if the database connection turns out to be stale, once more on a fresh one."""
    was_open = connection.connection is not None
    try:
        return work()
    except (OperationalError, InterfaceError) as error:
        connection.close()
        # One that could not even be opened is no stale one; and SQLite has waited its time already.
        if not was_open or "database is locked" in str(error):
            raise
        return work()


def _take(key: str, received: intake.Received) -> HttpResponse:
    endpoint = intake.find_endpoint(key)
    if endpoint is None or not endpoint.is_open(timezone.now()):
        return _refuse_stranger(received.remote_addr, endpoint)
    if wait := _callers(settings.INTAKE_RATE).take(endpoint.pk):
        tally.refused(Refusal.Reason.TOO_FAST, endpoint.pk)
        logger.error(
            "Endpoint %s of offer %s got leads faster than INTAKE_RATE: 429", endpoint.pk, endpoint.offer_id
        )
        return _too_many(wait)
    origin = samples.origin_of(received.headers, endpoint.pk)
    try:
        accepted = intake.accept(
            endpoint.offer, received, endpoint=endpoint, origin=origin, only_if_unchanged=True
        )
    except intake.EndpointChangedError:
        intake.forget_endpoint(key)
        endpoint = intake.find_endpoint(key)
        if endpoint is None or not endpoint.is_open(timezone.now()):
            return _refuse_stranger(received.remote_addr, endpoint)
        accepted = intake.accept(endpoint.offer, received, endpoint=endpoint, origin=origin)
    tally.hit(endpoint.pk)
    return _answer(accepted, always_acknowledge=endpoint.offer.always_acknowledge)


def _refuse_stranger(address: str, closed: Endpoint | None) -> HttpResponse:
    """The same answer to an unknown key and to a closed one: nobody learns which keys there were."""
    if wait := _strangers.take(address):
        tally.refused(Refusal.Reason.STRANGER_TOO_FAST)
        return _too_many(wait)
    if closed is None:
        tally.refused(Refusal.Reason.UNKNOWN_KEY)
    else:
        tally.refused(Refusal.Reason.CLOSED_KEY, closed.pk)
    return _problem(404, "Not found", "There is no endpoint at this address.")


def _without_database(key: str, received: intake.Received) -> HttpResponse:
    """Into the spool, where there is one; else the sender keeps it."""
    known = intake.remembered_endpoint(key)
    if spool.is_on():
        # What a stranger sends cannot be told from a lead now; at least he cannot fill the disk.
        if known is None and (wait := _strangers.take(received.remote_addr)):
            tally.refused(Refusal.Reason.STRANGER_TOO_FAST)
            return _too_many(wait)
        try:
            spooled = spool.put(key, received, timezone.now())
        except OSError:
            logger.exception("Nor could it be spooled")
        else:
            return _json(202, {"status": "spooled", "submission": str(spooled)})
    tally.refused(Refusal.Reason.UNAVAILABLE, known.pk if known else None)
    response = _problem(503, "Database unavailable", "Nothing was stored. Send it again.")
    response["Retry-After"] = str(RETRY_AFTER_OUTAGE)
    return response


def _count(reason: Refusal.Reason, key: str) -> None:
    """Count a refusal that needed no look at the database, by its endpoint where this process remembers that."""
    known = intake.remembered_endpoint(key)
    tally.refused(reason, known.pk if known else None)


def _answer(accepted: intake.Accepted, *, always_acknowledge: bool) -> HttpResponse:
    submission = accepted.submission
    if accepted.lead_id is not None:
        if accepted.repeated:
            return _json(200, {"status": "repeated", "id": str(accepted.lead_id)})
        return _json(201, {"status": "test" if accepted.is_test else "accepted", "id": str(accepted.lead_id)})
    if not submission.reason:  # a repeat of a lead that was erased since
        return _json(200, {"status": "repeated", "submission": str(submission.pk)})
    if always_acknowledge:
        return _json(202, {"status": "quarantined", "submission": str(submission.pk)})
    return _problem(
        400,
        submission.REASONS[submission.reason],
        "The request is stored, and staff see it in quarantine.",
        errors=submission.problems,
        submission=str(submission.pk),
    )


def _json(status: int, body: dict[str, Any], content_type: str = "application/json") -> HttpResponse:
    text = json.dumps(body, separators=(",", ":"))
    return HttpResponse(
        text, status=status, content_type=content_type, headers={"Content-Length": str(len(text))}
    )


def _problem(status: int, title: str, detail: str, **more: Any) -> HttpResponse:
    """A problem document (RFC 9457)."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return _json(status, body, "application/problem+json")


def _too_many(wait: float) -> HttpResponse:
    response = _problem(429, "Too many requests", "Slow down.")
    response["Retry-After"] = str(max(1, round(wait + 0.5)))
    return response
