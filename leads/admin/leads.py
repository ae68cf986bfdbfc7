"""Leads in the admin: their list is the inbox, the page of one is in lead_views."""

from django.contrib import admin

from leads.admin.inbox import Inbox
from leads.admin.lead_views import LeadPage
from leads.models import Lead


@admin.register(Lead)
class LeadAdmin(Inbox, LeadPage):
    """Both halves in one, as the admin wants them."""
