"""Copies of one lead that arrive at the same instant, at a server of two processes."""

import json
import socket
import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPResponse

import pytest

from tests.e2e.conftest import Site

pytestmark = pytest.mark.e2e
COPIES, ROUNDS = 16, 8


def test_copies_that_arrive_at_the_same_instant_are_one_lead_and_all_are_counted(site: Site) -> None:
    for _ in range(ROUNDS):
        body = json.dumps({"UserDetails": {"FirstName": uuid.uuid4().hex}}).encode()
        answers = at_the_same_instant(site, body)
        assert Counter((status, said["status"]) for status, said in answers) == {
            (201, "accepted"): 1,
            (200, "repeated"): COPIES - 1,
        }
        [lead_id] = {said["id"] for _, said in answers}
        stored = site.rows(
            "SELECT s.times_received, l.id FROM leads_submission s JOIN leads_lead l ON l.submission_id = s.id "
            "WHERE s.body = ?",
            body,
        )
        assert stored == [(COPIES, uuid.UUID(lead_id).hex)]


def at_the_same_instant(site: Site, body: bytes) -> list[tuple[int, dict[str, str]]]:
    """Status and answer of each copy. The last byte of all is sent when every connection has said the rest."""
    head = f"POST {site.path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    together = threading.Barrier(COPIES)

    def finish(link: socket.socket) -> tuple[int, dict[str, str]]:
        together.wait(10)
        link.sendall(body[-1:])
        with HTTPResponse(link) as answer:
            answer.begin()
            return answer.status, json.loads(answer.read())

    with ExitStack() as stack:
        links = [
            stack.enter_context(socket.create_connection(("127.0.0.1", site.port), timeout=20))
            for _ in range(COPIES)
        ]
        for link in links:
            link.sendall(head + body[:-1])
        threads = stack.enter_context(ThreadPoolExecutor(COPIES))
        return list(threads.map(finish, links))
