"""Long pieces of work."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy


class Job(models.Model):
    """A long piece of work that a person started: progress, cancel, result, lease."""

    class State(models.TextChoices):
        WAITING = "waiting", gettext_lazy("Waiting")
        LEASED = "leased", gettext_lazy("Running")
        FINISHED = "finished", gettext_lazy("Finished")
        CANCELLED = "cancelled", gettext_lazy("Cancelled")
        FAILED = "failed", gettext_lazy("Failed")

    kind = models.CharField(max_length=40)
    arguments = models.JSONField(default=dict)
    state = models.CharField(
        gettext_lazy("state"), max_length=10, choices=State.choices, default=State.WAITING
    )
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(null=True)
    cursor = models.JSONField(null=True, help_text=gettext_lazy("Where it goes on if its worker is killed."))
    cancel_requested_at = models.DateTimeField(null=True)
    result = models.JSONField(null=True)
    error = models.TextField(blank=True)
    lease_token = models.UUIDField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    taken_up = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        help_text=gettext_lazy("How many workers have been at the place where it stands."),
    )
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = gettext_lazy("job")
        verbose_name_plural = gettext_lazy("jobs")
        indexes = [
            # What is still to do, however many were ever done.
            models.Index(fields=["id"], condition=models.Q(state__in=["waiting", "leased"]), name="job_open")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
