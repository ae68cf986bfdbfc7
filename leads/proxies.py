"""Whose word about the caller's address is believed."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any


@lru_cache(maxsize=8)
def _networks(trusted: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(item, strict=False) for item in trusted)


def is_trusted(address: str, trusted: Iterable[str]) -> bool:
    """Whether an address is that of one of our own proxies (addresses or networks of TRUSTED_PROXIES)."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in _networks(tuple(trusted)))


def client_address(meta: Mapping[str, Any], trusted: Iterable[str]) -> str:
    """The address that sent a request: the last one in X-Forwarded-For that is not a proxy of ours.

    Only our own proxies are asked: anybody can write that header.
    """
    trusted = tuple(trusted)
    address = str(meta.get("REMOTE_ADDR", ""))
    forwarded = [part.strip() for part in str(meta.get("HTTP_X_FORWARDED_FOR", "")).split(",")]
    while forwarded and is_trusted(address, trusted):
        address = _without_port(forwarded.pop()) or address
    return address


def _without_port(address: str) -> str:
    """Some proxies, Azure Application Gateway for one, write 198.51.100.7:51234 or [2001:db8::7]:51234."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address
