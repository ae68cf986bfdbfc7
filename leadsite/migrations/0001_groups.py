"""Make the groups Sales, Partner manager, Administrator and Auditor."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

from leadsite.roles import ROLES


def make_groups(apps, schema_editor):
    # Permissions are made after all migrations; the groups need them now.
    for label in ("auth", "leads", "crm_sync"):
        create_permissions(installed.get_app_config(label), verbosity=0, apps=apps)
    Permission = apps.get_model("auth", "Permission")
    by_name = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in Permission.objects.select_related("content_type")
    }
    for name, permissions in ROLES.items():
        group, _ = apps.get_model("auth", "Group").objects.get_or_create(name=name)
        group.permissions.add(*(by_name[permission] for permission in permissions))


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("leads", "0001_initial"),
        ("crm_sync", "0001_initial"),
    ]
    operations = [migrations.RunPython(make_groups, migrations.RunPython.noop)]
