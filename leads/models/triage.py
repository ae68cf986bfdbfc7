"""How colleagues share the work: who gets which lead, by when it is answered, how, and what each looks at."""

from datetime import time

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.models.offers import Offer


class AssignmentRule(models.Model):
    """Whose a new lead becomes: the first rule that takes it gives it to the next of its people, in turns.

    An empty condition takes every lead. Only leads that are worked on here are assigned.
    """

    name = models.CharField(gettext_lazy("name"), max_length=100, unique=True)
    position = models.PositiveIntegerField(
        gettext_lazy("position"),
        default=0,
        help_text=gettext_lazy("Rules are tried from the lowest number on."),
    )
    enabled = models.BooleanField(gettext_lazy("enabled"), default=True)
    offers = models.ManyToManyField(
        Offer,
        blank=True,
        related_name="+",
        help_text=gettext_lazy("None chosen: any offer."),
        verbose_name=gettext_lazy("offers"),
    )
    countries = models.JSONField(
        gettext_lazy("countries"),
        default=list,
        blank=True,
        help_text=gettext_lazy("ISO 3166-1 codes; empty: any."),
    )
    actions = models.JSONField(
        gettext_lazy("actions"),
        default=list,
        blank=True,
        help_text=gettext_lazy("Microsoft's codes; empty: any."),
    )
    people = models.ManyToManyField(
        settings.AUTH_USER_MODEL, related_name="+", verbose_name=gettext_lazy("people")
    )
    last_person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", editable=False
    )

    class Meta:
        ordering = ["position", "id"]
        verbose_name = gettext_lazy("assignment rule")
        verbose_name_plural = gettext_lazy("assignment rules")

    def __str__(self) -> str:
        return self.name


class AnswerTemplate(models.Model):
    """The text of an answer by e-mail, with `{{ first_name }}` and the like. The most special one is offered first."""

    offer = models.ForeignKey(
        Offer,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text=gettext_lazy("Empty: any offer."),
        verbose_name=gettext_lazy("offer"),
    )
    action = models.CharField(
        gettext_lazy("action"),
        max_length=40,
        blank=True,
        help_text=gettext_lazy("Microsoft's code; empty: any action."),
    )
    name = models.CharField(gettext_lazy("name"), max_length=100)
    subject = models.CharField(gettext_lazy("subject"), max_length=200)
    body = models.TextField(gettext_lazy("body"))

    class Meta:
        ordering = ["name", "id"]
        verbose_name = gettext_lazy("answer template")
        verbose_name_plural = gettext_lazy("answer templates")

    def __str__(self) -> str:
        return self.name


def _time_zone() -> str:
    return settings.TIME_ZONE


class WorkingHours(models.Model):
    """When colleagues are at work, and how soon they want to have answered: the first-response clock. One row."""

    days = models.CharField(
        gettext_lazy("days"), max_length=7, default="01234", help_text=gettext_lazy("0 is Monday.")
    )
    opens = models.TimeField(gettext_lazy("opens"), default=time(9))
    closes = models.TimeField(gettext_lazy("closes"), default=time(17))
    time_zone = models.CharField(gettext_lazy("time zone"), max_length=64, default=_time_zone)
    answer_within = models.PositiveSmallIntegerField(
        gettext_lazy("answer within"),
        null=True,
        blank=True,
        default=8,
        validators=[MinValueValidator(1), MaxValueValidator(500)],
        help_text=gettext_lazy("Working hours from a lead's arrival to its first answer. Empty: no clock."),
    )

    class Meta:
        verbose_name = verbose_name_plural = gettext_lazy("working hours")

    def __str__(self) -> str:
        return _("Working hours")

    @classmethod
    def current(cls) -> "WorkingHours":
        return cls.objects.order_by("pk").first() or cls()

    def clean(self) -> None:
        if self.opens and self.closes and self.opens >= self.closes:
            raise ValidationError({"closes": _("Work ends after it has begun, on the same day.")})


class SavedView(models.Model):
    """A filter of the inbox under a name: one colleague's, or everybody's."""

    name = models.CharField(gettext_lazy("name"), max_length=60)
    query = models.TextField(
        help_text=gettext_lazy("As in the address of the list, without page and order of clicks.")
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text=gettext_lazy("Empty: everybody's."),
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name", "id"]
        verbose_name = gettext_lazy("saved view")
        verbose_name_plural = gettext_lazy("saved views")

    def __str__(self) -> str:
        return self.name


class Export(models.Model):
    """That somebody took leads away in a file: who, when, which filter, how many. Evidence: never edited."""

    class Format(models.TextChoices):
        CSV = "csv", "CSV"
        XLSX = "xlsx", "Excel"

    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    format = models.CharField(max_length=4, choices=Format.choices)
    query = models.TextField(blank=True)
    said = models.TextField(blank=True, help_text=gettext_lazy("The filter in words."))
    leads = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = gettext_lazy("export")
        verbose_name_plural = gettext_lazy("exports")

    def __str__(self) -> str:
        at = f"{timezone.localtime(self.created_at):%Y-%m-%d %H:%M}"
        return _("%(number)s leads, %(time)s") % {"number": self.leads, "time": at}
