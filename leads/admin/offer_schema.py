"""What a schema would do to an offer's leads, before and after it is saved.

A partner manager came to ask more of the bodies than Microsoft's schema does, and is afraid of losing leads to a
mistake in it. So a button beside the schema tries the text that stands there, saved or not, on what has arrived:
which requests would fail it, and why, and what waits in quarantine that would pass. It saves nothing; the text stays.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms.fields import InvalidJSONInput
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from leads import payload
from leads.models import Lead, Offer, Submission
from leads.quarantine import text_of
from leads.repair import leads_in
from leads.schema import SchemaError, check_schema

MOST_REQUESTS = 200
MOST_SHOWN = 50
PREVIEW_SECONDS, SAVE_SECONDS = 4.0, 2.0
_CHUNK = 10  # bodies in memory at once: each may have a quarter of a megabyte
_CHECK = "_check_schema"
Verdict = Submission.Verdict
# What the json module raises besides its own error: at a number of 5,000 digits, and at 5,000 brackets.
_UNREADABLE = (ValueError, RecursionError)


class SchemaEditor(forms.Textarea):
    """The text of a schema, and the button that tries it on what has arrived."""

    may_check = False
    was_checked = False  # then the page opens there, and not at its top

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        text = super().render(name, value, attrs, renderer)
        if not self.may_check:
            return text
        return format_html(
            '<div class="schema-editor">{}<button type="submit" class="button" name="{}" value="yes"{}>'
            "{}</button></div>",
            text,
            _CHECK,
            SafeString(" autofocus") if self.was_checked else "",
            _("Check against the last leads"),
        )


class SchemaField(forms.JSONField):
    """JSON over several lines, and an empty box where there is none."""

    def prepare_value(self, value: Any) -> Any:
        if value is None:
            return ""
        return json.dumps(value, indent=2) if isinstance(value, dict) else super().prepare_value(value)

    def bound_data(self, data: Any, initial: Any) -> Any:
        try:
            return super().bound_data(data, initial)
        except _UNREADABLE:
            return InvalidJSONInput(data)

    def to_python(self, value: Any) -> Any:
        try:
            return super().to_python(value)
        except ValidationError:
            raise
        except _UNREADABLE as error:
            raise ValidationError(
                _("A number in the schema is too long, or it is nested too deeply.")
            ) from error


class SchemaForm(forms.ModelForm):
    schema = SchemaField(
        label=gettext_lazy("JSON schema"),
        required=False,
        help_text=Offer._meta.get_field("schema").help_text,
        widget=SchemaEditor(attrs={"rows": 8, "class": "vLargeTextField code"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "schema" in self.fields:
            # Nothing has arrived for an offer that is being added.
            self.fields["schema"].widget.may_check = self.instance.pk is not None


class _Unsaved:
    """A form that is filled in again and not saved; what is wrong with it shows all the same."""

    fields: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "schema" in self.fields:
            self.fields["schema"].widget.was_checked = True

    def is_valid(self) -> bool:
        return False


@dataclass(slots=True)
class Failure:
    """A request that a schema would send to quarantine."""

    submission: Submission
    lead: Lead | None
    reason: str
    more: int


@dataclass(slots=True)
class Check:
    """What a schema would do to the last requests of an offer: `failures` of `checked` that are leads now.

    `passing` of `waiting` in quarantine would become leads. With enough time, `there` would have been checked.
    """

    checked: int = 0
    there: int = 0
    waiting: int = 0
    passing: int = 0
    failures: list[Failure] = field(default_factory=list)

    @property
    def shown(self) -> list[Failure]:
        return self.failures[:MOST_SHOWN]

    @property
    def not_shown(self) -> int:
        return len(self.failures) - len(self.shown)

    @property
    def sentence(self) -> str:
        """What it would do to what became leads."""
        if not self.there:
            return _(
                "No request of this offer has become a lead yet: there is nothing to check the schema against."
            )
        number = str(len(self.failures)) if self.failures else _("None")
        if self.checked > 1:
            said = _("%(number)s of the last %(checked)s requests would fail this schema.")
            return said % {"number": number, "checked": self.checked}
        return _("%(number)s of the 1 request that could be checked would fail this schema.") % {
            "number": number
        }

    @property
    def well(self) -> str:
        """What it would do to quarantine; "" where it would do nothing."""
        if not self.passing:
            return ""
        return ngettext(
            "%(number)s request in quarantine would pass this schema.",
            "%(number)s requests in quarantine would pass this schema.",
            self.passing,
        ) % {"number": self.passing}

    @property
    def late(self) -> str:
        """What could not be checked in time, if anything."""
        if self.checked == self.there:
            return ""
        said = _("Time was up after %(number)s of %(all)s requests: this schema is slow to check.")
        return said % {"number": self.checked, "all": self.there}


def check(offer: Offer, schema: dict[str, Any] | None, seconds: float) -> Check:
    """Try a schema on the newest requests of an offer that became leads, then on what waits in quarantine."""
    until = monotonic() + seconds
    arrived = offer.submissions.exclude(origin=Submission.Origin.SAMPLE)
    accepted = arrived.filter(verdict__in=(Verdict.LEAD, Verdict.RELEASED))
    # Cut off on the way: that it can be read does not bring back what is missing.
    waiting = arrived.filter(verdict=Verdict.QUARANTINED).exclude(reason="truncated")
    result = Check(there=accepted[:MOST_REQUESTS].count())
    for submission, verdict in _read(accepted, schema, until):
        result.checked += 1
        if isinstance(verdict, payload.Unreadable):
            result.failures.append(_failure(submission, verdict))
    for _request, verdict in _read(waiting, schema, until):
        result.waiting += 1
        result.passing += not isinstance(verdict, payload.Unreadable)
    return result


def _read(
    submissions: QuerySet[Submission], schema: dict[str, Any] | None, until: float
) -> Iterator[tuple[Submission, object]]:
    """The newest requests with what they say under a schema, as far as the time allows."""
    # The ids first: sorting all that ever arrived must not drag the bodies along.
    newest = list(submissions.order_by("-received_at", "-id").values_list("pk", flat=True)[:MOST_REQUESTS])
    for start in range(0, len(newest), _CHUNK):
        found = submissions.defer("headers").in_bulk(newest[start : start + _CHUNK])
        for submission in (found[pk] for pk in newest[start : start + _CHUNK] if pk in found):
            if monotonic() > until:
                return
            yield submission, _verdict(submission, schema)


def _verdict(submission: Submission, schema: dict[str, Any] | None) -> object:
    hint = submission.content_type
    if submission.verdict == Verdict.RELEASED:  # by a person, maybe repaired, maybe as several leads
        return leads_in(submission.repaired or text_of(submission), schema=schema, content_type=hint)
    return payload.read(bytes(submission.body), content_type=hint, schema=schema)


def _failure(submission: Submission, verdict: payload.Unreadable) -> Failure:
    submission.body = b""  # not needed any more, and there may be hundreds
    first, *others = verdict.problems
    return Failure(submission, None, first.message, len(others))


class SchemaChecks(admin.ModelAdmin):
    """The page of an offer, with the check of its schema."""

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """The schema that is being checked stands open."""
        fieldsets = super().get_fieldsets(request, obj)
        if not _is_check(request):
            return fieldsets
        return [(name, {**options, "classes": ()}) for name, options in fieldsets]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (_Unsaved, form), {}) if _is_check(request) else form

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        request.schema_saved = change and "schema" in form.changed_data  # type: ignore[attr-defined]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        # Before and after the transaction that saving is: checking takes seconds, and on SQLite no lead could be
        # stored meanwhile.
        found = {}
        offer = self.get_object(request, object_id) if request.method == "POST" else None
        if _is_check(request) and offer is not None and self.has_change_permission(request, offer):
            found = {"schema_check": _preview(request, offer)}
        response = super().change_view(request, object_id, form_url, {**found, **(extra_context or {})})
        if getattr(request, "schema_saved", False):
            _tell(request, Offer.objects.get(pk=object_id))
        return response


def _is_check(request: HttpRequest) -> bool:
    return request.method == "POST" and _CHECK in request.POST


def _preview(request: HttpRequest, offer: Offer) -> Check | None:
    """What stands below the schema; None where the text is no schema, which the form says."""
    try:
        schema = SchemaField(required=False).clean(request.POST.get("schema", ""))
        if schema is not None:
            check_schema(schema)
    except (ValidationError, SchemaError):
        return None
    result = check(offer, schema, PREVIEW_SECONDS)
    if request.user.has_perm("leads.view_lead"):
        _name(result.shown)
    return result


def _name(failures: list[Failure]) -> None:
    """Find the leads that requests became."""
    leads = {
        lead.submission_id: lead
        for lead in Lead.objects.filter(submission__in=[f.submission for f in failures])
    }
    for failure in failures:
        failure.lead = leads.get(failure.submission.pk)


def _tell(request: HttpRequest, offer: Offer) -> None:
    """Say after saving what the new schema would have done."""
    result = check(offer, offer.schema, SAVE_SECONDS)
    if result.failures:
        later = _("What comes in like them goes to quarantine from now on.")
        messages.warning(request, f"{result.sentence} {later}")
    if result.passing:
        todo = _("Choose them there and press “Read again”.")
        messages.info(request, f"{result.well} {todo}")
