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
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leadsite.doctor import Check, Finding, Level, Scene, examine, summary
from leadsite.settings_page import linked, may_view

REMEMBERED = timedelta(minutes=1)
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
    fix: SafeString  # what it names is linked


@dataclass(frozen=True)
class Found:
    """What some checks found: the sum of it, what is not well with the worst first, and what is."""

    sum: str
    ill: list[Row]
    well: list[Row]


class Network:
    """What asking the network found last, in this process. One asks at a time: each takes up to half a minute."""

    def __init__(self) -> None:
        self._busy = threading.Lock()
        self.found: Found | None = None
        self.at: datetime | None = None

    def ask(self, now: datetime, *, afresh: bool) -> bool:
        """Have an answer that is new enough; False if somebody else is asking just now."""
        if not self._busy.acquire(blocking=False):
            return False
        try:
            if afresh or self.at is None or not timedelta() <= now - self.at < REMEMBERED:
                self.found, self.at = _found(examine(Scene(now), lambda check: check.asks_network)), now
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
    context: dict[str, Any] = {
        **site.each_context(request),
        "title": _("Health"),
        "here": _found(examine(Scene(), lambda check: not check.asks_network)),
        **asked,
    }
    return TemplateResponse(request, "admin/doctor/page.html", context)


def network_view(request: HttpRequest) -> HttpResponse:
    """What the network tells, for the script of the page."""
    if not may_view(request):
        raise PermissionDenied
    return TemplateResponse(request, "admin/doctor/network.html", _network(afresh=False))


def _network(*, afresh: bool) -> dict[str, Any]:
    if not network.ask(timezone.now(), afresh=afresh) and network.found is None:
        return {"busy": True}
    return {"network": network.found, "asked_at": network.at}


def _found(findings: Iterable[tuple[Check, Finding]]) -> Found:
    rows = [
        Row(str(check.label), finding.level, str(WORDS[finding.level]), finding.sentence, linked(finding.fix))
        for check, finding in findings
    ]
    ill = [row for row in rows if row.level != Level.OK]
    return Found(
        summary(Counter(row.level for row in rows)),
        sorted(ill, key=lambda row: row.level != Level.WRONG),
        [row for row in rows if row.level == Level.OK],
    )
