"""The start: what it refuses, in one line each, and what follows from the environment."""

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parents[2]
SECRETS = {"SECRET_KEY": "k" * 50, "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode()}
Load = Callable[..., dict[str, Any]]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Evaluate the settings under an environment of nothing but these; "" leaves one out."""

    def load(env_file: str = "", **environment: str) -> dict[str, Any]:
        path = tmp_path / ".env"
        path.write_text(env_file, encoding="utf-8")
        given = {"LEADSITE_ENV_FILE": str(path), "DATA_DIR": str(tmp_path), **SECRETS, **environment}
        # In place of os.environ itself, which the reader of .env writes to.
        monkeypatch.setattr(os, "environ", {name: value for name, value in given.items() if value})
        monkeypatch.setattr("environ.Env.ENVIRON", os.environ)
        return runpy.run_path(str(ROOT / "leadsite" / "settings.py"))

    return load


def check(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {
        "PATH": os.environ["PATH"],
        "LEADSITE_ENV_FILE": str(tmp_path / ".env"),
        "DATA_DIR": str(tmp_path),
        **environment,
    }
    return subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env=given,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("missing", SECRETS)
def test_a_missing_secret_stops_the_start_with_one_line(missing: str, tmp_path: Path) -> None:
    given = SECRETS | {missing: ""}
    refused = check(tmp_path, **given)
    assert refused.returncode == 1
    assert refused.stdout == ""
    [line] = refused.stderr.splitlines()
    assert line.startswith(f"Configuration: {missing} is missing")
    assert "make run" in line


def test_with_its_secrets_the_site_passes_its_checks(tmp_path: Path) -> None:
    accepted = check(tmp_path, **SECRETS)
    assert (accepted.returncode, accepted.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", "django-insecure-" + "k" * 50),  # what startproject writes
        ("SECRET_KEY", "changeme"),
        ("FIELD_ENCRYPTION_KEYS", " , "),
        ("FIELD_ENCRYPTION_KEYS", "changeme"),
        ("FIELD_ENCRYPTION_KEYS", f"{'A' * 43}=,changeme"),
        ("FIELD_ENCRYPTION_KEYS", "é" * 44),
        ("DEBUG", "yes"),
        ("DEBUG", "1"),
        ("ALLOW_PRIVATE_DESTINATIONS", "ture"),
        ("PORT", "http"),
        ("PORT", "0"),
        ("PORT", "-1"),
        ("MAX_BODY_BYTES", "256k"),
        ("INTAKE_RATE", "0"),
        ("INTAKE_RATE", "0.5"),
        ("PUBLIC_URL", "leads.example.com"),
        ("PUBLIC_URL", "ftp://leads.example.com"),
        ("PUBLIC_URL", "https://"),
        ("PUBLIC_URL", "https://leads.example.com/base"),
        ("DELIVERY_ENGINE", "celery"),
    ],
)
def test_a_wrong_value_stops_the_start_and_is_named(name: str, value: str, load: Load) -> None:
    with pytest.raises(ImproperlyConfigured, match=name):
        load(**{name: value})


@pytest.mark.parametrize("value", ["proxy.internal", "10.0.0.0/33"])
def test_a_proxy_that_is_no_address_stops_the_start(value: str, load: Load) -> None:
    with pytest.raises(ImproperlyConfigured, match="TRUSTED_PROXIES"):
        load(TRUSTED_PROXIES=value)


def test_the_site_may_listen_on_an_ipv6_address(load: Load) -> None:
    assert load(HOST="::1")["PUBLIC_URL"] == "http://[::1]:8000"


@pytest.mark.parametrize(
    ("value", "expected"), [("true", True), ("True", True), (" false ", False), ("false", False), ("", False)]
)
@pytest.mark.parametrize("name", ["DEBUG", "ALLOW_PRIVATE_DESTINATIONS"])
def test_a_flag_is_true_or_false_and_false_by_default(
    name: str, value: str, expected: bool, load: Load
) -> None:
    assert load(**{name: value})[name] is expected


def test_without_a_public_url_only_this_computer_is_served(load: Load) -> None:
    settings = load(PORT="8123")
    assert settings["PUBLIC_URL"] == "http://127.0.0.1:8123"
    assert settings["ALLOWED_HOSTS"] == ["127.0.0.1", "[::1]", "localhost"]
    assert settings["SESSION_COOKIE_SECURE"] is settings["CSRF_COOKIE_SECURE"] is False
    assert settings["SECURE_HSTS_SECONDS"] == 0


def test_hosts_origins_and_secure_cookies_follow_from_the_public_url(load: Load) -> None:
    settings = load(PUBLIC_URL="https://leads.example.com/")
    assert settings["PUBLIC_URL"] == "https://leads.example.com"
    assert settings["ALLOWED_HOSTS"] == ["127.0.0.1", "[::1]", "leads.example.com", "localhost"]
    assert settings["CSRF_TRUSTED_ORIGINS"] == ["https://leads.example.com"]
    assert settings["SESSION_COOKIE_SECURE"] is settings["CSRF_COOKIE_SECURE"] is True
    assert settings["SECURE_HSTS_SECONDS"] > 0


def test_the_process_environment_wins_over_the_file(load: Load) -> None:
    file = "PORT=8001\nINTAKE_RATE=7\n"
    settings = load(file, PORT="8002")
    assert (settings["PORT"], settings["INTAKE_RATE"]) == (8002, 7)


def test_an_empty_line_in_the_file_means_the_default(load: Load) -> None:
    settings = load("PORT=\nDEBUG=\nMAX_BODY_BYTES=\nDATABASE_URL=\n")
    assert (settings["PORT"], settings["DEBUG"], settings["MAX_BODY_BYTES"]) == (8000, False, 262_144)
    assert settings["DATABASES"]["default"]["NAME"].endswith("/leads.sqlite3")


def test_the_example_file_and_the_settings_agree(load: Load) -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert load(example)["DEBUG"] is False


def test_on_sqlite_an_answered_lead_survives_a_power_cut_and_writers_take_turns(load: Load) -> None:
    options = load()["DATABASES"]["default"]["OPTIONS"]
    assert "synchronous=FULL" in options["init_command"]
    assert options["transaction_mode"] == "IMMEDIATE"


ON_POSTGRES = "postgres://leads:secret@db.example.com/leads"


@pytest.mark.parametrize(
    ("database", "asked", "engine"),
    [
        ("", "", "embedded"),
        ("", "embedded", "embedded"),
        (ON_POSTGRES, "", "procrastinate"),
        (ON_POSTGRES, "procrastinate", "procrastinate"),
        (ON_POSTGRES, "embedded", "embedded"),
    ],
)
def test_the_engine_follows_the_database_unless_it_is_named(
    database: str, asked: str, engine: str, load: Load
) -> None:
    settings = load(DATABASE_URL=database, DELIVERY_ENGINE=asked)
    assert settings["DELIVERY_ENGINE"] == engine
    # The database's tables follow from the database alone.
    assert ("procrastinate.contrib.django" in settings["INSTALLED_APPS"]) is bool(database)


def test_an_engine_that_needs_postgresql_is_refused_on_sqlite_with_the_remedy(load: Load) -> None:
    with pytest.raises(
        ImproperlyConfigured, match=r"DELIVERY_ENGINE=procrastinate needs PostgreSQL.*DATABASE_URL"
    ):
        load(DELIVERY_ENGINE="procrastinate")


def test_intake_comes_before_every_other_middleware(load: Load) -> None:
    assert load()["MIDDLEWARE"][0] == "leadsite.middleware.straight_through"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOST", "leads.example.com"),
        ("TIME_ZONE", "Nope"),
        ("SPOOL_DIR", "/dev/null/leads"),
        ("DATABASE_URL", "postgres://u:pa/ss@h/db"),
    ],
)
def test_what_this_version_cannot_do_is_said_at_the_start(name: str, value: str, load: Load) -> None:
    with pytest.raises(ImproperlyConfigured, match=name) as stopped:
        load(**{name: value})
    assert "pa/ss" not in str(stopped.value)


def test_localhost_is_an_address(load: Load) -> None:
    assert load(HOST="localhost")["HOST"] == "127.0.0.1"
