"""Which offer sends where, and the versioned rules that say what the CRM gets."""

from collections.abc import Iterable

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from crm_sync.mapping import KINDS, TRANSFORMS, Rule, compose
from crm_sync.models.destinations import Destination
from leads.models import Lead, Offer

# An offer's newest or oldest leads, among which those are counted that a route has not sent: to find none among a
# million that were sent each would be read. The route's own page counts them all.
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
        return self.mappings.drafts().first()

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

    def oldest_waiting_leads(self) -> models.QuerySet[Lead]:
        """Those of them among the offer's oldest LOOKED_AT that may be asked about."""
        leads = Lead.objects.filter(offer=self.offer_id)
        if self.send_from:
            leads = leads.filter(received_at__gte=self.send_from)
        return self.waiting_leads().filter(pk__in=leads.order_by("received_at").values("pk")[:LOOKED_AT])


class MappingVersionQuerySet(models.QuerySet["MappingVersion"]):
    def published(self) -> "MappingVersionQuerySet":
        """Published versions, the live one first."""
        return self.filter(state=MappingVersion.State.PUBLISHED).order_by("-number")

    def drafts(self) -> "MappingVersionQuerySet":
        """Versions that are being written, of which an owner has one at most."""
        return self.filter(state=MappingVersion.State.DRAFT)


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
        permissions = [("publish_mappingversion", gettext_noop("Can publish a field mapping"))]
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
