"""Names of models and fields that can be translated. No statement goes to the database."""

import datetime

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import leads.models.triage


class Migration(migrations.Migration):
    dependencies = [
        ("leads", "0008_search"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="answertemplate",
            options={
                "ordering": ["name", "id"],
                "verbose_name": "answer template",
                "verbose_name_plural": "answer templates",
            },
        ),
        migrations.AlterModelOptions(
            name="assignmentrule",
            options={
                "ordering": ["position", "id"],
                "verbose_name": "assignment rule",
                "verbose_name_plural": "assignment rules",
            },
        ),
        migrations.AlterModelOptions(
            name="customer",
            options={
                "ordering": ["-id"],
                "permissions": [
                    ("split_customer", "Can split a customer whose leads do not belong together")
                ],
                "verbose_name": "customer",
                "verbose_name_plural": "customers",
            },
        ),
        migrations.AlterModelOptions(
            name="customerkey",
            options={"verbose_name": "customer key", "verbose_name_plural": "customer keys"},
        ),
        migrations.AlterModelOptions(
            name="endpoint",
            options={
                "ordering": ["-created_at", "-id"],
                "permissions": [
                    ("reveal_endpoint", "Can see the endpoint URL of an offer"),
                    ("rotate_endpoint", "Can rotate the endpoint URL of an offer, and revoke an old one"),
                ],
                "verbose_name": "endpoint URL",
                "verbose_name_plural": "endpoint URLs",
            },
        ),
        migrations.AlterModelOptions(
            name="export",
            options={
                "ordering": ["-created_at", "-id"],
                "verbose_name": "export",
                "verbose_name_plural": "exports",
            },
        ),
        migrations.AlterModelOptions(
            name="job",
            options={
                "ordering": ["-created_at", "-id"],
                "verbose_name": "job",
                "verbose_name_plural": "jobs",
            },
        ),
        migrations.AlterModelOptions(
            name="lead",
            options={
                "ordering": ["-received_at", "-id"],
                "permissions": [
                    ("assign_lead", "Can give a lead to a colleague"),
                    ("export_lead", "Can take leads away in a file"),
                ],
                "verbose_name": "lead",
                "verbose_name_plural": "leads",
            },
        ),
        migrations.AlterModelOptions(
            name="leadtext",
            options={"verbose_name": "lead text", "verbose_name_plural": "lead texts"},
        ),
        migrations.AlterModelOptions(
            name="note",
            options={
                "ordering": ["created_at", "id"],
                "verbose_name": "note",
                "verbose_name_plural": "notes",
            },
        ),
        migrations.AlterModelOptions(
            name="offer",
            options={
                "ordering": ["title", "id"],
                "permissions": [("be_told_offer", "Is told by mail when an offer has gone silent")],
                "verbose_name": "offer",
                "verbose_name_plural": "offers",
            },
        ),
        migrations.AlterModelOptions(
            name="refusal",
            options={
                "ordering": ["-minute", "reason"],
                "verbose_name": "refusal",
                "verbose_name_plural": "refusals",
            },
        ),
        migrations.AlterModelOptions(
            name="savedview",
            options={
                "ordering": ["name", "id"],
                "verbose_name": "saved view",
                "verbose_name_plural": "saved views",
            },
        ),
        migrations.AlterModelOptions(
            name="submission",
            options={
                "ordering": ["-received_at", "-id"],
                "permissions": [
                    ("release_submission", "Can re-read and release what is in quarantine"),
                    ("discard_submission", "Can discard what is in quarantine"),
                ],
                "verbose_name": "received request",
                "verbose_name_plural": "received requests",
            },
        ),
        migrations.AlterModelOptions(
            name="unknownkey",
            options={
                "ordering": ["-first_seen_at", "name"],
                "verbose_name": "unknown key",
                "verbose_name_plural": "unknown keys",
            },
        ),
        migrations.AlterField(
            model_name="answertemplate",
            name="action",
            field=models.CharField(
                blank=True,
                help_text="Microsoft's code; empty: any action.",
                max_length=40,
                verbose_name="action",
            ),
        ),
        migrations.AlterField(
            model_name="answertemplate",
            name="body",
            field=models.TextField(verbose_name="body"),
        ),
        migrations.AlterField(
            model_name="answertemplate",
            name="name",
            field=models.CharField(max_length=100, verbose_name="name"),
        ),
        migrations.AlterField(
            model_name="answertemplate",
            name="offer",
            field=models.ForeignKey(
                blank=True,
                help_text="Empty: any offer.",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="leads.offer",
                verbose_name="offer",
            ),
        ),
        migrations.AlterField(
            model_name="answertemplate",
            name="subject",
            field=models.CharField(max_length=200, verbose_name="subject"),
        ),
        migrations.AlterField(
            model_name="assignmentrule",
            name="actions",
            field=models.JSONField(
                blank=True, default=list, help_text="Microsoft's codes; empty: any.", verbose_name="actions"
            ),
        ),
        migrations.AlterField(
            model_name="assignmentrule",
            name="countries",
            field=models.JSONField(
                blank=True, default=list, help_text="ISO 3166-1 codes; empty: any.", verbose_name="countries"
            ),
        ),
        migrations.AlterField(
            model_name="assignmentrule",
            name="enabled",
            field=models.BooleanField(default=True, verbose_name="enabled"),
        ),
        migrations.AlterField(
            model_name="assignmentrule",
            name="name",
            field=models.CharField(max_length=100, unique=True, verbose_name="name"),
        ),
        migrations.AlterField(
            model_name="assignmentrule",
            name="offers",
            field=models.ManyToManyField(
                blank=True,
                help_text="None chosen: any offer.",
                related_name="+",
                to="leads.offer",
                verbose_name="offers",
            ),
        ),
        migrations.AlterField(
            model_name="assignmentrule",
            name="people",
            field=models.ManyToManyField(
                related_name="+", to=settings.AUTH_USER_MODEL, verbose_name="people"
            ),
        ),
        migrations.AlterField(
            model_name="assignmentrule",
            name="position",
            field=models.PositiveIntegerField(
                default=0, help_text="Rules are tried from the lowest number on.", verbose_name="position"
            ),
        ),
        migrations.AlterField(
            model_name="customer",
            name="company",
            field=models.TextField(blank=True, verbose_name="company"),
        ),
        migrations.AlterField(
            model_name="customer",
            name="name",
            field=models.TextField(blank=True, verbose_name="name"),
        ),
        migrations.AlterField(
            model_name="customer",
            name="phone",
            field=models.TextField(blank=True, verbose_name="phone"),
        ),
        migrations.AlterField(
            model_name="job",
            name="state",
            field=models.CharField(
                choices=[
                    ("waiting", "Waiting"),
                    ("leased", "Running"),
                    ("finished", "Finished"),
                    ("cancelled", "Cancelled"),
                    ("failed", "Failed"),
                ],
                default="waiting",
                max_length=10,
                verbose_name="state",
            ),
        ),
        migrations.AlterField(
            model_name="lead",
            name="closed_reason",
            field=models.CharField(blank=True, max_length=200, verbose_name="closed reason"),
        ),
        migrations.AlterField(
            model_name="lead",
            name="follow_up_on",
            field=models.DateField(blank=True, null=True, verbose_name="follow up on"),
        ),
        migrations.AlterField(
            model_name="lead",
            name="owner",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="leads",
                to=settings.AUTH_USER_MODEL,
                verbose_name="owner",
            ),
        ),
        migrations.AlterField(
            model_name="lead",
            name="status",
            field=models.CharField(
                choices=[
                    ("new", "New"),
                    ("working", "Working"),
                    ("qualified", "Qualified"),
                    ("closed", "Closed"),
                ],
                default="new",
                max_length=10,
                verbose_name="status",
            ),
        ),
        migrations.AlterField(
            model_name="offer",
            name="enabled",
            field=models.BooleanField(
                default=True,
                help_text="While an offer is off, its leads are stored but sent to no CRM.",
                verbose_name="enabled",
            ),
        ),
        migrations.AlterField(
            model_name="offer",
            name="send_test_leads",
            field=models.BooleanField(
                default=False,
                help_text="Send Microsoft's test leads to the CRM too. Normally they stay out of it.",
                verbose_name="send test leads",
            ),
        ),
        migrations.AlterField(
            model_name="offer",
            name="title",
            field=models.CharField(max_length=200, verbose_name="title"),
        ),
        migrations.AlterField(
            model_name="savedview",
            name="name",
            field=models.CharField(max_length=60, verbose_name="name"),
        ),
        migrations.AlterField(
            model_name="submission",
            name="offer",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="submissions",
                to="leads.offer",
                verbose_name="offer",
            ),
        ),
        migrations.AlterField(
            model_name="submission",
            name="reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("empty", "Empty body"),
                    ("not_json", "Not JSON"),
                    ("not_object", "JSON, but not an object"),
                    ("too_deep", "Nested too deep"),
                    ("truncated", "Cut off on the way"),
                    ("schema", "Against the offer's schema"),
                ],
                max_length=12,
                verbose_name="reason",
            ),
        ),
        migrations.AlterField(
            model_name="workinghours",
            name="answer_within",
            field=models.PositiveSmallIntegerField(
                blank=True,
                default=8,
                help_text="Working hours from a lead's arrival to its first answer. Empty: no clock.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(500),
                ],
                verbose_name="answer within",
            ),
        ),
        migrations.AlterField(
            model_name="workinghours",
            name="closes",
            field=models.TimeField(default=datetime.time(17, 0), verbose_name="closes"),
        ),
        migrations.AlterField(
            model_name="workinghours",
            name="days",
            field=models.CharField(
                default="01234", help_text="0 is Monday.", max_length=7, verbose_name="days"
            ),
        ),
        migrations.AlterField(
            model_name="workinghours",
            name="opens",
            field=models.TimeField(default=datetime.time(9, 0), verbose_name="opens"),
        ),
        migrations.AlterField(
            model_name="workinghours",
            name="time_zone",
            field=models.CharField(
                default=leads.models.triage._time_zone, max_length=64, verbose_name="time zone"
            ),
        ),
    ]
