"""The two ways to sign in to Salesforce: client credentials, and a JWT that a private key signs."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from leads.texts import gettext as _

_FIELD_NAME = re.compile(r"(?:[A-Za-z]\w*__)?[A-Za-z]\w*__c", re.ASCII)
_SANDBOX = re.compile(r"--[^.]+\.|\.(sandbox|scratch)\.|^test\.")
_LIFE = timedelta(minutes=2)  # of a JWT; Salesforce takes 3 at the most


def grant(settings: Mapping[str, str], now: datetime) -> dict[str, str]:
    """The form that asks for a token: by JWT where there is a private key, else by client credentials."""
    client_id, key = settings["client_id"], _private_key(settings["private_key"])
    if key is None:
        secret = settings["client_secret"]
        return {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    login = "test" if _SANDBOX.search(urlsplit(settings["url"]).hostname or "") else "login"
    audience = f"https://{login}.salesforce.com"
    claims = {"iss": client_id, "sub": settings["username"], "aud": audience, "exp": now + _LIFE}
    assertion = jwt.encode(claims, key, algorithm="RS256")
    return {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}


def problems(settings: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What is wrong, by setting: a sentence each."""
    secret, user, key = (settings.get(name, "") for name in ("client_secret", "username", "private_key"))
    if (urlsplit(settings.get("url", "")).hostname or "").endswith(".lightning.force.com"):
        yield "url", _("This is the address of the screens: enter the one that ends in .my.salesforce.com.")
    if not (secret or user or key):
        yield "client_secret", _("Enter a consumer secret, or a user name and a private key.")
    if user and not (key or secret):
        yield "private_key", _("The user name needs a private key. Or enter a consumer secret instead.")
    if key and not user:
        yield "username", _("The private key needs the name of the user that it signs in.")
    if key and _private_key(key) is None:
        yield (
            "private_key",
            _("This is no RSA private key in PEM, without a passphrase: -----BEGIN PRIVATE KEY-----."),
        )
    field = settings.get("external_id_field", "")
    if field and not _FIELD_NAME.fullmatch(field):
        yield "external_id_field", _("Enter the API name of a custom field, which ends in __c.")


def _private_key(pem: str) -> RSAPrivateKey | None:
    """The RSA key of a PEM text, None where it is none. Line breaks may be spelt \\n, as environment files do."""
    try:
        key = load_pem_private_key(pem.replace("\\n", "\n").strip().encode(), password=None)
    except (ValueError, TypeError):
        return None
    return key if isinstance(key, RSAPrivateKey) else None
