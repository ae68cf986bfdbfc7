"""Tidy the leads that are here already, and group them into customers, as the worker does with new ones.

Here, and not left to the worker: it looks at unrouted leads only, and finding old ones that have no customer would
cost it a search through all leads every few seconds. The rules are those of this version, so that the migration does
the same in years to come.
"""

from django.db import migrations, transaction
from django.db.models import Q

from leads import tidy

BATCH = 200
LONGEST_SHOWN, LONGEST_COMPANY, LONGEST_VALUE = 200, 1_000, 400
READ = (
    "received_at",
    "first_name",
    "last_name",
    "email",
    "phone",
    "company",
    "country",
    "is_test",
    "is_sample",
    "customer",
    "grouped_by",
)
WRITTEN = ("tidy_email", "tidy_phone", "tidy_country", "customer", "grouped_by")


def tidy_and_group(apps, schema_editor):
    using = schema_editor.connection.alias
    Lead = apps.get_model("leads", "Lead")
    leads = Lead.objects.using(using).only(*READ).order_by("received_at", "id")
    last = None
    while True:
        batch = list((leads.filter(_after(last)) if last else leads)[:BATCH])
        for lead in batch:
            lead.tidy_country = tidy.country(lead.country)
            lead.tidy_email = tidy.email(lead.email)
            lead.tidy_phone = tidy.phone(lead.phone, lead.tidy_country)
        # A transaction for each batch: leads come in between, and what is done stays done if a later one fails.
        with transaction.atomic(using):
            _group(apps, using, batch)
            Lead.objects.using(using).bulk_update(batch, WRITTEN, batch_size=100)
        if len(batch) < BATCH:
            return
        last = batch[-1]


def _after(lead):
    return Q(received_at__gt=lead.received_at) | Q(received_at=lead.received_at, id__gt=lead.id)


def _keys(lead):
    found = []
    if lead.tidy_email:
        found.append(("email", lead.tidy_email.casefold()[:LONGEST_VALUE]))
    company = " ".join(lead.company[:LONGEST_COMPANY].casefold().split())
    if company and lead.tidy_phone:
        found.append(("company_phone", f"{lead.tidy_phone} {company}"[:LONGEST_VALUE]))
    return found


def _group(apps, using, batch):
    Customer = apps.get_model("leads", "Customer")
    CustomerKey = apps.get_model("leads", "CustomerKey")
    waiting = [
        (lead, keys)
        for lead in batch
        if not (lead.is_test or lead.is_sample or lead.customer_id) and (keys := _keys(lead))
    ]
    values = {value for _, keys in waiting for _, value in keys}
    customers, owners, new = {}, {}, []
    known = CustomerKey.objects.using(using).filter(kind__in=("email", "company_phone"), value__in=values)
    for key in known.select_related("customer"):
        owners[key.kind, key.value] = customers.setdefault(key.customer_id, key.customer)
    for lead, keys in waiting:
        lead.grouped_by = next((kind for kind, value in keys if (kind, value) in owners), "")
        customer = next((owners[key] for key in keys if key in owners), None)
        if customer is None:
            customer = Customer.objects.using(using).create(created_at=lead.received_at)
            customers[customer.pk] = customer
        for kind, value in keys:
            if (kind, value) not in owners:
                owners[kind, value] = customer
                new.append(CustomerKey(customer=customer, kind=kind, value=value))
        _show(customer, lead)
        lead.customer = customer
    CustomerKey.objects.using(using).bulk_create(new, batch_size=100)
    Customer.objects.using(using).bulk_update(
        customers.values(), ("name", "email", "company", "phone"), batch_size=100
    )


def _show(customer, lead):
    said = {
        "name": f"{lead.first_name} {lead.last_name}",
        "email": lead.tidy_email or lead.email,
        "company": lead.company,
        "phone": lead.tidy_phone or lead.phone,
    }
    for name, value in said.items():
        if clipped := value.strip()[:LONGEST_SHOWN].strip():
            setattr(customer, name, clipped)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("leads", "0002_intake")]
    operations = [migrations.RunPython(tidy_and_group, migrations.RunPython.noop)]
