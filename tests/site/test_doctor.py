"""What is wrong with an installation: each fault is found, said in one sentence and comes with its fix."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from crm_sync.models import Delivery, DestinationState, Worker
from leads import spool
from leads.models import Endpoint
from leadsite import bootstrap, doctor, reach
from leadsite.doctor import Check, Finding, Level, Scene, database, machine, sending
from leadsite.reach import Reach
from tests.crm_sync.sending import make_destination, make_lead, make_route
from tests.fakes.email import Postbox
from tests.fakes.server import authority_file
from tests.staff import make_offer, person

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parents[2]
REACHED = Reach(True, "It leads here.", tls_days=71, proxy="believed")


@pytest.fixture
def now() -> datetime:
    return timezone.now()


def found(name: str, scene: Scene | None = None) -> Finding:
    ((_, finding),) = doctor.examine(scene or scene_of(), lambda check: check.name == name)
    return finding


def scene_of(answer: Reach = REACHED, now: datetime | None = None) -> Scene:
    return Scene(now, lambda url, at: answer)


def hit(ago: timedelta, *, is_demo: bool = False) -> None:
    offer = make_offer("demo" if is_demo else "backup", is_demo=is_demo)
    offer.endpoints.update(last_hit_at=timezone.now() - ago, hits=1)


# The address


def test_an_address_that_leads_here_is_well() -> None:
    assert found("address") == Finding(Level.OK, "It leads here.")


def test_an_address_that_will_not_for_long_is_a_warning() -> None:
    assert found("address", scene_of(Reach(True, "Ends soon.", "Renew it."))).level == Level.WARNING


def test_an_address_that_leads_elsewhere_is_wrong() -> None:
    assert found("address", scene_of(Reach(False, "Somebody else.", "Mend it."))) == Finding(
        Level.WRONG, "Somebody else.", "Mend it."
    )


@pytest.mark.parametrize(
    ("ago", "level"),
    [(None, Level.WRONG), (timedelta(days=8), Level.WRONG), (timedelta(hours=2), Level.WARNING)],
)
def test_a_network_that_hides_its_own_address_is_not_wrong_while_leads_come(
    ago: timedelta | None, level: Level
) -> None:
    if ago:
        hit(ago)
    assert found("address", scene_of(Reach(False, "No connection.", "See.", uncertain=True))).level == level


@pytest.mark.parametrize(
    ("url", "trusted", "through", "level", "words"),
    [
        ("http://127.0.0.1:8000", [], "", Level.OK, "none is believed"),
        ("https://leads.example.com", [], "ignored", Level.WARNING, "TRUSTED_PROXIES is empty"),
        ("https://leads.example.com", ["10.0.0.1"], "believed", Level.OK, "Believed are 10.0.0.1"),
        ("https://leads.example.com", ["10.0.0.1"], "ignored", Level.WARNING, "none of TRUSTED_PROXIES"),
        ("https://leads.example.com", ["10.0.0.1"], "silent", Level.WARNING, "does not say for whom it asks"),
        (
            "https://leads.example.com",
            ["10.0.0.1", "0.0.0.0/0"],
            "believed",
            Level.WRONG,
            "believes everybody",
        ),
        ("https://leads.example.com", ["::/0"], "believed", Level.WRONG, "believes everybody"),
    ],
)
def test_whom_we_believe_is_whom_we_should(
    url: str, trusted: list[str], through: str, level: Level, words: str, settings: Any
) -> None:
    settings.PUBLIC_URL, settings.TRUSTED_PROXIES = url, trusted
    finding = found("proxy", scene_of(Reach(True, "", proxy=through)))
    assert finding.level == level
    assert words in finding.sentence
    assert bool(finding.fix) == (level != Level.OK)


def test_that_nothing_ever_arrived_is_told_from_that_nothing_can() -> None:
    assert found("last_post").sentence == "No offer of your own has a URL yet: no real lead can arrive."
    make_offer()
    assert found("last_post").sentence == "No request has ever come to the URL of an offer."
    assert "press Validate" in found("last_post").fix


@pytest.mark.parametrize(
    ("ago", "level", "words"),
    [(timedelta(hours=2), Level.OK, "2 h ago"), (timedelta(days=31), Level.WARNING, "came 20")],
)
def test_when_the_last_request_came(ago: timedelta, level: Level, words: str) -> None:
    hit(ago)
    assert found("last_post").level == level
    assert words in found("last_post").sentence


def test_the_demo_is_not_microsoft() -> None:
    hit(timedelta(minutes=1), is_demo=True)
    assert "No offer of your own has a URL yet" in found("last_post").sentence


# The database


def answering(monkeypatch: pytest.MonkeyPatch, vendor: str, answers: dict[str, Any]) -> None:
    monkeypatch.setattr(database, "_ask", lambda sql: answers[sql.rpartition(" ")[2]])
    monkeypatch.setattr(database, "connection", SimpleNamespace(vendor=vendor))


PG = {"server_version_num": "160002", "server_version": "16.2"}
CAREFUL = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


@pytest.mark.parametrize(
    ("vendor", "answers", "level", "words"),
    [
        (
            "sqlite",
            {"journal_mode": "wal", "synchronous": 2},
            Level.OK,
            "SQLite 3.40.1; each lead is on the disk",
        ),
        ("sqlite", {"journal_mode": "delete", "synchronous": 2}, Level.WRONG, "journal_mode=DELETE"),
        ("sqlite", {"journal_mode": "wal", "synchronous": 1}, Level.WRONG, "synchronous=1"),
        ("postgresql", {**PG, **CAREFUL}, Level.OK, "PostgreSQL 16.2; each lead is on the disk"),
        ("postgresql", {**PG, **CAREFUL, "fsync": "off"}, Level.WRONG, "fsync=off"),
        ("postgresql", {**PG, **CAREFUL, "synchronous_commit": "off"}, Level.WRONG, "synchronous_commit=off"),
        (
            "postgresql",
            {**PG, **CAREFUL, "server_version_num": "140011", "server_version": "14.11"},
            Level.WRONG,
            "14.11 is too old: 15 or later",
        ),
    ],
)
def test_a_database_that_may_forget_is_wrong(
    vendor: str, answers: dict[str, Any], level: Level, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, vendor, {"sqlite_version()": "3.40.1", **answers})
    finding = database.answers(scene_of())
    assert (finding.level, words in finding.sentence) == (level, True)


def test_the_real_database_is_asked_in_its_own_words() -> None:
    # In memory, or without fsync, for the tests: what it says may be wrong, that it says it is what counts.
    assert connection.vendor[:6] in found("database").sentence.casefold()


def down(execute: Callable[..., Any], *arguments: Any) -> Any:
    raise OperationalError("connection to server at 10.0.0.7 failed\nIs it running?")


def test_with_the_database_down_it_says_so_and_goes_on() -> None:
    with connection.execute_wrapper(down):
        findings = {check.name: finding for check, finding in doctor.examine(scene_of())}
    assert findings["database"].level == Level.WRONG
    assert (
        findings["database"].sentence
        == "The database does not answer: connection to server at 10.0.0.7 failed"
    )
    for check in doctor.CHECKS:
        told = findings[check.name].sentence == "Cannot be told while the database does not answer."
        assert told == check.needs_database, check.name
    assert findings["disk"].level == Level.OK


def test_a_missing_migration_is_wrong() -> None:
    assert found("migrations").level == Level.OK
    latest = MigrationLoader(connection).graph.leaf_nodes("leads")[0]
    MigrationRecorder(connection).record_unapplied(*latest)
    assert found("migrations").level == Level.WRONG
    assert "manage.py bootstrap" in found("migrations").fix


@pytest.mark.parametrize(("apart", "level"), [(0, Level.OK), (5, Level.WARNING), (-40, Level.WRONG)])
def test_two_machines_whose_clocks_differ(apart: int, level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, "postgresql", {"clock_timestamp()": timezone.now() + timedelta(seconds=apart)})
    assert database.same_time(scene_of()).level == level


@pytest.mark.sqlite
def test_a_clock_that_was_set_back_is_wrong(now: datetime) -> None:
    Worker.objects.create(name="w", started_at=now, seen_at=now)
    assert found("clock", scene_of(now=now)).level == Level.OK
    assert found("clock", scene_of(now=now - timedelta(minutes=1))).level == Level.WRONG


# Sending


def test_without_a_worker_nothing_is_sent(now: datetime) -> None:
    assert found("worker").level == Level.WRONG
    Worker.objects.create(name="w", started_at=now, seen_at=now)
    assert found("worker").level == Level.OK
    Worker.objects.update(seen_at=now - timedelta(minutes=2))
    assert "The last one reported 2 min ago" in found("worker").sentence


def test_leads_that_nobody_looked_at_are_counted(now: datetime) -> None:
    offer = make_offer()
    make_lead(offer, received_at=now)
    assert found("unrouted").level == Level.OK
    make_lead(offer, received_at=now - timedelta(hours=3))
    assert found("unrouted").sentence == "1 lead was not looked at by the worker yet; it came 3 h ago."


def test_no_more_are_counted_than_a_page_can_wait_for(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "MOST", 1)
    offer = make_offer()
    for _ in range(3):
        make_lead(offer, received_at=now - timedelta(hours=3))
    assert found("unrouted").sentence.startswith("1+ leads were not looked at")


def late_sending(now: datetime, **values: Any) -> DestinationState:
    offer, destination = make_offer(), make_destination("webhook", name="HubSpot EU")
    route = make_route(offer, destination)
    Delivery.objects.create(
        lead=make_lead(offer), route=route, destination=destination, due_at=now - timedelta(minutes=47)
    )
    DestinationState.objects.filter(destination=destination).update(**values)
    return DestinationState.objects.get(destination=destination)


@pytest.mark.parametrize(
    ("last_success", "level", "words"),
    [
        (None, Level.WRONG, "The oldest sending to HubSpot EU is due since 47 min. None goes out."),
        (timedelta(minutes=1), Level.WARNING, "Leads do go out meanwhile."),
    ],
)
def test_a_sending_that_is_late_is_told(
    last_success: timedelta | None, level: Level, words: str, now: datetime
) -> None:
    assert found("sendings").level == Level.OK
    late_sending(now, last_success_at=last_success and now - last_success)
    finding = found("sendings")
    assert (finding.level, words in finding.sentence) == (level, True)


def test_what_waits_for_a_connection_that_is_down_is_not_late(now: datetime) -> None:
    late_sending(now, state="slowed", since=now)
    assert found("sendings").level == Level.OK


@pytest.mark.parametrize(
    ("state", "level"),
    [("working", Level.OK), ("slowed", Level.WARNING), ("paused", Level.WARNING), ("stopped", Level.WRONG)],
)
def test_a_connection_that_is_not_well_is_named_without_what_its_crm_said(
    state: str, level: Level, now: datetime
) -> None:
    destination = make_destination("webhook", name="HubSpot EU")
    reason = "" if state == "working" else "The CRM failed (HTTP 503): Jane Doe is upside down"
    DestinationState.objects.filter(pk=destination.pk).update(
        state=state, since=now, reason=reason, checked_at=now
    )
    finding = found("connections")
    assert finding.level == level
    assert ("HubSpot EU: " + state in finding.sentence) == (state != "working")
    assert "Jane" not in finding.sentence


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "HubSpot EU was not tested yet"),
        ({"reason": "The key is wrong."}, "HubSpot EU: test failed (The key is wrong)."),
    ],
)
def test_a_connection_of_which_nothing_shows_that_it_works_is_named(
    values: dict[str, Any], words: str, now: datetime
) -> None:
    destination = make_destination("webhook", name="HubSpot EU")
    DestinationState.objects.filter(pk=destination.pk).update(**values)
    finding = found("connections")
    assert finding.level == Level.WARNING
    assert words in finding.sentence
    assert "press Test connection" in finding.fix


# Mail


def smtp(settings: Any, host: str = "127.0.0.1", port: int = 9, **more: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = host, port
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "", ""
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.DEFAULT_FROM_EMAIL = "leads@contoso.example"
    for name, value in more.items():
        setattr(settings, name, value)


def test_mail_that_only_goes_to_the_log_tells_nobody(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    assert found("mail").sentence.startswith(
        "Nobody will be told of failures: EMAIL_URL names no mail server"
    )
    assert found("mail").fix.startswith("EMAIL_URL=smtp+tls://")


def test_a_mail_server_that_lets_us_in_is_well_and_gets_no_mail(settings: Any) -> None:
    erin = person("erin")
    with Postbox() as postbox:
        smtp(settings, port=postbox.port)
        assert "no user who is to be told has an e-mail address" in found("mail").sentence
        erin.email = "erin@contoso.example"
        erin.save()
        assert found("mail") == Finding(Level.OK, "The mail server lets us in; nothing was sent.")
        settings.DEFAULT_FROM_EMAIL = "leads@localhost"
        assert "Mails come from leads@localhost" in found("mail").sentence
    assert postbox.mails == []


def test_a_mail_server_that_is_not_there_is_wrong(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    smtp(settings)
    finding = found("mail")
    assert (finding.level, "127.0.0.1:9 does not let us in" in finding.sentence) == (Level.WRONG, True)

    def unknown(host: str, port: int) -> list[str]:
        raise OSError("Name or service not known")

    monkeypatch.setattr(reach, "resolve", unknown)
    assert found("mail").sentence == (
        "Mail cannot be sent. The name 127.0.0.1 is not known: check the address for a typing error."
    )


def test_a_password_that_the_mail_server_refuses_is_wrong_and_not_repeated(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", authority_file())
    with Postbox(security="starttls", password="secret") as postbox:
        smtp(settings, "localhost", postbox.port, EMAIL_HOST_USER="leads", EMAIL_HOST_PASSWORD="hunter2")
        settings.EMAIL_USE_TLS = True
        finding = found("mail")
    assert (finding.level, "refuses our sign-in" in finding.sentence) == (Level.WRONG, True)
    assert "hunter2" not in finding.sentence + finding.fix


# The machine


@pytest.mark.parametrize(
    ("free", "level", "words"),
    [
        (82_400_000_000, Level.OK, "82.4 GB free in DATA_DIR."),
        (1_500_000_000, Level.WARNING, "Only 1.5 GB are free in DATA_DIR"),
        (90_000_000, Level.WRONG, "Only 90 MB are free in DATA_DIR"),
    ],
)
def test_a_disk_that_fills_is_told_in_time(
    free: int, level: Level, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=free))
    finding = found("disk")
    assert (finding.level, words in finding.sentence) == (level, True)


def test_the_disk_of_the_spool_counts_too(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SPOOL_DIR = tmp_path
    sizes = {str(tmp_path): 90_000_000}
    monkeypatch.setattr(
        shutil, "disk_usage", lambda place: SimpleNamespace(free=sizes.get(str(place), 10**12))
    )
    assert f"free in SPOOL_DIR ({tmp_path})" in found("disk").sentence


def test_without_a_spool_leads_are_lost_with_the_database(settings: Any) -> None:
    settings.SPOOL_DIR = None
    assert found("spool").level == Level.WARNING
    assert found("spool").fix == f"SPOOL_DIR={settings.DATA_DIR / 'spool'}"


def test_a_spool_is_well_while_nothing_stays_in_it(settings: Any, tmp_path: Path) -> None:
    settings.SPOOL_DIR = tmp_path
    assert found("spool").level == Level.OK
    (tmp_path / f"{int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1_000_000):020}-x.lead").touch()
    assert found("spool").sentence == "1 request waits in the spool to be taken in."
    failed = tmp_path / f"00000000000000000001-y{spool.FAILED}"
    failed.touch()
    assert found("spool").fix.endswith(f"mv {failed} {failed.with_suffix('.lead')}")


def test_a_secret_that_no_key_opens_is_wrong(settings: Any) -> None:
    assert found("secrets").sentence == "No secret is stored yet."
    make_offer()
    assert found("secrets") == Finding(Level.OK, "1 stored secret opens.")
    old = settings.FIELD_ENCRYPTION_KEYS
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *old]
    assert found("secrets") == Finding(
        Level.WARNING, "1 stored secret is under an old key.", ".venv/bin/python manage.py reencrypt"
    )
    settings.FIELD_ENCRYPTION_KEYS = settings.FIELD_ENCRYPTION_KEYS[:1]
    assert found("secrets").level == Level.WRONG
    assert "endpoint URL: Endpoint" in found("secrets").sentence
    assert Endpoint.objects.defer("key").count() == 1


@pytest.mark.parametrize(("key", "level"), [("a" * 60, Level.WARNING), ("abcdefgh" * 5, Level.WARNING)])
def test_a_weak_secret_key_is_told(key: str, level: Level, settings: Any) -> None:
    assert found("secret_key").level == Level.OK
    settings.SECRET_KEY = key
    assert found("secret_key").level == level
    assert key not in found("secret_key").sentence


def test_debug_is_wrong(settings: Any) -> None:
    assert found("debug").level == Level.OK
    settings.DEBUG = True
    assert found("debug") == Finding(
        Level.WRONG, "DEBUG is on: error pages show settings and leads to everybody.", "DEBUG=false"
    )


def test_files_that_others_can_read_are_wrong(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env, data = tmp_path / ".env", tmp_path / "data"
    env.touch(0o600)
    data.mkdir(0o700)
    settings.DATA_DIR = data
    monkeypatch.setenv("LEADSITE_ENV_FILE", str(env))
    assert found("files").level == Level.OK
    data.chmod(0o755)
    assert found("files").fix == f"chmod 700 {data}"
    env.chmod(0o644)
    assert found("files").fix == f"chmod 600 {env}"


def test_the_password_that_was_printed_is_to_be_changed(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    assert found("password").level == Level.OK
    printed = bootstrap.reset_password()
    assert found("password").level == Level.WARNING
    admin = bootstrap.get_user_model().objects.get(username="admin")
    assert printed not in (tmp_path / "given-password").read_text()
    admin.is_active = False
    admin.save()
    assert found("password").level == Level.OK
    admin.is_active = True
    admin.set_password("correct horse battery staple")
    admin.save()
    assert found("password").level == Level.OK


# All of them


def test_a_check_that_fails_is_a_finding_and_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(scene: Scene) -> Finding:
        raise RuntimeError("as planned")

    checks = (Check("broken", "Broken", broken), Check("debug", "DEBUG", machine.debug))
    monkeypatch.setattr(doctor, "CHECKS", checks)
    first, second = (finding for _, finding in doctor.examine(scene_of()))
    assert (first.level, "error of this software" in first.sentence) == (Level.WRONG, True)
    assert second.level == Level.OK


def test_whatever_is_not_well_has_a_fix_and_every_name_is_said_once() -> None:
    findings = list(doctor.examine(scene_of()))
    assert all(finding.fix for _, finding in findings if finding.level != Level.OK)
    assert len({check.name for check, _ in findings}) == len(doctor.CHECKS)


# The command


@pytest.fixture
def healthy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    def only(*findings: Finding) -> None:
        checks = tuple(
            Check(f"check_{number}", f"Check {number}", lambda scene, finding=finding: finding)
            for number, finding in enumerate(findings)
        )
        monkeypatch.setattr(doctor, "CHECKS", checks)

    return only


GOOD, MEAGRE, BAD = (
    Finding(Level.OK, "Good."),
    Finding(Level.WARNING, "Meagre.", "EMAIL_URL=x"),
    Finding(Level.WRONG, "Bad.", "mend it"),
)


def run(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("doctor", *arguments, stdout=out, no_color=True)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_only_what_is_wrong_makes_the_command_fail(healthy: Callable[..., None]) -> None:
    healthy(GOOD)
    assert run() == (0, "ok       Check 0: Good.\n\nNothing is wrong.\n")
    healthy(GOOD, MEAGRE)
    assert run()[0] == 0
    assert run()[1].endswith(
        "warning  Check 1: Meagre.\n         Fix: EMAIL_URL=x\n\nNothing is wrong; 1 warning.\n"
    )
    healthy(BAD, MEAGRE, MEAGRE)
    assert run()[0] == 1
    assert run()[1].startswith("WRONG    Check 0: Bad.\n         Fix: mend it\n")
    assert run()[1].endswith("1 thing is wrong; 2 warnings.\n")


def test_for_programs_there_is_json(healthy: Callable[..., None]) -> None:
    healthy(GOOD, BAD)
    status, out = run("--json")
    document = json.loads(out)
    assert (status, document["ok"]) == (1, False)
    assert document["findings"][1] == {
        "name": "check_1",
        "label": "Check 1",
        "level": "wrong",
        "sentence": "Bad.",
        "fix": "mend it",
    }


def test_offline_it_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*arguments: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(reach, "check", asked)
    monkeypatch.setattr(reach, "resolve", asked)
    names = {row["name"] for row in json.loads(run("--json", "--offline")[1])["findings"]}
    assert names == {check.name for check in doctor.CHECKS} - {"address", "proxy", "mail"}


@pytest.mark.sqlite
def test_it_runs_where_there_is_no_database_at_all(tmp_path: Path) -> None:
    environment = {
        "PATH": "/usr/bin:/bin",
        "LEADSITE_ENV_FILE": "/dev/null",
        "DATA_DIR": str(tmp_path),
        "SECRET_KEY": "0123456789" * 6,
        "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "DATABASE_URL": "postgres://leads:hunter2@127.0.0.1:9/leads",
    }
    command = [sys.executable, "manage.py", "doctor", "--json", "--offline"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    findings = {row["name"]: row for row in json.loads(done.stdout)["findings"]}
    assert findings["database"]["sentence"].startswith("The database does not answer: ")
    assert "correct DATABASE_URL" in findings["database"]["fix"]
    assert "hunter2" not in done.stdout + done.stderr
