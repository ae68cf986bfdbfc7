"""Leads on their way: what is still owed, and every try with what was said."""

import uuid
from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from crm_sync.models.destinations import Destination
from crm_sync.models.mappings import MappingVersion, Route
from crm_sync.reason_groups import group_of
from leads.models import Job, Lead, Submission


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def due(self, now: datetime) -> "DeliveryQuerySet":
        """Waiting deliveries whose time has come, oldest first."""
        return self.filter(state=Delivery.State.WAITING, due_at__lte=now).order_by("due_at", "id")

    def in_flight(self, now: datetime) -> "DeliveryQuerySet":
        """Deliveries under a live lease: the only count of what is on its way."""
        return self.filter(state=Delivery.State.LEASED, lease_expires_at__gt=now)

    def lost(self, now: datetime) -> "DeliveryQuerySet":
        """Deliveries whose worker let its lease run out."""
        return self.filter(state=Delivery.State.LEASED, lease_expires_at__lte=now)

    def on_their_way(self) -> "DeliveryQuerySet":
        """Deliveries that arrive by themselves, nobody having to do anything. Each state has an index of its own."""
        return self.filter(state__in=[Delivery.State.WAITING, Delivery.State.LEASED])

    def timed(self) -> "DeliveryQuerySet":
        """Deliveries whose way from the lead's arrival here says how fast we are.

        Not those of tests, samples and the demo, nor of leads that were imported long after they came.
        """
        real = self.filter(lead__is_test=False, lead__is_sample=False, lead__offer__is_demo=False)
        return real.filter(state=Delivery.State.DELIVERED).exclude(
            lead__submission__origin=Submission.Origin.IMPORT
        )

    def owed(self) -> "DeliveryQuerySet":
        """Deliveries that have yet to arrive."""
        return self.filter(state__in=[Delivery.State.WAITING, Delivery.State.LEASED, Delivery.State.HELD])


class Delivery(models.Model):
    """One lead on its way along one route: the durable truth of what is still owed."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        LEASED = "leased", _("Being sent")
        DELIVERED = "delivered", _("Delivered")
        REJECTED = "rejected", _("Rejected")
        HELD = "held", _("Held")
        CANCELLED = "cancelled", _("Cancelled")

    class Held(models.TextChoices):
        DNC = "dnc", _("Do not contact")
        APPROVAL = "approval", _("Waits for approval")
        MAPPING_BROKEN = "mapping_broken", _("The field mapping is broken")
        UNCERTAIN = "uncertain", _("May have arrived already")
        GAVE_UP = "gave_up", _("Given up after about three days of tries")
        BUG = "bug", _("An error of this software")

    lead = models.ForeignKey(Lead, models.CASCADE, related_name="deliveries")
    route = models.ForeignKey(Route, models.CASCADE, related_name="deliveries")
    destination = models.ForeignKey(Destination, models.CASCADE, related_name="deliveries")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    held_reason = models.CharField(max_length=20, choices=Held.choices, blank=True)
    due_at = models.DateTimeField(default=timezone.now)
    tries = models.PositiveIntegerField(_("tries"), default=0)
    strikes = models.PositiveIntegerField(
        default=0, help_text="Tries that count towards giving up; those at a sick destination do not."
    )
    uncertain = models.BooleanField(default=False, help_text="An earlier try may have written the record.")
    reason = models.TextField(blank=True, help_text="What the last try said.")
    reason_group = models.CharField(
        max_length=200, blank=True, help_text="The reason without what differs from lead to lead."
    )
    field = models.CharField(max_length=200, blank=True, help_text="The CRM field that was refused.")
    without = models.JSONField(
        default=list, blank=True, help_text="CRM fields that a person had left out of this one lead."
    )
    job = models.ForeignKey(
        Job,
        models.SET_NULL,
        null=True,
        related_name="deliveries",
        db_index=False,
        help_text="The replay that last tried it again.",
    )
    duplicate_of = models.CharField(max_length=200, blank=True)
    write_anyway = models.BooleanField(
        default=False, help_text="A person decided to write it though the CRM has this person already."
    )
    remote_id = models.CharField(max_length=200, blank=True)
    remote_url = models.TextField(blank=True)
    existed = models.BooleanField(default=False)
    lease_token = models.UUIDField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    settled_at = models.DateTimeField(null=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = _("sending")
        verbose_name_plural = _("sendings")
        permissions = [
            ("retry_delivery", gettext_noop("Can retry a sending")),
            ("cancel_delivery", gettext_noop("Can cancel a sending")),
            ("send_waiting_delivery", gettext_noop("Can send leads that wait for a route")),
            ("replay_delivery", gettext_noop("Can replay a range of sendings")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["lead", "route"], name="delivery_once"),
            models.CheckConstraint(
                condition=Q(state="held") & ~Q(held_reason="") | ~Q(state="held") & Q(held_reason=""),
                name="delivery_held_has_reason",
            ),
            models.CheckConstraint(
                condition=Q(state="leased", lease_token__isnull=False)
                | ~Q(state="leased") & Q(lease_token=None),
                name="delivery_leased_has_token",
            ),
        ]
        indexes = [
            # Only what is still to do: claims stay cheap however many leads were ever delivered.
            models.Index(
                fields=["destination", "due_at", "id"], condition=Q(state="waiting"), name="delivery_due"
            ),
            models.Index(
                fields=["destination", "lease_expires_at"],
                condition=Q(state="leased"),
                name="delivery_leased",
            ),
            models.Index(fields=["state", "-created_at"], name="delivery_by_state"),
            models.Index(fields=["job"], condition=Q(job__isnull=False), name="delivery_by_job"),
        ]

    def __str__(self) -> str:
        return f"{self.lead} → {self.destination}"

    @property
    def key(self) -> str:
        """The idempotency key of every try: a UUID made from the lead's and the destination's ids."""
        return str(uuid.uuid5(self.lead_id, f"destination {self.destination_id}"))

    # Transitions. Each changes the object; the caller saves, in the transaction that justified it.

    def wait(self, due_at: datetime, reason: str = "") -> None:
        self._leave(self.State.WAITING, reason)
        self.due_at = due_at
        self.field = self.duplicate_of = ""

    def deliver(
        self, now: datetime, remote_id: str, remote_url: str, *, existed: bool, note: str = ""
    ) -> None:
        self._leave(self.State.DELIVERED, "")
        self.reason = note  # nothing stands still for it, so it is in no group
        self.remote_id, self.remote_url, self.existed = remote_id[:200], remote_url, existed
        self.settled_at = now
        self.uncertain, self.field, self.duplicate_of = False, "", ""

    def reject(self, now: datetime, reason: str, field: str, duplicate_of: str) -> None:
        self._leave(self.State.REJECTED, reason)
        self.field, self.duplicate_of, self.settled_at = field[:200], duplicate_of[:200], now

    def hold(self, why: str, reason: str = "") -> None:
        self._leave(self.State.HELD, reason)
        self.held_reason = why
        if why != self.Held.MAPPING_BROKEN:
            self.field = self.duplicate_of = ""

    def cancel(self, now: datetime, reason: str = "") -> None:
        self._leave(self.State.CANCELLED, reason)
        self.settled_at = now

    def _leave(self, state: str, reason: str) -> None:
        self.state, self.reason, self.reason_group = state, reason, group_of(reason)
        self.held_reason, self.lease_token, self.lease_expires_at, self.settled_at = "", None, None, None


class Attempt(models.Model):
    """One try of a delivery. Evidence: written with the claim, completed once, never edited."""

    class Outcome(models.TextChoices):
        DELIVERED = "delivered", _("Delivered")
        REJECTED = "rejected", _("Rejected")
        RETRY_LATER = "retry_later", _("To be tried again")
        THROTTLED = "throttled", _("CRM asked to slow down")
        DESTINATION_FAULT = "destination_fault", _("CRM connection at fault")
        MAPPING_BROKEN = "mapping_broken", _("Field mapping broken")
        LOST = "lost", _("Interrupted: may have arrived")
        BUG = "bug", _("An error of this software")

    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    token = models.UUIDField(unique=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=20, choices=Outcome.choices, blank=True)
    reason = models.TextField(blank=True)
    field = models.CharField(max_length=200, blank=True)
    uncertain = models.BooleanField(default=False)
    exchanges = models.JSONField(default=list, help_text="Masked requests and responses, in order.")
    route_mapping = models.ForeignKey(MappingVersion, models.SET_NULL, null=True, related_name="+")
    default_mapping = models.ForeignKey(MappingVersion, models.SET_NULL, null=True, related_name="+")
    worker = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering = ["number"]
        verbose_name = _("try")
        verbose_name_plural = _("tries")
        permissions = [("view_personal_attempt", gettext_noop("Can see personal data in tries"))]
        constraints = [models.UniqueConstraint(fields=["delivery", "number"], name="attempt_number")]

    def __str__(self) -> str:
        return gettext("Try %(number)s") % {"number": self.number}

    @property
    def duration_ms(self) -> int | None:
        """Milliseconds from claim to settlement; None while the try is under way."""
        return (
            round((self.finished_at - self.started_at).total_seconds() * 1000) if self.finished_at else None
        )
