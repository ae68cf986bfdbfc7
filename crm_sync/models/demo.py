"""The CRM inside this app, for trying things out."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop


class DemoSwitch(models.Model):
    """How the CRM inside this app behaves: one row, changed by whoever tries things out."""

    class Mode(models.TextChoices):
        WORKING = "working", _("Works")
        THROTTLED = "throttled", _("Throttled: 429, asks to wait")
        DOWN = "down", _("Down: 503")
        REFUSING_FIELD = "refusing_field", _("Refuses a field: 422")
        WRONG_CREDENTIALS = "wrong_credentials", _("Refuses our credentials: 401")
        SLOW = "slow", _("Slow: answers after 5 seconds")
        ANSWER_LOST = "answer_lost", _("Answer lost: writes, then drops the connection")

    mode = models.CharField(_("behaviour"), max_length=20, choices=Mode.choices, default=Mode.WORKING)
    field = models.CharField(_("field to refuse"), max_length=100, blank=True, default="job_title")

    class Meta:
        verbose_name = _("switch of the demo CRM")
        verbose_name_plural = _("switches of the demo CRM")

    def __str__(self) -> str:
        return self.get_mode_display()

    @classmethod
    def current(cls) -> "DemoSwitch":
        return cls.objects.get_or_create(pk=1)[0]


class DemoRecord(models.Model):
    """A record in the CRM inside this app."""

    key = models.CharField(max_length=64, unique=True)
    record = models.JSONField()
    times_received = models.PositiveIntegerField(_("times received"), default=1)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = _("demo CRM record")
        verbose_name_plural = _("demo CRM records")
        permissions = [
            ("remove_demo", gettext_noop("Can remove all demo data")),
            ("switch_demo", gettext_noop("Can switch the demo CRM's behaviour")),
        ]

    def __str__(self) -> str:
        return str(self.record.get("topic") or self.key)
