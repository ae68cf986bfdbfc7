"""What arrived: offers and their endpoints, received requests, leads, customers, notes and jobs."""

import hashlib
import os
import secrets
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from leads import lead_source
from leads.countries import country_code
from leads.schema import SchemaError, check_schema
from leads.vault import EncryptedTextField

KEY_MIN_LENGTH = 32
LISTING_ID = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9_-]*$",
    "Letters, digits, dashes and underscores only, as shown in Partner Center.",
)


def new_id() -> uuid.UUID:
    """A UUID version 7 (RFC 9562): known before the insert, and in the order of time, so that indexes stay compact."""
    number = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(os.urandom(10), "big")
    number = number & ~(0xF << 76) | 7 << 76
    return uuid.UUID(int=number & ~(0x3 << 62) | 2 << 62)


class Offer(models.Model):
    """A listing in Partner Center."""

    class DncPolicy(models.TextChoices):
        HOLD = "hold", "Hold: keep here, send to no CRM"
        PUSH = "push", "Send to the CRM, flagged"
        ARCHIVE = "archive", "Archive: keep here, closed"

    publisher_id = models.CharField("publisher ID", max_length=50, validators=[LISTING_ID])
    offer_id = models.CharField("offer ID", max_length=64, validators=[LISTING_ID])
    title = models.CharField(max_length=200)
    enabled = models.BooleanField(
        default=True, help_text="While an offer is off, its leads are stored but sent to no CRM."
    )
    always_acknowledge = models.BooleanField(
        "always acknowledge",
        default=False,
        help_text="Answer 202 instead of 400 to a body that cannot be read. It goes to quarantine either way.",
    )
    dnc_policy = models.CharField(
        "do-not-contact leads", max_length=10, choices=DncPolicy.choices, default=DncPolicy.HOLD
    )
    send_test_leads = models.BooleanField(
        default=False, help_text="Send Microsoft's test leads to the CRM too. Normally they stay out of it."
    )
    schema = models.JSONField(
        "JSON schema",
        null=True,
        blank=True,
        help_text="Empty: Microsoft's own schema. A body that breaks the schema goes to quarantine.",
    )
    is_demo = models.BooleanField("demo", default=False, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["title", "id"]
        constraints = [models.UniqueConstraint(fields=["publisher_id", "offer_id"], name="offer_listed_once")]

    def __str__(self) -> str:
        return self.title

    @property
    def slug(self) -> str:
        """`publisher.offer`, as LeadSource, commands and the configuration file spell it."""
        return f"{self.publisher_id}.{self.offer_id}"

    def clean(self) -> None:
        if self.schema is not None:
            try:
                check_schema(self.schema)
            except SchemaError as error:
                raise ValidationError({"schema": str(error)}) from error


def key_digest(key: str) -> str:
    """What an endpoint is looked up by, so that neither the table nor its index gives a key away."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    def open(self, now: datetime) -> "EndpointQuerySet":
        """Endpoints that take leads: neither revoked nor expired."""
        return self.filter(revoked_at=None).filter(Q(expires_at=None) | Q(expires_at__gt=now))


class Endpoint(models.Model):
    """An unguessable URL of an offer; one or, while it is being rotated, several."""

    offer = models.ForeignKey(Offer, models.CASCADE, related_name="endpoints")
    key = EncryptedTextField(editable=False)
    key_digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = EndpointQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = "endpoint URL"
        permissions = [("reveal_endpoint", "Can see the endpoint URL of an offer")]

    def __str__(self) -> str:
        return f"Endpoint {self.pk} of {self.offer}"  # never the key: this text reaches logs and pages

    @classmethod
    def make(cls, offer: Offer, key: str = "") -> "Endpoint":
        """Give an offer a new URL; `key` is only given by a configuration file that moves an old one here."""
        key = key or secrets.token_urlsafe(32)
        return cls.objects.create(offer=offer, key=key, key_digest=key_digest(key))

    @property
    def path(self) -> str:
        return f"/in/{self.key}"

    @property
    def url(self) -> str:
        """The whole URL to paste into Partner Center."""
        return f"{settings.PUBLIC_URL}{self.path}"


class Submission(models.Model):
    """One POST to an endpoint, exactly as it came, and the verdict on it. Evidence: never edited."""

    class Verdict(models.TextChoices):
        LEAD = "lead", "Became a lead"
        QUARANTINED = "quarantined", "In quarantine"
        RELEASED = "released", "Released from quarantine"
        DISCARDED = "discarded", "Discarded"

    class Origin(models.TextChoices):
        ENDPOINT = "endpoint", "Posted to the endpoint URL"
        SAMPLE = "sample", "Sample lead, made here"
        IMPORT = "import", "Imported"
        SPOOL = "spool", "Taken in after a database outage"

    REASONS = {
        "empty": "Empty body",
        "not_json": "Not JSON",
        "not_object": "JSON, but not an object",
        "too_deep": "Nested too deep",
        "truncated": "Cut off on the way",
        "schema": "Against the offer's schema",
    }

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    offer = models.ForeignKey(Offer, models.CASCADE, related_name="submissions")
    endpoint = models.ForeignKey(
        Endpoint, models.SET_NULL, null=True, related_name="submissions", db_index=False
    )
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.ENDPOINT)
    received_at = models.DateTimeField(default=timezone.now)
    last_received_at = models.DateTimeField(null=True, help_text="When the same body last came again.")
    times_received = models.PositiveIntegerField(default=1)
    remote_addr = models.CharField("sent from", max_length=45, blank=True)
    headers = models.JSONField(default=dict)
    content_type = models.CharField(max_length=200, blank=True)
    body = models.BinaryField()
    body_digest = models.CharField(max_length=64)
    verdict = models.CharField(max_length=12, choices=Verdict.choices, default=Verdict.LEAD)
    reason = models.CharField(max_length=12, blank=True, choices=list(REASONS.items()))
    problems = models.JSONField(default=list, help_text="Each with pointer, line, column and message.")

    class Meta:
        ordering = ["-received_at", "-id"]
        verbose_name = "received request"
        indexes = [
            # Finds a repeat; time last, so that only the newest copies are read. Each index here is paid for by every
            # lead that comes in, so foreign keys have none of their own where one of these begins with them.
            models.Index(fields=["endpoint", "body_digest", "received_at"], name="submission_repeat"),
            models.Index(
                fields=["-received_at", "-id"],
                condition=Q(verdict="quarantined"),
                name="submission_quarantine",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.offer}, {timezone.localtime(self.received_at):%Y-%m-%d %H:%M:%S}"

    @property
    def in_quarantine(self) -> bool:
        return self.verdict == self.Verdict.QUARANTINED


class Customer(models.Model):
    """The person or company behind several leads: found by e-mail, else by company and phone."""

    name = models.CharField(max_length=200, blank=True)
    email = models.CharField(max_length=254, blank=True, db_index=True)
    company = models.CharField(max_length=200, blank=True)
    phone = models.CharField(max_length=50, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.name or self.email or self.company or f"Customer {self.pk}"


class LeadQuerySet(models.QuerySet["Lead"]):
    def unrouted(self) -> "LeadQuerySet":
        """Leads that routing has not looked at yet, oldest first."""
        return self.filter(routed_at=None).order_by("received_at", "id")

    def counted(self) -> "LeadQuerySet":
        """Leads that count: neither Microsoft's tests, nor samples made here, nor the demo."""
        return self.filter(is_test=False, is_sample=False, offer__is_demo=False)


class Lead(models.Model):
    """What a submission says, in fields; the working record, with status, owner and notes."""

    class Status(models.TextChoices):
        NEW = "new", "New"
        WORKING = "working", "Working"
        QUALIFIED = "qualified", "Qualified"
        CLOSED = "closed", "Closed"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    submission = models.ForeignKey(Submission, models.CASCADE, related_name="leads")
    offer = models.ForeignKey(Offer, models.CASCADE, related_name="leads", db_index=False)
    received_at = models.DateTimeField(default=timezone.now)

    # As read from the body. Text columns: a stranger's value may be as long as the body.
    first_name = models.TextField(blank=True)
    last_name = models.TextField(blank=True)
    email = models.TextField("e-mail", blank=True)
    phone = models.TextField(blank=True)
    company = models.TextField(blank=True)
    title = models.TextField("job title", blank=True)
    country = models.TextField(blank=True)
    lead_source = models.TextField("LeadSource", blank=True)
    source = models.TextField(blank=True)
    action = models.TextField(blank=True)
    offer_title = models.TextField("offer title sent", blank=True)
    sent_publisher_id = models.TextField("publisher ID sent", blank=True)
    sent_offer_id = models.TextField("offer ID sent", blank=True)
    description = models.TextField(blank=True)
    campaign = models.JSONField(default=dict, blank=True)
    extra = models.JSONField("fields we do not know", default=dict, blank=True)
    is_test = models.BooleanField("Microsoft's test", default=False)
    is_sample = models.BooleanField("sample", default=False)

    # The worker's.
    routed_at = models.DateTimeField(null=True, editable=False)
    customer = models.ForeignKey(
        Customer, models.SET_NULL, null=True, blank=True, related_name="leads", db_index=False
    )

    # Staff's.
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.NEW)
    closed_reason = models.CharField(max_length=200, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="leads",
        db_index=False,
    )

    objects = LeadQuerySet.as_manager()

    class Meta:
        ordering = ["-received_at", "-id"]
        indexes = [
            models.Index(fields=["-received_at", "-id"], name="lead_newest"),
            models.Index(fields=["offer", "-received_at"], name="lead_of_offer"),
            # The lead row is its own outbox: this index holds only what routing still owes.
            models.Index(fields=["received_at", "id"], condition=Q(routed_at=None), name="lead_unrouted"),
            models.Index(fields=["customer"], condition=Q(customer__isnull=False), name="lead_of_customer"),
            models.Index(fields=["owner"], condition=Q(owner__isnull=False), name="lead_of_owner"),
        ]

    def __str__(self) -> str:
        return self.who

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()

    @property
    def who(self) -> str:
        """The best name there is for the person, for lists and headings."""
        return self.full_name or self.email or self.company or "Unnamed lead"

    @property
    def sentence(self) -> str:
        """What happened, in one sentence: "Jane Doe, Contoso (US), pressed Contact me for Backup on AppSource"."""
        company = self.company if self.company != self.who else ""
        code = country_code(self.country)
        who = ", ".join(part for part in (self.who, company) if part) + (f" ({code})" if code else "")
        action = lead_source.ACTIONS.get(self.action)
        did = action.verb if action else "sent a lead for"
        where = lead_source.source_label(self.source)
        return f"{who} {did} {self.offer.title}" + (f" on {where}" if where else "")

    def values(self) -> dict[str, Any]:
        """Everything that a mapping rule may use, by name; text, but for `is_test`.

        Publisher, offer and title come from the body where it names them, else from the endpoint's offer.
        """
        return {
            "id": str(self.id),
            "first_name": self.first_name,
            "last_name": self.last_name,
            "full_name": self.full_name,
            "email": self.email,
            "phone": self.phone,
            "company": self.company,
            "title": self.title,
            "country": self.country,
            "country_code": country_code(self.country),
            "lead_source": self.lead_source,
            "source": self.source,
            "action": self.action,
            "action_label": lead_source.action_label(self.action),
            "publisher_id": self.sent_publisher_id or self.offer.publisher_id,
            "offer_id": self.sent_offer_id or self.offer.offer_id,
            "offer_title": self.offer_title or self.offer.title,
            "description": self.description,
            "received_at": rfc3339(self.received_at),
            "is_test": self.is_test,
            **{f"campaign.{key}": value for key, value in self.campaign.items()},
            **{f"extra.{key}": value for key, value in self.extra.items()},
        }


def rfc3339(moment: datetime) -> str:
    """UTC, to the second, with a Z: what CRMs and scripts agree on."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Note(models.Model):
    """What a colleague wrote about a lead."""

    lead = models.ForeignKey(Lead, models.CASCADE, related_name="notes")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    text = models.TextField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return self.text[:80]


class Job(models.Model):
    """A long piece of work that a person started: progress, cancel, result, lease."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        LEASED = "leased", "Running"
        FINISHED = "finished", "Finished"
        CANCELLED = "cancelled", "Cancelled"
        FAILED = "failed", "Failed"

    kind = models.CharField(max_length=40)
    arguments = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    result = models.JSONField(null=True)
    error = models.TextField(blank=True)
    lease_token = models.UUIDField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
