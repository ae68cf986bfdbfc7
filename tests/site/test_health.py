"""What load balancers ask, and what they are told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client


def test_alive_is_answered_without_a_database() -> None:
    answer = Client().get("/livez")  # pytest-django fails a test that reaches for the database
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


@pytest.mark.django_db
def test_ready_while_leads_can_be_stored() -> None:
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


@pytest.mark.django_db
def test_not_ready_while_a_migration_is_missing() -> None:
    latest = MigrationLoader(connection).graph.leaf_nodes("leads")[0]
    MigrationRecorder(connection).record_unapplied(*latest)
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert "not migrated" in answer.json()["reason"]


@pytest.mark.django_db
def test_not_ready_while_the_database_does_not_answer_and_why_is_nobodys_business() -> None:
    def down(execute: Callable[..., Any], *arguments: Any) -> Any:
        raise OperationalError("connection to server at 10.0.0.7, user leads, failed")

    with connection.execute_wrapper(down):
        answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert "does not answer" in answer.json()["reason"]
    assert "10.0.0.7" not in answer.content.decode()


@pytest.mark.django_db
def test_ready_without_a_database_where_leads_are_spooled(settings: Any, tmp_path: Path) -> None:
    settings.SPOOL_DIR = tmp_path

    def down(execute: Callable[..., Any], *arguments: Any) -> Any:
        raise OperationalError("down")

    with connection.execute_wrapper(down):
        answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert "spooled" in answer.json()["reason"]
