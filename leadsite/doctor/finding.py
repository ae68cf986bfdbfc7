"""What a check finds, and what it may look at."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db import Error, connection
from django.db.models import Max
from django.utils import timezone

from leads.models import Endpoint
from leadsite import reach

MANAGE = ".venv/bin/python manage.py"


class Level(StrEnum):
    """Only what is wrong makes the doctor's exit status 1."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence, and its exact fix: a command, or a line of `.env`."""

    level: Level
    sentence: str
    fix: str = ""


def ok(sentence: str) -> Finding:
    return Finding(Level.OK, sentence)


def warning(sentence: str, fix: str) -> Finding:
    return Finding(Level.WARNING, sentence, fix)


def wrong(sentence: str, fix: str) -> Finding:
    return Finding(Level.WRONG, sentence, fix)


class Scene:
    """What several checks look at, each looked at once. `ask` is how the public address is asked."""

    def __init__(
        self, now: datetime | None = None, ask: Callable[[str, datetime], reach.Reach] = reach.check
    ) -> None:
        self.now = now or timezone.now()
        self._ask = ask

    @cached_property
    def reach(self) -> reach.Reach:
        return self._ask(settings.PUBLIC_URL, self.now)

    @cached_property
    def database(self) -> Error | None:
        """Why the database does not answer; None where it does."""
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except Error as error:
            with suppress(Error):
                connection.close()
            return error
        return None

    @cached_property
    def last_post(self) -> datetime | None:
        """When somebody last posted to the URL of a real offer; None: never, or the database does not tell."""
        if self.database:
            return None
        hits = Endpoint.objects.filter(offer__is_demo=False)
        try:
            last: datetime | None = hits.aggregate(last=Max("last_hit_at"))["last"]
        except Error:  # its tables are not there yet; another check says so
            return None
        return last

    def since(self, moment: datetime) -> timedelta:
        return self.now - moment


@dataclass(frozen=True, slots=True)
class Check:
    """`name` is for machines and stays, `label` is for people."""

    name: str
    label: Any
    look: Callable[[Scene], Finding]
    needs_database: bool = False
    asks_network: bool = False
