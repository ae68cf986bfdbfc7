"""What can be done to several leads of the inbox at once, in words: the question, what happens, who is left out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.db.models import Q
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from leads import bulk, work
from leads.models import Lead

ASSIGN, CHANGE = "leads.assign_lead", "leads.change_lead"


class OwnerForm(forms.Form):
    owner = forms.ModelChoiceField(
        get_user_model()._default_manager.none(),
        label=gettext_lazy("New owner"),
        required=False,
        empty_label=gettext_lazy("Nobody"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        owner: Any = self.fields["owner"]
        owner.queryset = work.colleagues()


class StateForm(forms.Form):
    status = forms.ChoiceField(label=gettext_lazy("New state"), choices=Lead.Status.choices)
    reason = forms.CharField(
        label=gettext_lazy("If closed, why"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("E.g. bought, no budget, not reachable."),
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("status") == Lead.Status.CLOSED and not data.get("reason"):
            self.add_error("reason", _("Say why they are closed."))
        return data


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that can be done to many leads. `left`: who is left out of it, each with the reason in words."""

    name: str
    label: Any
    permission: str
    takes: Q
    left: Sequence[tuple[Q, Any]]
    effect: Any
    ask: Callable[[int], str]
    button: Callable[[int], str]
    done: Callable[[int], str]
    change: Callable[[HttpRequest, dict[str, Any], datetime], bulk.Change]
    form: type[forms.Form] | None = None


IN_CRM = (bulk.WORKED_IN_CRM, gettext_lazy("worked on in the CRM, not here"))

ACTIONS: tuple[Action, ...] = (
    Action(
        name="assign",
        label=gettext_lazy("Assign to a colleague"),
        permission=ASSIGN,
        takes=~bulk.WORKED_IN_CRM,
        left=[IN_CRM],
        effect=gettext_lazy("Their owner changes, whoever it was. Nobody gets a mail about it."),
        ask=lambda n: ngettext("Assign %(n)s lead?", "Assign %(n)s leads?", n) % {"n": f"{n:,}"},
        button=lambda n: ngettext("Assign %(n)s lead", "Assign %(n)s leads", n) % {"n": f"{n:,}"},
        done=lambda n: ngettext("%(n)s lead is assigned.", "%(n)s leads are assigned.", n) % {"n": f"{n:,}"},
        change=lambda request, data, now: bulk.assign(data["owner"], request.user),
        form=OwnerForm,
    ),
    Action(
        name="set_state",
        label=gettext_lazy("Set the state"),
        permission=CHANGE,
        takes=~bulk.WORKED_IN_CRM,
        left=[IN_CRM],
        effect=gettext_lazy("What is written in the CRM does not change."),
        ask=lambda n: (
            ngettext("Set the state of %(n)s lead?", "Set the state of %(n)s leads?", n) % {"n": f"{n:,}"}
        ),
        button=lambda n: (
            ngettext("Set the state of %(n)s lead", "Set the state of %(n)s leads", n) % {"n": f"{n:,}"}
        ),
        done=lambda n: (
            ngettext("%(n)s lead has a new state.", "%(n)s leads have a new state.", n) % {"n": f"{n:,}"}
        ),
        change=lambda request, data, now: bulk.set_status(data["status"], data["reason"]),
        form=StateForm,
    ),
    Action(
        name="mark_as_test",
        label=gettext_lazy("Mark as test"),
        permission=CHANGE,
        takes=Q(is_test=False),
        left=[(Q(is_test=True), gettext_lazy("tests already"))],
        effect=gettext_lazy(
            "They leave the list and all figures. What waits to be sent, or is held, is taken back and stays out of "
            "the CRM, unless the offer sends test leads too. What has arrived in the CRM stays there."
        ),
        ask=lambda n: (
            ngettext("Mark %(n)s lead as a test?", "Mark %(n)s leads as tests?", n) % {"n": f"{n:,}"}
        ),
        button=lambda n: (
            ngettext("Mark %(n)s lead as a test", "Mark %(n)s leads as tests", n) % {"n": f"{n:,}"}
        ),
        done=lambda n: (
            ngettext("%(n)s lead is a test now.", "%(n)s leads are tests now.", n) % {"n": f"{n:,}"}
        ),
        change=lambda request, data, now: bulk.mark_as_test(),
    ),
    Action(
        name="mark_as_real",
        label=gettext_lazy("Not a test"),
        permission=CHANGE,
        takes=Q(is_test=True),
        left=[(Q(is_test=False), gettext_lazy("no tests"))],
        effect=gettext_lazy(
            "They count from now on, and go to the CRM of their offer as if they had just come. A sending that was "
            "cancelled after a try stays cancelled."
        ),
        ask=lambda n: (
            ngettext("Mark %(n)s lead as no test?", "Mark %(n)s leads as no tests?", n) % {"n": f"{n:,}"}
        ),
        button=lambda n: (
            ngettext("Mark %(n)s lead as no test", "Mark %(n)s leads as no tests", n) % {"n": f"{n:,}"}
        ),
        done=lambda n: (
            ngettext("%(n)s lead is no test any more.", "%(n)s leads are no tests any more.", n)
            % {"n": f"{n:,}"}
        ),
        change=lambda request, data, now: bulk.mark_as_real(),
    ),
    Action(
        name="archive",
        label=gettext_lazy("Archive"),
        permission=CHANGE,
        takes=Q(archived_at=None),
        left=[(Q(archived_at__isnull=False), gettext_lazy("archived already"))],
        effect=gettext_lazy(
            "They are out of sight until somebody asks for archived leads. Nothing is deleted, and what waits to be "
            "sent is sent."
        ),
        ask=lambda n: ngettext("Archive %(n)s lead?", "Archive %(n)s leads?", n) % {"n": f"{n:,}"},
        button=lambda n: ngettext("Archive %(n)s lead", "Archive %(n)s leads", n) % {"n": f"{n:,}"},
        done=lambda n: ngettext("%(n)s lead is archived.", "%(n)s leads are archived.", n) % {"n": f"{n:,}"},
        change=lambda request, data, now: bulk.archive(now),
    ),
    Action(
        name="bring_back",
        label=gettext_lazy("Bring back from the archive"),
        permission=CHANGE,
        takes=Q(archived_at__isnull=False),
        left=[(Q(archived_at=None), gettext_lazy("not archived"))],
        effect=gettext_lazy("They are in the list again."),
        ask=lambda n: ngettext("Bring %(n)s lead back?", "Bring %(n)s leads back?", n) % {"n": f"{n:,}"},
        button=lambda n: ngettext("Bring %(n)s lead back", "Bring %(n)s leads back", n) % {"n": f"{n:,}"},
        done=lambda n: ngettext("%(n)s lead is back.", "%(n)s leads are back.", n) % {"n": f"{n:,}"},
        change=lambda request, data, now: bulk.bring_back(),
    ),
)
