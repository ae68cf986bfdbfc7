"""What leads are found by: a text with its trigram index, and indexes of what is rare in lists. No text is written
here: the worker writes those of the leads there are.

A later migration that alters the table on SQLite makes it anew, and has to run `on_sqlite` again: triggers do not
come along.
"""

import django.db.models.deletion
from django.core.management import CommandError
from django.db import DatabaseError, migrations, models, transaction

NO_EXTENSION = """\
Search needs PostgreSQL's extension pg_trgm, and this site's database user may not create it here, or it is not
installed on the server (Debian: it comes with package postgresql, elsewhere with postgresql-contrib).
Let a superuser run, in database "{name}":

    CREATE EXTENSION pg_trgm;

and start again. PostgreSQL says: {error}"""

# The old text goes with the command: the index does not keep it. Trigrams only, not where they stand: a third of the
# size, and what is found is compared with the text anyway.
TABLE = """
CREATE VIRTUAL TABLE leads_leadtext_fts USING fts5(
    text, content='leads_leadtext', content_rowid='id', tokenize='trigram case_sensitive 1', detail=none
)"""
INSERTED = """
CREATE TRIGGER leads_leadtext_inserted AFTER INSERT ON leads_leadtext WHEN new.text IS NOT NULL BEGIN
    INSERT INTO leads_leadtext_fts(rowid, text) VALUES (new.id, new.text);
END"""
DELETED = """
CREATE TRIGGER leads_leadtext_deleted AFTER DELETE ON leads_leadtext WHEN old.text IS NOT NULL BEGIN
    INSERT INTO leads_leadtext_fts(leads_leadtext_fts, rowid, text) VALUES ('delete', old.id, old.text);
END"""
CHANGED = """
CREATE TRIGGER leads_leadtext_changed AFTER UPDATE OF text ON leads_leadtext BEGIN
    INSERT INTO leads_leadtext_fts(leads_leadtext_fts, rowid, text)
        SELECT 'delete', old.id, old.text WHERE old.text IS NOT NULL;
    INSERT INTO leads_leadtext_fts(rowid, text) SELECT new.id, new.text WHERE new.text IS NOT NULL;
END"""
INDEX = "CREATE INDEX leads_leadtext_trigrams ON leads_leadtext USING gin (text gin_trgm_ops)"


def make_index(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        make_extension(schema_editor.connection)
        schema_editor.execute(INDEX)
    else:
        on_sqlite(schema_editor)


def make_extension(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm')")
        if cursor.fetchone()[0]:
            return
        try:
            with transaction.atomic(connection.alias):
                cursor.execute("CREATE EXTENSION pg_trgm")
        except DatabaseError as error:
            name, said = connection.settings_dict["NAME"], str(error).strip()
            raise CommandError(NO_EXTENSION.format(name=name, error=said)) from None


def on_sqlite(schema_editor):
    for statement in (TABLE, INSERTED, DELETED, CHANGED):
        schema_editor.execute(statement)


def drop_index(apps, schema_editor):
    # The triggers and PostgreSQL's index go with the table.
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute("DROP TABLE leads_leadtext_fts")


class Migration(migrations.Migration):
    dependencies = [("leads", "0007_triage")]
    operations = [
        migrations.CreateModel(
            name="LeadText",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("text", models.TextField(help_text="Empty until the worker has come round.", null=True)),
                (
                    "lead",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="searched",
                        to="leads.lead",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(condition=models.Q(("text", None)), fields=["id"], name="leadtext_owed")
                ],
            },
        ),
        migrations.AddIndex(
            model_name="lead",
            index=models.Index(
                condition=models.Q(("status", "new")), fields=["-received_at", "-id"], name="lead_new"
            ),
        ),
        migrations.AddIndex(
            model_name="lead",
            index=models.Index(
                condition=models.Q(("status", "new"), _negated=True),
                fields=["status", "-received_at", "-id"],
                name="lead_by_status",
            ),
        ),
        migrations.AddIndex(
            model_name="lead",
            index=models.Index(
                condition=models.Q(("tidy_country__gt", "")),
                fields=["tidy_country", "-received_at", "-id"],
                name="lead_by_country",
            ),
        ),
        migrations.AddIndex(
            model_name="lead",
            index=models.Index(
                condition=models.Q(("action__in", ["INS", "PLT"]), _negated=True),
                fields=["-received_at", "-id"],
                name="lead_of_rare_action",
            ),
        ),
        migrations.AddIndex(
            model_name="lead",
            index=models.Index(
                condition=models.Q(("source__in", ["AzureMarketplace", "SPZA"]), _negated=True),
                fields=["-received_at", "-id"],
                name="lead_of_rare_source",
            ),
        ),
        migrations.AddIndex(
            model_name="lead",
            index=models.Index(
                condition=models.Q(
                    ("source__in", ["AzureMarketplace", "SPZA", "AppSource", "AzurePortal", "TestDrive"]),
                    _negated=True,
                ),
                fields=["-received_at", "-id"],
                name="lead_of_odd_source",
            ),
        ),
        migrations.AddIndex(
            model_name="lead",
            index=models.Index(
                condition=models.Q(("follow_up_on__isnull", False)),
                fields=["follow_up_on"],
                name="lead_follow_up",
            ),
        ),
        migrations.AddIndex(
            model_name="lead",
            index=models.Index(
                condition=models.Q(("answer_due_at__isnull", False), ("answered_at", None)),
                fields=["answer_due_at"],
                name="lead_answer_due",
            ),
        ),
        migrations.AddIndex(
            model_name="lead",
            index=models.Index(
                condition=models.Q(("answered_at__isnull", False)),
                fields=["-received_at", "-id"],
                name="lead_answered",
            ),
        ),
        migrations.AddIndex(
            model_name="lead",
            index=models.Index(
                condition=models.Q(("archived_at__isnull", False)),
                fields=["-received_at", "-id"],
                name="lead_archived",
            ),
        ),
        migrations.AddIndex(
            model_name="lead",
            index=models.Index(
                condition=models.Q(("is_test", True)), fields=["offer", "-received_at"], name="lead_tests"
            ),
        ),
        migrations.AddIndex(
            model_name="lead",
            index=models.Index(
                condition=models.Q(("is_sample", True)), fields=["offer", "-received_at"], name="lead_samples"
            ),
        ),
        migrations.AddIndex(
            model_name="submission",
            index=models.Index(
                condition=models.Q(("times_received__gt", 1)), fields=["-id"], name="submission_repeated"
            ),
        ),
        migrations.AddIndex(
            model_name="submission",
            index=models.Index(
                condition=models.Q(("verdict__in", ["released", "discarded"])),
                fields=["-id"],
                name="submission_decided",
            ),
        ),
        migrations.RunPython(make_index, drop_index),
    ]
