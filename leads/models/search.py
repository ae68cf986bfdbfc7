"""What leads are found by."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.models.leads import Lead


class LeadText(models.Model):
    """Everything that a lead is searched for, in one text without regard to case: a row a lead, made by the worker.

    On a trigram index, which migration 0008 makes: of the table itself on PostgreSQL, in an FTS5 table that triggers
    keep in step on SQLite. So whoever deletes a lead, or its row here, clears the index as well.
    """

    lead = models.OneToOneField(Lead, models.CASCADE, related_name="searched")
    text = models.TextField(null=True, help_text=gettext_lazy("Empty until the worker has come round."))  # noqa: DJ001

    class Meta:
        verbose_name = gettext_lazy("lead text")
        verbose_name_plural = gettext_lazy("lead texts")
        indexes = [
            # Only what is still to be written: finding it costs nothing, however many leads there are.
            models.Index(fields=["id"], condition=Q(text=None), name="leadtext_owed"),
        ]

    def __str__(self) -> str:
        # Never the text: it is personal data.
        return _("Text of lead %(number)s") % {"number": self.lead_id}
