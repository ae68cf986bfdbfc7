"""Where requests may go: which addresses a connection may have, before DNS is asked and after."""

import ipaddress
from dataclasses import dataclass

import httpx2

from leads.texts import gettext as _
from leads.texts import gettext_noop


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator allows. Times in seconds.

    `own_hosts`: `host[:port]` of PUBLIC_URL, always allowed; without a port, 80 and 443. `read_timeout`
    bounds a silence, `deadline` one whole exchange, connecting included. Of an answer's decoded body no more
    than `max_response_bytes` are read.
    """

    allow_private: bool = False
    own_hosts: frozenset[str] = frozenset()
    connect_timeout: float = 5
    read_timeout: float = 30
    deadline: float = 60
    max_response_bytes: int = 1024 * 1024

    def trusts(self, host: str, port: int) -> bool:
        """Whether the operator vouches for this host: everything is allowed, or it is PUBLIC_URL's own."""
        name = host.rstrip(".").lower()
        name = f"[{name}]" if ":" in name else name
        names = {f"{name}:{port}", name} if port in PORTS.values() else {f"{name}:{port}"}
        return self.allow_private or not names.isdisjoint(self.own_hosts)


# Without the library's words, which speak of IDNA and positions.
NOT_A_URL = gettext_noop(
    "This is not a URL: check it for blanks and typing errors. It looks like https://crm.example.com/path."
)

PORTS = {"http": 80, "https": 443}


def address_problem(url: str | httpx2.URL, policy: Policy) -> str:
    """Why this URL is refused before DNS is asked, as a sentence; empty where nothing is wrong with it."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        return _(NOT_A_URL)
    if parsed.scheme not in PORTS:
        return _("The address must start with https://.")
    if not parsed.host:
        return _("The address names no host.")
    if parsed.userinfo:
        return _("The address carries a user name or password: remove what stands before the @.")
    port = PORTS[parsed.scheme] if parsed.port is None else parsed.port
    if not 0 < port < 65536:
        return _("There is no port {port}.").format(port=port)
    if policy.trusts(parsed.raw_host.decode("ascii"), port):
        return ""
    if _is_private_name(parsed.host):
        return not_allowed(parsed.host)
    if parsed.scheme == "http":
        return _("The address must start with https://; http:// needs ALLOW_PRIVATE_DESTINATIONS=true.")
    return ""


def not_allowed(host: str, address: str = "") -> str:
    """The sentence that refuses a host, which `address` is what stands for, where it is not its own."""
    if address and address != host:
        return _(
            "{host} leads to {address}, which is not a public address: private, loopback, link-local and metadata "
            "addresses are refused unless ALLOW_PRIVATE_DESTINATIONS=true."
        ).format(host=host, address=address)
    return _(
        "{host} is not a public address: private, loopback, link-local and metadata addresses are refused unless "
        "ALLOW_PRIVATE_DESTINATIONS=true."
    ).format(host=host)


def _is_private_name(host: str) -> bool:
    """Whether a host is private by its spelling alone; what other names stand for is told when they are dialled."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return not is_public(name)
    except ValueError:
        return False


_COMPATIBLE = ipaddress.IPv6Network("::/96")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Not public, though `is_global` may say so: Azure's platform address (metadata, DHCP, health), protocol
# assignments (Oracle's metadata service is 192.0.0.192), NAT64 for local use, IPv6 site-local.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in ("168.63.129.16/32", "192.0.0.0/24", "64:ff9b:1::/48", "fec0::/10")
)


def is_public(address: str) -> bool:
    """Whether this literal address is on the public internet, judged by an IPv4 address it may embed."""
    ip = _effective(ipaddress.ip_address(address))
    if ip.is_multicast or ip.is_reserved:
        return False
    return ip.is_global and not any(ip in network for network in _NOT_PUBLIC)


def _effective(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _COMPATIBLE or ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip
