"""Trying several sendings again, or approving them: asked first, with their number and what will happen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crm_sync import by_hand, clock, connection_words
from crm_sync.admin import tries
from crm_sync.admin.groups import Like
from crm_sync.admin.pages import require, tell
from crm_sync.models import Delivery
from leads import ports
from leads.counting import Count

RETRY = "crm_sync.retry_delivery"
MOST = 10_000  # at once: what one request can do in seconds
SHOWN = 10
CHUNK = 500
NEEDED = ("lead__offer", "route__offer", "destination__state__paused_by")


@dataclass(frozen=True, slots=True)
class Bulk:
    """What is done to several at once, in the words of whoever looks; those of a number have a place for it."""

    button: Callable[[], str]
    ask: Callable[[int], str]
    effect: Callable[[], str]
    done: Callable[[int], str]
    left: Callable[[], str]
    nothing: Callable[[], str]


RETRYING = Bulk(
    button=lambda: _("Retry %(number)s now"),
    ask=lambda number: ngettext("Retry %(number)s sending now?", "Retry %(number)s sendings now?", number),
    effect=lambda: _(
        "Each is tried again now, with all its tries before it. A lead that may have arrived already is not written "
        "twice where the CRM can tell. Where the CRM has the person already, the lead is written all the same."
    ),
    done=lambda number: ngettext(
        "%(number)s sending is tried again now.", "%(number)s sendings are tried again now.", number
    ),
    left=lambda: _("delivered, cancelled, on the way, not approved yet, or not to be contacted"),
    nothing=lambda: _(
        "Nothing to retry there: delivered, cancelled, on the way, not approved yet, or held as do not contact."
    ),
)
APPROVING = Bulk(
    button=lambda: _("Approve and send %(number)s"),
    ask=lambda number: ngettext(
        "Approve and send %(number)s sending?", "Approve and send %(number)s sendings?", number
    ),
    effect=lambda: _("Each goes to its CRM now. What was sent cannot be called back from here."),
    done=lambda number: ngettext(
        "%(number)s sending is approved and goes out now.",
        "%(number)s sendings are approved and go out now.",
        number,
    ),
    left=lambda: _("they do not wait for approval"),
    nothing=lambda: _("None of these waits for approval."),
)


def _chosen(bulk: Bulk, deliveries: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Which of these it is done to. To approve is a decision of its own, and so is not to contact somebody."""
    held = Delivery.Held
    if bulk is APPROVING:
        return deliveries.filter(held_reason=held.APPROVAL)
    retryable = deliveries.filter(state__in=by_hand.RETRYABLE).exclude(
        held_reason__in=[held.DNC, held.APPROVAL]
    )
    # Where more wait than can be tried at once, those that were a moment ago would be the next ones again.
    too_many = retryable.order_by()[: MOST + 1].count() > MOST
    return retryable.exclude(_tried_next()) if too_many else retryable


def _tried_next() -> Q:
    """Those that a retry would leave as they are, as the one before did."""
    due = Q(state=Delivery.State.WAITING, due_at__lte=clock.now(), strikes=0)
    return due & (Q(duplicate_of="") | Q(write_anyway=True))


def bulk_action(
    page: admin.ModelAdmin,
    request: HttpRequest,
    deliveries: QuerySet[Delivery],
    action: str,
    bulk: Bulk = RETRYING,
) -> HttpResponse | None:
    """An action of a list: ask first; once that is confirmed, do it."""
    if "confirm" in request.POST:
        _do(bulk, request, deliveries)
        return None
    return _ask(bulk, page, request, deliveries, chosen_again(request, action), request.get_full_path())


def chosen_again(request: HttpRequest, action: str) -> list[tuple[str, str]]:
    """What the form of the question has to send along so that the list's action is taken for the same rows."""
    selected = request.POST.getlist("_selected_action")
    across = request.POST.get("select_across", "0")
    if across == "1":
        selected = selected[:1]  # all that match a filter may be thousands; then one stands for them
    hidden = [("action", action), ("select_across", across), ("index", "0")]
    return hidden + [("_selected_action", pk) for pk in selected]


def all_like_this(page: admin.ModelAdmin, request: HttpRequest) -> HttpResponse:
    """The page behind *Retry all like this*: one group of sendings, named in the address."""
    require(request, RETRY)
    like = Like.asked(request.GET)
    if like is None:
        tell(request, _("That group is not there any more."), messages.WARNING)
        return HttpResponseRedirect(reverse("admin:crm_sync_delivery_changelist"))
    bulk = APPROVING if like.held_reason == Delivery.Held.APPROVAL else RETRYING
    if request.method == "POST":
        _do(bulk, request, like.sendings())
        return HttpResponseRedirect(reverse("admin:crm_sync_delivery_changelist"))
    asked = _ask(bulk, page, request, like.sendings(), [], like.url)
    return asked or HttpResponseRedirect(reverse("admin:crm_sync_delivery_changelist"))


def _do(bulk: Bulk, request: HttpRequest, deliveries: QuerySet[Delivery]) -> None:
    chosen = _chosen(bulk, deliveries).order_by("created_at", "pk").values_list("pk", flat=True)
    pks = list(chosen[: MOST + 1])
    done = 0
    for start in range(0, len(pks[:MOST]), CHUNK):
        chunk = pks[start : min(start + CHUNK, MOST)]
        if bulk is APPROVING:
            _log_approval(request, chunk)
        done += by_hand.retry(chunk, at=clock.now(), duplicates=True)
    ports.ring()
    said = bulk.done(done) % {"number": f"{done:,}"}
    more = _("More match: do the same again for the next %(most)s.") % {"most": f"{MOST:,}"}
    tell(request, f"{said} {more}" if len(pks) > MOST else said)


def _log_approval(request: HttpRequest, pks: Sequence[int]) -> None:
    """Who let them go is kept, as for one."""
    sendings = Delivery.objects.filter(pk__in=pks).select_related("lead", "route__offer", "destination")
    LogEntry.objects.log_actions(
        user_id=str(request.user.pk),
        queryset=sendings.defer("destination__secrets"),
        action_flag=CHANGE,
        change_message="Approved.",
    )


def _ask(
    bulk: Bulk,
    page: admin.ModelAdmin,
    request: HttpRequest,
    deliveries: QuerySet[Delivery],
    hidden: Sequence[tuple[str, str]],
    back: str,
) -> HttpResponse | None:
    chosen = _chosen(bulk, deliveries)
    found = chosen.order_by()[: MOST + 1].count()
    count = min(found, MOST)
    if not count:
        tell(request, bulk.nothing(), messages.WARNING)
        return None
    oldest = chosen.select_related(*NEEDED).defer("destination__secrets").order_by("created_at", "pk")
    first = list(oldest[: min(count, SHOWN)])
    context: dict[str, Any] = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "title": bulk.ask(count) % {"number": f"{count:,}"},
        "button": bulk.button() % {"number": f"{count:,}"},
        "effect": bulk.effect(),
        "most": f"{MOST:,}" if found > MOST else "",
        "left": "" if found > MOST else _left(deliveries, count),
        "left_because": bulk.left(),
        "first": [tries.discreetly(request, sending) for sending in first],
        "held_up": held_up(first),
        "more": max(count - SHOWN, 0),
        "hidden": hidden,
        "back": back,
        "media": page.media,
    }
    return TemplateResponse(request, "admin/crm_sync/delivery/retry.html", context)


def held_up(sendings: Sequence[Delivery]) -> dict[str, str]:
    """The connections of these that take no leads now, with what to do about it."""
    return {sending.destination.name: waits for sending in sendings if (waits := _waits(sending))}


def _left(deliveries: QuerySet[Delivery], count: int) -> Count:
    """How many it is not done to, where it is done to `count`."""
    left = deliveries.order_by()[: count + MOST + 1].count() - count
    return Count.at_least(MOST) if left > MOST else Count(left)


def after_retry(sending: Delivery) -> str:
    """What is said once one is tried again."""
    state = sending.destination.state
    if state.state in {state.State.PAUSED, state.State.STOPPED}:
        again = (
            _("It is tried again as soon as %(crm)s takes leads.")
            if sending.tries
            else _("It is sent as soon as %(crm)s takes leads.")
        ) % {"crm": sending.destination}
        return f"{again} {connection_words.connection_advice(state)}"
    if not sending.tries:
        return _("It goes to %(crm)s now.") % {"crm": sending.destination}
    return _("It is tried again now, with all its tries before it.")


def _waits(sending: Delivery) -> str:
    """Why a retry of now is one of later."""
    state = sending.destination.state
    return connection_words.connection_advice(state) if state.state != state.State.WORKING else ""
