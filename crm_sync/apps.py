from django.apps import AppConfig


class CrmSyncConfig(AppConfig):
    name = "crm_sync"
    verbose_name = "CRM sync"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from crm_sync.engine import embedded
        from leads.ports import ports

        ports.bell.append(embedded.ring)
        # The admin asks every app for its pages when it starts; these add to the pages of other apps too.
        from crm_sync.admin import plug_in

        plug_in(ports)
