"""The reference for ingest: the simplest Django view that validates a lead and stores it in one row.

Not one of our features is in it, nor any middleware. Served like our site: granian WSGI, 2 workers x 4 threads.
"""

import json
import os
import uuid

import django
import environ
from django.conf import settings

URL = os.environ["PLAIN_DATABASE"]  # sqlite:///path or postgres://...

if URL.startswith("postgres"):
    DATABASE = environ.Env.db_url_config(URL) | {"CONN_MAX_AGE": None}
else:
    DATABASE = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": URL.removeprefix("sqlite:///"),
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        },
    }

settings.configure(
    SECRET_KEY="only for the benchmark",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[],
    MIDDLEWARE=[],
    USE_TZ=True,
    DATABASES={"default": DATABASE},
)
django.setup()

from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.http import HttpRequest, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django.utils import timezone  # noqa: E402
from jsonschema import Draft4Validator  # noqa: E402

from leads.schema import DEFAULT_SCHEMA  # noqa: E402


class PlainLead(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    received_at = models.DateTimeField(default=timezone.now, db_index=True)
    email = models.TextField()
    body = models.JSONField()

    class Meta:
        app_label = "plain"

    def __str__(self) -> str:
        return self.email


validator = Draft4Validator(DEFAULT_SCHEMA)


def intake(request: HttpRequest) -> JsonResponse:
    body = json.loads(request.body)
    if next(validator.iter_errors(body), None) is not None:
        return JsonResponse({"status": "refused"}, status=400)
    lead = PlainLead.objects.create(email=body["UserDetails"]["Email"], body=body)
    return JsonResponse({"status": "accepted", "id": str(lead.id)}, status=201)


urlpatterns = [path("in/plain", intake)]
application = WSGIHandler()


def make_table() -> None:
    with connection.schema_editor() as editor:
        editor.create_model(PlainLead)
