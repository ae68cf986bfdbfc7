from collections.abc import Callable

from django.apps import AppConfig
from django.conf import settings
from django.utils.translation import gettext_lazy


class CrmSyncConfig(AppConfig):
    name = "crm_sync"
    verbose_name = gettext_lazy("CRM sync")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from leads.ports import ports

        ports.bell.append(_bell())
        # The admin asks every app for its pages when it starts; these add to the pages of other apps too.
        from crm_sync.admin import plug_in

        plug_in(ports)


def _bell() -> Callable[[], None]:
    """How the engine of this installation is woken. Procrastinate is installed where that is the engine."""
    if settings.DELIVERY_ENGINE == "procrastinate":
        from crm_sync.engine.procrastinate import ring
    else:
        from crm_sync.engine.embedded import ring
    return ring
