"""Grant the groups what came with outages, replays and masked tries; salespeople read no errors of a CRM any more."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

_MANAGERS = (
    "leads.view_job",
    "crm_sync.view_outage",
    "crm_sync.view_personal_attempt",
    "crm_sync.send_sample_destination",
    "crm_sync.be_told_destination",
    "crm_sync.replay_delivery",
)
GRANTED: dict[str, tuple[str, ...]] = {
    "Partner manager": _MANAGERS,
    "Administrator": _MANAGERS,
    "Auditor": ("leads.view_job", "crm_sync.view_outage"),
}
TAKEN: dict[str, tuple[str, ...]] = {"Sales": ("crm_sync.view_attempt",)}


def change(apps, schema_editor):
    # Permissions are made after all migrations; the groups need them now.
    for label in ("leads", "crm_sync"):
        create_permissions(installed.get_app_config(label), verbosity=0, apps=apps)
    # A group that an administrator removed stays removed.
    for group in apps.get_model("auth", "Group").objects.filter(name__in=[*GRANTED, *TAKEN]):
        group.permissions.add(*_permissions(apps, GRANTED.get(group.name, ())))
        group.permissions.remove(*_permissions(apps, TAKEN.get(group.name, ())))


def _permissions(apps, names):
    Permission = apps.get_model("auth", "Permission")
    for name in names:
        app, codename = name.split(".")
        yield Permission.objects.get(content_type__app_label=app, codename=codename)


class Migration(migrations.Migration):
    dependencies = [
        ("leadsite", "0002_intake_roles"),
        ("leads", "0005_jobs"),
        ("crm_sync", "0002_health"),
    ]
    operations = [migrations.RunPython(change, migrations.RunPython.noop)]
