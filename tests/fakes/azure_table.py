"""Azurite, Microsoft's own emulator of Azure Table storage, and what stands between it and a connector to misbehave."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from azure.core.credentials import AzureNamedKeyCredential
from azure.data.tables import (
    AccountSasPermissions,
    ResourceTypes,
    TableClient,
    TableSasPermissions,
    TableServiceClient,
    generate_account_sas,
    generate_table_sas,
)

from tests.fakes.server import Answer, FakeCrm, Seen

ACCOUNT = "devstoreaccount1"
# Published with Azurite; every installation of it has this one.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_CREDENTIAL = AzureNamedKeyCredential(ACCOUNT, KEY)


@contextmanager
def azurite(node_tools: Path) -> Iterator[int]:
    """The port of an Azurite that serves tables from memory, to the end of the `with`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    main = node_tools / "azurite/dist/src/table/main.js"
    options = ["--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck", "--silent"]
    command = ["node", main, "--tableHost", "127.0.0.1", "--tablePort", str(port), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as served:
        try:
            _wait_for(port, served)
            yield port
        finally:
            served.terminate()


def _wait_for(port: int, served: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        assert served.poll() is None, "Azurite ended"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("Azurite does not answer")


class InFrontOfAzurite(FakeCrm):
    """Passes every request on to Azurite and its answer back, unless it is told to misbehave."""

    def __init__(self, port: int, *, tls: bool = False) -> None:
        self._behind = httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
        self._direct = f"http://127.0.0.1:{port}/{ACCOUNT}"
        super().__init__(tls=tls)

    def __exit__(self, *arguments: object) -> None:
        super().__exit__(*arguments)
        self._behind.close()

    def answer(self, request: Seen) -> Answer:
        named = {name: value for name, value in request.headers.items() if name not in ("host", "connection")}
        answer = self._behind.request(request.method, request.target, headers=named, content=request.body)
        kept = ("content-type", "x-ms-error-code", "x-ms-request-id", "x-ms-version", "preference-applied")
        return Answer(
            answer.status_code, answer.content, {n: answer.headers[n] for n in kept if n in answer.headers}
        )

    @property
    def endpoint(self) -> str:
        return f"{self.url}/{ACCOUNT}"

    def connection_string(self, key: str = KEY) -> str:
        return f"AccountName={ACCOUNT};AccountKey={key};TableEndpoint={self.endpoint}"

    def sas_url(self, permissions: str, *, table: str = "MarketplaceLeads", days: float = 30) -> str:
        """The URL of a table with a SAS that ends so many days from now."""
        end = datetime.now(UTC) + timedelta(days=days)
        granted = TableSasPermissions(**{_PERMISSIONS[letter]: True for letter in permissions})
        return f"{self.endpoint}/{table}?{generate_table_sas(_CREDENTIAL, table, permission=granted, expiry=end)}"

    def account_sas(self, permissions: str, *, days: float = 30) -> str:
        """A SAS for the rows of every table of the account."""
        granted = AccountSasPermissions(**{_PERMISSIONS[letter]: True for letter in permissions})
        end = datetime.now(UTC) + timedelta(days=days)
        return generate_account_sas(_CREDENTIAL, ResourceTypes(object=True), granted, end)

    def new_table(self, name: str) -> None:
        with TableServiceClient(self._direct, credential=_CREDENTIAL) as service:
            service.create_table_if_not_exists(name)
        with TableClient(self._direct, name, credential=_CREDENTIAL) as table:
            for row in table.list_entities():
                table.delete_entity(row)

    def rows(self, table: str = "MarketplaceLeads") -> list[dict[str, Any]]:
        """What the table holds, read by the SDK straight from Azurite."""
        with TableClient(self._direct, table, credential=_CREDENTIAL) as client:
            return [dict(row) for row in client.list_entities()]

    def customer(self) -> dict[str, str]:
        """CustomerInfo of the one row there is, as a flow reads it."""
        (row,) = self.rows()
        read: dict[str, str] = json.loads(row["CustomerInfo"])
        return read


_PERMISSIONS = {"r": "read", "a": "add", "u": "update", "d": "delete"}
