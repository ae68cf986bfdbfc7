"""What arrived: offers and their endpoints, received requests, leads, customers, notes and jobs."""

import hashlib
import os
import secrets
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models, transaction
from django.db.models import F, Q
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

    def current_first(self) -> "EndpointQuerySet":
        """The URL to paste into Partner Center before those that it replaced."""
        return self.order_by(F("expires_at").desc(nulls_first=True), "-created_at", "-id")


class AlreadyRotatedError(Exception):
    """Somebody else gave the offer another current URL in the meantime."""


class Endpoint(models.Model):
    """An unguessable URL of an offer; one or, while it is being rotated, several."""

    offer = models.ForeignKey(Offer, models.CASCADE, related_name="endpoints")
    key = EncryptedTextField(editable=False)
    key_digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    # Every POST that it took, leads or not: written a few seconds later, by tally.
    hits = models.PositiveBigIntegerField(default=0, editable=False)
    last_hit_at = models.DateTimeField(null=True, editable=False)

    objects = EndpointQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = "endpoint URL"
        permissions = [
            ("reveal_endpoint", "Can see the endpoint URL of an offer"),
            ("rotate_endpoint", "Can rotate the endpoint URL of an offer, and revoke an old one"),
        ]

    def __str__(self) -> str:
        return f"Endpoint {self.pk} of {self.offer}"  # never the key: this text reaches logs and pages

    @classmethod
    def make(cls, offer: Offer, key: str = "") -> "Endpoint":
        """Give an offer a new URL; `key` is only given by a configuration file that moves an old one here."""
        key = key or secrets.token_urlsafe(32)
        return cls.objects.create(offer=offer, key=key, key_digest=key_digest(key))

    @classmethod
    def rotate(cls, offer: Offer, keep: timedelta, now: datetime, *, replacing: int | None) -> "Endpoint":
        """Give an offer a new URL; its open ones take leads for `keep` longer, those that end sooner until then.

        `replacing` is the current URL's id as whoever decided this saw it, None where there was none. Raises
        AlreadyRotatedError if it is another by now: of two who press at once, one makes a new URL.
        """
        with transaction.atomic():
            # No key: leads that come in meanwhile refer to the offer, and need not wait.
            Offer.objects.select_for_update(no_key=True).get(pk=offer.pk)
            usable = cls.objects.open(now).filter(offer=offer)
            # In the order of tally, which updates these rows too: no deadlock.
            list(usable.select_for_update(no_key=True).order_by("pk").values_list("pk"))
            if usable.current_first().values_list("pk", flat=True).first() != replacing:
                raise AlreadyRotatedError
            usable.filter(Q(expires_at=None) | Q(expires_at__gt=now + keep)).update(expires_at=now + keep)
            return cls.make(offer)

    def revoke(self, now: datetime) -> bool:
        """Close this URL for good. Returns whether that was this call's doing; the row tells what became of it."""
        return bool(Endpoint.objects.filter(pk=self.pk, revoked_at=None).update(revoked_at=now))

    def is_open(self, now: datetime) -> bool:
        """Whether it takes leads: neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)

    @property
    def path(self) -> str:
        return f"/in/{self.key}"

    @property
    def url(self) -> str:
        """The whole URL to paste into Partner Center."""
        return f"{settings.PUBLIC_URL}{self.path}"


class RefusalQuerySet(models.QuerySet["Refusal"]):
    def since(self, moment: datetime) -> "RefusalQuerySet":
        """From the minute of that moment on."""
        return self.filter(minute__gte=moment.replace(second=0, microsecond=0))


class Refusal(models.Model):
    """How many requests of one minute were refused for one reason. Nothing else of them is kept.

    Several rows may say the same, one a process: their `times` add up.
    """

    class Reason(models.TextChoices):
        UNKNOWN_KEY = "unknown_key", "No endpoint has that key"
        CLOSED_KEY = "closed_key", "The URL is revoked or has expired"
        STRANGER_TOO_FAST = "stranger_fast", "Unknown keys from one address, too many"
        TOO_FAST = "too_fast", "Faster than INTAKE_RATE"
        TOO_LARGE = "too_large", "Body over MAX_BODY_BYTES"
        NOT_POST = "not_post", "Another method than POST"
        BAD_LENGTH = "bad_length", "Body without a length, or never finished"
        UNAVAILABLE = "unavailable", "Database unavailable"

    minute = models.DateTimeField(db_index=True)
    reason = models.CharField(max_length=16, choices=Reason.choices)
    endpoint = models.ForeignKey(Endpoint, models.CASCADE, null=True, related_name="refusals")
    times = models.PositiveIntegerField()

    objects = RefusalQuerySet.as_manager()

    class Meta:
        ordering = ["-minute", "reason"]

    def __str__(self) -> str:
        return f"{self.times} x {self.get_reason_display()}"


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

    # A person's, once it was in quarantine.
    repaired = models.TextField(blank=True, help_text="The text that was released in place of the body.")
    decided_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", db_index=False
    )

    class Meta:
        ordering = ["-received_at", "-id"]
        verbose_name = "received request"
        permissions = [
            ("release_submission", "Can re-read and release what is in quarantine"),
            ("discard_submission", "Can discard what is in quarantine"),
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
        ]

    def __str__(self) -> str:
        return f"{self.offer}, {timezone.localtime(self.received_at):%Y-%m-%d %H:%M:%S}"

    @property
    def in_quarantine(self) -> bool:
        return self.verdict == self.Verdict.QUARANTINED


class Customer(models.Model):
    """The person or company behind several leads: found by e-mail, else by company and phone.

    Name, e-mail, company and phone are those of its latest lead that has them; `CustomerKey` is what it is found by.
    """

    name = models.TextField(blank=True)
    email = models.TextField("e-mail", blank=True)
    company = models.TextField(blank=True)
    phone = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]
        permissions = [("split_customer", "Can split a customer whose leads do not belong together")]

    def __str__(self) -> str:
        return self.name or self.email or self.company or f"Customer {self.pk}"


class CustomerKey(models.Model):
    """Something that a customer is recognised by. It leads to one customer only."""

    class Kind(models.TextChoices):
        EMAIL = "email", "Same e-mail"
        COMPANY_PHONE = "company_phone", "Same company and phone"

    customer = models.ForeignKey(Customer, models.CASCADE, related_name="keys")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    value = models.CharField(max_length=400)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "value"], name="customer_key_once")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of customer {self.customer_id}"  # never the value: it is personal data


class UnknownKey(models.Model):
    """A field that Microsoft sent for an offer and this software does not know, and what staff said to it."""

    offer = models.ForeignKey(Offer, models.CASCADE, related_name="unknown_keys")
    name = models.CharField(max_length=200)  # as in Lead.extra: "Notes", "UserDetails.Fax"
    leads = models.PositiveIntegerField(default=0)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    ignored_at = models.DateTimeField(null=True)
    ignored_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-first_seen_at", "name"]
        constraints = [models.UniqueConstraint(fields=["offer", "name"], name="unknown_key_once")]

    def __str__(self) -> str:
        return self.name


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

    class GroupedBy(models.TextChoices):
        """Why a lead is its customer's; empty for the first lead of a customer."""

        EMAIL = "email", "Same e-mail"
        COMPANY_PHONE = "company_phone", "Same company and phone"
        SPLIT = "split", "Split off by a colleague"

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

    # The worker's. What was tidied stands beside what was sent, "" where it could not be.
    routed_at = models.DateTimeField(null=True, editable=False)
    tidy_email = models.CharField(max_length=254, blank=True, editable=False)
    tidy_phone = models.CharField(max_length=20, blank=True, editable=False)  # E.164
    tidy_country = models.CharField(max_length=2, blank=True, editable=False)  # ISO 3166-1
    customer = models.ForeignKey(
        Customer, models.SET_NULL, null=True, blank=True, related_name="leads", db_index=False
    )
    grouped_by = models.CharField(max_length=16, choices=GroupedBy.choices, blank=True, editable=False)

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
    cursor = models.JSONField(null=True, help_text="Where it goes on if its worker is killed.")
    cancel_requested_at = models.DateTimeField(null=True)
    result = models.JSONField(null=True)
    error = models.TextField(blank=True)
    lease_token = models.UUIDField(null=True)
    lease_expires_at = models.DateTimeField(null=True)
    taken_up = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="How many workers have been at the place where it stands."
    )
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            # What is still to do, however many were ever done.
            models.Index(fields=["id"], condition=models.Q(state__in=["waiting", "leased"]), name="job_open")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
