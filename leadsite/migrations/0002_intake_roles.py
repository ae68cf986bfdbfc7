"""Grant the groups what came with endpoint rotation, quarantine and customers."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

GRANTED: dict[str, tuple[str, ...]] = {
    "Sales": ("split_customer",),
    "Partner manager": ("split_customer", "release_submission", "discard_submission", "rotate_endpoint"),
    "Administrator": ("split_customer", "release_submission", "discard_submission", "rotate_endpoint"),
}


def grant(apps, schema_editor):
    # Permissions are made after all migrations; the groups need them now.
    create_permissions(installed.get_app_config("leads"), verbosity=0, apps=apps)
    Permission = apps.get_model("auth", "Permission")
    for name, codenames in GRANTED.items():
        # A group that an administrator removed stays removed.
        for group in apps.get_model("auth", "Group").objects.filter(name=name):
            group.permissions.add(
                *Permission.objects.filter(content_type__app_label="leads", codename__in=codenames)
            )


class Migration(migrations.Migration):
    dependencies = [("leadsite", "0001_groups"), ("leads", "0002_intake")]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
