"""What load balancers and monitors ask. Reveals no personal data."""

from django.conf import settings
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse


def livez(request: HttpRequest) -> JsonResponse:
    """200 while this process answers at all."""
    return JsonResponse({"status": "alive"})


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
