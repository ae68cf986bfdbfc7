"""Health: whoever runs this installation came to know whether anything is wrong with it, and how to mend it.

What this machine and its database tell is there at once. The public address and the mail server take seconds: they are
asked once the page is there, or by a button where no script runs, and remembered for a minute.
"""

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leadsite.doctor import Check, Finding, Level, Scene, examine, summary
from leadsite.settings_page import may_view

REMEMBERED = timedelta(minutes=1)
ORDER = (Level.WRONG, Level.WARNING, Level.OK)
WORDS = {
    Level.WRONG: gettext_lazy("Wrong"),
    Level.WARNING: gettext_lazy("Warning"),
    Level.OK: gettext_lazy("OK"),
}


@dataclass(frozen=True)
class Row:
    """A finding as the page shows it."""

    label: str
    level: Level
    word: str
    sentence: str
    fix: str


class Network:
    """What asking the network found last, in this process. One asks at a time: each takes up to half a minute."""

    def __init__(self) -> None:
        self._busy = threading.Lock()
        self.rows: list[Row] | None = None
        self.at: datetime | None = None

    def ask(self, now: datetime, *, afresh: bool) -> bool:
        """Have an answer that is new enough; False if somebody else is asking just now."""
        if not self._busy.acquire(blocking=False):
            return False
        try:
            if afresh or self.at is None or not timedelta() <= now - self.at < REMEMBERED:
                self.rows, self.at = _rows(examine(Scene(now), lambda check: check.asks_network)), now
            return True
        finally:
            self._busy.release()


network = Network()


def view(request: HttpRequest) -> HttpResponse:
    """The page; a POST asks the network before it answers. Raises PermissionDenied for users who may not see it."""
    if not may_view(request):
        raise PermissionDenied
    from django.contrib.admin.sites import site  # it is this package that the site is made from

    asked = _network(afresh=True) if request.method == "POST" else {}
    rows = _rows(examine(Scene(), lambda check: not check.asks_network))
    known = [*rows, *asked.get("network", ())]
    context: dict[str, Any] = {
        **site.each_context(request),
        "title": _("Health"),
        "rows": rows,
        "sum": summary(Counter(row.level for row in known)),
        "is_well": all(row.level == Level.OK for row in known),
        **asked,
    }
    return TemplateResponse(request, "admin/doctor/page.html", context)


def network_view(request: HttpRequest) -> HttpResponse:
    """What the network tells, for the script of the page."""
    if not may_view(request):
        raise PermissionDenied
    return TemplateResponse(request, "admin/doctor/network.html", _network(afresh=False))


def _network(*, afresh: bool) -> dict[str, Any]:
    if not network.ask(timezone.now(), afresh=afresh) and network.rows is None:
        return {"busy": True}
    return {"network": network.rows, "asked_at": network.at}


def _rows(found: Iterable[tuple[Check, Finding]]) -> list[Row]:
    """The worst first."""
    rows = [
        Row(str(check.label), finding.level, str(WORDS[finding.level]), finding.sentence, finding.fix)
        for check, finding in found
    ]
    return sorted(rows, key=lambda row: ORDER.index(row.level))
