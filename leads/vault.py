"""Secrets at rest: encrypted in the database, masked everywhere else."""

import json
import logging
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

MASK = "••••••••"
ENDPOINT_PATH = re.compile(r"(/in/+)[^/\s?\"'<>]+")


class VaultError(Exception):
    """A stored secret does not open with any key of FIELD_ENCRYPTION_KEYS."""


@lru_cache(maxsize=8)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def _current() -> MultiFernet:
    return _cipher(tuple(settings.FIELD_ENCRYPTION_KEYS))


def seal(text: str) -> str:
    """Encrypt with the first key of FIELD_ENCRYPTION_KEYS."""
    return _current().encrypt(text.encode()).decode()


def unseal(token: str) -> str:
    """Decrypt with whichever key fits. Raises VaultError, never returns ciphertext."""
    try:
        return _current().decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise VaultError(
            "A stored secret cannot be decrypted: FIELD_ENCRYPTION_KEYS does not hold the key it was "
            "encrypted with. Put the old key back, at the end of the list."
        ) from error


class SealedText(str):
    """A decrypted secret. Its repr is masked, so that it does not end up in a log or an error page."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(MASK)


class SealedDict(dict[str, str]):
    """Decrypted secrets by name, with a masked repr."""

    def __repr__(self) -> str:
        return repr(dict.fromkeys(self, MASK))


if TYPE_CHECKING:
    _JSONText = models.TextField[dict[str, str], dict[str, str]]
else:
    _JSONText = models.TextField


class EncryptedTextField(models.TextField):
    """Text that only ever reaches the database encrypted. Cannot be searched: keep a digest beside it."""

    def get_prep_value(self, value: Any) -> Any:
        return seal(str(value)) if value else ""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return SealedText(unseal(value)) if value else SealedText()


class EncryptedJSONField(_JSONText):
    """A dict of secrets by name, encrypted as one JSON text."""

    def get_prep_value(self, value: Any) -> Any:
        return seal(json.dumps(value)) if value else ""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return SealedDict(json.loads(unseal(value))) if value else SealedDict()

    def to_python(self, value: Any) -> Any:
        return value if isinstance(value, dict) else SealedDict()


def mask_endpoint_keys(text: str) -> str:
    """Replace the key in every endpoint URL of a text: who reads a log must not be able to post leads."""
    return ENDPOINT_PATH.sub(rf"\1{MASK}", text)


class MaskingFormatter(logging.Formatter):
    """Masks endpoint keys in every log line and traceback, whoever wrote it."""

    def format(self, record: logging.LogRecord) -> str:
        return mask_endpoint_keys(super().format(record))
