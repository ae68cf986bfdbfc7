"""What arrived: offers and their endpoints, received requests, leads, customers, and what colleagues do with them."""

from leads.models.jobs import Job
from leads.models.leads import Customer, CustomerKey, Lead, LeadQuerySet, Note, rfc3339
from leads.models.offers import (
    KEY_MIN_LENGTH,
    AlreadyRotatedError,
    Endpoint,
    EndpointQuerySet,
    Offer,
    Refusal,
    RefusalQuerySet,
    UnknownKey,
    key_digest,
)
from leads.models.search import LeadText
from leads.models.submissions import Submission, new_id
from leads.models.triage import AnswerTemplate, AssignmentRule, Export, SavedView, WorkingHours

__all__ = [
    "KEY_MIN_LENGTH",
    "AlreadyRotatedError",
    "AnswerTemplate",
    "AssignmentRule",
    "Customer",
    "CustomerKey",
    "Endpoint",
    "EndpointQuerySet",
    "Export",
    "Job",
    "Lead",
    "LeadQuerySet",
    "LeadText",
    "Note",
    "Offer",
    "Refusal",
    "RefusalQuerySet",
    "SavedView",
    "Submission",
    "UnknownKey",
    "WorkingHours",
    "key_digest",
    "new_id",
    "rfc3339",
]
