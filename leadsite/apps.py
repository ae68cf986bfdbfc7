from typing import Any

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig
from django.db.backends.signals import connection_created


class AdminConfig(DjangoAdminConfig):
    """The Django admin on our own site, with our own menu."""

    default_site = "leadsite.site.LeadSite"


class LeadsiteConfig(AppConfig):
    name = "leadsite"
    verbose_name = "Site"

    def ready(self) -> None:
        connection_created.connect(_compile_no_queries)


def _compile_no_queries(connection: Any, **more: Any) -> None:
    """PostgreSQL compiles what it thinks will take long: with a million leads two seconds for the list of offers,
    which is then there in a tenth of one."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET jit = off")
