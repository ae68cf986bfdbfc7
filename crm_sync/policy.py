"""Where this installation lets connectors go, from its settings."""

from urllib.parse import urlsplit

from django.conf import settings

from crm_sync.http import Policy

PUSH_DEADLINE = (
    45.0  # seconds in total; shorter than a lease, so that a live push is never taken for a dead one
)


def policy() -> Policy:
    """Public addresses, PUBLIC_URL's own host, and private ones where ALLOW_PRIVATE_DESTINATIONS says so."""
    return Policy(
        allow_private=settings.ALLOW_PRIVATE_DESTINATIONS,
        own_hosts=frozenset({urlsplit(settings.PUBLIC_URL).netloc}),
        deadline=PUSH_DEADLINE,
    )
