"""Received requests."""

import os
import time
import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy, gettext_noop

from leads.models.offers import Endpoint, Offer


def new_id() -> uuid.UUID:
    """A UUID version 7 (RFC 9562): known before the insert, and in the order of time, so that indexes stay compact."""
    number = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(os.urandom(10), "big")
    number = number & ~(0xF << 76) | 7 << 76
    return uuid.UUID(int=number & ~(0x3 << 62) | 2 << 62)


class Submission(models.Model):
    """One POST to an endpoint, exactly as it came, and the verdict on it. Evidence: never edited."""

    class Verdict(models.TextChoices):
        LEAD = "lead", gettext_lazy("Became a lead")
        QUARANTINED = "quarantined", gettext_lazy("In quarantine")
        RELEASED = "released", gettext_lazy("Released from quarantine")
        DISCARDED = "discarded", gettext_lazy("Discarded")

    class Origin(models.TextChoices):
        ENDPOINT = "endpoint", gettext_lazy("Posted to the endpoint URL")
        SAMPLE = "sample", gettext_lazy("Sample lead, made here")
        IMPORT = "import", gettext_lazy("Imported")
        SPOOL = "spool", gettext_lazy("Taken in after a database outage")

    # By Microsoft, or by whoever else has the URL; a sample made here, or an import, proves nothing.
    FROM_OUTSIDE = (Origin.ENDPOINT, Origin.SPOOL)

    # In English in the answer to Microsoft, in the language of the reader on screen.
    REASONS = {
        "empty": gettext_noop("Empty body"),
        "not_json": gettext_noop("Not JSON"),
        "not_object": gettext_noop("JSON, but not an object"),
        "too_deep": gettext_noop("Nested too deep"),
        "truncated": gettext_noop("Cut off on the way"),
        "schema": gettext_noop("Against the offer's schema"),
    }

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    offer = models.ForeignKey(
        Offer, models.CASCADE, related_name="submissions", verbose_name=gettext_lazy("offer")
    )
    endpoint = models.ForeignKey(
        Endpoint, models.SET_NULL, null=True, related_name="submissions", db_index=False
    )
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.ENDPOINT)
    received_at = models.DateTimeField(default=timezone.now)
    last_received_at = models.DateTimeField(
        null=True, help_text=gettext_lazy("When the same body last came again.")
    )
    times_received = models.PositiveIntegerField(default=1)
    remote_addr = models.CharField(gettext_lazy("sent from"), max_length=45, blank=True)
    headers = models.JSONField(default=dict)
    content_type = models.CharField(max_length=200, blank=True)
    body = models.BinaryField()
    body_digest = models.CharField(max_length=64)
    verdict = models.CharField(max_length=12, choices=Verdict.choices, default=Verdict.LEAD)
    reason = models.CharField(
        gettext_lazy("reason"),
        max_length=12,
        blank=True,
        choices=[(code, gettext_lazy(title)) for code, title in REASONS.items()],
    )
    problems = models.JSONField(
        default=list, help_text=gettext_lazy("Each with pointer, line, column and message.")
    )

    # A person's, once it was in quarantine.
    repaired = models.TextField(
        blank=True, help_text=gettext_lazy("The text that was released in place of the body.")
    )
    decided_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", db_index=False
    )

    class Meta:
        ordering = ["-received_at", "-id"]
        verbose_name = gettext_lazy("received request")
        verbose_name_plural = gettext_lazy("received requests")
        permissions = [
            ("release_submission", gettext_noop("Can re-read and release what is in quarantine")),
            ("discard_submission", gettext_noop("Can discard what is in quarantine")),
        ]
        indexes = [
            # Finds a repeat; time last, so that only the newest copies are read. Each index here is paid for by every
            # lead that comes in, so foreign keys have none of their own where one of these begins with them.
            models.Index(fields=["endpoint", "body_digest", "received_at"], name="submission_repeat"),
            models.Index(
                fields=["-received_at", "-id"],
                condition=Q(verdict="quarantined"),
                name="submission_quarantine",
            ),
            models.Index(fields=["-id"], condition=Q(times_received__gt=1), name="submission_repeated"),
            # What people decided on, of which intake writes none.
            models.Index(
                fields=["-id"], condition=Q(verdict__in=["released", "discarded"]), name="submission_decided"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.offer}, {timezone.localtime(self.received_at):%Y-%m-%d %H:%M:%S}"

    @property
    def in_quarantine(self) -> bool:
        return self.verdict == self.Verdict.QUARANTINED
