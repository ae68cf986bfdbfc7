"""The leads of a list as rows of a table: what was sent, what was made of it, and how far everybody is with it."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, tzinfo
from typing import Any
from uuid import UUID

from django.db.models import QuerySet, prefetch_related_objects
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads import lead_source
from leads.countries import country_code, country_in_words
from leads.models import Lead
from leads.people import name_of
from leads.ports import ExportColumn, ports
from leads.work import is_done_here

SLICE = 250  # leads in memory at once: the worst of them are as long as a body may be

Value = Callable[[Lead, tzinfo], object]


def _local(moment: datetime | None, zone: tzinfo) -> object:
    """A time as it is where the reader is, without a zone, which a spreadsheet has no place for."""
    return moment.astimezone(zone).replace(tzinfo=None, microsecond=0) if moment else ""


def _text(values: Any) -> str:
    return json.dumps(values, ensure_ascii=False) if values else ""


def _yes(value: bool) -> str:
    return _("yes") if value else ""


def _of_work(value: Value) -> Value:
    """What people did with a lead here; nothing where they work on it in the CRM."""
    return lambda lead, zone: value(lead, zone) if lead.offer.works_here else ""


# Heading, and what stands below it. "As sent" is what came in the request; the column without it is the tidied one.
OF_WORK: tuple[tuple[Any, Value], ...] = (
    (gettext_lazy("State"), _of_work(lambda lead, zone: lead.get_status_display())),
    (gettext_lazy("Closed reason"), _of_work(lambda lead, zone: lead.closed_reason)),
    (gettext_lazy("Owner"), _of_work(lambda lead, zone: name_of(lead.owner))),
    (gettext_lazy("Answer due"), _of_work(lambda lead, zone: _local(lead.answer_due_at, zone))),
    (gettext_lazy("Answered"), _of_work(lambda lead, zone: _local(lead.answered_at, zone))),
    (gettext_lazy("Follow-up"), _of_work(lambda lead, zone: lead.follow_up_on or "")),
)
COLUMNS: tuple[tuple[Any, Value], ...] = (
    (gettext_lazy("Received"), lambda lead, zone: _local(lead.received_at, zone)),
    (gettext_lazy("First name"), lambda lead, zone: lead.first_name),
    (gettext_lazy("Last name"), lambda lead, zone: lead.last_name),
    (gettext_lazy("E-mail"), lambda lead, zone: lead.tidy_email or lead.email),
    (gettext_lazy("Phone"), lambda lead, zone: lead.tidy_phone or lead.phone),
    (gettext_lazy("Company"), lambda lead, zone: lead.company),
    (gettext_lazy("Job title"), lambda lead, zone: lead.title),
    (gettext_lazy("Country"), lambda lead, zone: country_in_words(_country(lead)) or lead.country),
    (gettext_lazy("Country code"), lambda lead, zone: _country(lead)),
    (gettext_lazy("Offer"), lambda lead, zone: lead.offer.title),
    (gettext_lazy("Offer ID"), lambda lead, zone: lead.offer.slug),
    (gettext_lazy("Action"), lambda lead, zone: lead_source.action_in_words(lead.action)),
    (gettext_lazy("Source"), lambda lead, zone: lead_source.source_label(lead.source)),
    (gettext_lazy("Description"), lambda lead, zone: lead.description),
    (gettext_lazy("Campaign"), lambda lead, zone: _text(lead.campaign)),
    *OF_WORK,
    (gettext_lazy("Archived"), lambda lead, zone: _local(lead.archived_at, zone)),
    (gettext_lazy("Test"), lambda lead, zone: _yes(lead.is_test)),
    (gettext_lazy("Sample"), lambda lead, zone: _yes(lead.is_sample or lead.offer.is_demo)),
    (gettext_lazy("E-mail as sent"), lambda lead, zone: lead.email),
    (gettext_lazy("Phone as sent"), lambda lead, zone: lead.phone),
    (gettext_lazy("Country as sent"), lambda lead, zone: lead.country),
    (gettext_lazy("Action code"), lambda lead, zone: lead.action),
    (gettext_lazy("LeadSource"), lambda lead, zone: lead.lead_source),
    (gettext_lazy("Offer title as sent"), lambda lead, zone: lead.offer_title),
    (gettext_lazy("Unknown fields"), lambda lead, zone: _text(lead.extra)),
    (gettext_lazy("Customer"), lambda lead, zone: lead.customer_id or ""),
    (gettext_lazy("Lead"), lambda lead, zone: str(lead.pk)),
)


def _country(lead: Lead) -> str:
    return lead.tidy_country or country_code(lead.country)


def rows(leads: QuerySet[Any], request: HttpRequest, zone: tzinfo) -> Iterator[list[object]]:
    """The headings, then a row for each of these leads, the newest first, a slice at a time.

    `zone`: the reader's, which is not in force any more when the last rows are asked for.
    """
    plugged: Sequence[ExportColumn] = list(ports.export_columns)
    works_here = is_done_here(request)
    columns = [column for column in COLUMNS if column not in OF_WORK or works_here]
    yield [*(str(heading) for heading, _value in columns), *(column.heading for column in plugged)]
    for keys in _slices(leads):
        found = Lead.objects.filter(pk__in=keys).select_related("offer", "owner").in_bulk()
        some = [found[key] for key in keys if key in found]  # one may have been deleted meanwhile
        prefetch_related_objects(some, *(name for column in plugged for name in column.prefetch))
        for lead in some:
            own = [value(lead, zone) for _heading, value in columns]
            yield [*own, *(column(request, lead) for column in plugged)]


def _slices(leads: QuerySet[Any]) -> Iterator[list[UUID]]:
    """The ids, a slice at a time: each begins behind the last, so that none is asked twice and nothing is kept open."""
    ordered = leads.order_by("-received_at", "-id").values_list("received_at", "pk")
    some = list(ordered[:SLICE])
    while some:
        yield [key for _at, key in some]
        if len(some) < SLICE:
            return
        at, key = some[-1]
        some = list(ordered.filter(received_at__lte=at).exclude(received_at=at, pk__gte=key)[:SLICE])
