"""Make the groups Sales, Partner manager, Administrator and Auditor."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

# As of this migration: what later versions add, their own migrations grant.
_VIEW_LEADS = (
    "leads.view_lead",
    "leads.view_submission",
    "leads.view_offer",
    "leads.view_customer",
    "leads.view_note",
)
_VIEW_SENDING = (
    "crm_sync.view_delivery",
    "crm_sync.view_attempt",
    "crm_sync.view_destination",
    "crm_sync.view_route",
    "crm_sync.view_mappingversion",
    "crm_sync.view_fieldrule",
    "crm_sync.view_demorecord",
)
_SALES = (
    *_VIEW_LEADS,
    "leads.change_lead",
    "leads.add_note",
    "crm_sync.view_delivery",
    "crm_sync.view_attempt",
    "crm_sync.view_demorecord",
)
_PARTNER_MANAGER = (
    *_SALES,
    *_VIEW_SENDING,
    "leads.add_offer",
    "leads.change_offer",
    "leads.reveal_endpoint",
    "crm_sync.add_route",
    "crm_sync.change_route",
    "crm_sync.delete_route",
    "crm_sync.add_fieldrule",
    "crm_sync.change_fieldrule",
    "crm_sync.delete_fieldrule",
    "crm_sync.add_mappingversion",
    "crm_sync.change_mappingversion",
    "crm_sync.publish_mappingversion",
    "crm_sync.test_destination",
    "crm_sync.retry_delivery",
    "crm_sync.cancel_delivery",
    "crm_sync.send_waiting_delivery",
    "crm_sync.switch_demo",
)
_ADMINISTRATOR = (
    *_PARTNER_MANAGER,
    "leads.delete_offer",
    "crm_sync.add_destination",
    "crm_sync.change_destination",
    "crm_sync.delete_destination",
    "crm_sync.pause_destination",
    "crm_sync.remove_demo",
    "auth.view_user",
    "auth.add_user",
    "auth.change_user",
    "auth.view_group",
)

ROLES: dict[str, tuple[str, ...]] = {
    "Sales": _SALES,
    "Partner manager": _PARTNER_MANAGER,
    "Administrator": _ADMINISTRATOR,
    "Auditor": (*_VIEW_LEADS, *_VIEW_SENDING),
}


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
