"""Offers, their endpoints, and what is known of what comes to them."""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from leads.schema import SchemaError, check_schema
from leads.vault import EncryptedTextField

KEY_MIN_LENGTH = 32


LISTING_ID = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9_-]*$",
    gettext_lazy("Letters, digits, dashes and underscores only, as shown in Partner Center."),
)


class OfferQuerySet(models.QuerySet["Offer"]):
    def to_work_on(self) -> "OfferQuerySet":
        """Offers whose leads people have to work on here; not the demo's, which are for trying out."""
        return self.filter(is_demo=False).exclude(worked_in=Offer.WorkedIn.CRM)


class Offer(models.Model):
    """A listing in Partner Center."""

    class WorkedIn(models.TextChoices):
        """Where people work on its leads. Empty until somebody said so: then it is here, where they can be seen."""

        CRM = "crm", gettext_lazy("In the CRM: this is where leads are watched")
        HERE = "here", gettext_lazy("Here: owners, states, notes and answers")

    class DncPolicy(models.TextChoices):
        HOLD = "hold", gettext_lazy("Hold: keep here, send to no CRM")
        PUSH = "push", gettext_lazy("Send to the CRM, flagged")
        ARCHIVE = "archive", gettext_lazy("Archive: keep here, closed")

    publisher_id = models.CharField(gettext_lazy("publisher ID"), max_length=50, validators=[LISTING_ID])
    offer_id = models.CharField(gettext_lazy("offer ID"), max_length=64, validators=[LISTING_ID])
    title = models.CharField(gettext_lazy("title"), max_length=200)
    enabled = models.BooleanField(
        gettext_lazy("enabled"),
        default=True,
        help_text=gettext_lazy("While an offer is off, its leads are stored but sent to no CRM."),
    )
    always_acknowledge = models.BooleanField(
        gettext_lazy("always acknowledge"),
        default=False,
        help_text=gettext_lazy(
            "Answer 202 instead of 400 to a body that cannot be read. It goes to quarantine either way."
        ),
    )
    dnc_policy = models.CharField(
        gettext_lazy("do-not-contact leads"), max_length=10, choices=DncPolicy.choices, default=DncPolicy.HOLD
    )
    send_test_leads = models.BooleanField(
        gettext_lazy("send test leads"),
        default=False,
        help_text=gettext_lazy("Send Microsoft's test leads to the CRM too. Normally they stay out of it."),
    )
    schema = models.JSONField(
        gettext_lazy("JSON schema"),
        null=True,
        blank=True,
        help_text=gettext_lazy(
            "Empty: Microsoft's own schema. A body that breaks the schema goes to quarantine."
        ),
    )
    worked_in = models.CharField(
        gettext_lazy("leads are worked on"),
        max_length=4,
        choices=WorkedIn.choices,
        blank=True,
        help_text=gettext_lazy("In the CRM hides owners, states and answers of this offer's leads."),
    )
    # That no lead comes is told once, and again only after this moment.
    quiet_until = models.DateTimeField(null=True, editable=False)
    silence_told_at = models.DateTimeField(null=True, editable=False)
    is_demo = models.BooleanField(gettext_lazy("demo"), default=False, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = OfferQuerySet.as_manager()

    class Meta:
        ordering = ["title", "id"]
        verbose_name = gettext_lazy("offer")
        verbose_name_plural = gettext_lazy("offers")
        constraints = [models.UniqueConstraint(fields=["publisher_id", "offer_id"], name="offer_listed_once")]
        permissions = [("be_told_offer", gettext_noop("Is told by mail when an offer has gone silent"))]

    def __str__(self) -> str:
        return self.title

    @property
    def slug(self) -> str:
        """`publisher.offer`, as LeadSource, commands and the configuration file spell it."""
        return f"{self.publisher_id}.{self.offer_id}"

    @property
    def works_here(self) -> bool:
        """Whether people work on its leads here. Until somebody has decided, there is no other place."""
        return self.worked_in != self.WorkedIn.CRM

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
        verbose_name = gettext_lazy("endpoint URL")
        verbose_name_plural = gettext_lazy("endpoint URLs")
        permissions = [
            ("reveal_endpoint", gettext_noop("Can see the endpoint URL of an offer")),
            (
                "rotate_endpoint",
                gettext_noop("Can rotate the endpoint URL of an offer, and revoke an old one"),
            ),
        ]

    def __str__(self) -> str:
        # Never the key: this text reaches logs and pages.
        return _("Endpoint %(number)s of %(offer)s") % {"number": self.pk, "offer": self.offer}

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
        UNKNOWN_KEY = "unknown_key", gettext_lazy("No endpoint has that key")
        CLOSED_KEY = "closed_key", gettext_lazy("The URL is revoked or has expired")
        STRANGER_TOO_FAST = "stranger_fast", gettext_lazy("Unknown keys from one address, too many")
        TOO_FAST = "too_fast", gettext_lazy("Faster than INTAKE_RATE")
        TOO_LARGE = "too_large", gettext_lazy("Body over MAX_BODY_BYTES")
        NOT_POST = "not_post", gettext_lazy("Another method than POST")
        BAD_LENGTH = "bad_length", gettext_lazy("Body without a length, or never finished")
        UNAVAILABLE = "unavailable", gettext_lazy("Database unavailable")

    minute = models.DateTimeField(db_index=True)
    reason = models.CharField(max_length=16, choices=Reason.choices)
    endpoint = models.ForeignKey(Endpoint, models.CASCADE, null=True, related_name="refusals")
    times = models.PositiveIntegerField()

    objects = RefusalQuerySet.as_manager()

    class Meta:
        ordering = ["-minute", "reason"]
        verbose_name = gettext_lazy("refusal")
        verbose_name_plural = gettext_lazy("refusals")

    def __str__(self) -> str:
        return f"{self.times} x {self.get_reason_display()}"


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
        verbose_name = gettext_lazy("unknown key")
        verbose_name_plural = gettext_lazy("unknown keys")
        constraints = [models.UniqueConstraint(fields=["offer", "name"], name="unknown_key_once")]

    def __str__(self) -> str:
        return self.name
