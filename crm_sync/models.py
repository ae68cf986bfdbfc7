"""Where leads go: destinations and their state, routes, versioned mappings, deliveries and their attempts."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from crm_sync import connectors
from crm_sync.mapping import KINDS, TRANSFORMS, Rule, completed, compose, suggested_rules
from crm_sync.reason_groups import group_of
from crm_sync.spec import Spec, TargetField
from leads.models import Job, Lead, Offer, Submission
from leads.vault import EncryptedJSONField

# --- Destinations --------------------------------------------------------------------------------------------


class Destination(models.Model):
    """One CRM account: connector, settings, secrets, limits."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    connector = models.CharField(_("kind of CRM"), max_length=40)
    settings = models.JSONField(default=dict, blank=True)
    secrets = EncryptedJSONField(default=dict, blank=True, editable=False)
    max_in_flight = models.PositiveSmallIntegerField(
        _("pushes at once"),
        default=10,
        help_text=_("How many leads may be on their way to this CRM at the same time."),
    )
    max_per_second = models.PositiveSmallIntegerField(
        _("pushes a second"), null=True, blank=True, help_text=_("Empty: no limit. Shared by all workers.")
    )
    max_per_day = models.PositiveIntegerField(
        _("pushes a day"),
        null=True,
        blank=True,
        help_text=_("Empty: no limit. For a CRM with a daily quota; the day begins at 00:00 UTC."),
    )
    keep_tries_days = models.PositiveIntegerField(
        _("keep requests and answers for"),
        default=90,
        help_text=_("Days that what was sent and answered is kept, once a lead is settled. 0: for ever."),
    )
    credentials_expire_on = models.DateField(
        _("credentials expire on"),
        null=True,
        blank=True,
        help_text=_("Where the CRM cannot tell it: the date is reminded of 30, 7 and 1 days before."),
    )
    credentials_changed_at = models.DateTimeField(null=True, editable=False)
    fields_read_at = models.DateTimeField(
        null=True, editable=False, help_text="When the CRM was last asked for its fields; null: ask again."
    )
    for_new_offers = models.BooleanField(
        _("new offers send to this"),
        default=False,
        help_text=_(
            "An offer that is added is connected to it; its leads wait until its field mapping is published."
        ),
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["for_new_offers"], condition=models.Q(for_new_offers=True), name="one_for_new_offers"
            )
        ]
        verbose_name = _("CRM connection")
        verbose_name_plural = _("CRM connections")
        permissions = [
            ("test_destination", "Can test a CRM connection"),
            ("pause_destination", "Can pause and resume a CRM connection"),
            ("send_sample_destination", "Can send a sample lead to a CRM connection"),
            ("be_told_destination", "Is told by e-mail when a CRM connection fails"),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        DestinationState.objects.get_or_create(destination=self)

    def clean(self) -> None:
        try:
            spec = self.spec
        except connectors.UnknownConnector as error:
            raise ValidationError({"connector": str(error)}) from error
        for name in ("max_in_flight", "max_per_second", "max_per_day"):
            if getattr(self, name) == 0:
                raise ValidationError({name: _("At least 1.")})
        self.connector = spec.slug

    def take_new_offers(self) -> list[str]:
        """End it for whichever other connection new offers send to: there is one at most. Returns its name, if any."""
        others = Destination.objects.filter(for_new_offers=True).exclude(pk=self.pk)
        names = list(others.values_list("name", flat=True))
        others.update(for_new_offers=False)
        return names

    @property
    def spec(self) -> Spec:
        """What the connector declares, with the CRM's own fields where it told them.

        Raises connectors.UnknownConnector.
        """
        declared = connectors.get(self.connector).spec
        if not declared.describes or self.fields_read_at is None:
            return declared
        key = (self.pk, self.connector, self.fields_read_at)
        if key not in _described:
            stored = FieldCatalogue.objects.filter(destination=self.pk).first()
            fields = stored.as_fields() if stored else declared.fields
            if len(_described) > MOST_DESCRIBED:
                _described.clear()
            _described[key] = replace(declared, fields=fields, any_field=declared.any_field and not stored)
        return _described[key]

    @property
    def spec_in_words(self) -> Spec:
        """`spec` for reading, in the language of who reads it; the CRM's own words for its fields stay.

        Raises connectors.UnknownConnector.
        """
        declared, spec = connectors.get(self.connector).spec, self.spec
        said = declared.in_words()
        return said if spec is declared else replace(said, fields=spec.fields, any_field=spec.any_field)

    @property
    def is_demo(self) -> bool:
        return self.connector == "demo"

    def all_settings(self) -> dict[str, str]:
        """Settings and secrets together, as the connector takes them."""
        return {**self.settings, **self.secrets}

    def store_settings(self, values: Mapping[str, str]) -> bool:
        """Part settings from secrets, as the spec declares them. Returns whether any is another. The caller saves."""
        secret = self.spec.secret_names
        before = self.settings
        self.settings = {name: value for name, value in values.items() if name not in secret}
        secrets = {name: value for name, value in values.items() if name in secret and value}
        changed = (self.settings, secrets) != (before, self.secrets)
        if changed:
            self.fields_read_at = None  # it may be another CRM
        if secrets != self.secrets:
            self.secrets, self.credentials_changed_at = secrets, timezone.now()
        return changed

    @property
    def live_mapping(self) -> "MappingVersion | None":
        """The published default rules; None: the connector's suggested mapping applies."""
        return self.mappings.published().first()

    @property
    def draft(self) -> "MappingVersion | None":
        return self.mappings.filter(state=MappingVersion.State.DRAFT).first()

    def default_rules(self) -> tuple[Rule, ...]:
        """The rules that every route to here starts from."""
        live = self.live_mapping
        return completed(live.as_rules(), self.spec) if live else suggested_rules(self.spec)


# Specs with the CRM's own fields, by what they were read for: every claim asks for one.
_described: dict[tuple[Any, ...], Spec] = {}
MOST_DESCRIBED = 1_000


class FieldCatalogue(models.Model):
    """The fields of a destination's record as the CRM told them. Beside the destination, which every claim reads."""

    destination = models.OneToOneField(
        Destination, models.CASCADE, primary_key=True, related_name="catalogue", editable=False
    )
    fields = models.JSONField(default=list)

    class Meta:
        verbose_name = _("fields of a CRM connection")
        verbose_name_plural = _("fields of CRM connections")

    def __str__(self) -> str:
        return gettext("Fields of %(crm)s") % {"crm": self.destination}

    def as_fields(self) -> tuple[TargetField, ...]:
        """What `crm_sync.catalogue.store` was given."""
        return tuple(
            TargetField(**{**stored, "choices": tuple((name, label) for name, label in stored["choices"])})
            for stored in self.fields
        )


class DestinationState(models.Model):
    """The health of a destination: a row of its own, written by workers, and the lock under which slots are counted."""

    class State(models.TextChoices):
        WORKING = "working", _("Working")
        SLOWED = "slowed", _("Slowed")
        PAUSED = "paused", _("Paused")
        STOPPED = "stopped", _("Stopped")

    destination = models.OneToOneField(
        Destination, models.CASCADE, primary_key=True, related_name="state", editable=False
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

    destination = models.ForeignKey(Destination, models.CASCADE, related_name="outages")
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


# --- Routes and mappings -------------------------------------------------------------------------------------


# An offer's newest leads, among which those are counted that a route has not sent: to find none among a million that
# were sent each would be read. The route's own page counts them all.
LOOKED_AT = 200


class Route(models.Model):
    """Offer -> destination, with its conditions."""

    offer = models.ForeignKey(Offer, models.CASCADE, related_name="routes", verbose_name=_("offer"))
    destination = models.ForeignKey(
        Destination, models.CASCADE, related_name="routes", verbose_name=_("CRM connection")
    )
    enabled = models.BooleanField(default=True)
    only_actions = models.JSONField(
        default=list, blank=True, help_text=_("Action codes, such as INS or PLT. Empty: every action.")
    )
    needs_approval = models.BooleanField(
        default=False, help_text=_("Hold each lead until a person lets it go.")
    )
    send_from = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text='Set by "from now on": earlier leads are not offered again.',
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["offer", "id"]
        verbose_name = _("route")
        verbose_name_plural = _("routes")
        constraints = [
            # Also what makes a delivery's key one per lead and destination.
            models.UniqueConstraint(
                fields=["offer", "destination"],
                name="route_once",
                violation_error_message=_("This offer sends to that CRM connection already."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.offer} → {self.destination}"

    def takes(self, lead: Lead) -> bool:
        """Whether the conditions of this route hold for a lead."""
        return not self.only_actions or lead.action.casefold() in {
            code.casefold() for code in self.only_actions
        }

    @property
    def live_mapping(self) -> "MappingVersion | None":
        """The published rules; None: nothing was published yet, and leads wait."""
        return self.mappings.published().first()

    @property
    def draft(self) -> "MappingVersion | None":
        return self.mappings.filter(state=MappingVersion.State.DRAFT).first()

    def waiting_leads(self) -> models.QuerySet[Lead]:
        """Leads that this route would have sent, had it been published when they were routed."""
        leads = Lead.objects.filter(offer=self.offer).exclude(routed_at=None).exclude(deliveries__route=self)
        if self.send_from:
            leads = leads.filter(received_at__gte=self.send_from)
        if not self.offer.send_test_leads:
            leads = leads.filter(is_test=False)
        if self.offer.dnc_policy == Offer.DncPolicy.ARCHIVE:
            leads = leads.exclude(action__iexact="DNC")
        if self.only_actions:
            chosen = Q()
            for code in self.only_actions:
                chosen |= Q(action__iexact=code)
            leads = leads.filter(chosen)
        return leads

    def newest_waiting_leads(self) -> models.QuerySet[Lead]:
        """Those of them among the offer's newest LOOKED_AT."""
        newest = Lead.objects.filter(offer=self.offer_id).order_by("-received_at").values("pk")[:LOOKED_AT]
        return self.waiting_leads().filter(pk__in=newest)


class MappingVersionQuerySet(models.QuerySet["MappingVersion"]):
    def published(self) -> "MappingVersionQuerySet":
        """Published versions, the live one first."""
        return self.filter(state=MappingVersion.State.PUBLISHED).order_by("-number")


class MappingVersion(models.Model):
    """The rules of a route, or the default rules of a destination; a draft, then published and never changed again."""

    class State(models.TextChoices):
        DRAFT = "draft", _("Draft")
        PUBLISHED = "published", _("Published")

    route = models.ForeignKey(Route, models.CASCADE, null=True, related_name="mappings")
    destination = models.ForeignKey(Destination, models.CASCADE, null=True, related_name="mappings")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    note = models.CharField(max_length=200, blank=True)
    broken = models.TextField(blank=True, help_text="Why the CRM refuses this mapping; empty while it works.")
    broken_field = models.CharField(max_length=200, blank=True)
    doubt = models.TextField(
        blank=True,
        help_text="Why it no longer fits the CRM's fields; empty while it does. Leads go out all the same.",
    )
    doubt_field = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    published_at = models.DateTimeField(null=True)

    objects = MappingVersionQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        verbose_name = _("field mapping")
        verbose_name_plural = _("field mappings")
        permissions = [("publish_mappingversion", "Can publish a field mapping")]
        constraints = [
            models.CheckConstraint(
                condition=Q(route=None, destination__isnull=False) | Q(route__isnull=False, destination=None),
                name="mapping_has_one_owner",
            ),
            models.UniqueConstraint(fields=["route", "number"], name="route_mapping_number"),
            models.UniqueConstraint(fields=["destination", "number"], name="destination_mapping_number"),
            models.UniqueConstraint(fields=["route"], condition=Q(state="draft"), name="route_one_draft"),
            models.UniqueConstraint(
                fields=["destination"], condition=Q(state="draft"), name="destination_one_draft"
            ),
        ]

    def __str__(self) -> str:
        return f"v{self.number}"

    @property
    def owner(self) -> "Route | Destination":
        """The route or the destination whose rules these are."""
        if self.route is not None:
            return self.route
        assert self.destination is not None  # noqa: S101 - the database has it so
        return self.destination

    def as_rules(self) -> tuple[Rule, ...]:
        """The rules as the pure core takes them, in order."""
        return tuple(row.as_rule() for row in self.rules.all())

    @transaction.atomic
    def replace_rules(self, rules: Iterable[Rule]) -> None:
        """Make these the rules of this draft."""
        self.rules.all().delete()
        FieldRule.objects.bulk_create(
            FieldRule.from_rule(rule, version=self, position=position)
            for position, rule in enumerate(rules, 1)
        )


class FieldRule(models.Model):
    """One row of a field mapping: which target gets what."""

    version = models.ForeignKey(MappingVersion, models.CASCADE, related_name="rules")
    position = models.PositiveIntegerField()
    target = models.CharField(_("CRM field"), max_length=200)
    kind = models.CharField(
        _("how"),
        max_length=10,
        default="field",
        choices=[
            ("field", _("Lead field")),
            ("constant", _("Fixed value")),
            ("template", _("Text with fields")),
            ("lookup", _("Value list")),
            ("omit", _("Leave out")),
        ],
    )
    source = models.CharField(_("lead field"), max_length=200, blank=True)
    value = models.TextField(_("fixed value"), blank=True)
    template = models.TextField(_("text"), blank=True)
    table = models.JSONField(_("value list"), default=dict, blank=True)
    transform = models.CharField(
        max_length=20,
        blank=True,
        choices=[(slug, _(transform.label)) for slug, transform in TRANSFORMS.items()],
    )
    fallback = models.TextField(_("if empty"), blank=True)
    when = models.JSONField(_("only when"), default=dict, blank=True)
    keep_empty = models.BooleanField(_("send when empty"), default=False)

    class Meta:
        ordering = ["position", "id"]
        verbose_name = _("row")
        verbose_name_plural = _("rows")

    def __str__(self) -> str:
        return self.target

    def as_rule(self) -> Rule:
        return Rule(
            target=self.target,
            kind=self.kind,
            source=self.source,
            value=self.value,
            template=self.template,
            table=self.table,
            transform=self.transform,
            fallback=self.fallback,
            when={name: tuple(values) for name, values in self.when.items()},
            keep_empty=self.keep_empty,
        )

    @classmethod
    def from_rule(cls, rule: Rule, *, version: MappingVersion, position: int) -> "FieldRule":
        return cls(
            version=version,
            position=position,
            target=rule.target,
            kind=rule.kind,
            source=rule.source,
            value=rule.value,
            template=rule.template,
            table=dict(rule.table),
            transform=rule.transform,
            fallback=rule.fallback,
            when={name: list(values) for name, values in rule.when.items()},
            keep_empty=rule.keep_empty,
        )


if tuple(kind for kind, _label in FieldRule._meta.get_field("kind").choices or ()) != KINDS:
    raise AssertionError("FieldRule.kind must offer exactly the kinds of crm_sync.mapping")


def effective_rules(route: Route) -> tuple[Rule, ...]:
    """The route's published rules over the destination's default rules, as a push uses them."""
    live = route.live_mapping
    return compose(live.as_rules() if live else (), route.destination.default_rules())


# --- Deliveries ----------------------------------------------------------------------------------------------


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
            ("retry_delivery", "Can retry a sending"),
            ("cancel_delivery", "Can cancel a sending"),
            ("send_waiting_delivery", "Can send leads that wait for a route"),
            ("replay_delivery", "Can replay a range of sendings"),
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
        permissions = [("view_personal_attempt", "Can see personal data in tries")]
        constraints = [models.UniqueConstraint(fields=["delivery", "number"], name="attempt_number")]

    def __str__(self) -> str:
        return gettext("Try %(number)s") % {"number": self.number}

    @property
    def duration_ms(self) -> int | None:
        """Milliseconds from claim to settlement; None while the try is under way."""
        return (
            round((self.finished_at - self.started_at).total_seconds() * 1000) if self.finished_at else None
        )


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


# --- The demo CRM --------------------------------------------------------------------------------------------


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
            ("remove_demo", "Can remove all demo data"),
            ("switch_demo", "Can switch the demo CRM's behaviour"),
        ]

    def __str__(self) -> str:
        return str(self.record.get("topic") or self.key)
