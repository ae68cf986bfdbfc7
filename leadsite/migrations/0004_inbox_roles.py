"""Grant the groups what came with the inbox: assigning, exporting, answering, and who is told of silence."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

_RULES = tuple(
    f"leads.{verb}_{model}"
    for model in ("assignmentrule", "answertemplate", "workinghours", "savedview")
    for verb in ("view", "add", "change", "delete")
)
_MANAGERS = (*_RULES, "leads.assign_lead", "leads.export_lead", "leads.view_export", "leads.be_told_offer")
GRANTED: dict[str, tuple[str, ...]] = {
    "Sales": (
        "leads.assign_lead",
        "leads.view_answertemplate",
        "leads.view_workinghours",
        "leads.view_savedview",
    ),
    "Partner manager": _MANAGERS,
    "Administrator": _MANAGERS,
    "Auditor": (
        "leads.view_assignmentrule",
        "leads.view_answertemplate",
        "leads.view_workinghours",
        "leads.view_savedview",
        "leads.view_export",
    ),
}


def grant(apps, schema_editor):
    # Permissions are made after all migrations; the groups need them now.
    for label in ("leads", "crm_sync"):
        create_permissions(installed.get_app_config(label), verbosity=0, apps=apps)
    Permission = apps.get_model("auth", "Permission")
    # A group that an administrator removed stays removed.
    for group in apps.get_model("auth", "Group").objects.filter(name__in=GRANTED):
        for name in GRANTED[group.name]:
            app, codename = name.split(".")
            group.permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))


class Migration(migrations.Migration):
    dependencies = [
        ("leadsite", "0003_delivery_roles"),
        ("leads", "0007_triage"),
        ("crm_sync", "0005_for_new_offers"),
    ]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
