"""Where leads go: destinations and their state, routes, versioned mappings, deliveries and their attempts."""

from crm_sync.models.deliveries import Attempt, Delivery, DeliveryQuerySet
from crm_sync.models.demo import DemoRecord, DemoSwitch
from crm_sync.models.destinations import Destination, FieldCatalogue
from crm_sync.models.health import DestinationState, Outage, Worker
from crm_sync.models.mappings import (
    FieldRule,
    MappingVersion,
    MappingVersionQuerySet,
    Route,
    effective_rules,
)

__all__ = [
    "Attempt",
    "Delivery",
    "DeliveryQuerySet",
    "DemoRecord",
    "DemoSwitch",
    "Destination",
    "DestinationState",
    "FieldCatalogue",
    "FieldRule",
    "MappingVersion",
    "MappingVersionQuerySet",
    "Outage",
    "Route",
    "Worker",
    "effective_rules",
]
