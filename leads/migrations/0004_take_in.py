"""The function that writes a lead on PostgreSQL, called by leads.store once a lead."""

from django.db import migrations

# In a function every statement sees what was committed before it began, so the look for copies sees the one that the
# lock waited for; and it takes one trip and keeps its plans. Rows come as JSON by the names of their columns, so that
# the function need not change with the tables.
FUNCTION = """
CREATE OR REPLACE FUNCTION leads_take_in(
    new_submission jsonb, new_body bytea, new_lead jsonb, copies bigint, since timestamptz,
    only_if_unchanged boolean, known_schema jsonb, known_always_acknowledge boolean
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    submission leads_submission;
    lead leads_lead;
BEGIN
    PERFORM pg_advisory_xact_lock(copies);
    submission := jsonb_populate_record(NULL::leads_submission, new_submission);
    submission.body := new_body;
    IF only_if_unchanged AND NOT EXISTS (
        SELECT FROM leads_endpoint endpoint JOIN leads_offer offer ON offer.id = endpoint.offer_id
        WHERE endpoint.id = submission.endpoint_id AND endpoint.revoked_at IS NULL
        AND (endpoint.expires_at IS NULL OR endpoint.expires_at > submission.received_at)
        AND offer.always_acknowledge = known_always_acknowledge
        AND offer.schema IS NOT DISTINCT FROM known_schema
    ) THEN
        RETURN 'changed';
    END IF;
    IF EXISTS (
        SELECT FROM leads_submission known WHERE known.endpoint_id = submission.endpoint_id
        AND known.body_digest = submission.body_digest AND known.received_at > since
    ) THEN
        RETURN 'repeated';
    END IF;
    INSERT INTO leads_submission SELECT submission.*;
    IF new_lead IS NOT NULL THEN
        lead := jsonb_populate_record(NULL::leads_lead, new_lead);
        INSERT INTO leads_lead SELECT lead.*;
    END IF;
    RETURN 'stored';
END
$$
"""
SIGNATURE = "leads_take_in(jsonb, bytea, jsonb, bigint, timestamptz, boolean, jsonb, boolean)"


def create(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(FUNCTION)


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP FUNCTION IF EXISTS {SIGNATURE}")


class Migration(migrations.Migration):
    dependencies = [("leads", "0003_tidy")]
    operations = [migrations.RunPython(create, drop)]
