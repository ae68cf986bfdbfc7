"""A load generator: keep-alive connections that post unique leads one after the other, for a given time.

Runs as a process of its own (`python -m tests.benchmarks.load URL CONNECTIONS SECONDS`) and prints JSON: how many
were answered 2xx, how many otherwise, requests a second, and latencies in milliseconds.
"""

import asyncio
import json
import sys
import time
import uuid
from urllib.parse import urlsplit

DESCRIPTION = "A customer asked to be shown how a restore of four hundred mailboxes works. " * 2


def body(mark: str) -> bytes:
    """A lead of about 560 bytes, unlike any other."""
    lead = {
        "UserDetails": {
            "FirstName": "Jane",
            "LastName": "Doe",
            "Email": f"jane.{mark}@contoso.example",
            "Phone": "+1 425 555 0134",
            "Country": "US",
            "Company": "Contoso Ltd",
            "Title": "IT director",
        },
        "LeadSource": "AzureMarketplace-INS|contoso.backup",
        "ActionCode": "INS",
        "OfferTitle": "Contoso Backup",
        "Description": DESCRIPTION,
    }
    return json.dumps(lead).encode()


class Connection(asyncio.Protocol):
    """Posts, waits for the whole answer, posts again, until the deadline."""

    def __init__(self, path: str, host: str, deadline: float) -> None:
        self.path, self.host, self.deadline = path, host, deadline
        self.latencies: list[float] = []
        self.refused = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._mark, self._count = uuid.uuid4().hex, 0
        self._buffer, self._sent = b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._post()

    def _post(self) -> None:
        self._count += 1
        content = body(f"{self._mark}{self._count}")
        head = f"POST {self.path} HTTP/1.1\r\nHost: {self.host}\r\nContent-Type: application/json\r\n"
        self._sent = time.perf_counter()
        self.transport.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator or not _whole(head.lower(), rest):
            return
        now = time.perf_counter()
        if head.startswith(b"HTTP/1.1 2"):
            self.latencies.append(now - self._sent)
        else:
            self.refused += 1
        self._buffer = b""
        if now < self.deadline:
            self._post()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


def _whole(head: bytes, rest: bytes) -> bool:
    if b"transfer-encoding: chunked" in head:
        return rest.endswith(b"0\r\n\r\n")
    length = head.partition(b"content-length: ")[2].split(b"\r\n")[0]
    return len(rest) >= int(length or 0)


async def run(url: str, connections: int, seconds: float) -> dict[str, float]:
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    start = time.perf_counter()
    made = [
        await loop.create_connection(
            lambda: Connection(parts.path, parts.netloc, start + seconds), parts.hostname, parts.port
        )
        for _ in range(connections)
    ]
    await asyncio.wait([connection.done for _, connection in made], timeout=seconds + 30)
    took = time.perf_counter() - start
    latencies = sorted(value for _, connection in made for value in connection.latencies)
    return {
        "answered": len(latencies),
        "refused": sum(connection.refused for _, connection in made),
        "rate": len(latencies) / took,
        "p50_ms": percentile(latencies, 0.50) * 1000,
        "p99_ms": percentile(latencies, 0.99) * 1000,
    }


def percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))))  # noqa: T201
