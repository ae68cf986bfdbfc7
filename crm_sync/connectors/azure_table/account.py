"""The credentials of an Azure account, and Microsoft's SDK as the one that writes and signs requests with them.

The SDK does not send them: its transport hands each over. So all that leaves goes through the guarded client, nothing
is tried again behind the queue's back, and answers are read from their own bodies: the SDK does not always tell
Azure's error code.
"""

import base64
import binascii
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, Protocol
from urllib.parse import parse_qsl, urlsplit

from crm_sync.connectors.base import Request
from leads.texts import gettext as _

if TYPE_CHECKING:
    from azure.data.tables import TableClient

Settings = Mapping[str, str]

# --- What the credentials say ---------------------------------------------------------------------


def problem(settings: Settings) -> dict[str, str]:
    """What is wrong with the credential that would be used: a sentence under the name of its setting."""
    if settings.get("sas_url"):
        name, whole = "sas_url", "sig" in sas(settings)
    elif settings.get("connection_string"):
        name, whole = "connection_string", _is_whole(settings["connection_string"])
    else:
        return {"connection_string": _("Enter a connection string or a SAS URL: one of the two is required.")}
    if not whole:
        return {name: _("This is not complete: copy it again, from its first letter to its last.")}
    token = sas(settings)
    if "srt" in token and not ("t" in token.get("ss", "") and "o" in token["srt"]):
        return {name: _("This SAS is not for rows: it needs the service Table and the resource type Object.")}
    if "a" not in (granted := token.get("sp", "a")):
        return {
            name: _("This SAS may not add rows (sp={granted}): make one with the permission Add.").format(
                granted=granted
            )
        }
    return {}


def sas(settings: Settings) -> dict[str, str]:
    """The SAS that is used, by its short names (sp: permissions, se: end, tn: table); empty for an account key."""
    if sas_url := settings.get("sas_url", ""):
        token = urlsplit(sas_url).query
    else:
        token = _parts(settings.get("connection_string", "")).get("sharedaccesssignature", "")
    return dict(parse_qsl(token.removeprefix("?")))


def end(settings: Settings) -> datetime | None:
    """When the SAS ends; None for an account key, or where a stored access policy sets it."""
    try:
        moment = datetime.fromisoformat(sas(settings).get("se", ""))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def may(settings: Settings) -> str:
    """What the credential itself says that it may do, in a sentence."""
    token = sas(settings)
    if not token:
        return _("Can add leads: yes, an account key may do everything. A SAS that may only add is safer.")
    if not (granted := token.get("sp", "")):
        return _("Can add leads: its stored access policy says so or not, which only the first lead shows.")
    yes = _("Can add leads: yes, the SAS says so.")
    if granted == "a":
        return yes
    more = _("It may do more than that (sp={granted}); Add alone is enough.").format(granted=granted)
    return f"{yes} {more}"


def _is_whole(connection_string: str) -> bool:
    if connection_string.casefold() == "usedevelopmentstorage=true":
        return True
    parts = _parts(connection_string)
    if "accountname" not in parts and "tableendpoint" not in parts:
        return False
    try:
        key = base64.b64decode(parts.get("accountkey", ""), validate=True)
    except binascii.Error:
        return False
    return bool(key) or "sig=" in parts.get("sharedaccesssignature", "")


def _parts(connection_string: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in connection_string.split(";"))
    return {name.strip().casefold(): value.strip() for name, _, value in pairs}


# --- The SDK --------------------------------------------------------------------------------------

_SILENT = logging.Logger("azure_table", logging.CRITICAL + 1)
_NOT_THE_SDKS = frozenset({"user-agent", "content-length"})  # our client says them itself


def table_client(settings: Settings) -> "TableClient":
    """The SDK's client of the table. Raises ValueError where the credentials cannot work, and says why."""
    from azure.core.credentials import AzureSasCredential  # here, because it takes a third of a second
    from azure.data.tables import TableClient

    if wrong := problem(settings):
        raise ValueError(*wrong.values())
    options: dict[str, Any] = {"transport": _HandOver(), "retry_total": 0, "logger": _SILENT}
    if not (sas_url := settings.get("sas_url", "")):
        return TableClient.from_connection_string(settings["connection_string"], settings["table"], **options)
    url = urlsplit(sas_url)
    path, _, last = url.path.rstrip("/").rpartition("/")
    if last.casefold() != settings["table"].casefold():  # the account's URL, not the table's
        path = url.path
    account = url._replace(path=path, query="", fragment="").geturl()
    return TableClient(account, settings["table"], credential=AzureSasCredential(url.query), **options)


def signed(client: "TableClient", ask: "Callable[[TableClient], object]") -> Request:
    """The request by which the SDK would do what `ask` asks of it. Sends nothing."""
    try:
        ask(client)
    except _Written as written:
        return written.request
    raise TypeError("The SDK sent nothing")


class _Written(Exception):  # noqa: N818 - named for what happened
    """Carries a signed request out of the SDK, which then never waits for an answer."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.request = request


class _HttpRequest(Protocol):
    """azure-core's, as far as it is looked at."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: Any


class _HandOver:
    """What azure-core calls a transport. It is asked for no more than this, so its class need not be imported."""

    def send(self, request: _HttpRequest, **_: object) -> NoReturn:
        """Raises _Written, always."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        kept = {name: value for name, value in headers.items() if name not in _NOT_THE_SDKS}
        raise _Written(Request(request.method, request.url, kept, request.content or ""))
