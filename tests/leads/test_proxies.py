"""Whose word about the caller's address is believed."""

import pytest

from leads.proxies import client_address, is_trusted

OURS = ("10.0.0.1", "10.9.0.0/16", "fd00::/8")


def address(remote: str, forwarded: str | None = None, trusted: tuple[str, ...] = OURS) -> str:
    meta = {"REMOTE_ADDR": remote}
    if forwarded is not None:
        meta["HTTP_X_FORWARDED_FOR"] = forwarded
    return client_address(meta, trusted)


def test_a_stranger_cannot_choose_his_address() -> None:
    assert address("203.0.113.9", "198.51.100.7") == "203.0.113.9"


def test_nobody_is_believed_where_no_proxy_is_named() -> None:
    assert address("127.0.0.1", "198.51.100.7", trusted=()) == "127.0.0.1"


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("192.0.2.66, 198.51.100.7", "198.51.100.7"),  # what stands before came from the sender
        ("192.0.2.66, 198.51.100.7, 10.9.3.4", "198.51.100.7"),  # a chain of our own proxies
        (" 198.51.100.7 ,10.9.3.4 ", "198.51.100.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("198.51.100.7:51234", "198.51.100.7"),  # Azure Application Gateway adds the port
        ("[2001:db8::7]:51234", "2001:db8::7"),
        ("10.9.3.4", "10.9.3.4"),  # one of us sent it
        ("", "10.0.0.1"),
        (",,", "10.0.0.1"),
        ("unknown", "unknown"),
        (None, "10.0.0.1"),
    ],
)
def test_our_proxy_is_asked_for_the_last_address_that_is_not_ours(forwarded: str, expected: str) -> None:
    assert address("10.0.0.1", forwarded) == expected


@pytest.mark.parametrize(
    ("remote", "trusted"),
    [
        ("10.0.0.1", True),
        ("10.9.255.255", True),
        ("10.0.0.2", False),
        ("fd00::1", True),
        ("fe80::1", False),
        ("", False),
        ("not an address", False),
    ],
)
def test_a_proxy_is_ours_by_its_address_or_its_network(remote: str, trusted: bool) -> None:
    assert is_trusted(remote, OURS) is trusted
