"""Secrets at rest, and that no log line or repr gives one away."""

import logging
from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from pytest_django.fixtures import Settings

from leads.models import Endpoint, Offer
from leads.vault import (
    MASK,
    EncryptedJSONField,
    EncryptedTextField,
    MaskingFormatter,
    SealedDict,
    VaultError,
    mask_endpoint_keys,
    seal,
    unseal,
)


def test_what_was_sealed_opens_again_and_looks_different_each_time() -> None:
    assert unseal(seal("Grüße, 秘密")) == "Grüße, 秘密"
    assert seal("same") != seal("same")
    assert "same" not in seal("same")


def test_keys_are_rotated_by_putting_a_new_one_in_front(settings: Settings) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEYS = [old]
    sealed = seal("secret")
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    assert unseal(sealed) == "secret"
    sealed_anew = seal("secret")
    settings.FIELD_ENCRYPTION_KEYS = [new]
    assert unseal(sealed_anew) == "secret"


@pytest.mark.parametrize("damaged", ["", "not a token", "gAAAAABk"])
def test_what_does_not_open_is_an_error_that_names_the_setting(damaged: str) -> None:
    with pytest.raises(VaultError, match="FIELD_ENCRYPTION_KEYS"):
        unseal(damaged)


def test_a_secret_of_another_key_is_never_returned_as_ciphertext(settings: Settings) -> None:
    sealed = seal("secret")
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(VaultError):
        unseal(sealed)


def test_an_endpoint_key_reaches_the_database_encrypted_and_is_masked_in_reprs(offer: Offer) -> None:
    made = Endpoint.make(offer)
    key = str(made.key)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM leads_endpoint")
        stored = repr(cursor.fetchall())
    assert key not in stored
    found = Endpoint.objects.get()
    assert found.key == key
    assert found.url.endswith(f"/in/{key}")
    assert key not in repr(found.key) + repr(found) + str(found)
    assert repr(found.key) == repr(MASK)


def test_encrypted_fields_keep_nothing_as_nothing() -> None:
    for field in (EncryptedTextField(), EncryptedJSONField()):
        assert field.get_prep_value(None) == ""
        assert not field.from_db_value("", None, connection)


def test_encrypted_secrets_come_back_by_name_with_a_masked_repr() -> None:
    field = EncryptedJSONField()
    stored = field.get_prep_value({"password": "hunter2"})
    assert "hunter2" not in stored
    found = field.from_db_value(stored, None, connection)
    assert found == {"password": "hunter2"}
    assert repr(found) == repr({"password": MASK})
    assert field.to_python(found) == found
    assert field.to_python("{}") == SealedDict()


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("POST /in/abc-DEF_1 201", f"POST /in/{MASK} 201"),
        ("POST /in/abc/ 201", f"POST /in/{MASK}/ 201"),
        ("/in/abc?x=1", f"/in/{MASK}?x=1"),
        ('href="https://x.example/in/abc"', f'href="https://x.example/in/{MASK}"'),
        ("/in/one then /in/two", f"/in/{MASK} then /in/{MASK}"),
        ("/admin/leads/", "/admin/leads/"),
        ("/in/", "/in/"),
        ("/in//abc", f"/in//{MASK}"),
    ],
)
def test_endpoint_keys_are_masked_wherever_a_url_stands_in_a_text(line: str, masked: str) -> None:
    assert mask_endpoint_keys(line) == masked


@pytest.fixture
def log() -> StringIO:
    """What the handler of the settings would write."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(MaskingFormatter())
    logger = logging.getLogger("masked")
    logger.propagate = False
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)


def test_a_log_line_masks_keys_in_its_message_and_in_its_arguments(log: StringIO) -> None:
    logger = logging.getLogger("masked")
    logger.warning("Not Found: %s", "/in/topsecret")
    logger.warning("Not Found: /in/topsecret")
    assert log.getvalue() == f"Not Found: /in/{MASK}\n" * 2


def test_a_log_line_masks_keys_in_its_traceback(log: StringIO) -> None:
    try:
        raise ValueError("https://leads.example.com/in/topsecret")
    except ValueError:
        logging.getLogger("masked").exception("Failed")
    assert "topsecret" not in log.getvalue()
