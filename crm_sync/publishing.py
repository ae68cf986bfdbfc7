"""From a draft of a mapping to the live one, and what a change of it means for leads that wait."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Q
from django.utils.translation import gettext as _
from django.utils.translation import override

from crm_sync import breakage
from crm_sync.mapping import Rule
from crm_sync.models import Delivery, Destination, MappingVersion, Route


@transaction.atomic
def draft_of(owner: Route | Destination, user: Any = None) -> MappingVersion:
    """The draft of a route or destination; made from the live version where there is none."""
    draft = owner.mappings.filter(state=MappingVersion.State.DRAFT).first()
    if draft is None:
        live = owner.live_mapping
        highest = owner.mappings.aggregate(highest=Max("number"))["highest"] or 0
        draft = owner.mappings.create(number=highest + 1, created_by=user)
        if live is not None:
            draft.replace_rules(live.as_rules())
    return draft


@transaction.atomic
def publish(version: MappingVersion, now: datetime, user: Any = None, note: str = "") -> int:
    """Make a draft the live mapping. Returns how many leads, held by the broken one before, go out with it."""
    version.state = MappingVersion.State.PUBLISHED
    version.published_at, version.published_by, version.note = now, user, note
    version.save()
    routes = Route.objects.filter(Q(pk=version.route_id) | Q(destination=version.destination_id))
    MappingVersion.objects.filter(route__in=routes).exclude(broken="").update(broken="", broken_field="")
    owner = version.owner
    breakage.look_again(owner.destination_id if isinstance(owner, Route) else owner.pk)
    return Delivery.objects.filter(
        route__in=routes, state=Delivery.State.HELD, held_reason=Delivery.Held.MAPPING_BROKEN
    ).update(state=Delivery.State.WAITING, held_reason="", due_at=now)


@transaction.atomic
def restore(version: MappingVersion, now: datetime, user: Any = None) -> tuple[MappingVersion, int]:
    """Make the rules of an earlier version live again, as a new version. A draft stays, and comes after it.

    Returns the new version, and how many leads go out with it as `publish` does.
    """
    owner = version.owner
    highest = owner.mappings.aggregate(highest=Max("number"))["highest"]
    draft = owner.mappings.filter(state=MappingVersion.State.DRAFT).first()
    number = draft.number if draft else highest + 1
    if draft:
        draft.number = highest + 1
        draft.save(update_fields=["number"])
    restored = MappingVersion(
        route=version.route, destination=version.destination, number=number, created_by=user
    )
    restored.state = MappingVersion.State.PUBLISHED  # never a second draft, which there cannot be
    restored.save()
    restored.replace_rules(version.as_rules())
    with override(settings.LANGUAGE_CODE):  # what is stored is for readers of every language
        note = _("Restored %(version)s") % {"version": version}
    return restored, publish(restored, now, user, note)


def publish_rules(owner: Route | Destination, rules: Sequence[Rule], now: datetime, user: Any = None) -> bool:
    """Publish exactly these rules, unless they are live already. Returns whether anything changed."""
    live = owner.live_mapping
    if live is not None and live.as_rules() == tuple(rules):
        return False
    draft = draft_of(owner, user)
    draft.replace_rules(rules)
    publish(draft, now, user)
    return True
