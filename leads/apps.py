from django.apps import AppConfig
from django.utils.translation import get_language, gettext, gettext_lazy, ngettext


class LeadsConfig(AppConfig):
    name = "leads"
    verbose_name = gettext_lazy("Leads")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from leads import alerts
        from leads.ports import ports
        from leads.texts import translator

        translator.one, translator.count, translator.language = gettext, ngettext, get_language
        ports.notices.append(alerts.notices)
        # The admin asks every app for its pages when it starts; these add to Home and to one another.
        from leads.admin import plug_in

        plug_in(ports)
