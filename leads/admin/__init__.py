"""The admin's pages on what arrived, a module each."""

from leads.admin import leads, offers, quarantine

__all__ = ["leads", "offers", "quarantine"]
