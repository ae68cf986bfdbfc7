"""How destinations do, and the workers that know it."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _


class DestinationState(models.Model):
    """The health of a destination: a row of its own, written by workers, and the lock under which slots are counted."""

    class State(models.TextChoices):
        WORKING = "working", _("Working")
        SLOWED = "slowed", _("Slowed")
        PAUSED = "paused", _("Paused")
        STOPPED = "stopped", _("Stopped")

    destination = models.OneToOneField(
        "Destination", models.CASCADE, primary_key=True, related_name="state", editable=False
    )
    state = models.CharField(max_length=8, choices=State.choices, default=State.WORKING)
    # Of one that works: why the last test failed all the same. A test that passes or a lead that arrives empties it.
    reason = models.TextField(blank=True)
    since = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField(null=True, help_text="Slowed: next try. Stopped: next check.")
    failures = models.PositiveIntegerField(default=0, help_text="Failures in a row; opens the breaker.")
    paused_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    last_success_at = models.DateTimeField(null=True)
    checked_at = models.DateTimeField(null=True)
    findings = models.JSONField(default=list)
    paced_until = models.DateTimeField(
        null=True, help_text="When all that was pushed so far would have gone at the limit a second."
    )
    day = models.DateField(null=True, help_text="The day, in UTC, that `pushed_today` counts.")
    pushed_today = models.PositiveIntegerField(default=0)
    credentials_expire_on = models.DateField(null=True, help_text="As the CRM told it at the last check.")
    reminded_days = models.PositiveSmallIntegerField(
        null=True, help_text="Days before the credentials expire that the last reminder was for."
    )

    class Meta:
        verbose_name = _("state of a CRM connection")
        verbose_name_plural = _("states of CRM connections")

    def __str__(self) -> str:
        return self.get_state_display()

    @property
    def is_doubtful(self) -> bool:
        """Whether leads are sent although the last test failed."""
        return self.state == self.State.WORKING and bool(self.reason)

    @property
    def is_untested(self) -> bool:
        """Whether nothing has shown yet that it works: no test, no lead that arrived, and no failure either."""
        shown = self.checked_at or self.last_success_at or self.failures
        # The demo CRM is a part of this app: there is nothing that may be mistyped.
        return self.state == self.State.WORKING and not shown and not self.destination.is_demo

    def become(self, state: str, reason: str, now: datetime, *, until: datetime | None = None) -> None:
        """Move to a state; `since` is kept while it stays the same. The caller saves."""
        if state != self.state:
            self.state, self.since = state, now
        self.reason, self.until = reason, until


class Outage(models.Model):
    """A time in which a destination took no leads: told once when it starts and once when it is over."""

    destination = models.ForeignKey("Destination", models.CASCADE, related_name="outages")
    started_at = models.DateTimeField()
    reason = models.TextField(blank=True)
    recovered_at = models.DateTimeField(null=True, help_text="When it took a lead again.")
    closed_at = models.DateTimeField(null=True, help_text="When what waited for it was settled.")
    affected = models.PositiveIntegerField(default=0, help_text="Leads that had to wait for it.")
    delivered = models.PositiveIntegerField(default=0, help_text="Of these, those that arrived.")
    start_claimed_at = models.DateTimeField(null=True, help_text="When a worker took on its first mail.")
    start_told_at = models.DateTimeField(null=True)
    end_claimed_at = models.DateTimeField(null=True)
    end_told_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-started_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["destination"], condition=Q(recovered_at=None), name="outage_one_at_a_time"
            )
        ]
        verbose_name = _("outage")
        verbose_name_plural = _("outages")
        indexes = [models.Index(fields=["started_at"], condition=Q(closed_at=None), name="outage_open")]

    def __str__(self) -> str:
        since = f"{self.started_at:%Y-%m-%d %H:%M}"
        return gettext("%(crm)s since %(since)s") % {"crm": self.destination, "since": since}


class Worker(models.Model):
    """A `deliver` process that reports being alive: without one the admin warns on every page."""

    name = models.CharField(max_length=100, unique=True)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")

    def __str__(self) -> str:
        return self.name
