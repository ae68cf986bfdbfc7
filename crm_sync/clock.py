"""The one clock that leases, waits and limits are measured by."""

from datetime import datetime

from django.db import connection
from django.utils import timezone


def now() -> datetime:
    """The time now: the database's where several machines share it, else this machine's."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            return cursor.fetchone()[0]
    return timezone.now()
