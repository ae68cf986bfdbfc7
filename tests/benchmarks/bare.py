"""The other reference for ingest: what an insert costs without any framework. Bare ASGI and asyncpg, one INSERT.

It answers 201 to any JSON object: no endpoint, no schema, no repeats, no lead. Served by granian with two workers.
"""

import asyncio
import json
import os
import uuid
from datetime import UTC, datetime
from typing import Any

import asyncpg

TABLE = """
    CREATE TABLE bare_lead
    (id uuid PRIMARY KEY, received_at timestamptz NOT NULL, email text NOT NULL, body jsonb NOT NULL);
    CREATE INDEX bare_lead_received ON bare_lead (received_at);
"""
INSERT = "INSERT INTO bare_lead (id, received_at, email, body) VALUES ($1, $2, $3, $4)"

_pool: Any = None


async def pool() -> Any:
    global _pool
    if _pool is None:
        _pool = await asyncpg.create_pool(os.environ["BARE_DATABASE"], min_size=1, max_size=8)
    return _pool


async def application(scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    lead = json.loads(body)
    lead_id = uuid.uuid4()
    values = (lead_id, datetime.now(UTC), lead["UserDetails"]["Email"], body.decode())
    await (await pool()).execute(INSERT, *values)
    content = json.dumps({"status": "accepted", "id": str(lead_id)}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def _make_table() -> None:
    connection = await asyncpg.connect(os.environ["BARE_DATABASE"])
    await connection.execute(TABLE)
    await connection.close()


def make_table() -> None:
    asyncio.run(_make_table())
