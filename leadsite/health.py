"""What load balancers and monitors ask. Reveals no personal data."""

import re

from django.conf import settings
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils.crypto import salted_hmac

from leads.proxies import is_trusted

NONCE = re.compile(r"[0-9a-f]{32}")
# What a request came through: no proxy that says for whom it asks, one that is believed, one that is not.
SILENT, BELIEVED, IGNORED = PROXIES = ("silent", "believed", "ignored")


def livez(request: HttpRequest) -> JsonResponse:
    """200 while this process answers at all. Who sends a nonce gets it back signed, and knows who answered."""
    nonce = request.GET.get("nonce", "")
    if not NONCE.fullmatch(nonce):
        return JsonResponse({"status": "alive"})
    return JsonResponse({"status": "alive", "signature": sign(nonce, _proxy(request))})


def sign(nonce: str, proxy: str) -> str:
    """What only this installation can say of a nonce, and which of PROXIES it came through: to others it tells
    nothing."""
    return salted_hmac("leadsite.livez", f"{nonce} {proxy}", algorithm="sha256").hexdigest()


def _proxy(request: HttpRequest) -> str:
    if "X-Forwarded-For" not in request.headers:
        return SILENT
    trusted = is_trusted(request.META.get("REMOTE_ADDR", ""), settings.TRUSTED_PROXIES)
    return BELIEVED if trusted else IGNORED


def readyz(request: HttpRequest) -> JsonResponse:
    """200 while leads can be stored: the database answers and has the tables of this version, or, while it does not
    answer, there is a spool; else 503."""
    try:
        executor = MigrationExecutor(connection)
        behind = bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except Error:
        if settings.SPOOL_DIR is not None:
            return JsonResponse(
                {"status": "ready", "reason": "The database does not answer: leads are spooled."}
            )
        return JsonResponse({"status": "not ready", "reason": "The database does not answer."}, status=503)
    if behind:
        return JsonResponse({"status": "not ready", "reason": "The database is not migrated."}, status=503)
    return JsonResponse({"status": "ready"})
