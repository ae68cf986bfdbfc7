"""Far sides that misbehave on demand, on loopback, and pools that are closed afterwards."""

import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from crm_sync.addresses import Policy
from crm_sync.http import Pool

Handler = Callable[[socket.socket], None]
OPEN = Policy(allow_private=True, connect_timeout=2, read_timeout=2, deadline=4)


class FarSide:
    """A server on 127.0.0.1. `answer` is called with the connection after each whole request."""

    def __init__(self, answer: Handler, context: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.connections = 0
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/leads"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(3)
        with suppress(OSError), connection:
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection:
                while request := self._request(connection):
                    self.requests.append(request)
                    self.answer(connection)

    def _request(self, connection: socket.socket) -> bytes:
        data = b""
        while not _whole(data):
            piece = connection.recv(65536)
            if not piece:
                return b""
            data += piece
        return data


def _whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    sizes = [
        line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    ]
    return bool(end) and len(body) >= int(sizes[0] if sizes else 0)


@pytest.fixture
def far_side() -> Iterator[Callable[..., FarSide]]:
    """Make a server out of a function that is given each connection."""
    servers: list[FarSide] = []

    def make(answer: Handler, context: ssl.SSLContext | None = None) -> FarSide:
        servers.append(FarSide(answer, context))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def pool() -> Iterator[Callable[..., Pool]]:
    """Make a pool; by default one that may reach loopback."""
    pools: list[Pool] = []

    def make(policy: Policy = OPEN, **options: object) -> Pool:
        pools.append(Pool(policy, **options))  # type: ignore[arg-type]
        return pools[-1]

    yield make
    for each in pools:
        each.close()


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A certificate for crm.test that this process trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "crm.test")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("crm.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "crm.pem"
    path.write_bytes(built.public_bytes(serialization.Encoding.PEM) + private)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path
