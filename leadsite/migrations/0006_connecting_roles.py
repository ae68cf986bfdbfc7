"""Let partner managers add and change CRM connections: they know the CRM, and paste its credentials."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

GRANTED = ("add_destination", "change_destination")


def grant(apps, schema_editor):
    # Permissions are made after all migrations; the group needs them now.
    create_permissions(installed.get_app_config("crm_sync"), verbosity=0, apps=apps)
    found = apps.get_model("auth", "Permission").objects.filter(
        content_type__app_label="crm_sync", codename__in=GRANTED
    )
    # A group that an administrator removed stays removed.
    for group in apps.get_model("auth", "Group").objects.filter(name="Partner manager"):
        group.permissions.add(*found)


class Migration(migrations.Migration):
    dependencies = [("leadsite", "0005_admin_log_index"), ("crm_sync", "0005_for_new_offers")]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
