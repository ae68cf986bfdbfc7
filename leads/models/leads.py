"""Leads, their customers and what colleagues write about them."""

from datetime import UTC, date, datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from leads import lead_source
from leads.countries import country_code
from leads.models.offers import Offer
from leads.models.submissions import Submission, new_id


class Customer(models.Model):
    """The person or company behind several leads: found by e-mail, else by company and phone.

    Name, e-mail, company and phone are those of its latest lead that has them; `CustomerKey` is what it is found by.
    """

    name = models.TextField(gettext_lazy("name"), blank=True)
    email = models.TextField(gettext_lazy("e-mail"), blank=True)
    company = models.TextField(gettext_lazy("company"), blank=True)
    phone = models.TextField(gettext_lazy("phone"), blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]
        verbose_name = gettext_lazy("customer")
        verbose_name_plural = gettext_lazy("customers")
        permissions = [
            ("split_customer", gettext_noop("Can split a customer whose leads do not belong together"))
        ]

    def __str__(self) -> str:
        return self.name or self.email or self.company or _("Customer %(number)s") % {"number": self.pk}


class CustomerKey(models.Model):
    """Something that a customer is recognised by. It leads to one customer only."""

    class Kind(models.TextChoices):
        EMAIL = "email", gettext_lazy("Same e-mail")
        COMPANY_PHONE = "company_phone", gettext_lazy("Same company and phone")

    customer = models.ForeignKey(Customer, models.CASCADE, related_name="keys")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    value = models.CharField(max_length=400)

    class Meta:
        verbose_name = gettext_lazy("customer key")
        verbose_name_plural = gettext_lazy("customer keys")
        constraints = [models.UniqueConstraint(fields=["kind", "value"], name="customer_key_once")]

    def __str__(self) -> str:
        # Never the value: it is personal data.
        said = {"kind": self.get_kind_display(), "number": self.customer_id}
        return _("%(kind)s of customer %(number)s") % said


class LeadQuerySet(models.QuerySet["Lead"]):
    def unrouted(self) -> "LeadQuerySet":
        """Leads that routing has not looked at yet, oldest first."""
        return self.filter(routed_at=None).order_by("received_at", "id")

    def counted(self) -> "LeadQuerySet":
        """Leads that count: neither Microsoft's tests, nor samples made here, nor the demo."""
        return self.filter(is_test=False, is_sample=False, offer__is_demo=False)

    def worked_here(self) -> "LeadQuerySet":
        """Leads that people work on here, not in their CRM."""
        # By their ids: a condition on two tables is asked of every lead there is.
        in_the_crm = Offer.objects.filter(worked_in=Offer.WorkedIn.CRM).order_by()
        left_out = list(in_the_crm.values_list("pk", flat=True))
        return self.exclude(offer__in=left_out) if left_out else self

    def to_work_on(self) -> "LeadQuerySet":
        """Leads that somebody here has to do something about: real ones that are worked on here, in sight.

        None of the demo, which is for trying out, and none of who asked not to be contacted. Every number and list of
        what waits for people begins here; `leads.work.wants_answer` says the same of one lead.
        """
        real = self.filter(is_test=False, is_sample=False, archived_at=None).exclude(action="DNC")
        here = Offer.objects.to_work_on().order_by().values("pk")
        if not Offer.objects.exclude(pk__in=here).exists():
            return real
        # By the ids of those that are worked on: an index finds their leads, past a million of the others.
        return real.filter(offer__in=list(here.values_list("pk", flat=True)))

    def unanswered(self) -> "LeadQuerySet":
        """Leads that still wait for their first answer."""
        return self.to_work_on().filter(answered_at=None, status__in=[Lead.Status.NEW, Lead.Status.WORKING])

    def answered_here(self) -> "LeadQuerySet":
        """Leads whose way to the first answer is known: not worked on in the CRM, nor imported long after they came."""
        answered = self.worked_here().filter(answered_at__isnull=False)
        return answered.exclude(submission__origin=Submission.Origin.IMPORT)

    def needing(self, user: Any, today: date) -> "LeadQuerySet":
        """Leads that this user should look at: theirs or nobody's, and new or with a follow-up that is due."""
        theirs = Q(owner=user.pk) | Q(owner=None)
        return self.to_work_on().filter(theirs, Q(status=Lead.Status.NEW) | Q(follow_up_on__lte=today))


class Lead(models.Model):
    """What a submission says, in fields; the working record, with status, owner and notes."""

    class Status(models.TextChoices):
        NEW = "new", gettext_lazy("New")
        WORKING = "working", gettext_lazy("Working")
        QUALIFIED = "qualified", gettext_lazy("Qualified")
        CLOSED = "closed", gettext_lazy("Closed")

    class GroupedBy(models.TextChoices):
        """Why a lead is its customer's; empty for the first lead of a customer."""

        EMAIL = "email", gettext_lazy("Same e-mail")
        COMPANY_PHONE = "company_phone", gettext_lazy("Same company and phone")
        SPLIT = "split", gettext_lazy("Split off by a colleague")

    AGAIN = (GroupedBy.EMAIL, GroupedBy.COMPANY_PHONE)  # of a customer who had sent a lead before

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    submission = models.ForeignKey(Submission, models.CASCADE, related_name="leads")
    offer = models.ForeignKey(Offer, models.CASCADE, related_name="leads", db_index=False)
    received_at = models.DateTimeField(default=timezone.now)

    # As read from the body. Text columns: a stranger's value may be as long as the body.
    first_name = models.TextField(blank=True)
    last_name = models.TextField(blank=True)
    email = models.TextField(gettext_lazy("e-mail"), blank=True)
    phone = models.TextField(blank=True)
    company = models.TextField(blank=True)
    title = models.TextField(gettext_lazy("job title"), blank=True)
    country = models.TextField(blank=True)
    lead_source = models.TextField("LeadSource", blank=True)
    source = models.TextField(blank=True)
    action = models.TextField(blank=True)
    offer_title = models.TextField(gettext_lazy("offer title sent"), blank=True)
    sent_publisher_id = models.TextField(gettext_lazy("publisher ID sent"), blank=True)
    sent_offer_id = models.TextField(gettext_lazy("offer ID sent"), blank=True)
    description = models.TextField(blank=True)
    campaign = models.JSONField(default=dict, blank=True)
    extra = models.JSONField(gettext_lazy("fields we do not know"), default=dict, blank=True)
    is_test = models.BooleanField(gettext_lazy("Microsoft's test"), default=False)
    is_sample = models.BooleanField(gettext_lazy("sample"), default=False)

    # The worker's. What was tidied stands beside what was sent, "" where it could not be.
    routed_at = models.DateTimeField(null=True, editable=False)
    tidy_email = models.CharField(max_length=254, blank=True, editable=False)
    tidy_phone = models.CharField(max_length=20, blank=True, editable=False)  # E.164
    tidy_country = models.CharField(max_length=2, blank=True, editable=False)  # ISO 3166-1
    customer = models.ForeignKey(
        Customer, models.SET_NULL, null=True, blank=True, related_name="leads", db_index=False
    )
    grouped_by = models.CharField(max_length=16, choices=GroupedBy.choices, blank=True, editable=False)

    # Staff's.
    status = models.CharField(
        gettext_lazy("status"), max_length=10, choices=Status.choices, default=Status.NEW
    )
    closed_reason = models.CharField(gettext_lazy("closed reason"), max_length=200, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="leads",
        db_index=False,
        verbose_name=gettext_lazy("owner"),
    )

    assigned_because = models.CharField(max_length=200, blank=True, editable=False)
    follow_up_on = models.DateField(gettext_lazy("follow up on"), null=True, blank=True)
    answer_due_at = models.DateTimeField(null=True, editable=False)  # the worker's, by the working hours
    answered_at = models.DateTimeField(null=True, editable=False)  # the first answer
    archived_at = models.DateTimeField(null=True, editable=False)  # out of sight unless asked for

    objects = LeadQuerySet.as_manager()

    class Meta:
        ordering = ["-received_at", "-id"]
        verbose_name = gettext_lazy("lead")
        verbose_name_plural = gettext_lazy("leads")
        permissions = [
            ("assign_lead", gettext_noop("Can give a lead to a colleague")),
            ("export_lead", gettext_noop("Can take leads away in a file")),
        ]
        indexes = [
            models.Index(fields=["-received_at", "-id"], name="lead_newest"),
            models.Index(fields=["offer", "-received_at"], name="lead_of_offer"),
            # The lead row is its own outbox: this index holds only what routing still owes.
            models.Index(fields=["received_at", "id"], condition=Q(routed_at=None), name="lead_unrouted"),
            models.Index(fields=["customer"], condition=Q(customer__isnull=False), name="lead_of_customer"),
            models.Index(fields=["owner"], condition=Q(owner__isnull=False), name="lead_of_owner"),
            # What is rare among a million: without these a list walks to the end of all leads for the last few. Intake
            # writes into none of them, but for the leads that are rare themselves, and into the first.
            models.Index(fields=["-received_at", "-id"], condition=Q(status="new"), name="lead_new"),
            models.Index(
                fields=["status", "-received_at", "-id"], condition=~Q(status="new"), name="lead_by_status"
            ),
            models.Index(
                fields=["tidy_country", "-received_at", "-id"],
                condition=Q(tidy_country__gt=""),
                name="lead_by_country",
            ),
            # Neither action nor source stands in an index itself: PostgreSQL refuses a row whose key is too long for
            # one, and a stranger's value may be as long as the body.
            models.Index(
                fields=["-received_at", "-id"],
                condition=~Q(action__in=["INS", "PLT"]),
                name="lead_of_rare_action",
            ),
            models.Index(
                fields=["-received_at", "-id"],
                condition=~Q(source__in=["AzureMarketplace", "SPZA"]),
                name="lead_of_rare_source",
            ),
            models.Index(
                fields=["-received_at", "-id"],
                condition=~Q(
                    source__in=["AzureMarketplace", "SPZA", "AppSource", "AzurePortal", "TestDrive"]
                ),
                name="lead_of_odd_source",
            ),
            models.Index(
                fields=["follow_up_on"], condition=Q(follow_up_on__isnull=False), name="lead_follow_up"
            ),
            models.Index(
                fields=["answer_due_at"],
                condition=Q(answer_due_at__isnull=False, answered_at=None),
                name="lead_answer_due",
            ),
            models.Index(
                fields=["-received_at", "-id"], condition=Q(answered_at__isnull=False), name="lead_answered"
            ),
            models.Index(
                fields=["-received_at", "-id"], condition=Q(archived_at__isnull=False), name="lead_archived"
            ),
            models.Index(fields=["offer", "-received_at"], condition=Q(is_test=True), name="lead_tests"),
            models.Index(fields=["offer", "-received_at"], condition=Q(is_sample=True), name="lead_samples"),
        ]

    def __str__(self) -> str:
        return self.who

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()

    @property
    def who(self) -> str:
        """The best name there is for the person, for lists and headings."""
        return self.full_name or self.email or self.company or _("Unnamed lead")

    @property
    def sentence(self) -> str:
        """What happened, in one sentence: "Jane Doe, Contoso (US), pressed Contact me for Backup on AppSource"."""
        return " ".join(self.clauses)

    @property
    def clauses(self) -> tuple[str, str, str]:
        """The sentence in three: who, did what, with which offer and where."""
        company = self.company if self.company != self.who else ""
        code = country_code(self.country)
        who = ", ".join(part for part in (self.who, company) if part) + (f" ({code})" if code else "")
        action = lead_source.ACTIONS.get(self.action)
        where = lead_source.source_label(self.source)
        return (
            f"{who}," if company else who,
            _(action.verb) if action else _("sent a lead for"),
            _("%(offer)s on %(place)s") % {"offer": self.offer.title, "place": where}
            if where
            else self.offer.title,
        )

    def values(self) -> dict[str, Any]:
        """Everything that a mapping rule may use, by name; text, but for `is_test`.

        Publisher, offer and title come from the body where it names them, else from the endpoint's offer.
        """
        return {
            "id": str(self.id),
            "first_name": self.first_name,
            "last_name": self.last_name,
            "full_name": self.full_name,
            "email": self.email,
            "phone": self.phone,
            "company": self.company,
            "title": self.title,
            "country": self.country,
            "country_code": country_code(self.country),
            "lead_source": self.lead_source,
            "source": self.source,
            "action": self.action,
            "action_label": lead_source.action_label(self.action),
            "publisher_id": self.sent_publisher_id or self.offer.publisher_id,
            "offer_id": self.sent_offer_id or self.offer.offer_id,
            "offer_title": self.offer_title or self.offer.title,
            "description": self.description,
            "received_at": rfc3339(self.received_at),
            "is_test": self.is_test,
            **{f"campaign.{key}": value for key, value in self.campaign.items()},
            **{f"extra.{key}": value for key, value in self.extra.items()},
        }


def rfc3339(moment: datetime) -> str:
    """UTC, to the second, with a Z: what CRMs and scripts agree on."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Note(models.Model):
    """What a colleague wrote about a lead."""

    lead = models.ForeignKey(Lead, models.CASCADE, related_name="notes")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    text = models.TextField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["created_at", "id"]
        verbose_name = gettext_lazy("note")
        verbose_name_plural = gettext_lazy("notes")

    def __str__(self) -> str:
        return self.text[:80]
