"""Leads that came earlier: by the site's own door for them, the directory that they wait in while its database is away."""

from datetime import datetime

from leads import spool
from leads.intake import Received


def came_earlier(url: str, body: bytes, at: datetime) -> None:
    """What the site does with a POST while its database is away."""
    received = Received(body=body, content_type="application/json", announced=len(body), headers={})
    spool.put(url.rpartition("/")[2], received, at)
