"""What is known of a CRM's own fields: read from it now and then, kept, and put in place of what its kind declares."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from django.db import transaction

from crm_sync import breakage
from crm_sync.models import Destination, FieldCatalogue
from crm_sync.spec import TargetField


@transaction.atomic
def store(destination: Destination, fields: Sequence[TargetField], at: datetime) -> None:
    """Keep what the CRM tells of its fields, in its order, and doubt the mappings that no longer fit them."""
    FieldCatalogue.objects.update_or_create(
        destination=destination, defaults={"fields": [asdict(field) for field in fields]}
    )
    Destination.objects.filter(pk=destination.pk).update(fields_read_at=at)
    destination.fields_read_at = at
    breakage.look_again(destination.pk)


def doubt(destination_id: int) -> None:
    """The CRM refused a field: have it asked for its fields again before the next push."""
    Destination.objects.filter(pk=destination_id).update(fields_read_at=None)
