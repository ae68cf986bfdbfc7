"""CRM accounts: what is needed to reach them, their limits, and the fields that they told."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from crm_sync import connectors
from crm_sync.mapping import Rule, completed, suggested_rules
from crm_sync.models.health import DestinationState
from crm_sync.spec import Spec, TargetField
from leads.vault import EncryptedJSONField

if TYPE_CHECKING:
    from crm_sync.models.mappings import MappingVersion


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
            ("test_destination", gettext_noop("Can test a CRM connection")),
            ("pause_destination", gettext_noop("Can pause and resume a CRM connection")),
            ("send_sample_destination", gettext_noop("Can send a sample lead to a CRM connection")),
            ("be_told_destination", gettext_noop("Is told by e-mail when a CRM connection fails")),
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

        A field of ours among those that were read, which is no field of the CRM, is told in our words.

        Raises connectors.UnknownConnector.
        """
        declared, spec = connectors.get(self.connector).spec, self.spec
        said = declared.in_words()
        if spec is declared:
            return said
        ours = {field.name: field.label for field in said.fields if field.ours}
        fields = tuple(replace(field, label=ours.get(field.name, field.label)) for field in spec.fields)
        return replace(said, fields=fields, any_field=spec.any_field)

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
        return self.mappings.drafts().first()

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
