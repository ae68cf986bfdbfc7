"""Secrets at rest: encrypted in the database, masked everywhere else."""

import json
import logging
import re
from collections.abc import Iterator, Mapping, ValuesView
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models
from django.utils.translation import gettext as _

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
            _(
                "A stored secret cannot be decrypted: FIELD_ENCRYPTION_KEYS does not hold the key it was "
                "encrypted with. Put the old key back, at the end of the list."
            )
        ) from error


def key_of(token: str) -> int | None:
    """The place in FIELD_ENCRYPTION_KEYS, from 0, of the first key that opens a stored secret; None: no key does."""
    for place, key in enumerate(settings.FIELD_ENCRYPTION_KEYS):
        try:
            _cipher((key,)).decrypt(token.encode())
        except InvalidToken:
            continue
        return place
    return None


def reseal(token: str) -> str:
    """The same secret under the first key. Raises VaultError."""
    return seal(unseal(token))


class SealedText(str):
    """A decrypted secret. Its repr is masked, so that it does not end up in a log or an error page."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(MASK)


class SealedDict(dict[str, str]):
    """Decrypted secrets by name, with a masked repr."""

    def __repr__(self) -> str:
        return repr(dict.fromkeys(self, MASK))


class ClosedDict(Mapping[str, str]):
    """Secrets that no key opens: carried along and saved as they are. Looking into them raises VaultError.

    So a row with a lost key can still be listed, paused and given new secrets, and spoils no list it stands in.
    """

    def __init__(self, token: str, why: VaultError) -> None:
        self.token, self.why = token, why

    def _refuse(self) -> NoReturn:
        raise VaultError(str(self.why)) from self.why

    def __getitem__(self, name: str) -> str:
        self._refuse()

    def __iter__(self) -> Iterator[str]:
        self._refuse()

    def __len__(self) -> int:
        self._refuse()

    def __bool__(self) -> bool:
        return True

    def values(self) -> ValuesView[str]:
        """None: whoever masks secrets in a text cannot meet one that was never opened."""
        return SealedDict().values()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClosedDict) and self.token == other.token

    def __hash__(self) -> int:
        return hash(self.token)

    def __repr__(self) -> str:
        return repr(MASK)


def require_open(secrets: Mapping[str, str]) -> None:
    """Raise VaultError where no key opens these secrets."""
    if isinstance(secrets, ClosedDict):
        raise VaultError(str(secrets.why)) from secrets.why


if TYPE_CHECKING:
    _JSONText = models.TextField[Mapping[str, str], Mapping[str, str]]
else:
    _JSONText = models.TextField


class EncryptedTextField(models.TextField):
    """Text that only ever reaches the database encrypted. Cannot be searched: keep a digest beside it."""

    def get_prep_value(self, value: Any) -> Any:
        return seal(str(value)) if value else ""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return SealedText(unseal(value)) if value else SealedText()


class EncryptedJSONField(_JSONText):
    """A dict of secrets by name, encrypted as one JSON text. Where no key opens it: a ClosedDict."""

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, ClosedDict):
            return value.token
        return seal(json.dumps(value)) if value else ""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        if not value:
            return SealedDict()
        try:
            return SealedDict(json.loads(unseal(value)))
        except VaultError as error:
            return ClosedDict(value, error)

    def to_python(self, value: Any) -> Any:
        return value if isinstance(value, dict | ClosedDict) else SealedDict()


def mask_endpoint_keys(text: str) -> str:
    """Replace the key in every endpoint URL of a text: who reads a log must not be able to post leads."""
    return ENDPOINT_PATH.sub(rf"\1{MASK}", text)


class MaskingFormatter(logging.Formatter):
    """Masks endpoint keys in every log line and traceback, whoever wrote it."""

    def format(self, record: logging.LogRecord) -> str:
        return mask_endpoint_keys(super().format(record))
