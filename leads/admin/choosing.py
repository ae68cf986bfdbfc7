"""What forms offer to choose from, by the names that stand on screen."""

from collections.abc import Collection, Sequence
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.countries import countries
from leads.lead_source import ACTIONS, action_in_words
from leads.models import Offer
from leads.people import name_of

# For a form with nothing to do after it but to look at the list.
ONE_BUTTON = {"show_save_and_add_another": False, "show_save_and_continue": False}


NOBODY = gettext_lazy("Nobody")


class PersonField(forms.ModelChoiceField):
    """A colleague by name, or nobody. Who can be chosen, the form says."""

    def __init__(self, *, label: Any, empty_label: Any = NOBODY) -> None:
        none = get_user_model()._default_manager.none()
        super().__init__(none, label=label, required=False, empty_label=empty_label)

    def label_from_instance(self, obj: Any) -> str:
        return name_of(obj)


def offers_to_work_on(kept: Q) -> QuerySet[Offer]:
    """The offers that something about work can be for, and those that it is for already."""
    return Offer.objects.filter(Q(pk__in=Offer.objects.to_work_on().values("pk")) | kept).order_by(
        "title", "pk"
    )


def action_choices(chosen: Collection[str] = ()) -> list[tuple[str, str]]:
    """Microsoft's actions by label, but for the one that nobody may answer; and codes that somebody chose before."""
    known = [(code, action_in_words(code)) for code in ACTIONS if code != "DNC"]
    return [*known, *((code, code) for code in chosen if code not in dict(known))]


def country_choices(chosen: Collection[str] = ()) -> list[tuple[str, str]]:
    """Every country by name, those that are chosen already on top."""
    known = countries()
    strange = [(code, code) for code in chosen if code not in dict(known)]
    return sorted([*known, *strange], key=lambda country: country[0] not in chosen)


def in_words(names: Sequence[str], most: int) -> str:
    """The first of these names, and how many more there are."""
    shown, more = ", ".join(names[:most]), len(names) - most
    return _("%(names)s and %(more)s more") % {"names": shown, "more": more} if more > 0 else shown
