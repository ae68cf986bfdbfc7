"""What can be done to several leads of the inbox at once, in words: the question, what happens, who is left out."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.db.models import Q
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy

from leads import bulk, work
from leads.admin.choosing import PersonField
from leads.counting import Count
from leads.models import Lead

ASSIGN, CHANGE = "leads.assign_lead", "leads.change_lead"


class OwnerForm(forms.Form):
    owner = PersonField(label=gettext_lazy("New owner"))

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
    """One thing that can be done to many leads.

    `deed` and `done` have a place for the number of leads. `left_out`: what is said of those that it does not take.
    """

    name: str
    label: Any
    permission: str
    deed: Any
    effect: Any
    done: Any
    takes: Q
    left_out: Any
    change: Callable[[HttpRequest, dict[str, Any], datetime], bulk.Change]
    form: type[forms.Form] | None = None

    @property
    def of_work(self) -> bool:
        """Whether it is nothing to do where leads are worked on in the CRM."""
        return self.left_out is IN_CRM


def counted(words: Any, number: int) -> str:
    """Such words of so many leads."""
    return str(words % {"n": Count(number)})


IN_CRM = gettext_lazy("worked on in the CRM, not here")

ACTIONS: tuple[Action, ...] = (
    Action(
        name="assign",
        label=gettext_lazy("Assign to a colleague"),
        permission=ASSIGN,
        deed=ngettext_lazy("Assign %(n)s lead", "Assign %(n)s leads", "n"),
        effect=gettext_lazy("Their owner changes, whoever it was. Nobody gets a mail about it."),
        done=ngettext_lazy("%(n)s lead is assigned.", "%(n)s leads are assigned.", "n"),
        takes=~bulk.WORKED_IN_CRM,
        left_out=IN_CRM,
        change=lambda request, data, now: bulk.assign(data["owner"], request.user),
        form=OwnerForm,
    ),
    Action(
        name="set_state",
        label=gettext_lazy("Set the state"),
        permission=CHANGE,
        deed=ngettext_lazy("Set the state of %(n)s lead", "Set the state of %(n)s leads", "n"),
        effect=gettext_lazy("What is written in the CRM does not change."),
        done=ngettext_lazy("%(n)s lead has a new state.", "%(n)s leads have a new state.", "n"),
        takes=~bulk.WORKED_IN_CRM,
        left_out=IN_CRM,
        change=lambda request, data, now: bulk.set_status(data["status"], data["reason"]),
        form=StateForm,
    ),
    Action(
        name="mark_as_test",
        label=gettext_lazy("Mark as test"),
        permission=CHANGE,
        deed=ngettext_lazy("Mark %(n)s lead as a test", "Mark %(n)s leads as tests", "n"),
        effect=gettext_lazy(
            "They leave the list and all figures. What waits to be sent, or is held, is taken back and stays out of "
            "the CRM, unless the offer sends test leads too. What has arrived in the CRM stays there."
        ),
        done=ngettext_lazy("%(n)s lead is a test now.", "%(n)s leads are tests now.", "n"),
        takes=Q(is_test=False),
        left_out=gettext_lazy("tests already"),
        change=lambda request, data, now: bulk.mark_as_test(),
    ),
    Action(
        name="mark_as_real",
        label=gettext_lazy("Not a test"),
        permission=CHANGE,
        deed=ngettext_lazy("Mark %(n)s lead as no test", "Mark %(n)s leads as no tests", "n"),
        effect=gettext_lazy(
            "They count from now on, and go to the CRM of their offer as if they had just come. A sending that was "
            "cancelled after a try stays cancelled."
        ),
        done=ngettext_lazy("%(n)s lead is no test any more.", "%(n)s leads are no tests any more.", "n"),
        takes=Q(is_test=True),
        left_out=gettext_lazy("no tests"),
        change=lambda request, data, now: bulk.mark_as_real(),
    ),
    Action(
        name="archive",
        label=gettext_lazy("Archive"),
        permission=CHANGE,
        deed=ngettext_lazy("Archive %(n)s lead", "Archive %(n)s leads", "n"),
        effect=gettext_lazy(
            "They are out of sight until somebody asks for archived leads. Nothing is deleted, and what waits to be "
            "sent is sent."
        ),
        done=ngettext_lazy("%(n)s lead is archived.", "%(n)s leads are archived.", "n"),
        takes=Q(archived_at=None),
        left_out=gettext_lazy("archived already"),
        change=lambda request, data, now: bulk.archive(now),
    ),
    Action(
        name="bring_back",
        label=gettext_lazy("Bring back from the archive"),
        permission=CHANGE,
        deed=ngettext_lazy("Bring %(n)s lead back", "Bring %(n)s leads back", "n"),
        effect=gettext_lazy("They are in the list again."),
        done=ngettext_lazy("%(n)s lead is back.", "%(n)s leads are back.", "n"),
        takes=Q(archived_at__isnull=False),
        left_out=gettext_lazy("not archived"),
        change=lambda request, data, now: bulk.bring_back(),
    ),
)
