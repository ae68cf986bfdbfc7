"""The admin's pages on what arrived, a module each, and what they add to one another's."""

from leads.admin import (
    answer_templates,
    assignment_rules,
    customers,
    exports,
    hours,
    jobs,
    leads,
    offers,
    quarantine,
    silence,
    unknown_keys,
    wrong_offer,
)
from leads.ports import Ports

__all__ = [
    "answer_templates",
    "assignment_rules",
    "customers",
    "exports",
    "hours",
    "jobs",
    "leads",
    "offers",
    "plug_in",
    "quarantine",
    "silence",
    "unknown_keys",
    "wrong_offer",
]


def plug_in(ports: Ports) -> None:
    """Register what Home and the page of an offer show beside their own."""
    ports.offer_panels += [silence.panel, wrong_offer.panel, unknown_keys.panel]
    ports.notices += [silence.notices, wrong_offer.notices, unknown_keys.notices]
