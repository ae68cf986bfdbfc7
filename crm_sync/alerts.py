"""What is wrong with sending, since when, and the one link that leads to mending it: who is told what, and where."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from crm_sync import clock, connection_notices, lead_notices
from crm_sync import wording as words
from crm_sync.models import Worker
from leads.ports import Notice

WORKER_SILENCE = timedelta(seconds=30)


def notices(request: HttpRequest) -> Iterator[Notice]:
    """What needs attention, for users who may look at it. Asked on every page, so each question is a cheap one."""
    now = clock.now()  # as the workers say it
    may = request.user.has_perm
    yield from _no_worker(now, reverse("admin:doctor") if may("auth.change_user") else "")
    if may("crm_sync.view_destination"):
        yield from connection_notices.states(request, now)
    if request.path == reverse("admin:index"):
        yield from _on_home(request, now)


def _on_home(request: HttpRequest, now: datetime) -> Iterator[Notice]:
    """What is said on Home alone, and may take more to find out."""
    may = request.user.has_perm
    if may("crm_sync.view_route"):
        yield from lead_notices.broken_mappings(request)
        yield from lead_notices.doubted_mappings()
    if may("crm_sync.view_delivery"):
        yield from lead_notices.stuck_sendings()
    if may("crm_sync.view_destination"):
        yield from connection_notices.recovered(now)
        yield from connection_notices.expiring(now)
    elif may("crm_sync.view_delivery"):
        yield from connection_notices.by_themselves()
    if may("auth.change_user"):
        yield from connection_notices.untold(now)
    if may("crm_sync.view_route"):  # these read leads by the thousand
        yield from lead_notices.unconnected(may)
        yield from lead_notices.questions()


def _no_worker(now: datetime, health_url: str) -> Iterator[Notice]:
    last = Worker.objects.order_by("-seen_at").values_list("seen_at", flat=True).first()
    if last is None or now - last > WORKER_SILENCE:
        said = (
            _(
                "No worker is running since %(since)s: leads are stored, and none is sent. Start the server with "
                "“manage.py serve”, or a worker with “manage.py deliver”."
            )
            % {"since": words.clock(last, now)}
            if last
            else _(
                "No worker is running: leads are stored, and none is sent. Start the server with "
                "“manage.py serve”, or a worker with “manage.py deliver”."
            )
        )
        yield Notice("error", said, health_url, _("Open Health"), everywhere=True)
