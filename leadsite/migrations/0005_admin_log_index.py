"""Find what was logged of one object: each page of a lead asks for it, and Django's own table has no index for that."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("leadsite", "0004_inbox_roles"), ("admin", "0003_logentry_add_action_flag_choices")]
    operations = [
        migrations.RunSQL(
            "CREATE INDEX leadsite_log_of_object ON django_admin_log (content_type_id, object_id)",
            "DROP INDEX leadsite_log_of_object",
        )
    ]
