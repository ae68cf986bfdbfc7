from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class AdminConfig(DjangoAdminConfig):
    """The Django admin on our own site, with our own menu."""

    default_site = "leadsite.site.LeadSite"


class LeadsiteConfig(AppConfig):
    name = "leadsite"
    verbose_name = "Site"
