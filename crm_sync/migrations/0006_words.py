import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("crm_sync", "0005_for_new_offers"),
        ("leads", "0008_search"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="delivery",
            options={
                "ordering": ["-created_at", "-id"],
                "permissions": [
                    ("retry_delivery", "Can retry a sending"),
                    ("cancel_delivery", "Can cancel a sending"),
                    ("send_waiting_delivery", "Can send leads that wait for a route"),
                    ("replay_delivery", "Can replay a range of sendings"),
                ],
                "verbose_name": "sending",
                "verbose_name_plural": "sendings",
            },
        ),
        migrations.AlterModelOptions(
            name="demorecord",
            options={
                "ordering": ["-created_at", "-id"],
                "permissions": [
                    ("remove_demo", "Can remove all demo data"),
                    ("switch_demo", "Can switch the demo CRM's behaviour"),
                ],
                "verbose_name": "demo CRM record",
                "verbose_name_plural": "demo CRM records",
            },
        ),
        migrations.AlterModelOptions(
            name="destination",
            options={
                "ordering": ["name"],
                "permissions": [
                    ("test_destination", "Can test a CRM connection"),
                    ("pause_destination", "Can pause and resume a CRM connection"),
                    ("send_sample_destination", "Can send a sample lead to a CRM connection"),
                    ("be_told_destination", "Is told by e-mail when a CRM connection fails"),
                ],
                "verbose_name": "CRM connection",
                "verbose_name_plural": "CRM connections",
            },
        ),
        migrations.AlterModelOptions(
            name="fieldrule",
            options={"ordering": ["position", "id"], "verbose_name": "row", "verbose_name_plural": "rows"},
        ),
        migrations.AlterModelOptions(
            name="mappingversion",
            options={
                "ordering": ["-number"],
                "permissions": [("publish_mappingversion", "Can publish a field mapping")],
                "verbose_name": "field mapping",
                "verbose_name_plural": "field mappings",
            },
        ),
        migrations.AlterModelOptions(
            name="route",
            options={"ordering": ["offer", "id"], "verbose_name": "route", "verbose_name_plural": "routes"},
        ),
        migrations.AlterField(
            model_name="destination",
            name="name",
            field=models.CharField(max_length=100, unique=True, verbose_name="name"),
        ),
        migrations.AlterField(
            model_name="route",
            name="offer",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="routes",
                to="leads.offer",
                verbose_name="offer",
            ),
        ),
    ]
